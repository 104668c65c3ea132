#ifndef REPLICATOR_PROBE_STEPS_H
#define REPLICATOR_PROBE_STEPS_H

#include "replicator/destination.h"
#include "replicator/probe_row.h"

/*
 * The Test button: one row for each thing that replication will need, by the
 * protocol's own functions. All that it writes is below
 * plugins/holdfast/probe-RANDOM/, a new name each time, and is gone at the end
 * however it ends; what a probe that was killed left there, the next one
 * removes.
 */

#define PROBE_PREFIX "plugins/holdfast/probe-"
/* No probe takes that long: what is older was left behind. */
#define PROBE_STALE_MS (15 * 60 * 1000)

/* What the steps need of a protocol beside its table. `session` is the table's;
 * NULL: there is nothing to do. */
struct probe_protocol {
	const struct destination_protocol *table;
	/* Where the answer to the session's last request is. */
	struct http_call *(*call)(void *session);
	/* A request that needs nobody's permission, for the network's rows.
	 * Returns whether it goes by TLS. */
	int (*knock)(void *session);
	/* Gets what authorizes requests, which may come from elsewhere. */
	int (*credentials)(void *session, struct fault *);
	/* Was the refusal about who asks, and not about what? */
	int (*is_of_authentication)(const struct fault *);
	/* Was listing refused alone, so that the bucket may be there? */
	int (*is_list_denied)(const struct fault *);
	const char *list_permission;
	/* The texts of rows that passed; bucket() writes its own row. */
	void (*identity)(void *session, char *text, size_t room);
	void (*bucket)(void *session, struct probe_writer *);
	const char *(*put)(void *session);
	const char *multipart;
	/* Rows about rules of the bucket that would bite, never a failure. 1
	 * when what the test writes could not be removed again. */
	int (*rules)(void *session, struct probe_writer *);
	/* Tags for the first put; learns whether the store keeps them. */
	int (*puts_tags)(void *session);
	/* Learns whether conditions hold, by a put onto what is there. */
	void (*learn)(void *session, const struct remote_object *,
	    const struct remote_source *);
	/* The version that the last request made, where old ones are kept: 1
	 * and its name, or 0. And a request that removes one. */
	int (*version)(void *session, char *name, size_t room);
	int (*remove_version)(
	    void *session, struct slice key, const char *name, struct fault *);
	/* Ends uploads that were begun below PROBE_PREFIX before then, by the
	 * provider's clock. */
	void (*sweep)(void *session, int64_t before_ms);
};

/* destination_protocol.probe */
int probe_steps(const struct probe_protocol *, void *session, void *shared,
    probe_visit *, void *arg, struct fault *);

#endif
