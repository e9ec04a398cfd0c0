/* test_gptq.c - codes that make up for each other's errors: never worse than nearest ones, and what kernels decode. */
#include "optimizer/quantize/gptq.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/checkpoint/float_formats.h"
#include "optimizer/quantize/codes.h"
#include "optimizer/quantize/refine.h"
#include "optimizer/quantize/scales.h"
#include "optimizer/tests/grouped_matrix.h"
#include "optimizer/tests/random_moments.h"
#include "optimizer/tests/runner.h"

static const kernel_format formats[] = {KERNEL_INT8, KERNEL_INT4, KERNEL_INT3};
static const size_t groups[] = {32, 64, 0}, widths[] = {40, 100, 129};
enum { THREE = 3 };

/* ---- codes ------------------------------------------------------------------------------------------------------ */

/* Calls `check` on every format, group, width, with and without minimums. */
typedef void each_fn(unsigned long long *state, grouped_matrix *g);

static void for_each_matrix(size_t rows, each_fn *check)
{
    unsigned long long state = test_seed();
    for (size_t i = 0; i < (size_t)THREE * THREE * THREE * 2; i++) {
        grouped_matrix g;
        grouped_matrix_create(&g, formats[i % THREE], rows, widths[i / THREE % THREE],
                              groups[i / (THREE * THREE) % THREE], i >= THREE * THREE * THREE);
        check(&state, &g);
        grouped_matrix_free(&g);
    }
}

/* Nearest codes under searched scales: what GPTQ begins with. w becomes what they decode to. */
static void encode_nearest(const gptq_factor *f, const grouped_matrix *like, float *w)
{
    grouped_matrix g;
    grouped_matrix_create(&g, like->m.format, like->m.rows, like->m.columns, like->m.group, like->to.minimums != NULL);
    CHECK(scales_choose(&g.m, g.to, w, true, f->importance, 0) == CIUIC_OK, "%s", ciuic_last_error());
    scales_encode(&g.m, g.to, w);
    grouped_matrix_free(&g);
}

/* Quantises random weights both ways under one H; the two errors. */
static void compare(unsigned long long *state, grouped_matrix *g, float common, double *gptq, double *nearest)
{
    const size_t rows = g->m.rows, n = g->m.columns;
    gptq_factor f = random_factor(state, n, 2 * n, common, 10);
    float *w = floats(rows * n), *a = floats(rows * n), *b = floats(rows * n);
    random_fill(state, 1, rows * n, w);
    memcpy(a, w, rows * n * sizeof *w);
    memcpy(b, w, rows * n * sizeof *w);
    CHECK(gptq_quantize(&f, &g->m, g->to, 0, a) == CIUIC_OK, "%s", ciuic_last_error());
    encode_nearest(&f, g, b);
    *gptq = gptq_distance(&f, rows, w, a);
    *nearest = gptq_distance(&f, rows, w, b);
    gptq_factor_free(&f);
    free(w);
    free(a);
    free(b);
}

/* Babai's codes are no better than nearest ones in every case, only on the whole; a matrix of a few rows shows the whole. */
static void never_above_nearest(unsigned long long *state, grouped_matrix *g)
{
    double gptq, nearest;
    for (int i = 0; i < 3; i++) {
        compare(state, g, 0.2F * (float)i, &gptq, &nearest);
        CHECK(gptq <= nearest, "%s: %g, nearest %g", grouped_matrix_name(g), gptq, nearest);
    }
}

static void error_is_never_above_nearest(void)
{
    for_each_matrix(8, never_above_nearest);
}

static void clearly_below_nearest(unsigned long long *state, grouped_matrix *g)
{
    double gptq, nearest;
    compare(state, g, 0.8F, &gptq, &nearest);
    CHECK(gptq < 0.6 * nearest, "%s: %g, nearest %g", grouped_matrix_name(g), gptq, nearest);
}

static void correlated_inputs_gain_much(void)
{
    for_each_matrix(8, clearly_below_nearest);
}

/* H diagonal: no column can make up for another. Of whole rows, whose scales are not refined, the codes are the nearest ones
 * (but for values half-way between two); of groups, refining may only have lowered the error. */
