/* test_gptq_factor.c - the Cholesky factor of second moments, and what is solved and measured with it. */
#include "optimizer/quantize/gptq.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/tests/grouped_matrix.h"
#include "optimizer/tests/random_moments.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

/* ---- the factor ------------------------------------------------------------------------------------------------- */

/* FP32 sums of up to n terms, each rounded a few times: the bound that the factorisation holds itself to. */
static double rounding_of(size_t n)
{
    return ((double)n + 8) * 0x1p-22;
}

static void check_factor(const gptq_factor *f, const float *lower, double damping)
{
    const size_t n = f->n;
    double mean = 0, worst = 0;
    size_t descents = 0, wrong = 0, seen = 0;
    for (size_t i = 0; i < n; i++) mean += (double)lower[i * n + i] / (double)n;
    for (size_t i = 0; i < n; i++) {
        const size_t a = f->column[i];
        seen += a;
        if (i > 0 && f->h[f->column[i - 1] * (n + 1)] > f->h[a * (n + 1)]) descents++;
        if (f->importance[i] != lower[i * n + i] / (float)f->tokens) wrong++;
        for (size_t j = 0; j <= i; j++) {
            const size_t b = f->column[j], at = a > b ? a * n + b : b * n + a;
            const double scale = sqrt((double)f->h[a * n + a] * (double)f->h[b * n + b]);
            const double expected = (double)lower[at] + (a == b ? damping * mean : 0);
            double sum = 0;
            for (size_t k = 0; k <= j; k++) sum += (double)f->l[i * n + k] * (double)f->l[j * n + k];
            worst = fmax(worst, fabs(sum - expected) / scale);
            if (f->h[a * n + b] != f->h[b * n + a]) wrong++;
            worst = fmax(worst, fabs((double)f->h[a * n + b] - expected) / scale);
        }
    }
    CHECK(worst <= rounding_of(n), "n=%zu: L L^T or H + damping is off by %g", n, worst);
    CHECK(descents == 0 && seen == n * (n - 1) / 2, "n=%zu: %zu descents, columns sum to %zu", n, descents, seen);
    CHECK(wrong == 0, "n=%zu: %zu importances or mirrored values are wrong", n, wrong);
}

static void factor_is_of_damped_moments(void)
{
    static const size_t sizes[] = {1, 2, 7, 40, 129};
    static const double dampings[] = {0.01, 1};
    unsigned long long state = test_seed();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
        for (size_t d = 0; d < 2; d++) {
            const size_t n = sizes[i];
            /* half as many tokens as columns: only damping makes it definite */
            second_moments h = random_moments(&state, n, d == 0 ? 3 * n : (n + 1) / 2, 0.5F, 10);
            gptq_factor f = {0};
            float *lower = floats(n * n);
            memcpy(lower, h.h, n * n * sizeof *lower);
            CHECK(gptq_factorise(&h, dampings[d], &f) == CIUIC_OK, "%s", ciuic_last_error());
            CHECK(h.h == NULL && h.n == 0, "the moments were not taken over");
            check_factor(&f, lower, dampings[d]);
            gptq_factor_free(&f);
            free(lower);
        }
}

static void no_input_is_identity(void)
{
    enum { N = 5 };
    second_moments h = {0};
    gptq_factor f = {0};
    CHECK(second_moments_create(&h, N) == CIUIC_OK && gptq_factorise(&h, 0.01, &f) == CIUIC_OK, "%s",
          ciuic_last_error());
    for (size_t i = 0; i < N * N; i++) {
        const float expected = i % (N + 1) == 0 ? 1 : 0;
        if (i / N >= i % N) CHECK(f.l[i] == expected, "l[%zu] = %g", i, (double)f.l[i]);
        CHECK(f.h[i] == expected, "h[%zu] = %g", i, (double)f.h[i]);
    }
    for (size_t i = 0; i < N; i++)
        CHECK(f.column[i] == i && f.importance[i] == 0, "column %zu, importance %g", f.column[i],
              (double)f.importance[i]);
    gptq_factor_free(&f);
}

static void moments_without_a_factor_are_refused(void)
{
    static const struct {
        float h[4]; /* 2 x 2 */
        const char *message;
    } table[] = {
        {{NAN, 0, 0, 1}, "not finite"},         {{1, 0, 0, INFINITY}, "not finite"},
        {{1, 0, NAN, 1}, "no Cholesky factor"}, {{1, 0, INFINITY, 1}, "no Cholesky factor"},
        {{1, 0, 2, 1}, "no Cholesky factor"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        second_moments h = {0};
        gptq_factor f = {0};
        CHECK(second_moments_create(&h, 2) == CIUIC_OK, "%s", ciuic_last_error());
        memcpy(h.h, table[i].h, sizeof table[i].h);
        h.tokens = 2;
        const ciuic_status status = gptq_factorise(&h, 0, &f);
        CHECK(status == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), table[i].message) != NULL,
              "row %zu: status %d, \"%s\" lacks \"%s\"", i, (int)status, ciuic_last_error(), table[i].message);
        CHECK(h.h == NULL && f.h == NULL && f.l == NULL, "row %zu: memory is left", i);
    }
}

