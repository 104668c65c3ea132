#ifndef CONSOLE_PAIR_H
#define CONSOLE_PAIR_H

#include <stddef.h>

struct error;

/*
 * Key pairs: an access key, which is a name, and its secret. Any thread.
 */

#define PAIR_ACCESS_KEY_MAX_BYTES 128
#define PAIR_SECRET_MAX_BYTES 1024

/* 20 letters and digits; 43 of them, which is 256 bits of chance. With a final
 * NUL; room must do. */
void pair_make_access_key(char *text, size_t room);
void pair_make_secret(char *text, size_t room);

/* 0, or -1 and *err if a signature could not carry them: an access key has 1 to
 * 128 printable characters other than blank, '/', ',' and '='; a secret 1 to
 * 1024 printable ones. */
int pair_check(const char *access_key, const char *secret, struct error *err);

#endif
