/* gptq.c - see gptq.h. */
#include "optimizer/quantize/gptq.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/checkpoint/float_formats.h"
#include "optimizer/error.h"
#include "optimizer/quantize/codes.h"
#include "optimizer/quantize/dense.h"
#include "optimizer/quantize/refine.h"
#include "optimizer/quantize/scales.h"

enum { BLOCK = 128 }; /* columns whose corrections are made at once */

/* A matrix on its way, its columns in the order in which they are stored here: the last is rounded first. */
typedef struct rounding {
    const kernel_matrix *m;
    quantized_memory to;
    code_grid grid;
    const size_t *column; /* [columns]: where each stood */
    const float *l;       /* [columns][columns], lower triangle */
    float *v;             /* [rows][columns]: weights, and of the columns that are rounded, errors */
    float *correction;    /* [rows][BLOCK]: sums over the blocks that are rounded */
    int8_t *codes;        /* [rows][columns], as they stood */
} rounding;

/* ---- the Cholesky factor ---------------------------------------------------------------------------------------- */

typedef struct keyed {
    float key;
    size_t column;
} keyed;

static int by_key(const void *a, const void *b)
{
    const keyed *x = a, *y = b;
    if (x->key != y->key) return x->key < y->key ? -1 : 1;
    return x->column < y->column ? -1 : x->column > y->column;
}

/* Columns by ascending second moment. */
static ciuic_status order_columns(const second_moments *h, size_t *column)
{
    keyed *keys = malloc(h->n * sizeof *keys);
    if (keys == NULL) return ciuic_fail_memory("the order of columns", h->n * sizeof *keys);
    for (size_t i = 0; i < h->n; i++) keys[i] = (keyed){.key = h->h[i * h->n + i], .column = i};
    qsort(keys, h->n, sizeof *keys, by_key);
    for (size_t i = 0; i < h->n; i++) column[i] = keys[i].column;
    free(keys);
    return CIUIC_OK;
}

/* Fills the upper triangle from the lower one, tile by tile: whole columns would miss every cache. */
static void mirror(float *h, size_t n)
{
    enum { TILE = 32 };
#pragma omp parallel for schedule(dynamic, 8)
    for (size_t row = 0; row < n; row += TILE)
        for (size_t column = 0; column <= row; column += TILE)
            for (size_t i = row; i < row + TILE && i < n; i++)
                for (size_t j = column; j < column + TILE && j < i; j++) h[j * n + i] = h[i * n + j];
}

/* The lower triangle of H with its columns in their new order. */
static void permute(const float *h, size_t n, const size_t *column, float *to)
{
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++) to[i * n + j] = h[column[i] * n + column[j]];
}

static double mean_diagonal(const float *h, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += (double)h[i * n + i];
    return sum / (double)n;
}

/* Whether L L^T has the diagonal it should have: a BLAS that does not suit the CPU has been seen to return nonsense. */
static bool factor_holds(const float *l, const float *diagonal, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double sum = 0;
        for (size_t j = 0; j <= i; j++) sum += (double)l[i * n + j] * (double)l[i * n + j];
        /* Each of the i + 1 terms is rounded a few times in FP32; their errors partly cancel, and need not. */
        if (!(fabs(sum - (double)diagonal[i]) <= ((double)i + 8) * 0x1p-22 * (double)diagonal[i])) return false;
    }
    return true;
}

/* l becomes L. */
static ciuic_status factorise(float *l, size_t n)
{
    float *diagonal = malloc(n * sizeof *diagonal);
    if (diagonal == NULL) return ciuic_fail_memory("a Cholesky factor", n * sizeof *diagonal);
    for (size_t i = 0; i < n; i++) diagonal[i] = l[i * n + i];
    const bool good = dense_cholesky(l, n) && factor_holds(l, diagonal, n);
    free(diagonal);
    if (good) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT,
                      "the second moments of its inputs have no Cholesky factor (%zu columns); more damping or more "
                      "calibration ids would help",
                      n);
}

static ciuic_status damp(float *h, size_t n, double damping)
{
    const double mean = mean_diagonal(h, n);
    if (!isfinite(mean))
        return ciuic_fail(CIUIC_ERROR_INPUT, "the second moments of its inputs are not finite; expected numbers");
    const float add = (float)(mean > 0 ? damping * mean : 1.0); /* without any input every column is for itself */
    for (size_t i = 0; i < n; i++) h[i * n + i] += add;
    return CIUIC_OK;
}

