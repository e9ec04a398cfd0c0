/* sha256.c - a thin wrapper over libmd's SHA-256. */
#include "harness/sha256.h"

#include <errno.h>
#include <sha2.h>
#include <stdint.h>
#include <string.h>

#include "optimizer/error.h"

sha256_hex sha256_data(const void *data, size_t bytes)
{
    sha256_hex hex;
    SHA256Data((const uint8_t *)data, bytes, hex.text);
    return hex;
}

ciuic_status sha256_file(const char *path, sha256_hex *out)
{
    sha256_hex hex;
    if (SHA256File(path, hex.text) == NULL)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    *out = hex;
    return CIUIC_OK;
}

void sha256_begin(sha256_stream *stream)
{
    SHA256Init(&stream->state);
}

void sha256_add(sha256_stream *stream, const void *data, size_t bytes)
{
    SHA256Update(&stream->state, data, bytes);
}

sha256_hex sha256_end(sha256_stream *stream)
{
    sha256_hex hex;
    SHA256End(&stream->state, hex.text);
    return hex;
}
