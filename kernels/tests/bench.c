/* bench.c - the speed of products on shapes of DeepSeek models, against what this machine can do at best, measured in the
 * same run, and other people's products, measured in the same rounds: speed, error and verdict on one line. */
#include "kernels/ceiling.h"
#include "kernels/tests/check.h"
#include "kernels/tests/peers.h"

#include <omp.h>

/* Rounds of one shape: as many as the time allows, so that portable C does not take the whole of it. */
enum { FEWEST_ROUNDS = 3, MOST_ROUNDS = 9 };
static const double shape_seconds = 2;

typedef struct bench_shape {
    size_t rows, columns;
} bench_shape;

/* R1-Distill-Qwen-1.5B: query, gate or up, down; DeepSeek-V3: an expert's gate or up. */
static const bench_shape shapes[] = {{1536, 1536}, {8960, 1536}, {1536, 8960}, {2048, 7168}};
static const size_t row_counts[] = {1, 16, 128, 512};
enum {
    SHAPES = sizeof shapes / sizeof shapes[0],
    ROW_COUNTS = sizeof row_counts / sizeof row_counts[0],
    SHAPE_ROWS = 512,  /* the largest of them */
    FEW_ROWS = 8,      /* up to here reading the weights is what takes the time */
    PORTABLE_ROWS = 16 /* portable C is timed up to here: more only takes longer */
};

typedef struct bench_entry {
    const char *name;
    kernel_format format;
    size_t group; /* INT8, INT4 and INT3 */
    bool floats;  /* those with x in FP32 */
} bench_entry;

static const bench_entry entries[] = {
    {"f32", KERNEL_F32, 0, false},          {"f16", KERNEL_F16, 0, false},
    {"bf16", KERNEL_BF16, 0, false},        {"f8", KERNEL_F8, 0, false},
    {"int8/row", KERNEL_INT8, 0, false},    {"int8/32", KERNEL_INT8, 32, false},
    {"int4/32", KERNEL_INT4, 32, false},    {"int3/32", KERNEL_INT3, 32, false},
    {"f32_int8/32", KERNEL_INT8, 32, true}, {"f32_int4/32", KERNEL_INT4, 32, true},
    {"f32_int3/32", KERNEL_INT3, 32, true}, {"affine8", KERNEL_AFFINE8, 0, false},
    {"affine4", KERNEL_AFFINE4, 0, false},
};
enum { ENTRIES = sizeof entries / sizeof entries[0] };

typedef struct bench {
    const kernel_table *table;
    check *c; /* generator and buffers */
    int threads;
    size_t most_rows; /* of x */
    bool json;
    bool wanted[ENTRIES];
    double fma, bf16, dot;                    /* peaks */
    kernel_matrix w[ENTRIES], plain[ENTRIES]; /* as the rung likes it, and as its rows lie */
    kernel_matrix peer_weights;               /* FP32, as it lies */
    float *x, *y;
    kernel_q8 q[ENTRIES];
    double bandwidth[ENTRIES]; /* of a buffer as large as the weights */
    bool failed;
} bench;

static bool grouped(int e)
{
    return kernel_is_grouped(entries[e].format);
}

/* Whether x is. */
static bool quantised(int e)
{
    return grouped(e) && !entries[e].floats;
}

/* ---- inputs ----------------------------------------------------------------------------------------------------- */

static double weight_bytes(const bench *b, int e)
{
    const kernel_matrix *w = &b->w[e];
    return (double)(w->rows * (kernel_row_bytes(w->format, w->columns) + kernel_row_scales(w) * sizeof(uint16_t)));
}

static kernel_q8 quantise(bench *b, const kernel_matrix *w)
{
    const size_t groups = kernel_row_scales(w);
    kernel_q8 q = {check_alloc(b->c, b->most_rows * kernel_row_bytes(KERNEL_INT8, w->columns)),
                   check_alloc(b->c, b->most_rows * groups * sizeof(float)),
                   check_alloc(b->c, b->most_rows * groups * sizeof(int32_t))};
    b->table->quantize_q8(b->most_rows, w->columns, w->group, b->x, w->columns, &q);
    return q;
}

