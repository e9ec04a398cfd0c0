/* check.h - what the checks of check-kernels share: guarded buffers, a seeded generator, calls that survive a crash,
 * and comparisons that a NaN never passes. */
#ifndef CIUIC_KERNELS_CHECK_H
#define CIUIC_KERNELS_CHECK_H

#include "kernels/kernels.h"

#include <float.h>
#include <math.h>
#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The unit roundoff of float, the smallest float, and gamma_n = n u / (1 - n u): what n roundings can do to a sum
 * relative to the sum of magnitudes, in whatever order it is formed (Higham 2002, lemma 3.1 and section 4.2). */
#define ROUNDOFF 0x1p-24
#define SMALLEST 0x1p-149
static inline double gamma_of(double n)
{
    return n * ROUNDOFF / (1 - n * ROUNDOFF);
}

/* ---- one line of the report: a kernel on a rung over all its shapes ---- */

typedef struct check {
    const char *kernel, *rung;
    const kernel_table *table;     /* of that rung */
    const kernel_table *reference; /* of the portable rung */
    uint64_t random;               /* state of the generator, seeded alike for every rung */
    char shape[128];               /* of the call at hand */
    size_t calls, failures;
    double worst; /* largest error / tolerance so far, and where */
    char worst_shape[128], complaint[256];
    struct check_buffer *buffers; /* those of the call at hand */
} check;

/* Fails the check with a message (the first one is kept). */
void check_fail(check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Names the call at hand; frees the buffers of the one before. */
void check_shape(check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- buffers ---- */

/* `bytes` bytes that begin or end (this alternates) at a page that cannot be touched, so that a kernel which reads or
 * writes one element too far dies there; what is left of the pages holds a pattern. Never NULL. */
void *check_alloc(check *c, size_t bytes);
/* No more writes to any buffer handed out before, except through check_output. */
void check_freeze(check *c);
/* As check_alloc, for what the kernel is to write: filled with the pattern. */
void *check_output(check *c, size_t bytes);
/* Whether the pattern around every output is intact; frees all buffers. Called by check_shape. */
void check_release(check *c);
/* The pattern as a float: a NaN, so that an element which should have been written cannot pass. */
bool check_untouched(const void *p, size_t bytes);

/* ---- random values ---- */

uint64_t check_random(check *c);
double check_uniform(check *c); /* [-1, 1) */
float check_normal(check *c);   /* roughly normal, deviation 1 */
/* A buffer of n of those. */
float *check_normals(check *c, size_t n);
/* Floats of which some are zero, subnormal, huge or tiny; with `wild` also infinite and NaN. */
float check_awkward(check *c, bool wild);
/* A buffer of n such floats. */
float *check_floats(check *c, size_t n, bool wild);
/* An output that starts as a copy of x (for what works in place or adds to y), or untouched when x is NULL. */
float *check_copy(check *c, size_t n, const float *x);

/* ---- calls and comparisons ---- */

/* Where a crash inside a kernel lands: set by main for each check. */
extern sigjmp_buf check_jump;
/* While armed, SIGSEGV, SIGBUS, SIGILL and SIGFPE jump there with their number; else they are the test's own and end
 * it. */
void check_arm(bool on);

/* Runs a statement that calls a kernel. */
#define CHECK_CALL(statement)                                                                                          \
    do {                                                                                                               \
        check_arm(true);                                                                                               \
        statement;                                                                                                     \
        check_arm(false);                                                                                              \
    } while (0)

/* got must be within `tolerance` of want; NaN exactly where want is NaN, infinite exactly where want is (or where a
 * finite want overflows float). `where` and `index` only name the place. */
void check_value(check *c, const char *where, size_t index, double got, double want, double tolerance);
/* Bit-for-bit equality but for NaNs, which need only be NaNs. */
void check_same(check *c, const char *where, size_t count, const float *got, const float *want);

/* ---- the checks: one per file, run for every rung ---- */

typedef struct check_entry {
    const char *kernel;
    void (*run)(check *c);
} check_entry;

extern const check_entry matmul_checks[], weight_checks[], elementwise_checks[], norm_checks[], routing_checks[],
    conv2d_checks[], conv2d_blocked_checks[], attention_checks[]; /* NULL at the end */

/* ---- tolerances of products, for matmul and bench alike, derived in check_matmul.c ---- */

/* What rounding x to bfloat16 may cost relative to the sum of magnitudes, 0 where the table's kernel does not. */
double check_rounded_x(const kernel_table *table, kernel_format format, size_t m);
/* Roundings of an output of products with quantised x. */
double check_q8_roundings(const kernel_matrix *w);

/* ---- inputs of the weight kernels, for matmul and bench alike ---- */

typedef enum weight_kind { WEIGHTS_NORMAL, WEIGHTS_AWKWARD, WEIGHTS_WILD } weight_kind;
/* A random matrix in guarded buffers; with a bias or none. */
kernel_matrix check_matrix(check *c, kernel_format format, size_t rows, size_t columns, bool bias, weight_kind kind);
/* The same for formats in groups, these of `group`, 0: whole rows; with minimums or none. */
kernel_matrix check_group_matrix(check *c, kernel_format format, size_t rows, size_t columns, size_t group,
                                 bool minimums, bool bias, weight_kind kind);
/* w, which lies as its rows do, interleaved in guarded buffers of its own; 0: w itself. */
kernel_matrix check_interleaved(check *c, const kernel_matrix *w, size_t interleave);
/* The oracle of formats: w[row][column] in double, and what its magnitude may be taken for in an error bound. */
double weight_value(const kernel_matrix *w, size_t row, size_t column);
double weight_magnitude(const kernel_matrix *w, size_t row, size_t column);
double half_value(uint16_t half);

/* ---- bench_clock.c ---- */

/* One thread never waits, so its own processor time is what it takes on a machine that others share. */
double bench_seconds(bool one_thread);
/* Sorts them. */
double bench_median(double *times, size_t n);

/* ---- bench.c ---- */

/* m rows of x by a matrix of rows x columns. */
typedef struct bench_product {
    size_t m, rows, columns;
} bench_product;
/* Times the products of the rung whose name ("matmul_int8/32") contains `pattern` on real shapes, or on `only` where that is
 * not NULL, on `threads` threads and beside other people's; prints lines, or JSON members. False when a result was wrong. */
bool bench_rung(const kernel_table *table, const char *pattern, int threads, const bench_product *only, bool json);

/* ---- bench_activations.c ---- */

/* Times the rung's other kernels whose name contains `pattern`, on one thread. */
void bench_activations(const kernel_table *table, const char *pattern, bool json);

/* ---- bench_conv2d.c ---- */

/* Times the convolutions of the rung whose name ("conv2d", "conv2d_blocked") contains `pattern`, on one thread, on layers
 * of well-known networks. */
void bench_conv2d(const kernel_table *table, const char *pattern, bool json);

#endif
