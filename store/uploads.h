#ifndef STORE_UPLOADS_H
#define STORE_UPLOADS_H

#include <lmdb.h>

#include "store/index.h"
#include "store/record.h"

/* An upload's record: 0 and *bytes, or -1 and ERR_NO_UPLOAD (or worse). */
int uploads_find(MDB_txn *, const struct index *, uint64_t bucket,
    struct slice key, uint64_t upload, struct slice *bytes, struct error *err);

#endif
