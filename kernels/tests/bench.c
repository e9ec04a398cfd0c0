/* bench.c - the speed of kernels on shapes of DeepSeek models, against what this machine can do at best, measured in
 * the same run: bytes of weights per second for one row of x, operations per second for many. */
#include "kernels/ceiling.h"
#include "kernels/tests/check.h"

#include <time.h>

enum { ROUNDS = 9 };

typedef struct bench_shape {
    size_t rows, columns;
} bench_shape;

/* A projection of deepseek-v3-tiny, stays in the L2 cache; the down projection of an R1 distillate, does not. */
static const bench_shape shapes[] = {{1536, 256}, {1536, 8960}};
static const size_t row_counts[] = {1, 8, 128};
enum {
    SHAPES = sizeof shapes / sizeof shapes[0],
    ROW_COUNTS = sizeof row_counts / sizeof row_counts[0],
    MOST_ROWS = 128
};

/* A kernel is one thread and never waits, so its own processor time is what it takes on a machine that others share. */
static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int ascending(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

typedef struct bench_inputs {
    kernel_matrix w[KERNEL_FORMATS];
    float *x, *y;
    kernel_q8 q;
} bench_inputs;

static bench_inputs make_inputs(check *c, const kernel_table *table, const bench_shape *s)
{
    bench_inputs in = {.x = check_alloc(c, MOST_ROWS * s->columns * sizeof(float)),
                       .y = check_alloc(c, MOST_ROWS * s->rows * sizeof(float))};
    const size_t groups = kernel_groups(s->columns, KERNEL_GROUP);
    for (int f = 0; f < KERNEL_FORMATS; f++) {
        const kernel_matrix w = check_matrix(c, (kernel_format)f, s->rows, s->columns, false, WEIGHTS_NORMAL);
        in.w[f] = check_interleaved(c, &w, table->interleave);
    }
    for (size_t i = 0; i < MOST_ROWS * s->columns; i++) in.x[i] = check_normal(c);
    in.q = (kernel_q8){check_alloc(c, MOST_ROWS * groups * KERNEL_GROUP),
                       check_alloc(c, MOST_ROWS * groups * sizeof(float)),
                       check_alloc(c, MOST_ROWS * groups * sizeof(float))};
    table->quantize_q8(MOST_ROWS, s->columns, KERNEL_GROUP, in.x, s->columns, &in.q);
    return in;
}

static double time_once(const kernel_table *table, const bench_inputs *in, int f, size_t m, size_t repeats)
{
    const kernel_matrix *w = &in->w[f];
    const double start = seconds_now();
    for (size_t i = 0; i < repeats; i++) {
        if (table->matmul[f])
            table->matmul[f](w, m, in->x, w->columns, in->y, w->rows);
        else
            table->matmul_q8[f](w, m, &in->q, in->y, w->rows);
    }
    return (seconds_now() - start) / (double)repeats;
}

typedef struct ceilings {
    double bandwidth[SHAPES][KERNEL_FORMATS]; /* of a buffer as large as the weights */
    double fma, dot;
} ceilings;

static void print_line(const kernel_table *table, int f, const bench_shape *s, size_t m, double seconds,
                       double bandwidth, double arithmetic, bool json)
{
    const double bytes =
        (double)(s->rows * kernel_row_bytes((kernel_format)f, s->columns)) +
        (double)(s->rows * (f == KERNEL_INT8 || f == KERNEL_INT4 ? kernel_groups(s->columns, KERNEL_GROUP) : 0)) * 2;
    const double operations = 2.0 * (double)(m * s->rows * s->columns);
    const double byte_rate = bytes / seconds, operation_rate = operations / seconds;
    const char *isa = kernel_isa_name(table->isa), *format = kernel_format_name((kernel_format)f);
    if (json) {
        printf(",\n    {\"kernel\": \"matmul_%s\", \"isa\": \"%s\", \"m\": %zu, \"rows\": %zu, \"columns\": %zu, "
               "\"median_s\": %.6g, \"bytes_per_s\": %.6g, \"operations_per_s\": %.6g, \"share_of_bandwidth\": %.4f, "
               "\"share_of_arithmetic\": %.4f}",
               format, isa, m, s->rows, s->columns, seconds, byte_rate, operation_rate, byte_rate / bandwidth,
               arithmetic > 0 ? operation_rate / arithmetic : 0);
        return;
    }
    printf("matmul_%-8s %-7s m=%-4zu N=%-5zu K=%-5zu %10.2f us %7.2f GB/s %8.2f Gop/s  %3.0f%% of bandwidth", format,
           isa, m, s->rows, s->columns, seconds * 1e6, byte_rate * 1e-9, operation_rate * 1e-9,
           100 * byte_rate / bandwidth);
    if (arithmetic > 0) printf(", %3.0f%% of arithmetic", 100 * operation_rate / arithmetic);
    printf("\n");
    fflush(stdout);
}

/* All formats take turns within a round, so that a slow moment hits them alike; the median of the rounds is
 * reported. */
static void bench_shapes(const kernel_table *table, const char *pattern, const bench_shape *s, const ceilings *top,
                         const double *bandwidth, bool json)
{
    check c = {.kernel = "bench", .rung = kernel_isa_name(table->isa), .table = table, .reference = table, .random = 1};
    const bench_inputs in = make_inputs(&c, table, s);
    for (size_t i = 0; i < ROW_COUNTS; i++) {
        const size_t m = row_counts[i];
        double times[KERNEL_FORMATS][ROUNDS];
        for (int round = 0; round < ROUNDS; round++) {
            for (int f = 0; f < KERNEL_FORMATS; f++) {
                /* About a millisecond a turn. */
                const double work = 2.0 * (double)(m * s->rows * s->columns);
                times[f][round] = time_once(table, &in, f, m, work > 2e7 ? 1 : (size_t)(2e7 / work));
            }
        }
        for (int f = 0; f < KERNEL_FORMATS; f++) {
            char name[32];
            snprintf(name, sizeof name, "matmul_%s", kernel_format_name((kernel_format)f));
            if (!strstr(name, pattern)) continue;
            qsort(times[f], ROUNDS, sizeof times[f][0], ascending);
            print_line(table, f, s, m, times[f][ROUNDS / 2], bandwidth[f], table->matmul[f] ? top->fma : top->dot,
                       json);
        }
    }
    check_release(&c);
}

void bench_rung(const kernel_table *table, const char *pattern, bool json)
{
    ceilings top = {.fma = ceiling_fma_peak(table->isa, 1, 0.1), .dot = ceiling_dot_peak(table->isa, 1, 0.1)};
    for (size_t i = 0; i < SHAPES; i++) {
        for (int f = 0; f < KERNEL_FORMATS; f++) {
            const size_t bytes = shapes[i].rows * kernel_row_bytes((kernel_format)f, shapes[i].columns);
            top.bandwidth[i][f] = ceiling_load_bandwidth(1, bytes, 0.2);
        }
    }
    if (json) {
        printf(",\n  \"bench_%s\": [{\"fma_peak\": %.6g, \"dot_peak\": %.6g}", kernel_isa_name(table->isa), top.fma,
               top.dot);
    } else {
        printf("%s on one core: %.1f Gop/s of FP32, %.1f Gop/s of int8 dot products", kernel_isa_name(table->isa),
               top.fma * 1e-9, top.dot * 1e-9);
        printf("; loads of %.1f to %.1f GB/s\n", top.bandwidth[SHAPES - 1][KERNEL_F32] * 1e-9,
               top.bandwidth[0][KERNEL_INT4] * 1e-9);
    }
    for (size_t i = 0; i < SHAPES; i++) bench_shapes(table, pattern, &shapes[i], &top, top.bandwidth[i], json);
    if (json) printf("]");
}
