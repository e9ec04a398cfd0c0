/* ceiling.c - runs the loops of peak.h on all threads at once and takes the best pass: a ceiling is what the machine
 * can do undisturbed. */
#include "kernels/ceiling.h"

#include "kernels/peak.h"

#include <omp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The work of one thread in one pass; returns the operations or bytes it did. */
typedef double pass_fn(const void *context, int thread, int threads);

/* The best rate of passes over about `seconds`. A pass begins for all threads at a barrier and ends with the last. */
static double best_rate(pass_fn *pass, const void *context, int threads, double seconds)
{
    double best = 0;
    const double end = omp_get_wtime() + seconds;
    do {
        double done = 0, first = 1e300, last = 0;
#pragma omp parallel num_threads(threads) reduction(+ : done) reduction(min : first) reduction(max : last)
        {
#pragma omp barrier
            first = omp_get_wtime();
            done = pass(context, omp_get_thread_num(), omp_get_num_threads());
            last = omp_get_wtime();
        }
        if (last > first && done / (last - first) > best) best = done / (last - first);
    } while (omp_get_wtime() < end);
    return best;
}

typedef struct load_job {
    peak_load_fn *load;
    const char *buffer;
    size_t bytes;   /* of one thread: a multiple of 512 times streams */
    size_t streams; /* runs of it that are read side by side */
} load_job;

static double load_pass(const void *context, int thread, int threads)
{
    const load_job *job = context;
    (void)threads;
    /* A small buffer is read often enough for the clock to resolve it. */
    const size_t repeats = job->bytes < (1u << 22) ? (1u << 22) / job->bytes : 1;
    for (size_t i = 0; i < repeats; i++)
        job->load(job->buffer + (size_t)thread * job->bytes, job->bytes / job->streams, job->streams);
    return (double)job->bytes * (double)repeats;
}

kernel_isa ceiling_loads_of(kernel_isa isa)
{
    return isa == KERNEL_ISA_AMX ? KERNEL_ISA_AVX512 : isa;
}

/* NULL when this machine cannot run the rung. */
static peak_load_fn *loads_of(kernel_isa isa)
{
    if (!kernel_isa_available(isa)) return NULL;
    const kernel_isa loads = ceiling_loads_of(isa);
#if defined(__x86_64__)
    if (loads == KERNEL_ISA_AVX2) return peak_load_avx2;
    if (loads == KERNEL_ISA_AVX512) return peak_load_avx512;
#elif defined(__aarch64__)
    if (loads == KERNEL_ISA_NEON) return peak_load_neon;
#endif
    return loads == KERNEL_ISA_C ? peak_load_c : NULL;
}

enum { STREAMS = 8, LOAD_UNIT = 512 * STREAMS, HUGE_PAGE = 1 << 21 };

/* The buffer of `job`, for the caller to free; NULL when there is none. `plain`: pages as the system gives them without
 * being asked. */