static void make_inputs(bench *b, const bench_shape *s)
{
    b->x = check_alloc(b->c, b->most_rows * s->columns * sizeof(float));
    b->y = check_alloc(b->c, b->most_rows * s->rows * sizeof(float));
    for (size_t i = 0; i < b->most_rows * s->columns; i++) b->x[i] = check_normal(b->c);
    b->peer_weights = check_matrix(b->c, KERNEL_F32, s->rows, s->columns, false, WEIGHTS_NORMAL);
    for (int e = 0; e < ENTRIES; e++) {
        if (!b->wanted[e]) continue;
        const kernel_matrix w = grouped(e)
                                    ? check_group_matrix(b->c, entries[e].format, s->rows, s->columns, entries[e].group,
                                                         false, false, WEIGHTS_NORMAL)
                                    : check_matrix(b->c, entries[e].format, s->rows, s->columns, false, WEIGHTS_NORMAL);
        b->plain[e] = w;
        b->w[e] = grouped(e) ? check_interleaved(b->c, &w, b->table->interleave) : w;
        if (quantised(e)) b->q[e] = quantise(b, &w);
        b->bandwidth[e] = ceiling_load_bandwidth(b->threads, (size_t)weight_bytes(b, e), 0.1);
    }
}

/* ---- products --------------------------------------------------------------------------------------------------- */

static void multiply(const bench *b, int e, const kernel_matrix *w, size_t m, float *y)
{
    if (quantised(e))
        b->table->matmul_q8[w->format](w, m, &b->q[e], y, b->w[e].rows);
    else
        b->table->matmul[w->format](w, m, b->x, w->columns, y, b->w[e].rows);
}

/* Rows are cut as the runtime cuts them, in units of 16. */
static void multiply_all(const bench *b, int e, size_t m)
{
    const kernel_matrix *w = &b->w[e];
    if (b->threads == 1) {
        multiply(b, e, w, m, b->y);
        return;
    }
#pragma omp parallel num_threads(b->threads)
    {
        const size_t units = (w->rows + 15) / 16, thread = (size_t)omp_get_thread_num();
        const size_t threads = (size_t)omp_get_num_threads();
        const size_t first = units * thread / threads * 16, after = units * (thread + 1) / threads * 16;
        const size_t end = after < w->rows ? after : w->rows;
        const kernel_matrix slice = kernel_matrix_rows(w, first, end - first);
        multiply(b, e, &slice, m, b->y + first);
    }
}

/* For few rows of x, what the ceiling is measured on: weights that lie in the caches as far as they fit. Other entries have
 * been there since the last round; so a first product is not timed. */
static double time_entry(const bench *b, int e, size_t m, size_t repeats)
{
    if (m <= FEW_ROWS) multiply_all(b, e, m);
    const double start = bench_seconds(b->threads == 1);
    for (size_t i = 0; i < repeats; i++) multiply_all(b, e, m);
    return (bench_seconds(b->threads == 1) - start) / (double)repeats;
}

/* Likewise; NAN when the library failed. */
static double time_peer(const bench *b, peer_product *p, size_t m, size_t repeats)
{
    bool good = m > FEW_ROWS || peer_product_run(p);
    const double start = bench_seconds(b->threads == 1);
    for (size_t i = 0; i < repeats; i++) good = peer_product_run(p) && good;
    return good ? (bench_seconds(b->threads == 1) - start) / (double)repeats : (double)NAN;
}

/* ---- errors ----------------------------------------------------------------------------------------------------- */

/* The largest error / tolerance of some outputs of the first and the last row of x. The tolerances are those of
 * check_matmul.c, derived there, for ordinary values: nothing near underflow. */