static void check_diagonal(unsigned long long *state, grouped_matrix *g)
{
    const size_t rows = g->m.rows, n = g->m.columns;
    second_moments h = {0};
    gptq_factor f = {0};
    CHECK(second_moments_create(&h, n) == CIUIC_OK, "%s", ciuic_last_error());
    h.tokens = n;
    for (size_t k = 0; k < n; k++) h.h[k * (n + 1)] = 1 + fabsf(random_uniform(state));
    CHECK(gptq_factorise(&h, 0.01, &f) == CIUIC_OK, "%s", ciuic_last_error());
    float *w = floats(rows * n), *a = floats(rows * n), *b = floats(rows * n);
    random_fill(state, 1, rows * n, w);
    memcpy(a, w, rows * n * sizeof *w);
    memcpy(b, w, rows * n * sizeof *w);
    CHECK(gptq_quantize(&f, &g->m, g->to, 0, a) == CIUIC_OK, "%s", ciuic_last_error());
    encode_nearest(&f, g, b);
    size_t wrong = 0;
    for (size_t i = 0; i < rows * n && g->m.group == 0; i++) {
        const double off = fabs((double)a[i] - (double)w[i]), least = fabs((double)b[i] - (double)w[i]);
        if (a[i] != b[i] && off > least + 0x1p-20) wrong++;
    }
    CHECK(wrong == 0, "%s: %zu codes are not the nearest", grouped_matrix_name(g), wrong);
    const double gptq = gptq_distance(&f, rows, w, a), nearest = gptq_distance(&f, rows, w, b);
    CHECK(gptq <= nearest * (1 + 1e-3), "%s: %g, nearest %g", grouped_matrix_name(g), gptq, nearest);
    gptq_factor_free(&f);
    free(w);
    free(a);
    free(b);
}

static void diagonal_moments_give_nearest_codes(void)
{
    for_each_matrix(4, check_diagonal);
}

/* Exact where symmetric; q * scale + minimum may be rounded once or twice. */
static void check_decoded(const grouped_matrix *g, const float *w)
{
    const size_t count = g->m.rows * g->m.columns, scales = g->m.rows * kernel_row_scales(&g->m);
    float *decoded = floats(count), largest = 0;
    size_t wrong = 0;
    for (size_t i = 0; i < scales && g->to.minimums != NULL; i++)
        largest = fmaxf(largest, fabsf(float_from_f16(g->to.minimums[i])));
    grouped_matrix_decode(g, decoded);
    for (size_t i = 0; i < count; i++)
        if (!(fabsf(decoded[i] - w[i]) <= (largest > 0 ? 0x1p-22F * (fabsf(w[i]) + largest) : 0))) wrong++;
    CHECK(wrong == 0, "%s: %zu values are not what kernels decode", grouped_matrix_name(g), wrong);
    free(decoded);
}

static void quantize_and_decode(unsigned long long *state, grouped_matrix *g)
{
    const size_t rows = g->m.rows, n = g->m.columns;
    gptq_factor f = random_factor(state, n, 2 * n, 0.5F, 10);
    float *w = floats(rows * n);
    random_fill(state, 0.1F, rows * n, w);
    CHECK(gptq_quantize(&f, &g->m, g->to, 0, w) == CIUIC_OK, "%s", ciuic_last_error());
    check_decoded(g, w);
    gptq_factor_free(&f);
    free(w);
}

static void returned_values_are_the_decoded_ones(void)
{
    for_each_matrix(3, quantize_and_decode);
}

/* Rows of zeros stay zero; a constant one is within a step, whatever its neighbours. */
static void plain_rows(unsigned long long *state, grouped_matrix *g)
{
    const size_t n = g->m.columns;
    gptq_factor f = random_factor(state, n, 2 * n, 0.5F, 10);
    float *w = floats(4 * n);
    for (size_t k = 0; k < n; k++) {
        w[n + k] = 0.75F;
        w[2 * n + k] = -0.75F;
        w[3 * n + k] = random_uniform(state);
    }
    CHECK(gptq_quantize(&f, &g->m, g->to, 0, w) == CIUIC_OK, "%s", ciuic_last_error());
    check_decoded(g, w);
    const float step = g->to.minimums != NULL ? 0 : 0.75F / (g->m.format == KERNEL_INT8 ? 127 : 4);
    float zero = 0, constant = 0;
    for (size_t k = 0; k < n; k++) {
        zero = fmaxf(zero, fabsf(w[k]));
        constant = fmaxf(constant, fmaxf(fabsf(w[n + k] - 0.75F), fabsf(w[2 * n + k] + 0.75F)));
    }
    CHECK(zero == 0, "%s: a zero became %g", grouped_matrix_name(g), (double)zero);
    CHECK(constant <= step, "%s: a constant is off by %g", grouped_matrix_name(g), (double)constant);
    gptq_factor_free(&f);
    free(w);
}

static void zero_and_constant_rows(void)
{
    for_each_matrix(4, plain_rows);
}