/* m x = b by Gaussian elimination with pivots; m is destroyed, b becomes x. */
static void eliminate(size_t n, double *m, double *b)
{
    for (size_t k = 0; k < n; k++) {
        size_t pivot = k;
        for (size_t i = k + 1; i < n; i++)
            if (fabs(m[i * n + k]) > fabs(m[pivot * n + k])) pivot = i;
        for (size_t j = 0; j < n; j++) {
            const double t = m[k * n + j];
            m[k * n + j] = m[pivot * n + j];
            m[pivot * n + j] = t;
        }
        const double t = b[k];
        b[k] = b[pivot];
        b[pivot] = t;
        for (size_t i = k + 1; i < n; i++) {
            const double factor = m[i * n + k] / m[k * n + k];
            for (size_t j = k; j < n; j++) m[i * n + j] -= factor * m[k * n + j];
            b[i] -= factor * b[k];
        }
    }
    for (size_t k = n; k-- > 0;) {
        for (size_t j = k + 1; j < n; j++) b[k] -= m[k * n + j] * b[j];
        b[k] /= m[k * n + k];
    }
}

/* Uniform columns of like size, four tokens a column: eigenvalues within (1 +- sqrt(1/4))^2 of the mean, more or less, so the
 * condition number is about 9; 64 leaves room for small n. */
static void solving_is_gaussian_elimination(void)
{
    static const struct {
        size_t n, rows;
    } table[] = {{1, 3}, {5, 300}, {60, 2}, {129, 2}};
    unsigned long long state = test_seed();
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const size_t n = table[i].n, rows = table[i].rows;
        gptq_factor f = random_factor(&state, n, 4 * n + 8, 0, 1);
        float *m = floats(rows * n), *given = floats(rows * n);
        double *h = malloc(n * n * sizeof *h), *b = malloc(n * sizeof *b), worst = 0;
        random_fill(&state, 1, rows * n, m);
        memcpy(given, m, rows * n * sizeof *m);
        CHECK(gptq_solve(&f, rows, m) && h != NULL && b != NULL, "out of memory");
        for (size_t row = 0; row < rows && h != NULL && b != NULL; row++) {
            double error = 0, length = 0;
            for (size_t k = 0; k < n * n; k++) h[k] = (double)f.h[k];
            for (size_t k = 0; k < n; k++) b[k] = (double)given[row * n + k];
            eliminate(n, h, b);
            for (size_t k = 0; k < n; k++) {
                error += (b[k] - (double)m[row * n + k]) * (b[k] - (double)m[row * n + k]);
                length += b[k] * b[k];
            }
            worst = fmax(worst, sqrt(error / length));
        }
        CHECK(worst <= 64 * rounding_of(n), "n=%zu: off by %g of it", n, worst);
        gptq_factor_free(&f);
        free(m);
        free(given);
        free(h);
        free(b);
    }
}

/* Sum over rows of d H d^T. */
static double distance(const gptq_factor *f, size_t rows, const float *a, const float *b)
{
    double sum = 0;
    for (size_t row = 0; row < rows; row++)
        for (size_t i = 0; i < f->n; i++)
            for (size_t j = 0; j < f->n; j++) {
                const size_t x = row * f->n + i, y = row * f->n + j;
                const double left = (double)a[x] - (b != NULL ? (double)b[x] : 0);
                sum += left * (double)f->h[i * f->n + j] * ((double)a[y] - (b != NULL ? (double)b[y] : 0));
            }
    return sum;
}

static void distance_is_the_quadratic_form(void)
{
    static const size_t rows[] = {0, 1, 64, 65};
    unsigned long long state = test_seed();
    for (size_t i = 0; i < 4; i++)
        for (size_t n = 1; n < 130; n += 64) {
            gptq_factor f = random_factor(&state, n, 2 * n, 0.5F, 10);
            float *a = floats(rows[i] * n), *b = floats(rows[i] * n);
            random_fill(&state, 1, rows[i] * n, a);
            random_fill(&state, 1, rows[i] * n, b);
            for (int alone = 0; alone < 2; alone++) {
                const double expected = distance(&f, rows[i], a, alone ? NULL : b);
                const double found = gptq_distance(&f, rows[i], a, alone ? NULL : b);
                /* both factors of the square may be off, and the small eigenvalues of H more than the large ones */
                CHECK(fabs(found - expected) <= 8 * rounding_of(n) * expected, "%zu rows of %zu: %.9g, not %.9g",
                      rows[i], n, found, expected);
            }
            gptq_factor_free(&f);
            free(a);
            free(b);
        }
}

static const test_case cases[] = {
    {"factor is of damped moments", factor_is_of_damped_moments},
    {"no input is identity", no_input_is_identity},
    {"moments without a factor are refused", moments_without_a_factor_are_refused},
    {"solving is Gaussian elimination", solving_is_gaussian_elimination},
    {"distance is the quadratic form", distance_is_the_quadratic_form},
};
TEST_SUITE(gptq_factor, cases);
