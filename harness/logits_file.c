/* logits_file.c - see logits_file.h. */
#include "harness/logits_file.h"

#include <stdlib.h>
#include <string.h>

#include "harness/lies_within.h"
#include "optimizer/atomic_file.h"
#include "optimizer/checkpoint/safetensors_writer.h"
#include "optimizer/error.h"

ciuic_status logits_file_open(const char *path, const char *checkpoint, logits_file *f)
{
    atomic_file file;
    *f = (logits_file){.path = path};
    if (path == NULL) return CIUIC_OK;
    if (lies_within(path, checkpoint))
        return ciuic_fail(CIUIC_ERROR_USAGE,
                          "eval: --logits-out '%s' lies in the checkpoint; expected a place outside it", path);
    CIUIC_TRY(atomic_file_open(path, &file));
    atomic_file_abort(&file);
    return CIUIC_OK;
}

ciuic_status logits_file_reserve(logits_file *f, size_t tokens, size_t vocabulary)
{
    if (f->path == NULL) return CIUIC_OK;
    f->values = reallocarray(NULL, tokens * vocabulary, sizeof *f->values);
    if (f->values == NULL) return ciuic_fail_memory("logits", tokens * vocabulary * sizeof *f->values);
    f->tokens = tokens;
    f->vocabulary = vocabulary;
    return CIUIC_OK;
}

void logits_file_take(void *context, size_t window, size_t position, size_t n, const float *logits)
{
    const logits_file *f = context;
    if (window != 0 || f->values == NULL) return;
    memcpy(f->values + position * f->vocabulary, logits, n * f->vocabulary * sizeof *f->values);
}

size_t logits_file_bytes(const logits_file *f)
{
    return f->tokens * f->vocabulary * sizeof *f->values;
}

ciuic_status logits_file_write(const logits_file *f)
{
    if (f->values == NULL) return CIUIC_OK;
    const size_t count = f->tokens * f->vocabulary;
    const tensor logits = {.name = "logits",
                           .dtype = TENSOR_F32,
                           .dims = 2,
                           .shape = {f->tokens, f->vocabulary},
                           .count = count,
                           .bytes = count * sizeof *f->values,
                           .data = f->values};
    return safetensors_write(f->path, &logits, 1);
}

void logits_file_free(logits_file *f)
{
    free(f->values);
    *f = (logits_file){0};
}
