/* sha256.h - digests as the 64 hexadecimal digits that results record; libmd does the work. */
#ifndef CIUIC_SHA256_H
#define CIUIC_SHA256_H

#include <stddef.h>

#include <sha2.h>

#include "optimizer/ciuic.h"

typedef struct sha256_hex {
    char text[65];
} sha256_hex;

sha256_hex sha256_data(const void *data, size_t bytes);
ciuic_status sha256_file(const char *path, sha256_hex *out);

/* Of what comes in pieces: begin, add any number of times, end. */
typedef struct sha256_stream {
    SHA2_CTX state;
} sha256_stream;

void sha256_begin(sha256_stream *stream);
void sha256_add(sha256_stream *stream, const void *data, size_t bytes);
sha256_hex sha256_end(sha256_stream *stream);

#endif
