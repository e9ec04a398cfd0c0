/* attention.c - causal attention for query heads that share one key head: all scores of a token, softmax, then the
 * weighted sum of the values. A key or value is converted once and used for every head. */
#include "kernels/c/exp.h"
#include "kernels/c/kernels_c.h"

enum { SPAN = 512 /* floats of a key or value that are converted at once: 2 KiB of stack */ };

static float dot(size_t n, const float *restrict a, const float *restrict b)
{
    float sum = 0;
#pragma omp simd reduction(+ : sum)
    for (size_t i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* `count` values from element `at` of a cache: in place when it holds floats, else converted into `buffer`. */
static const float *load(kernel_cache cache, const void *base, size_t at, size_t count, float *buffer)
{
    if (cache == KERNEL_CACHE_F32) return (const float *)base + at;
    const uint16_t *halves = (const uint16_t *)base + at;
    for (size_t i = 0; i < count; i++) buffer[i] = f16_to_f32(halves[i]);
    return buffer;
}

/* scores[h][j] = query . key for every head and the first `visible` keys; a row of scores is `stride` long. */
static void score(const kernel_attention *a, kernel_cache cache, size_t token, size_t visible, size_t stride)
{
    float buffer[SPAN];
    const float *query = a->query + token * a->query_token_stride;
    for (size_t j = 0; j < visible; j++) {
        for (size_t h = 0; h < a->heads; h++) a->workspace[h * stride + j] = 0;
        for (size_t d = 0; d < a->key_width; d += SPAN) {
            const size_t width = a->key_width - d < SPAN ? a->key_width - d : SPAN;
            const float *key = load(cache, a->key, j * a->key_stride + d, width, buffer);
            for (size_t h = 0; h < a->heads; h++) {
                a->workspace[h * stride + j] += dot(width, query + h * a->query_head_stride + d, key);
            }
        }
    }
}

/* Scores to probabilities; the largest is subtracted first so that no exponential overflows. */
static void softmax(size_t n, float scale, float *scores)
{
    for (size_t j = 0; j < n; j++) scores[j] *= scale;
    float largest = scores[0], sum = 0;
#ifndef __clang__ /* clang 14 vectorises no maximum that a NaN may reach, and warns when it is asked to */
#pragma omp simd reduction(max : largest)
#endif
    for (size_t j = 0; j < n; j++) largest = scores[j] > largest ? scores[j] : largest;
#pragma omp simd reduction(+ : sum)
    for (size_t j = 0; j < n; j++) {
        scores[j] = exp_f32(scores[j] - largest);
        sum += scores[j];
    }
    const float inverse = 1.0f / sum;
    for (size_t j = 0; j < n; j++) scores[j] *= inverse;
}

static void weigh_values(const kernel_attention *a, kernel_cache cache, size_t token, size_t visible, size_t stride)
{
    float buffer[SPAN];
    float *out = a->out + token * a->out_token_stride;
    for (size_t h = 0; h < a->heads; h++) {
        for (size_t d = 0; d < a->value_width; d++) out[h * a->out_head_stride + d] = 0;
    }
    for (size_t j = 0; j < visible; j++) {
        for (size_t d = 0; d < a->value_width; d += SPAN) {
            const size_t width = a->value_width - d < SPAN ? a->value_width - d : SPAN;
            const float *restrict value = load(cache, a->value, j * a->value_stride + d, width, buffer);
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
        for (size_t h = 0; h < a->heads; h++) softmax(visible, a->scale, a->workspace + h * stride);
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
