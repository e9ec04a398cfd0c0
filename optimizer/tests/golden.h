/* golden.h - the checkpoints under datasets/ and what another implementation computed for them. */
#ifndef CIUIC_TESTS_GOLDEN_H
#define CIUIC_TESTS_GOLDEN_H

#include "optimizer/checkpoint/safetensors.h"
#include "optimizer/ciuic.h"

typedef struct golden {
    const char *folder;
    safetensors *file;
    const int32_t *ids; /* [count] */
    size_t count, vocabulary;
    const float *logits;   /* [count][vocabulary] */
    const int32_t *greedy; /* [greedy_count]: a prompt and its greedy continuation; NULL when there is none */
    size_t greedy_count;
} golden;

/* All folders with golden logits: architectures first, trained models last. */
extern const char *const golden_folders[];
extern const size_t golden_folder_count;

/* Opens folder/golden.safetensors; failures are CUnit failures and return false. */
bool golden_open(const char *folder, golden *g);
void golden_close(golden *g);

/* The largest |a[i] - b[i]|; infinity when either is not finite. */
double max_abs_difference(const float *a, const float *b, size_t count);
/* The middle one of n > 0 values, the upper of two; sorts them. */
double sorted_median(double *values, size_t n);

/* A session on `folder` under `options` (NULL: the reference); both freed by golden_session_free. */
typedef struct golden_session {
    ciuic_model *model;
    ciuic_session *session;
} golden_session;
bool golden_session_open(const char *folder, const ciuic_options *options, int threads, golden_session *s);
void golden_session_free(golden_session *s);

#endif
