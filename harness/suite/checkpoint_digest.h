/* checkpoint_digest.h - which checkpoints a result is about: the digests of their files. */
#ifndef CIUIC_CHECKPOINT_DIGEST_H
#define CIUIC_CHECKPOINT_DIGEST_H

#include <cjson/cJSON.h>

#include "harness/sha256.h"
#include "harness/suite/suite.h"
#include "optimizer/checkpoint/checkpoint.h"

/* Opens and checks every checkpoint of the suite, and describes its files:
 *   [{"name", "sha256", "files": [{"file", "bytes", "sha256", "covers": "file" or "header"}]}]
 * config.json, every file of weights, and streams.safetensors where it is there (the token ids). Files above 1 GiB would
 * take longer to read than the bench takes: of those the header only, which names, places and types every tensor, and the
 * size; "covers" says so. "sha256" of the checkpoint is that of its files' digests and sizes. */
ciuic_status checkpoint_digests(const suite *s, cJSON **out);

/* The same "sha256" of one checkpoint, and of the one in a folder. */
ciuic_status checkpoint_digest(const checkpoint *c, sha256_hex *digest);
ciuic_status checkpoint_digest_folder(const char *path, sha256_hex *digest);

#endif
