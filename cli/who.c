#include "cli/who.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

const char *
who_asks(void)
{
	const char *who = getenv("SUDO_USER");

	if (who == NULL)
		who = getenv("USER");
	return who == NULL ? "command line" : who;
}

int
ask_person(const char *question)
{
	char answer[80];

	if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
		return 0;
	fputs(question, stderr);
	if (fgets(answer, sizeof(answer), stdin) == NULL)
		return 0;
	return tolower((unsigned char)answer[0]);
}
