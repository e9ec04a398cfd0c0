/* attention.c - causal attention for query heads that share one key head: all scores of a token, their exponentials, then
 * the weighted sum of the values. A key or value is converted once and used for every head. */
#include "kernels/c/exp.h"
#include "kernels/c/kernels_c.h"

#include <math.h>

/* Floats of a key or value that are converted at once: 2 KiB of stack, and whole groups of an INT8 cache. */
enum { SPAN = 8 * KERNEL_CACHE_GROUP };

/* The keys or the values of a call. */
typedef struct cache_rows {
    const void *values;
    size_t stride;
    const uint16_t *scales; /* INT8 only */
    size_t scale_stride;
} cache_rows;

static float dot(size_t n, const float *restrict a, const float *restrict b)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

static void load_int8(const int8_t *q, const uint16_t *scales, size_t count, float *restrict buffer)
{
    for (size_t first = 0; first < count; first += KERNEL_CACHE_GROUP) {
        const size_t end = count - first < KERNEL_CACHE_GROUP ? count : first + KERNEL_CACHE_GROUP;
        const float scale = f16_to_f32(*scales++);
        for (size_t i = first; i < end; i++) buffer[i] = (float)q[i] * scale;
    }
}

/* Elements [d, d + count) of position j, d a multiple of SPAN: in place when the cache holds floats, else converted into
 * `buffer`. */
static const float *load(kernel_cache cache, const cache_rows *rows, size_t j, size_t d, size_t count, float *buffer)
{
    const size_t at = j * rows->stride + d;
    if (cache == KERNEL_CACHE_F32) return (const float *)rows->values + at;
    if (cache == KERNEL_CACHE_INT8) {
        const uint16_t *scales = rows->scales + j * rows->scale_stride + d / KERNEL_CACHE_GROUP;
        load_int8((const int8_t *)rows->values + at, scales, count, buffer);
        return buffer;
    }
    const uint16_t *halves = (const uint16_t *)rows->values + at;
    for (size_t i = 0; i < count; i++) buffer[i] = f16_to_f32(halves[i]);
    return buffer;
}

/* scores[h][j] = query . key for every head and the first `visible` keys; a row of scores is `stride` long. */
static void score(const kernel_attention *a, kernel_cache cache, size_t token, size_t visible, size_t stride)
{
    float buffer[SPAN];
    const cache_rows keys = {a->key, a->key_stride, a->key_scales, a->key_scale_stride};
    const float *query = a->query + token * a->query_token_stride;
    for (size_t j = 0; j < visible; j++) {
        for (size_t h = 0; h < a->heads; h++) a->workspace[h * stride + j] = 0;
        for (size_t d = 0; d < a->key_width; d += SPAN) {
            const size_t width = a->key_width - d < SPAN ? a->key_width - d : SPAN;
            const float *key = load(cache, &keys, j, d, width, buffer);
            for (size_t h = 0; h < a->heads; h++) {
                a->workspace[h * stride + j] += dot(width, query + h * a->query_head_stride + d, key);
            }
        }
    }
}

/* Scores to probabilities; the largest is subtracted first so that no exponential overflows. With `partial` they stay
 * exponentials, and the largest and their sum go there. */
static void softmax(size_t n, float scale, float *scores, float *partial)
{
    for (size_t j = 0; j < n; j++) scores[j] *= scale;
    float largest = scores[0], sum = 0;
#ifndef __clang__ /* clang 14 vectorises no maximum that a NaN may reach, and warns when it is asked to */
#pragma omp simd reduction(max : largest)
#endif
    for (size_t j = 0; j < n; j++) largest = scores[j] > largest ? scores[j] : largest;
    /* Where every score is minus infinity there is no larger one to take away, and inf - inf would be a NaN: a part of
     * nothing but such keys weighs nothing beside another. */
    const float base = largest == -INFINITY ? 0.0f : largest;
#pragma omp simd reduction(+ : sum)
    for (size_t j = 0; j < n; j++) {
        scores[j] = exp_f32(scores[j] - base);
        sum += scores[j];
    }
    if (partial) {
        partial[0] = largest;
        partial[1] = sum;
        return;
    }
    const float inverse = 1.0f / sum;
    for (size_t j = 0; j < n; j++) scores[j] *= inverse;
}

static void weigh_values(const kernel_attention *a, kernel_cache cache, size_t token, size_t visible, size_t stride)
{
    float buffer[SPAN];
    const cache_rows values = {a->value, a->value_stride, a->value_scales, a->value_scale_stride};
    float *out = a->out + token * a->out_token_stride;
    for (size_t h = 0; h < a->heads; h++) {
        for (size_t d = 0; d < a->value_width; d++) out[h * a->out_head_stride + d] = 0;
    }
    for (size_t j = 0; j < visible; j++) {
        for (size_t d = 0; d < a->value_width; d += SPAN) {
            const size_t width = a->value_width - d < SPAN ? a->value_width - d : SPAN;
            const float *restrict value = load(cache, &values, j, d, width, buffer);
            for (size_t h = 0; h < a->heads; h++) {
                const float p = a->workspace[h * stride + j];
                float *restrict sum = out + h * a->out_head_stride + d;
                for (size_t i = 0; i < width; i++) sum[i] += p * value[i];
            }
        }
    }
}

static void attend(const kernel_attention *a, kernel_cache cache)
{
    if (a->keys == 0) return;
    const size_t stride = a->keys + a->tokens;
    for (size_t t = 0; t < a->tokens; t++) {
        const size_t visible = a->keys + t;
        score(a, cache, t, visible, stride);
        for (size_t h = 0; h < a->heads; h++) {
            float *partial = a->partial ? a->partial + 2 * (t * a->heads + h) : NULL;
            softmax(visible, a->scale, a->workspace + h * stride, partial);
        }
        weigh_values(a, cache, t, visible, stride);
    }
}

void attention_f32_c(const kernel_attention *a)
{
    attend(a, KERNEL_CACHE_F32);
}

void attention_f16_c(const kernel_attention *a)
{
    attend(a, KERNEL_CACHE_F16);
}

void attention_int8_c(const kernel_attention *a)
{
    attend(a, KERNEL_CACHE_INT8);
}