static double worst_error(const bench *b, int e, size_t m)
{
    enum { OUTPUTS = 16 };
    const kernel_matrix *w = &b->plain[e];
    const size_t groups = kernel_row_scales(w), row = kernel_row_bytes(KERNEL_INT8, w->columns);
    const double roundings = quantised(e) ? check_q8_roundings(w) : (double)w->columns + 3;
    const double allowed = gamma_of(roundings) + check_rounded_x(b->table, w->format, m);
    double worst = 0;
    multiply_all(b, e, m);
    for (size_t at = 0; at < 2 * OUTPUTS; at++) {
        const size_t i = at % 2 ? m - 1 : 0, n = (w->rows - 1) * (at / 2) / (OUTPUTS - 1);
        double sum = 0, magnitude = 0;
        for (size_t k = 0; k < w->columns; k++) {
            const size_t group = w->group ? k / w->group : 0;
            const double x = quantised(e) ? b->q[e].values[i * row + k] * (double)b->q[e].scales[i * groups + group]
                                          : (double)b->x[i * w->columns + k];
            sum += weight_value(w, n, k) * x;
            magnitude += weight_magnitude(w, n, k) * fabs(x);
        }
        const double error = fabs((double)b->y[i * w->rows + n] - sum) / (allowed * magnitude);
        if (!(error <= worst)) worst = error; /* a NaN stays */
    }
    return worst;
}

/* ---- lines ------------------------------------------------------------------------------------------------------ */

typedef struct bench_times {
    double entries[ENTRIES][MOST_ROUNDS], peers[PEERS][MOST_ROUNDS];
    bool has_peer[PEERS];
    size_t rounds;
} bench_times;

/* What the entry's products may use at best here. */
static double peak_of(const bench *b, int e, size_t m)
{
    if (quantised(e)) return b->dot;
    return check_rounded_x(b->table, entries[e].format, m) > 0 ? b->bf16 : b->fma;
}

static void print_line(bench *b, int e, size_t m, bench_times *t)
{
    const kernel_matrix *w = &b->w[e];
    const double error = worst_error(b, e, m), operations = 2.0 * (double)m * (double)w->rows * (double)w->columns;
    const double seconds = bench_median(t->entries[e], t->rounds), byte_rate = weight_bytes(b, e) / seconds;
    const double rate = operations / seconds, peak = peak_of(b, e, m);
    const double of_bandwidth = byte_rate / b->bandwidth[e], of_arithmetic = peak > 0 ? rate / peak : 0;
    const bool passed = error <= 1, bytes = m <= FEW_ROWS;
    const char *isa = kernel_isa_name(b->table->isa);
    b->failed = b->failed || !passed;
    if (b->json)
        printf(",\n    {\"kernel\": \"matmul_%s\", \"isa\": \"%s\", \"m\": %zu, \"rows\": %zu, \"columns\": %zu, "
               "\"threads\": %d, \"rounds\": %zu, \"median_s\": %.6g, \"bytes_per_s\": %.6g, \"operations_per_s\": "
               "%.6g, \"share_of_bandwidth\": %.4f, \"share_of_arithmetic\": %.4f, \"error_over_tolerance\": %.3g, "
               "\"status\": \"%s\", \"peers_operations_per_s\": {",
               entries[e].name, isa, m, w->rows, w->columns, b->threads, t->rounds, seconds, byte_rate, rate,
               of_bandwidth, of_arithmetic, isfinite(error) ? error : 1e300, passed ? "passed" : "failed");
    else if (passed)
        printf(
            "matmul_%-11s %-7s m=%-3zu N=%-4zu K=%-4zu %9.1f us %6.1f GB/s %6.1f Gop/s %3.0f%% of %-10s error %-8.2g "
            "PASS",
            entries[e].name, isa, m, w->rows, w->columns, seconds * 1e6, byte_rate * 1e-9, rate * 1e-9,
            100 * (bytes ? of_bandwidth : of_arithmetic), bytes ? "bandwidth" : "arithmetic", error);
    else
        printf("matmul_%-11s %-7s m=%-3zu N=%-4zu K=%-4zu error %.3g of what is allowed FAIL", entries[e].name, isa, m,
               w->rows, w->columns, error);
    const char *separator = "";
    for (int p = 0; p < PEERS; p++) {
        if (!t->has_peer[p]) continue;
        const double theirs = operations / bench_median(t->peers[p], t->rounds);
        if (b->json)
            printf("%s\"%s\": %.6g", separator, peer_name((peer)p), theirs);
        else if (passed)
            printf("%s%s %.1f", *separator ? ", " : "; in Gop/s, ", peer_name((peer)p), theirs * 1e-9);
        separator = ", ";
    }
    printf(b->json ? "}}" : "\n");
    fflush(stdout);
}

/* ---- rounds ----------------------------------------------------------------------------------------------------- */

