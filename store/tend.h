#ifndef STORE_TEND_H
#define STORE_TEND_H

struct error;
struct store;
struct tender;

/*
 * The tender: a thread that now and then makes the ballast again when there is
 * room, gives back the memory of index pages that were read, and aborts uploads
 * that are older than the configured age.
 */
struct tender *tender_start(struct store *, struct error *err);
void tender_stop(struct tender *); /* NULL is allowed */

/* Aborts stale uploads now; how many, or -1 and *err. */
long tend_uploads(struct store *, struct error *err);

#endif
