#ifndef STORE_LMDB_ERROR_H
#define STORE_LMDB_ERROR_H

struct error;

/* Sets *err (may be NULL) to what LMDB's answer rc means, as "what: reason": a
 * full map is ERR_DISK_FULL, a broken page ERR_DAMAGED, an errno as error_sys()
 * has it, misuse ERR_INTERNAL. Returns -1. */
int lmdb_error(struct error *err, int rc, const char *what);

#endif