/* All take turns within a round, so that a slow moment hits them alike; the median of the rounds is reported. */
static void bench_rows(bench *b, const bench_shape *s, size_t m)
{
    peer_product *peers[PEERS];
    bench_times t = {.rounds = 0};
    const double work = 2.0 * (double)m * (double)s->rows * (double)s->columns;
    const size_t repeats = work > 2e7 ? 1 : (size_t)(2e7 / work); /* about a millisecond a turn */
    for (int p = 0; p < PEERS; p++) {
        peers[p] = peer_product_create((peer)p, m, s->rows, s->columns, b->peer_weights.values, b->x, b->threads);
        t.has_peer[p] = peers[p] != NULL && peer_product_run(peers[p]);
    }
    const double start = omp_get_wtime();
    while (t.rounds < FEWEST_ROUNDS || (t.rounds < MOST_ROUNDS && omp_get_wtime() - start < shape_seconds)) {
        for (int e = 0; e < ENTRIES; e++)
            if (b->wanted[e]) t.entries[e][t.rounds] = time_entry(b, e, m, repeats);
        for (int p = 0; p < PEERS; p++)
            if (t.has_peer[p]) t.peers[p][t.rounds] = time_peer(b, peers[p], m, repeats);
        t.rounds++;
    }
    for (int e = 0; e < ENTRIES; e++)
        if (b->wanted[e]) print_line(b, e, m, &t);
    for (int p = 0; p < PEERS; p++) peer_product_free(peers[p]);
}

static void bench_shapes(bench *b, const bench_product *only)
{
    for (size_t s = 0; s < (only ? 1 : SHAPES); s++) {
        const bench_shape shape = only ? (bench_shape){only->rows, only->columns} : shapes[s];
        check c = {.kernel = "bench",
                   .rung = kernel_isa_name(b->table->isa),
                   .table = b->table,
                   .reference = b->table,
                   .random = 1};
        b->c = &c;
        make_inputs(b, &shape);
        for (size_t i = 0; i < ROW_COUNTS && !only; i++)
            if (b->table->isa != KERNEL_ISA_C || row_counts[i] <= PORTABLE_ROWS) bench_rows(b, &shape, row_counts[i]);
        if (only) bench_rows(b, &shape, only->m);
        check_release(&c);
    }
}

/* The portable rung's line says what a rung does that has no kernel of its own for a format. */
static bool own_kernel(const kernel_table *table, int e)
{
    kernel_table portable;
    const kernel_format f = entries[e].format;
    kernel_table_fill(&portable, KERNEL_ISA_C);
    if (table->isa == KERNEL_ISA_C) return true;
    return quantised(e) ? table->matmul_q8[f] != portable.matmul_q8[f] : table->matmul[f] != portable.matmul[f];
}

bool bench_rung(const kernel_table *table, const char *pattern, int threads, const bench_product *only, bool json)
{
    bench b = {.table = table, .threads = threads, .most_rows = only ? only->m : SHAPE_ROWS, .json = json};
    bool any = false;
    for (int e = 0; e < ENTRIES; e++) {
        char name[32];
        snprintf(name, sizeof name, "matmul_%s", entries[e].name);
        b.wanted[e] = strstr(name, pattern) != NULL && own_kernel(table, e);
        any = any || b.wanted[e];
    }
    if (!any) return true;
    b.fma = ceiling_fma_peak(table->isa, threads, 0.1);
    b.bf16 = ceiling_bf16_peak(table->isa, threads, 0.1);
    b.dot = ceiling_dot_peak(table->isa, threads, 0.1);
    if (json)
        printf(",\n  \"bench_%s\": [{\"threads\": %d, \"fma_peak\": %.6g, \"bf16_peak\": %.6g, \"dot_peak\": %.6g}",
               kernel_isa_name(table->isa), threads, b.fma, b.bf16, b.dot);
    else
        printf("%s, threads: %d; peaks in Gop/s: %.1f of FP32, %.1f of bfloat16 and %.1f of int8 dot products\n",
               kernel_isa_name(table->isa), threads, b.fma * 1e-9, b.bf16 * 1e-9, b.dot * 1e-9);
    bench_shapes(&b, only);
    if (json) printf("]");
    return !b.failed;
}
