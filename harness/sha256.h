/* sha256.h - digests as the 64 hexadecimal digits that results record; libmd does the work. */
#ifndef CIUIC_SHA256_H
#define CIUIC_SHA256_H

#include <stddef.h>

#include "optimizer/ciuic.h"

typedef struct sha256_hex {
    char text[65];
} sha256_hex;

sha256_hex sha256_data(const void *data, size_t bytes);
ciuic_status sha256_file(const char *path, sha256_hex *out);

#endif
