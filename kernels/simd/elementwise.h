/* elementwise.h - the operations that see one element at a time, and RMSNorm. Each vector is loaded whole before
 * its result is stored, so an output may be one of its inputs. */
#ifndef CIUIC_KERNELS_SIMD_ELEMENTWISE_H
#define CIUIC_KERNELS_SIMD_ELEMENTWISE_H

#include "kernels/kernels.h"
#include "kernels/simd/vector_exp.h"

#include <math.h>

/* Runs `vector` at i = 0, LANES, ... over whole vectors, then `part` on the `count` elements that are left. */
#define EACH_VECTOR(n, vector, part)                                                                                   \
    do {                                                                                                               \
        size_t i = 0;                                                                                                  \
        for (; i + LANES <= (n); i += LANES) vector;                                                                   \
        const size_t count = (n)-i;                                                                                    \
        if (count) part;                                                                                               \
    } while (0)

static ALWAYS_INLINE void each_silu(size_t n, const float *x, float *y)
{
    EACH_VECTOR(n, vf_store(y + i, vf_silu(vf_load(x + i))),
                vf_store_part(y + i, count, vf_silu(vf_load_part(x + i, count))));
}

static ALWAYS_INLINE void each_swiglu(size_t n, const float *gate, const float *up, float *y)
{
    EACH_VECTOR(
        n, vf_store(y + i, vf_mul(vf_silu(vf_load(gate + i)), vf_load(up + i))),
        vf_store_part(y + i, count, vf_mul(vf_silu(vf_load_part(gate + i, count)), vf_load_part(up + i, count))));
}

static ALWAYS_INLINE void each_add(size_t n, const float *a, const float *b, float *y)
{
    EACH_VECTOR(n, vf_store(y + i, vf_add(vf_load(a + i), vf_load(b + i))),
                vf_store_part(y + i, count, vf_add(vf_load_part(a + i, count), vf_load_part(b + i, count))));
}

static ALWAYS_INLINE void each_mul(size_t n, const float *a, const float *b, float *y)
{
    EACH_VECTOR(n, vf_store(y + i, vf_mul(vf_load(a + i), vf_load(b + i))),
                vf_store_part(y + i, count, vf_mul(vf_load_part(a + i, count), vf_load_part(b + i, count))));
}

static ALWAYS_INLINE void each_axpy(size_t n, float a, const float *x, float *y)
{
    const vf factor = vf_set1(a);
    EACH_VECTOR(n, vf_store(y + i, vf_fma(factor, vf_load(x + i), vf_load(y + i))),
                vf_store_part(y + i, count, vf_fma(factor, vf_load_part(x + i, count), vf_load_part(y + i, count))));
}

static ALWAYS_INLINE void each_to_f16(size_t n, const float *x, uint16_t *y)
{
    EACH_VECTOR(n, vf_store_f16(y + i, vf_load(x + i)), vf_store_f16_part(y + i, count, vf_load_part(x + i, count)));
}

static ALWAYS_INLINE void each_from_f16(size_t n, const uint16_t *x, float *y)
{
    EACH_VECTOR(n, vf_store(y + i, vf_load_f16(x + i)), vf_store_part(y + i, count, vf_load_f16_part(x + i, count)));
}

/* The sum of x, or of its squares, in four independent chains. */
static ALWAYS_INLINE float sum_of(size_t n, const float *x, bool squares)
{
    vf sums[4] = {vf_zero(), vf_zero(), vf_zero(), vf_zero()};
    size_t at = 0;
    for (; at + 4 * LANES <= n; at += 4 * LANES) {
#pragma GCC unroll 4
        for (size_t v = 0; v < 4; v++) {
            const vf value = vf_load(x + at + v * LANES);
            sums[v] = squares ? vf_fma(value, value, sums[v]) : vf_add(value, sums[v]);
        }
    }
    for (; at < n; at += LANES) {
        const vf value = n - at < LANES ? vf_load_part(x + at, n - at) : vf_load(x + at);
        sums[0] = squares ? vf_fma(value, value, sums[0]) : vf_add(value, sums[0]);
    }
    return vf_sum(vf_add(vf_add(sums[0], sums[1]), vf_add(sums[2], sums[3])));
}

static ALWAYS_INLINE void normalise(size_t n, const float *x, const float *weight, float eps, float *y)
{
    if (n == 0) return;
    const float sum = sum_of(n, x, true);
    const vf factor = vf_set1(1.0f / sqrtf(sum / (float)n + eps));
    if (weight) {
        EACH_VECTOR(n, vf_store(y + i, vf_mul(vf_mul(vf_load(x + i), factor), vf_load(weight + i))),
                    vf_store_part(y + i, count,
                                  vf_mul(vf_mul(vf_load_part(x + i, count), factor), vf_load_part(weight + i, count))));
    } else {
        EACH_VECTOR(n, vf_store(y + i, vf_mul(vf_load(x + i), factor)),
                    vf_store_part(y + i, count, vf_mul(vf_load_part(x + i, count), factor)));
    }
}

#endif