static char *make_buffer(load_job *job, int threads, size_t bytes, bool plain)
{
    if (threads < 1) return NULL;
    job->bytes = bytes / (size_t)threads / LOAD_UNIT * LOAD_UNIT;
    if (job->bytes == 0) job->bytes = LOAD_UNIT;
    const size_t all = job->bytes * (size_t)threads;
    char *buffer = aligned_alloc(HUGE_PAGE, (all + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
    if (!buffer) return NULL;
    if (!plain)
        (void)madvise(buffer, all, MADV_HUGEPAGE); /* advice: small pages, where it is not taken, may be slower */
    memset(buffer, 1, all);                        /* pages that were never written are all the same one */
    job->buffer = buffer;
    return buffer;
}

static double stream_rate(load_job *job, size_t streams, int threads, double seconds)
{
    job->streams = streams;
    return best_rate(load_pass, job, threads, seconds);
}

/* From memory several streams are faster than one, since each has a prefetcher at work; from a cache one is. */
static double load_rate(load_job *job, int threads, double seconds)
{
    const double one = stream_rate(job, 1, threads, seconds / 2);
    const double several = stream_rate(job, STREAMS, threads, seconds / 2);
    return one > several ? one : several;
}

void ceiling_bandwidth_by_isa(int threads, size_t bytes, double seconds, double by_isa[KERNEL_ISAS])
{
    load_job job = {.load = NULL};
    char *buffer = make_buffer(&job, threads, bytes, false);
    for (int isa = 0; isa < KERNEL_ISAS; isa++) {
        const kernel_isa loads = ceiling_loads_of((kernel_isa)isa);
        by_isa[isa] = 0;
        job.load = loads_of((kernel_isa)isa);
        if (!buffer || !job.load) continue;
        by_isa[isa] = (int)loads < isa ? by_isa[loads] : load_rate(&job, threads, seconds);
    }
    free(buffer);
}

double ceiling_load_bandwidth(int threads, size_t bytes, double seconds)
{
    double by_isa[KERNEL_ISAS], best = 0;
    int rungs = 0;
    for (int isa = 0; isa < KERNEL_ISAS; isa++)
        rungs += (int)ceiling_loads_of((kernel_isa)isa) == isa && loads_of((kernel_isa)isa) != NULL;
    ceiling_bandwidth_by_isa(threads, bytes, seconds / rungs, by_isa);
    for (int isa = 0; isa < KERNEL_ISAS; isa++)
        if (by_isa[isa] > best) best = by_isa[isa];
    return best;
}

double ceiling_plain_bandwidth(kernel_isa isa, int threads, size_t bytes, double seconds)
{
    load_job job = {.load = loads_of(isa)};
    char *buffer = job.load ? make_buffer(&job, threads, bytes, true) : NULL;
    const double rate = buffer ? stream_rate(&job, 1, threads, seconds) : 0;
    free(buffer);
    return rate;
}

static double arithmetic_pass(const void *context, int thread, int threads)
{
    (void)thread;
    (void)threads;
    enum { ROUNDS = 200000 };
    return (*(peak_arithmetic_fn *const *)context)(ROUNDS);
}

double ceiling_fma_peak(kernel_isa isa, int threads, double seconds)
{
    peak_arithmetic_fn *loop = NULL;
    if (threads < 1 || !kernel_isa_available(isa)) return 0;
    if (isa == KERNEL_ISA_C) loop = peak_multiply_add_c;
#if defined(__x86_64__)
    if (isa == KERNEL_ISA_AVX2) loop = peak_fma_avx2;
    if (isa == KERNEL_ISA_AVX512 || isa == KERNEL_ISA_AMX) loop = peak_fma_avx512; /* tiles take no FP32 */
#elif defined(__aarch64__)
    if (isa == KERNEL_ISA_NEON) loop = peak_fma_neon;
#endif
    return loop ? best_rate(arithmetic_pass, &loop, threads, seconds) : 0;
}

double ceiling_dot_peak(kernel_isa isa, int threads, double seconds)
{
    peak_arithmetic_fn *loop = NULL;
    if (threads < 1 || !kernel_isa_available(isa)) return 0;
#if defined(__x86_64__)
    if (isa == KERNEL_ISA_AVX2) loop = cpu_flags() & CPU_AVX_VNNI ? peak_dot_avx_vnni : peak_dot_avx2;
    if (isa == KERNEL_ISA_AVX512) loop = cpu_flags() & CPU_AVX512_VNNI ? peak_dot_vnni : peak_dot_avx512;
    if (isa == KERNEL_ISA_AMX) loop = peak_dot_amx;
#elif defined(__aarch64__)
    const bool dotprod = cpu_flags() & CPU_NEON_DOTPROD, i8mm = dotprod && cpu_flags() & CPU_NEON_I8MM;
    if (isa == KERNEL_ISA_NEON) loop = i8mm ? peak_dot_i8mm : dotprod ? peak_dot_dotprod : peak_dot_neon;
#endif
    return loop ? best_rate(arithmetic_pass, &loop, threads, seconds) : 0;
}

double ceiling_bf16_peak(kernel_isa isa, int threads, double seconds)
{
    peak_arithmetic_fn *loop = NULL;
    if (threads < 1 || !kernel_isa_available(isa)) return 0;
#if defined(__x86_64__)
    if (isa == KERNEL_ISA_AVX512 && cpu_flags() & CPU_AVX512_BF16) loop = peak_bf16_avx512;
    if (isa == KERNEL_ISA_AMX) loop = peak_bf16_amx;
#endif
    return loop ? best_rate(arithmetic_pass, &loop, threads, seconds) : 0;
}