ciuic_status gptq_factorise(second_moments *h, double damping, gptq_factor *factor)
{
    const size_t n = h->n;
    gptq_factor f = {.n = n, .tokens = h->tokens, .h = h->h};
    f.column = malloc(n * sizeof *f.column);
    f.importance = malloc(n * sizeof *f.importance);
    f.l = malloc(n * n * sizeof *f.l);
    ciuic_status status =
        f.column && f.importance && f.l ? CIUIC_OK : ciuic_fail_memory("a Cholesky factor", n * n * sizeof *f.l);
    for (size_t i = 0; i < n && status == CIUIC_OK; i++) f.importance[i] = second_moments_mean_square(h, i);
    if (status == CIUIC_OK) status = order_columns(h, f.column);
    if (status == CIUIC_OK) status = damp(f.h, n, damping);
    if (status == CIUIC_OK) {
        mirror(f.h, n);
        permute(f.h, n, f.column, f.l);
        status = factorise(f.l, n);
    }
    *h = (second_moments){0};
    if (status != CIUIC_OK)
        gptq_factor_free(&f);
    else
        *factor = f;
    return status;
}

void gptq_factor_free(gptq_factor *factor)
{
    free(factor->column);
    free(factor->l);
    free(factor->h);
    free(factor->importance);
    *factor = (gptq_factor){0};
}

/* Rows [first, first + count) of m, columns in the factor's order, into x; and back. */
static void gather_rows(const gptq_factor *f, const float *m, size_t first, size_t count, float *x)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < f->n; k++) x[i * f->n + k] = m[(first + i) * f->n + f->column[k]];
}

static void scatter_rows(const gptq_factor *f, const float *x, size_t first, size_t count, float *m)
{
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < f->n; k++) m[(first + i) * f->n + f->column[k]] = x[i * f->n + k];
}

double gptq_distance(const gptq_factor *f, size_t rows, const float *a, const float *b)
{
    const blasint n = (blasint)f->n;
    const size_t step = dense_rows_at_once(rows);
    double sum = 0;
    dense_single_thread();
#pragma omp parallel for schedule(dynamic) reduction(+ : sum)
    for (size_t first = 0; first < rows; first += step) {
        const size_t count = rows - first < step ? rows - first : step, size = count * f->n;
        float *d = malloc(2 * size * sizeof *d);
        if (d == NULL) {
            sum += NAN;
            continue;
        }
        gather_rows(f, a, first, count, d);
        if (b != NULL) {
            gather_rows(f, b, first, count, d + size);
            for (size_t i = 0; i < size; i++) d[i] -= d[size + i];
        }
        cblas_strmm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, (blasint)count, n, 1.0F, f->l, n,
                    d, n);
        for (size_t i = 0; i < size; i++) sum += (double)d[i] * (double)d[i];
        free(d);
    }
    return sum;
}

bool gptq_solve(const gptq_factor *f, size_t rows, float *m)
{
    const blasint n = (blasint)f->n;
    const size_t step = dense_rows_at_once(rows);
    int failed = 0;
    dense_single_thread();
#pragma omp parallel for schedule(dynamic) reduction(+ : failed)
    for (size_t first = 0; first < rows; first += step) {
        const size_t count = rows - first < step ? rows - first : step;
        float *x = malloc(count * f->n * sizeof *x);
        if (x == NULL) {
            failed++;
            continue;
        }
        gather_rows(f, m, first, count, x);
        const blasint r = (blasint)count;
        cblas_strsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, r, n, 1.0F, f->l, n, x, n);
        cblas_strsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, r, n, 1.0F, f->l, n, x, n);
        scatter_rows(f, x, first, count, m);
        free(x);
    }
    return failed == 0;
}

/* ---- rounding --------------------------------------------------------------------------------------------------- */

/* The columns [first, end) of one row, last first. */
static void round_row(const rounding *r, size_t row, size_t first, size_t end)
{
    const size_t columns = r->m->columns, group = r->m->group > 0 ? r->m->group : columns;
    const size_t scales = row * kernel_row_scales(r->m);
    float *v = r->v + row * columns, *correction = r->correction + row * BLOCK;
    for (size_t k = end; k-- > first;) {
        const float *l = r->l + k * columns;
        const size_t g = scales + r->column[k] / group;
        const float scale = float_from_f16(r->to.scales[g]);
        const float minimum = r->to.minimums != NULL ? float_from_f16(r->to.minimums[g]) : 0;
        const int code = code_of(&r->grid, v[k] + correction[k - first] / l[k], scale, minimum);
        const float e = v[k] - code_value(&r->grid, code, scale, minimum);
        r->codes[row * columns + r->column[k]] = (int8_t)code;
        v[k] = e;
        for (size_t j = first; j < k; j++) correction[j - first] += e * l[j];
    }
}

/* The columns [first, end) of the rows [from, from + count). */
static void round_block(const rounding *r, size_t from, size_t count, size_t first, size_t end)
{
    const size_t columns = r->m->columns, after = columns - end;
    float *correction = r->correction + from * BLOCK;
    if (after == 0)
        memset(correction, 0, count * BLOCK * sizeof *correction);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)count, (blasint)(end - first), (blasint)after,
                    1.0F, r->v + from * columns + end, (blasint)columns, r->l + end * columns + first, (blasint)columns,
                    0.0F, correction, BLOCK);
    for (size_t row = from; row < from + count; row++) round_row(r, row, first, end);
}

