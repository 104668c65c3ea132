#ifndef CLI_WHO_H
#define CLI_WHO_H

/* For whom this command runs, as far as it knows: the log of changes names it
 * beside the user that the server sees. */
const char *who_asks(void);

/* Asks on the terminal, if standard input and error are one: the first letter
 * of the answer; 0 when there is no terminal or no answer. */
int ask_person(const char *question);

#endif
