#ifndef CONSOLE_READY_H
#define CONSOLE_READY_H

struct buffer;
struct store;

/* Whether the store can be used, as an HTTP status and a sentence: 503 when the
 * index fails. A full disk is ready, since reads and deletes work, and is told
 * of. May wait for the disk. */
int ready_write(struct buffer *, struct store *);

#endif