/* Rows are for themselves, but that all of a block's read the same columns of L. */
static void round_all(const rounding *r)
{
    const size_t rows = r->m->rows, step = dense_rows_at_once(rows);
    dense_single_thread();
    for (size_t end = r->m->columns; end > 0;) {
        const size_t first = end > BLOCK ? end - BLOCK : 0;
#pragma omp parallel for schedule(dynamic)
        for (size_t from = 0; from < rows; from += step)
            round_block(r, from, rows - from < step ? rows - from : step, first, end);
        end = first;
    }
}

/* Packs the codes, and writes what they decode to into w. */
static void finish(const rounding *r, float *w)
{
    const size_t columns = r->m->columns, group = r->m->group > 0 ? r->m->group : columns;
    const size_t bytes = kernel_row_bytes(r->m->format, columns), groups = kernel_row_scales(r->m);
#pragma omp parallel for schedule(static)
    for (size_t row = 0; row < r->m->rows; row++) {
        const int8_t *codes = r->codes + row * columns;
        for (size_t k = 0; k < columns; k++) {
            const size_t g = row * groups + k / group;
            const float minimum = r->to.minimums != NULL ? float_from_f16(r->to.minimums[g]) : 0;
            w[row * columns + k] = code_value(&r->grid, codes[k], float_from_f16(r->to.scales[g]), minimum);
        }
        for (size_t k = 0; k < columns; k += KERNEL_GROUP)
            codes_pack(r->m->format, codes + k, k, columns - k < KERNEL_GROUP ? columns - k : KERNEL_GROUP,
                       (unsigned char *)r->to.values + row * bytes);
    }
}

static void gather_columns(const rounding *r, const float *w)
{
    const size_t columns = r->m->columns;
#pragma omp parallel for schedule(static)
    for (size_t row = 0; row < r->m->rows; row++)
        for (size_t k = 0; k < columns; k++) r->v[row * columns + k] = w[row * columns + r->column[k]];
}

/* The errors of all columns, as they stand, in v. */
static void find_errors(const rounding *r, const float *w)
{
    const size_t columns = r->m->columns, group = r->m->group > 0 ? r->m->group : columns;
    const size_t groups = kernel_row_scales(r->m);
#pragma omp parallel for schedule(static)
    for (size_t row = 0; row < r->m->rows; row++)
        for (size_t k = 0; k < columns; k++) {
            const size_t at = row * columns + k, g = row * groups + k / group;
            const float minimum = r->to.minimums != NULL ? float_from_f16(r->to.minimums[g]) : 0;
            r->v[at] = w[at] - code_value(&r->grid, r->codes[at], float_from_f16(r->to.scales[g]), minimum);
        }
}

/* Passes of refinement. Each costs a product of the matrix with H, in wide ones as much as the rounding itself. */
static int refinements(size_t columns)
{
    return columns <= 4096 ? 3 : 0;
}

ciuic_status gptq_quantize(const gptq_factor *factor, const kernel_matrix *m, quantized_memory to, size_t first_row,
                           float *w)
{
    const size_t rows = m->rows, columns = m->columns;
    if (rows == 0 || columns == 0) return CIUIC_OK;
    if (factor->n != columns)
        return ciuic_fail(CIUIC_ERROR_USAGE, "second moments of %zu columns for a matrix of %zu", factor->n, columns);
    float *correction = malloc(rows * BLOCK * sizeof *correction), *v = malloc(rows * columns * sizeof *v);
    int8_t *codes = malloc(rows * columns);
    ciuic_status status = correction && v && codes
                              ? CIUIC_OK
                              : ciuic_fail_memory("quantising a matrix", rows * columns * (sizeof *v + 1));
    if (status == CIUIC_OK)
        status = scales_choose(m, to, w, true, factor->tokens > 0 ? factor->importance : NULL, first_row);
    if (status == CIUIC_OK) {
        const rounding r = {.m = m,
                            .to = to,
                            .grid = code_grid_of(m->format, to.minimums != NULL),
                            .column = factor->column,
                            .l = factor->l,
                            .v = v,
                            .correction = correction,
                            .codes = codes};
        gather_columns(&r, w);
        round_all(&r);
        find_errors(&r, w);
        const refine_state state = {.m = m, .to = to, .w = w, .codes = codes, .error = v};
        status = refine_codes(factor, &state, refinements(columns));
        if (status == CIUIC_OK) finish(&r, w);
    }
    free(correction);
    free(v);
    free(codes);
    return status;
}
