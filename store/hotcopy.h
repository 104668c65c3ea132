#ifndef STORE_HOTCOPY_H
#define STORE_HOTCOPY_H

#include <stdint.h>

struct error;
struct hot_copier;
struct store;

/*
 * Hot copies of the index: a thread that, each store_options.copy_interval_ms,
 * if anything changed, writes a compact copy of the index as of one moment to
 * <data>/copies/index-<UTC time>.mdb, durably and then at once, and keeps the
 * last two. `holdfast rebuild` begins from the newest. Where space is short
 * there are no copies. What a crash leaves of one is removed by the next.
 */
struct hot_copier *hot_copier_start(struct store *, struct error *err);
void hot_copier_stop(struct hot_copier *); /* NULL is allowed; breaks one off */

/* Makes a copy now, if anything changed since the last: 0, or -1 and *err. */
int hot_copy_now(struct hot_copier *, struct error *err);

/* When the last copy of this process was made, ms since 1970; 0: none, or NULL.
 */
uint64_t hot_copy_last_ms(struct hot_copier *);

/* Whether a name below copies/ is that of a copy. */
int hot_copy_is_name(const char *name);

/* Names below copies/ are these, so that their order is that of time. */
#define COPIES_DIRECTORY "copies"
#define COPY_PREFIX "index-"
#define COPY_SUFFIX ".mdb"

#endif
