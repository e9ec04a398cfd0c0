/* check_attention.c - attention over both caches: multi-head, grouped, and absorbed MLA (value = key), decode and
 * prefill. */
#include "kernels/tests/check.h"

typedef struct attention_shape {
    size_t heads, tokens, keys, key_width, value_width;
    bool shared; /* the value is a prefix of the key, as in absorbed MLA */
} attention_shape;

static const attention_shape shapes[] = {
    {0, 1, 3, 8, 8, false},       {1, 0, 3, 8, 8, false},      {1, 2, 0, 8, 8, false},
    {2, 1, 3, 0, 4, false},       {2, 1, 3, 4, 0, false},      {1, 1, 1, 1, 1, false},
    {1, 1, 2, 3, 5, false},       {3, 1, 5, 7, 9, false},      {1, 1, 64, 32, 32, false},
    {1, 1, 65, 64, 64, false},    {2, 1, 129, 96, 64, false},  {7, 1, 63, 128, 128, false},
    {4, 1, 200, 192, 128, false}, {8, 1, 70, 96, 64, true},    {16, 1, 100, 576, 512, true},
    {128, 1, 17, 576, 512, true}, {1, 2, 1, 16, 16, false},    {1, 5, 3, 24, 40, false},
    {2, 7, 1, 33, 31, false},     {1, 33, 1, 48, 32, false},   {1, 40, 31, 64, 64, false},
    {1, 70, 1, 96, 64, false},    {4, 9, 64, 80, 48, false},   {9, 9, 9, 9, 9, false},
    {40, 3, 130, 40, 24, true},   {3, 100, 65, 20, 17, false}, {33, 4, 60, 32, 16, false},
};

typedef struct caches {
    double *key, *value; /* [positions][width] as the kernel sees them, in double */
} caches;

static uint16_t half_of(double value)
{
    /* Truncated to ten bits: any half will do, the oracle reads it back. */
    if (isnan(value)) return 0x7e00;
    if (isinf(value)) return value > 0 ? 0x7c00 : 0xfc00;
    const int exponent = value == 0 || fabs(value) < 0x1p-14 ? -14 : ilogb(value);
    const int steps = (int)ldexp(fabs(value), 10 - exponent);
    return (uint16_t)((value < 0 ? 0x8000 : 0) | (steps + (exponent + 14) * 1024));
}

/* `positions` rows of a cache; the gaps between rows and what lies past the last visible position hold NaN. */
static void *random_cache(check *c, kernel_cache cache, size_t positions, size_t width, size_t stride, bool wild,
                          double **seen)
{
    const size_t count = positions ? (positions - 1) * stride + width : 0;
    const size_t size = cache == KERNEL_CACHE_F32 ? sizeof(float) : sizeof(uint16_t);
    void *base = check_alloc(c, count * size);
    *seen = check_alloc(c, positions * width * sizeof(double));
    for (size_t at = 0; at < positions * width; at++) {
        const size_t i = at / width * stride + at % width;
        double value = (double)check_normal(c);
        if (wild && check_random(c) % 97 == 0) value = check_random(c) % 2 ? NAN : (double)INFINITY;
        if (cache == KERNEL_CACHE_F32) {
            ((float *)base)[i] = (float)value;
            memcpy(*seen + at, &(double){(double)(float)value}, sizeof(double));
        } else {
            const uint16_t half = half_of(value);
            ((uint16_t *)base)[i] = half;
            memcpy(*seen + at, &(double){half_value(half)}, sizeof(double));
        }
    }
    return base;
}

static double load_double(const double *p)
{
    double value;
    memcpy(&value, p, sizeof value); /* a guarded buffer is aligned as its size is */
    return value;
}

/* One output row in double, and its tolerance.
 *
 * A score is a sum of key_width products times the scale: it is off by at most a = gamma_{key_width + 2} max_j scale
 * sum |q k_j|. Subtracting the largest rounds by u |s_j - max|, and e^x is within 2 ulp (4 u): a weight p_j is off by a
 * factor within e^+-d, d = 2 a + 2 u max |s_j - max| + 4 u (2 a: the largest score is off, too). Rescaling by block of
 * 64 keys costs the same again for each block that raised the maximum: 10 u times the blocks. Sums of `visible` terms,
 * above and below the fraction, cost gamma_{visible + 8} each. All of it weighs sum p |v|. */
