#ifndef REPLICATOR_FILTER_H
#define REPLICATOR_FILTER_H

#include "base/buffer.h"

/*
 * Which keys go to a destination. Prefixes are of "bucket/key", separated by
 * commas. Without a list of exclusions, restic's lock files stay at home: they
 * say who works on a repository now, and would lock its copy for ever.
 */
struct filter {
	const char *include; /* NULL or empty: all */
	const char *exclude; /* NULL: restic's locks */
	const char *bucket;  /* this one alone; NULL: all */
};

int filter_takes(const struct filter *, struct slice bucket, struct slice key);

#endif
