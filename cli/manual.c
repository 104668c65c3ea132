#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/version.h"
#include "cli/commands.h"
#include "cli/help.h"

/* The manual page, from the same tables as --help. */

/* Text in roff: a dash is one, a backslash is none of its own, and a line does
 * not begin with a control character. */
static void
roff(FILE *out, const char *text)
{
	int at_start = 1;

	for (; *text != '\0'; text++) {
		if (at_start && (*text == '.' || *text == '\''))
			fputs("\\&", out);
		at_start = 0;
		if (*text == '-')
			fputs("\\-", out);
		else if (*text == '\\')
			fputs("\\e", out);
		else if (strncmp(text, "\n\n", 2) == 0) {
			fputs("\n.PP\n", out);
			text++;
			at_start = 1;
		} else
			fputc(*text, out);
	}
}

static void
paragraph(FILE *out, const char *text)
{
	fputs(".PP\n", out);
	roff(out, text);
	fputc('\n', out);
}

static void
option_entry(FILE *out, const struct option *option)
{
	char name[64];

	if (option->flags & OPTION_HIDDEN)
		return;
	fputs(".TP\n", out);
	if (option->flags & OPTION_SECRET) {
		option_environment(option, name, sizeof(name));
		fprintf(out, "\\fB%s\\fR (environment and file only)\n", name);
	} else {
		fputs("\\fB", out);
		snprintf(name, sizeof(name), "--%s", option->name);
		roff(out, name);
		fputs("\\fR", out);
		if (option->argument != NULL)
			fprintf(out,
			    option->flags & OPTION_OPTIONAL ? " [\\fI%s\\fR]"
							    : " \\fI%s\\fR",
			    option->argument);
		fputc('\n', out);
	}
	roff(out, option->help);
	if (option->standard != NULL) {
		fputs(" Default: ", out);
		roff(out, option->standard);
		fputc('.', out);
	}
	fputc('\n', out);
}

static void
command_entry(FILE *out, const struct command *command)
{
	size_t i;

	fprintf(out, ".SS holdfast %s%s%s\n", command->name,
	    command->operands == NULL ? "" : " ",
	    command->operands == NULL ? "" : command->operands);
	fputc(toupper((unsigned char)command->summary[0]), out);
	roff(out, command->summary + 1);
	fputs(".\n", out);
	if (command->details != NULL)
		paragraph(out, command->details);
	for (i = 0; i < command->n_options; i++)
		option_entry(out, &command->options[i]);
}

static const struct {
	const char *path, *what;
} files[] = {
	{ "DIR/index/", "the index, an LMDB environment" },
	{ "DIR/extents/", "the contents, a file each" },
	{ "DIR/lock", "is locked by the process that owns the directory" },
	{ "DIR/reserve",
	    "ballast, given up so that deletes work on a full disk" },
	{ "DIR/credentials",
	    "the administrator's key pair, if it was made at the first start" },
	{ "DIR/tls/", "the certificate of --tls-self-signed and its CA" },
	{ "DIR/control.sock", "where commands reach a running server" },
};

void
help_manual(FILE *out)
{
	size_t i;

	fprintf(out,
	    ".TH HOLDFAST 1 2026-11-24 \"holdfast %s\" \"User commands\"\n"
	    ".SH NAME\nholdfast \\- an S3 backup target on local disk\n"
	    ".SH SYNOPSIS\n\\fBholdfast\\fR \\fICOMMAND\\fR [\\fIOPTIONS\\fR]\n"
	    ".SH DESCRIPTION\n",
	    HOLDFAST_VERSION);
	roff(out,
	    "holdfast keeps objects on local disk, with an index in LMDB, and "
	    "serves them over S3, as the target of backups by restic, Velero, "
	    "kopia, rclone and others. What it has answered with success "
	    "survives "
	    "a power cut, and every byte is checked when it is read.");
	fputs("\n.SH COMMANDS\n", out);
	for (i = 0; i < n_commands; i++)
		command_entry(out, &commands[i]);

	fputs(".SH ENVIRONMENT\n", out);
	roff(out,
	    "Each option of `holdfast serve` may be set as HOLDFAST_ and its "
	    "name "
	    "in capitals, with _ for -; the command line wins. The other "
	    "commands "
	    "take HOLDFAST_DATA.");
	fputs("\n.SH FILES\nDIR is the data directory.\n", out);
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		fputs(".TP\n\\fI", out);
		roff(out, files[i].path);
		fputs("\\fR\n", out);
		roff(out, files[i].what);
		fputc('\n', out);
	}
	fputs(".SH SIGNALS\n.TP\n\\fBSIGTERM\\fR, \\fBSIGINT\\fR\n", out);
	roff(out,
	    "The server takes no further connections, lets requests end, and "
	    "exits 0. A second one ends it at once.");
	fputs("\n.TP\n\\fBSIGHUP\\fR\n", out);
	roff(out,
	    "The server reads its TLS certificate again and opens the access "
	    "log "
	    "again.");
	fputs("\n.SH EXIT STATUS\n", out);
	roff(out,
	    "0 on success, 1 on failure, 2 when the command line, the "
	    "environment "
	    "or the configuration file is wrong. check and rebuild have a 3, "
	    "too, "
	    "as told there.");
	fputs("\n.SH EXAMPLES\nA server on a directory of one's own, and a "
	      "bucket and a key for it:\n.PP\n.nf\n",
	    out);
	roff(out,
	    "holdfast serve --data ./data\n"
	    "holdfast bucket add backups --data ./data\n"
	    "holdfast key add velero --bucket backups --data ./data\n");
	fputs(".fi\n", out);
}