static void attend_row(const kernel_attention *a, const caches *seen, size_t token, size_t head, double *scores,
                       double *out, double *tolerance)
{
    const size_t visible = a->keys + token;
    const float *q = a->query + token * a->query_token_stride + head * a->query_head_stride;
    double largest = -(double)INFINITY, score_magnitude = 0, spread = 0, sum = 0;
    for (size_t j = 0; j < visible; j++) {
        double score = 0, magnitude = 0;
        for (size_t d = 0; d < a->key_width; d++) {
            const double product = (double)q[d] * load_double(seen->key + j * a->key_width + d);
            score += product;
            magnitude += fabs(product);
        }
        scores[j] = score * (double)a->scale;
        largest = isnan(scores[j]) || scores[j] > largest ? scores[j] : largest;
        if (isfinite(magnitude)) score_magnitude = fmax(score_magnitude, magnitude * fabs((double)a->scale));
    }
    for (size_t j = 0; j < visible; j++) {
        if (isfinite(scores[j] - largest)) spread = fmax(spread, largest - scores[j]);
        scores[j] = exp(scores[j] - largest);
        sum += scores[j];
    }
    const double blocks = (double)(visible / 64 + 2);
    const double d =
        2 * gamma_of((double)a->key_width + 2) * score_magnitude + 2 * ROUNDOFF * spread + (4 + 10 * blocks) * ROUNDOFF;
    const double relative = 2 * expm1(d) + 2 * gamma_of((double)visible + 8);
    for (size_t i = 0; i < a->value_width; i++) {
        double total = 0, magnitude = 0;
        for (size_t j = 0; j < visible; j++) {
            const double v = load_double(seen->value + j * a->value_width + i);
            total += scores[j] * v / sum;
            magnitude += fabs(scores[j] * v / sum);
        }
        out[i] = total;
        tolerance[i] = relative * magnitude + (double)visible * SMALLEST;
    }
}

static void check_output_rows(check *c, const kernel_attention *a, const caches *seen)
{
    double *scores = malloc((a->keys + a->tokens + 2 * a->value_width + 1) * sizeof *scores);
    if (!scores) abort();
    double *want = scores + a->keys + a->tokens, *tolerance = want + a->value_width;
    for (size_t at = 0; at < a->tokens * a->heads; at++) {
        const size_t t = at / a->heads, h = at % a->heads;
        const float *out = a->out + t * a->out_token_stride + h * a->out_head_stride;
        attend_row(a, seen, t, h, scores, want, tolerance);
        for (size_t i = 0; i < a->value_width; i++)
            check_value(c, "out", at * a->value_width + i, (double)out[i], want[i], tolerance[i]);
    }
    free(scores);
}

static void check_attention(check *c, kernel_cache cache)
{
    for (size_t s = 0; s < 2 * sizeof shapes / sizeof shapes[0]; s++) {
        const attention_shape *shape = &shapes[s / 2];
        const bool wild = s % 2, by_head = s % 3 == 0;
        const size_t gap = s % 4, positions = shape->keys + shape->tokens - (shape->tokens > 0);
        const size_t inner = by_head ? shape->tokens : shape->heads; /* which of the two lies closer together */
        check_shape(c, "%s heads=%zu tokens=%zu keys=%zu widths=%zu,%zu", cache == KERNEL_CACHE_F32 ? "f32" : "f16",
                    shape->heads, shape->tokens, shape->keys, shape->key_width, shape->value_width);
        const size_t q_stride = shape->key_width + gap, out_stride = shape->value_width + gap;
        kernel_attention a = {.heads = shape->heads,
                              .tokens = shape->tokens,
                              .keys = shape->keys,
                              .key_width = shape->key_width,
                              .value_width = shape->value_width,
                              .scale = 0.2f + (float)(s % 5) * 0.1f};
        a.query_token_stride = by_head ? q_stride : q_stride * inner;
        a.query_head_stride = by_head ? q_stride * inner : q_stride;
        a.out_token_stride = by_head ? out_stride : out_stride * inner;
        a.out_head_stride = by_head ? out_stride * inner : out_stride;
        const size_t rows = shape->heads * shape->tokens;
        float *query = check_alloc(c, rows * q_stride * sizeof *query);
        for (size_t i = 0; i < rows * q_stride; i++)
            query[i] = i % (q_stride ? q_stride : 1) < shape->key_width ? check_normal(c) : NAN;
        a.query = query;
        caches seen;
        a.key_stride = shape->key_width + gap;
        a.key = random_cache(c, cache, positions, shape->key_width, a.key_stride, wild, &seen.key);
        a.value_stride = shape->value_width + gap;
        if (shape->shared) {
            a.value = a.key, a.value_stride = a.key_stride;
            seen.value = check_alloc(c, positions * shape->value_width * sizeof(double));
            for (size_t j = 0; j < positions; j++) {
                memcpy(seen.value + j * shape->value_width, seen.key + j * shape->key_width,
                       shape->value_width * sizeof(double));
            }
        } else {
            a.value = random_cache(c, cache, positions, shape->value_width, a.value_stride, wild, &seen.value);
        }
        check_freeze(c);
        const size_t out_bytes = rows * out_stride * sizeof(float);
        a.out = check_output(c, out_bytes);
        a.workspace = check_output(c, kernel_attention_workspace(a.heads, a.tokens, a.keys) * sizeof(float));
        CHECK_CALL(c->table->attention[cache](&a));
        for (size_t r = 0; r < rows; r++) {
            if (!check_untouched(a.out + r * out_stride + shape->value_width, gap * sizeof(float)))
                check_fail(c, "wrote between rows");
        }
        if (shape->keys == 0 && !check_untouched(a.out, out_bytes))
            check_fail(c, "wrote an output though there is no key");
        if (shape->keys > 0 && rows) check_output_rows(c, &a, &seen);
    }
}

static void check_attention_f32(check *c)
{
    check_attention(c, KERNEL_CACHE_F32);
}

static void check_attention_f16(check *c)
{
    check_attention(c, KERNEL_CACHE_F16);
}

const check_entry attention_checks[] = {
    {"attention_f32", check_attention_f32},
    {"attention_f16", check_attention_f16},
    {NULL, NULL},
};
