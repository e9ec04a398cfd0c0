/* peak.c - the ceilings of the portable rung: what the base instruction set multiplies, adds and loads at best. */
#include "kernels/peak.h"

enum {
    VECTORS = 8, /* independent sums: latency of an addition times two a cycle */
    WIDTH = 4,   /* floats of the narrowest vectors in use */
    CHAINS = VECTORS * WIDTH
};

/* Vector types and not arrays, so that the sums surely stay in registers; the base set of x86-64 and aarch64 has
 * them. */
typedef float float4 __attribute__((vector_size(16)));
typedef uint64_t long2 __attribute__((vector_size(16)));

double peak_multiply_add_c(size_t rounds)
{
    float4 a = {1, 2, 3, 4}, b = a, c = a, d = a, e = a, f = a, g = a, h = a;
    const float4 factor = {0.5f, 0.5f, 0.5f, 0.5f};
    for (size_t i = 0; i < rounds; i++) {
        a = a * factor + factor, b = b * factor + factor, c = c * factor + factor, d = d * factor + factor;
        e = e * factor + factor, f = f * factor + factor, g = g * factor + factor, h = h * factor + factor;
        __asm__ volatile("" : : "g"(i)); /* the rounds may not be merged */
    }
    const float4 sum = (a + b + c + d) + (e + f + g + h);
    volatile float sink = sum[0] + sum[1] + sum[2] + sum[3];
    (void)sink;
    return 2.0 * CHAINS * (double)rounds;
}

/* Needs a value in a register at this point, and does nothing with it: loads alone are what is measured. */
#if defined(__x86_64__)
#define USE(value) __asm__ volatile("" : : "x"(value))
#elif defined(__aarch64__)
#define USE(value) __asm__ volatile("" : : "w"(value))
#else
#define USE(value) __asm__ volatile("" : : "m"(value)) /* by way of the stack: no more than right, and slower */
#endif

void peak_load_c(const void *p, size_t bytes, size_t streams)
{
    enum { EACH = 4 };
    for (size_t at = 0; at < bytes; at += EACH * sizeof(long2)) {
        for (size_t s = 0; s < streams; s++) {
            const long2 *q = (const void *)((const char *)p + s * bytes + at);
#pragma GCC unroll 4
            for (size_t i = 0; i < EACH; i++) {
                const long2 loaded = q[i];
                USE(loaded);
            }
        }
    }
}
