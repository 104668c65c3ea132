#ifndef REPLICATOR_VELERO_H
#define REPLICATOR_VELERO_H

#include "base/buffer.h"
#include "store/record.h"

struct error;
struct store;

/* What Velero's files in a store say. */

#define VELERO_PHASE_BYTES 64

/* Whether a key is a backup's velero-backup.json, directly below a Velero
 * prefix; *directory: the length of ".../backups/NAME/". */
int velero_is_backup(struct slice key, size_t *directory);
/* The phase in that file's content; "" when it has none. */
int velero_phase(struct store *, const struct object_record *,
    char phase[VELERO_PHASE_BYTES], struct error *err);
/* The same, of that content. */
void velero_phase_read(struct slice json, char phase[VELERO_PHASE_BYTES]);
int velero_phase_is_final(const char *phase);

#endif