static void bad_weights_are_named(void)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY, 1e30F};
    enum { N = 40 };
    unsigned long long state = test_seed();
    gptq_factor f = random_factor(&state, N, 2 * N, 0.5F, 10);
    for (size_t i = 0; i < 4 * THREE; i++) {
        grouped_matrix g;
        grouped_matrix_create(&g, formats[i / 4], 5, N, 32, false);
        float *w = floats(g.m.rows * N);
        random_fill(&state, 1, g.m.rows * N, w);
        w[3 * N + 34] = w[4 * N + 2] = bad[i % 4]; /* the first of them is named */
        const ciuic_status status = gptq_quantize(&f, &g.m, g.to, 100, w);
        CHECK(status == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), "weight [103][34] is ") != NULL,
              "%g: status %d, %s", (double)bad[i % 4], (int)status, ciuic_last_error());
        grouped_matrix_free(&g);
        free(w);
    }
    grouped_matrix g;
    grouped_matrix_create(&g, KERNEL_INT4, 1, N + 1, 32, false);
    float *w = floats(N + 1);
    CHECK(gptq_quantize(&f, &g.m, g.to, 0, w) == CIUIC_ERROR_USAGE, "another number of columns");
    grouped_matrix_free(&g);
    gptq_factor_free(&f);
    free(w);
}

/* ---- refinement ------------------------------------------------------------------------------------------------- */

/* What the codes decode to, and how far w is from it. */
static void find_error(const grouped_matrix *g, const refine_state *s, float *q)
{
    const code_grid grid = code_grid_of(g->m.format, g->to.minimums != NULL);
    const size_t n = g->m.columns, group = g->m.group > 0 ? g->m.group : n;
    for (size_t i = 0; i < g->m.rows * n; i++) {
        const size_t at = i / n * kernel_row_scales(&g->m) + i % n / group;
        const float minimum = g->to.minimums != NULL ? float_from_f16(g->to.minimums[at]) : 0;
        q[i] = code_value(&grid, s->codes[i], float_from_f16(g->to.scales[at]), minimum);
    }
}

/* From random codes as well as from the nearest ones, pass after pass. */
static void refine_from(unsigned long long *state, grouped_matrix *g, bool random_codes)
{
    const size_t rows = g->m.rows, n = g->m.columns, group = g->m.group > 0 ? g->m.group : n;
    const code_grid grid = code_grid_of(g->m.format, g->to.minimums != NULL);
    gptq_factor f = random_factor(state, n, 2 * n, 0.5F, 10);
    float *w = floats(rows * n), *q = floats(rows * n), *error = floats(rows * n);
    int8_t *codes = calloc(rows * n, 1);
    random_fill(state, 1, rows * n, w);
    CHECK(codes != NULL && scales_choose(&g->m, g->to, w, true, f.importance, 0) == CIUIC_OK, "%s", ciuic_last_error());
    const refine_state s = {.m = &g->m, .to = g->to, .w = w, .codes = codes, .error = error};
    for (size_t i = 0; i < rows * n; i++) {
        const size_t at = i / n * kernel_row_scales(&g->m) + i % n / group;
        const float minimum = g->to.minimums != NULL ? float_from_f16(g->to.minimums[at]) : 0;
        codes[i] = (int8_t)code_of(&grid, random_codes ? random_uniform(state) : w[i], float_from_f16(g->to.scales[at]),
                                   minimum);
    }
    find_error(g, &s, q);
    for (size_t i = 0; i < rows * n; i++) error[i] = w[i] - q[i];
    double before = gptq_distance(&f, rows, w, q);
    for (int pass = 0; pass < 4; pass++) {
        CHECK(refine_codes(&f, &s, 1) == CIUIC_OK, "%s", ciuic_last_error());
        find_error(g, &s, q);
        const double after = gptq_distance(&f, rows, w, q);
        /* slopes are FP32 sums */
        CHECK(after <= before * (1 + 1e-4), "%s, pass %d: %.9g became %.9g", grouped_matrix_name(g), pass, before,
              after);
        before = after;
        float worst = 0;
        for (size_t i = 0; i < rows * n; i++) worst = fmaxf(worst, fabsf(error[i] - (w[i] - q[i])));
        CHECK(worst <= 0x1p-18F, "%s: the error kept beside the codes is off by %g", grouped_matrix_name(g),
              (double)worst);
    }
    gptq_factor_free(&f);
    free(w);
    free(q);
    free(error);
    free(codes);
}

static void refine_both(unsigned long long *state, grouped_matrix *g)
{
    refine_from(state, g, false);
    refine_from(state, g, true);
}

static void refining_never_raises_the_error(void)
{
    for_each_matrix(3, refine_both);
}

static const test_case cases[] = {
    {"diagonal moments give nearest codes", diagonal_moments_give_nearest_codes},
    {"error is never above nearest", error_is_never_above_nearest},
    {"correlated inputs gain much", correlated_inputs_gain_much},
    {"returned values are the decoded ones", returned_values_are_the_decoded_ones},
    {"zero and constant rows", zero_and_constant_rows},
    {"bad weights are named", bad_weights_are_named},
    {"refining never raises the error", refining_never_raises_the_error},
};
TEST_SUITE(gptq, cases);
