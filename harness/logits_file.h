/* logits_file.h - the logits of the first window, as --logits-out has them: F32 [tokens, vocabulary], tensor `logits` of a
 * .safetensors file that appears whole or not at all. */
#ifndef CIUIC_LOGITS_FILE_H
#define CIUIC_LOGITS_FILE_H

#include "optimizer/ciuic.h"

/* All zero: nobody wants any, and nothing below does anything. */
typedef struct logits_file {
    const char *path; /* borrowed */
    float *values;    /* [tokens][vocabulary] */
    size_t tokens, vocabulary;
} logits_file;

/* An output that cannot be written is worth knowing before the minutes of work, not after. CIUIC_ERROR_USAGE: it lies in the
 * checkpoint. `path` NULL: nobody wants any. */
ciuic_status logits_file_open(const char *path, const char *checkpoint, logits_file *f);
ciuic_status logits_file_reserve(logits_file *f, size_t tokens, size_t vocabulary);
/* A comparison_logits_fn whose context is the logits_file: keeps those of window 0. */
void logits_file_take(void *f, size_t window, size_t position, size_t n, const float *logits);
size_t logits_file_bytes(const logits_file *f); /* that it holds until it is written */
ciuic_status logits_file_write(const logits_file *f);
void logits_file_free(logits_file *f);

#endif
