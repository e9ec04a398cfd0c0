/* token_windows.h - token ids from a safetensors file, checked against a model and cut into windows.
 *
 * I32 of shape [n] is one stream, cut into windows of 512 with a shorter rest; of shape [rows, n], each row is a window.
 * Every window is evaluated alone, from an empty cache. */
#ifndef CIUIC_TOKEN_WINDOWS_H
#define CIUIC_TOKEN_WINDOWS_H

#include <stdint.h>

#include "optimizer/ciuic.h"

enum { TOKEN_WINDOW_DEFAULT = 512 };

typedef struct token_windows {
    int32_t *ids; /* [rows][row_length] */
    size_t rows, row_length;
    bool by_rows;  /* the ids are of shape [rows, n]; otherwise one stream */
    size_t length; /* most ids in a window; the last one of a row may be shorter */
    size_t count;  /* windows */
} token_windows;

/* Reads `source`, FILE.safetensors or FILE.safetensors:NAME; without a name the file must hold one I32 tensor only.
 * `length` 0 means the default above; otherwise rows too are cut into windows of that many. Ids outside [0, vocabulary),
 * another dtype or shape, no ids at all, and windows longer than max_context are CIUIC_ERROR_INPUT. */
ciuic_status token_windows_read(const char *source, size_t length, size_t vocabulary, size_t max_context,
                                token_windows *windows);
void token_windows_free(token_windows *windows); /* all zero is allowed */

/* The ids of window `index` < count; *n of them, at least one. */
const int32_t *token_windows_at(const token_windows *windows, size_t index, size_t *n);

#endif
