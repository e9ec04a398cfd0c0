/* planted_fault.c - linked into build/trial/ciuic-faulty alone, in front of the library's own functions (ld --wrap): plants
 * the accuracy fault that CIUIC_TRIAL_FAULT names, "KIND:SEED", into every optimised variant, at a place that the seed
 * chooses among all weights, layers and positions. The reference, all stages off, stays sound. Kinds:
 *
 *   exponent    one bit of the exponent of one 16-bit weight
 *   scale       one scale of one group of INT8 or INT4 weights, 2% too large
 *   transpose   a block of 16 x 16 stored values of one matrix, rows for columns
 *   stale       the cache row of one position in one layer, which is never written after its first time, if ever */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "harness/split_mix.h"
#include "harness/trials/trial.h"
#include "optimizer/checkpoint/float_formats.h"
#include "optimizer/runtime/model.h"

enum { KIND = 16, SIDE = 16 };

typedef struct plan_of_fault {
    char kind[KIND];
    uint64_t state; /* of the random numbers */
    size_t seen;    /* weights of the matrices that would do, so far */
    kernel_matrix matrix;
    size_t layer, position; /* of a stale row */
    bool stale;
} plan_of_fault;

static plan_of_fault fault;

static bool read_fault(void)
{
    unsigned long long seed = 0;
    const char *text = getenv("CIUIC_TRIAL_FAULT");
    fault = (plan_of_fault){.seen = 0};
    if (text == NULL || sscanf(text, "%15[a-z]:%llu", fault.kind, &seed) != 2) return false;
    fault.state = seed;
    return true;
}

static size_t below(size_t n)
{
    return (size_t)(split_mix_next(&fault.state) % n);
}

static bool is_16bit(const kernel_matrix *m)
{
    return m->format == KERNEL_F16 || m->format == KERNEL_BF16;
}

static bool would_do(const kernel_matrix *m)
{
    if (strcmp(fault.kind, "exponent") == 0) return is_16bit(m);
    if (strcmp(fault.kind, "scale") == 0) return kernel_is_grouped(m->format);
    const bool plain = is_16bit(m) || m->format == KERNEL_INT8;
    return strcmp(fault.kind, "transpose") == 0 && plain && m->rows >= SIDE && m->columns >= SIDE;
}

/* Chooses one of all matrices, a weight as likely as another, whatever their number (reservoir sampling). */
static ciuic_status choose(void *context, const stored_weight *w)
{
    (void)context;
    if (w->matrix == NULL || !would_do(w->matrix)) return CIUIC_OK;
    const size_t weights = w->matrix->rows * w->matrix->columns;
    fault.seen += weights;
    if (below(fault.seen) < weights) fault.matrix = *w->matrix;
    return CIUIC_OK;
}

/* Weights may lie in a mapped file, which only this process then sees changed. */
static void *writable(const void *at, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *begin = (char *)((uintptr_t)at / page * page);
    mprotect(begin, (size_t)((const char *)at + bytes - begin), PROT_READ | PROT_WRITE);
    return (void *)(uintptr_t)at;
}

static void flip_exponent(void)
{
    const kernel_matrix *m = &fault.matrix;
    uint16_t *value = (uint16_t *)(uintptr_t)m->values + below(m->rows * m->columns);
    const size_t bit = m->format == KERNEL_F16 ? 10 + below(5) : 7 + below(8);
    value = writable(value, sizeof *value);
    *value = (uint16_t)(*value ^ 1u << bit);
}

static void enlarge_scale(void)
{
    const kernel_matrix *m = &fault.matrix;
    const size_t count = m->rows * kernel_row_scales(m);
    for (size_t tries = 0; tries < 1000; tries++) {
        uint16_t *scale = (uint16_t *)(uintptr_t)m->scales + below(count);
        if (float_from_f16(*scale) == 0) continue;
        scale = writable(scale, sizeof *scale);
        *scale = float_to_f16(1.02F * float_from_f16(*scale));
        return;
    }
}

static void transpose_block(void)
{
    const kernel_matrix *m = &fault.matrix;
    const size_t size = is_16bit(m) ? 2 : 1, row_bytes = kernel_row_bytes(m->format, m->columns);
    const size_t row = below(m->rows - SIDE + 1), column = below(m->columns - SIDE + 1);
    char *block = (char *)(uintptr_t)m->values + row * row_bytes + column * size;
    block = writable(block, (SIDE - 1) * row_bytes + SIDE * size);
    for (size_t i = 0; i < SIDE; i++)
        for (size_t j = 0; j < i; j++) {
            char *a = block + i * row_bytes + j * size, *b = block + j * row_bytes + i * size, t[2];
            memcpy(t, a, size);
            memcpy(a, b, size);
            memcpy(b, t, size);
        }
}

/* ---- in front of the library -------------------------------------------------------------------------------------- */

ciuic_status __real_ciuic_optimize(const ciuic_model *model, const ciuic_options *options, ciuic_model **optimized,
                                   ciuic_report *report);
ciuic_status __wrap_ciuic_optimize(const ciuic_model *model, const ciuic_options *options, ciuic_model **optimized,
                                   ciuic_report *report);
operation_fn __real_run_cache_write, __wrap_run_cache_write;

ciuic_status __wrap_ciuic_optimize(const ciuic_model *model, const ciuic_options *options, ciuic_model **optimized,
                                   ciuic_report *report)
{
    const ciuic_status status = __real_ciuic_optimize(model, options, optimized, report);
    if (status != CIUIC_OK || !options->graph || !read_fault()) return status;
    const model_config *c = (*optimized)->config;
    fault.stale = strcmp(fault.kind, "stale") == 0;
    fault.layer = below(c->layers);
    fault.position = 1 + below(TRIAL_POSITIONS - 2);
    weight_store_each((*optimized)->weights, choose, NULL);
    if (fault.seen == 0) return status;
    if (strcmp(fault.kind, "exponent") == 0) flip_exponent();
    if (strcmp(fault.kind, "scale") == 0) enlarge_scale();
    if (strcmp(fault.kind, "transpose") == 0) transpose_block();
    return status;
}

void __wrap_run_cache_write(const execution *e, const graph_op *op, int thread, int threads)
{
    const share s = share_rows(e, op, thread, threads);
    const size_t position = fault.position, bytes = e->cache->row_bytes;
    const bool hit = fault.stale && (size_t)op->layer == fault.layer && position >= e->position + s.first &&
                     position < e->position + s.end;
    char *row = hit ? kv_cache_at(e->cache, fault.layer, position, 0) : NULL, *before = hit ? malloc(bytes) : NULL;
    if (before != NULL) memcpy(before, row, bytes);
    __real_run_cache_write(e, op, thread, threads);
    if (before != NULL) memcpy(row, before, bytes);
    free(before);
}
