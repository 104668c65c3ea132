#ifndef REPLICATOR_SEAL_H
#define REPLICATOR_SEAL_H

#include "base/buffer.h"

struct error;

/*
 * Secrets at rest: AES-256-GCM under a key of the store's own, in
 * DIR/replicator.key (0600, made when it is first needed). A sealed text is
 * base64 of {format u8 = 1, nonce 12, ciphertext, tag 16}; the name that it
 * belongs to is authenticated with it, so that one cannot stand for another.
 */
#define SEAL_KEY_BYTES 32
struct seal {
	uint8_t key[SEAL_KEY_BYTES];
};

int seal_open(struct seal *, const char *dir, struct error *err);
void seal_wipe(struct seal *);
/* Appended. 0, or -1 and *err. */
int seal_close_text(const struct seal *, const char *name, const char *text,
    struct buffer *sealed, struct error *err);
/* A text that the caller wipes and frees; NULL and *err. */
char *seal_open_text(const struct seal *, const char *name, const char *sealed,
    struct error *err);

#endif
