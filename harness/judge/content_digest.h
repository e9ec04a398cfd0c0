/* content_digest.h - the digest that results.json carries of itself, so that one that was edited by hand is noticed. It is
 * no signature: whoever wants to deceive can compute it again. */
#ifndef CIUIC_CONTENT_DIGEST_H
#define CIUIC_CONTENT_DIGEST_H

#include <cjson/cJSON.h>

#include "harness/sha256.h"

/* The member that holds it; everything else is covered. */
#define CONTENT_DIGEST_KEY "content_sha256"
/* What is said of results without it. */
#define CONTENT_UNKNOWN_WORDS "carry no digest of themselves: not known to be as written"

typedef enum content_state {
    CONTENT_UNKNOWN, /* there is no digest: results of an earlier version, or somebody took it out */
    CONTENT_AS_WRITTEN,
    CONTENT_EDITED,
} content_state;

/* SHA-256 of the values in their order: of keys, texts and numbers, however they are spelt and spaced in the file, so that
 * a program that only lays the file out anew changes nothing. */
sha256_hex content_digest(const cJSON *results);
content_state content_check(const cJSON *results);
/* Puts the digest into `results`, in the place of one that is there. */
ciuic_status content_seal(cJSON *results);

#endif
