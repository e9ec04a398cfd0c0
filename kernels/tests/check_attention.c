/* check_attention.c - attention over all caches: multi-head, grouped, and absorbed MLA (value = key), decode and prefill,
 * whole and in parts that are merged; the merge by itself; and the quantiser of the INT8 cache. */
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
    {6, 1, 300, 128, 128, false}, {1, 1, 70, 1100, 65, false}, {5, 3, 67, 1030, 129, true},
};

static const char *const cache_names[KERNEL_CACHES] = {"f32", "f16", "int8"};

static uint16_t half_of(double value)
{
    /* Truncated to ten bits: any half will do, the oracle reads it back. */
    if (isnan(value)) return 0x7e00;
    if (isinf(value)) return value > 0 ? 0x7c00 : 0xfc00;
    const int exponent = value == 0 || fabs(value) < 0x1p-14 ? -14 : ilogb(value);
    const int steps = (int)ldexp(fabs(value), 10 - exponent);
    return (uint16_t)((value < 0 ? 0x8000 : 0) | (steps + (exponent + 14) * 1024));
}

static double load_double(const double *p)
{
    double value;
    memcpy(&value, p, sizeof value); /* a guarded buffer is aligned as its size is */
    return value;
}

static void store_double(double *p, double value)
{
    memcpy(p, &value, sizeof value);
}

/* The keys or the values of a call, and what they are to the oracle. */
typedef struct cache_rows {
    void *values;
    uint16_t *scales; /* INT8 only */
    size_t stride, scale_stride;
    double *seen; /* [positions][width] */
} cache_rows;

static double wild_or(check *c, bool wild, double value)
{
    if (!wild || check_random(c) % 97 != 0) return value;
    return check_random(c) % 2 ? NAN : (double)INFINITY;
}

/* Any code, scales that make values of about 1; the kernel's product of the two is exact in float (7 and 11 bits), so the
 * oracle's tolerance needs no term for it. */
static void fill_int8(check *c, size_t positions, size_t width, size_t gap, bool wild, cache_rows *rows)
{
    const size_t groups = (width + KERNEL_CACHE_GROUP - 1) / KERNEL_CACHE_GROUP;
    rows->scale_stride = groups + gap;
    rows->scales = check_alloc(c, positions ? ((positions - 1) * rows->scale_stride + groups) * sizeof(uint16_t) : 0);
    for (size_t at = 0; at < positions * groups; at++) {
        const uint16_t scale = half_of(wild_or(c, wild, (1.5 + check_uniform(c)) / 64));
        memcpy(rows->scales + at / groups * rows->scale_stride + at % groups, &scale, sizeof scale);
    }
    for (size_t at = 0; at < positions * width; at++) {
        const size_t j = at / width, d = at % width;
        const int8_t q = (int8_t)((int)(check_random(c) % 255) - 127);
        ((int8_t *)rows->values)[j * rows->stride + d] = q;
        store_double(rows->seen + at, q * half_value(rows->scales[j * rows->scale_stride + d / KERNEL_CACHE_GROUP]));
    }
}

/* `positions` rows of a cache; the gaps between rows and what lies past the last visible position hold a pattern that is a
 * NaN as a float. */
static cache_rows random_cache(check *c, kernel_cache cache, size_t positions, size_t width, size_t gap, bool wild)
{
    static const size_t sizes[KERNEL_CACHES] = {sizeof(float), sizeof(uint16_t), sizeof(int8_t)};
    cache_rows rows = {.stride = width + gap};
    rows.values = check_alloc(c, positions ? ((positions - 1) * rows.stride + width) * sizes[cache] : 0);
    rows.seen = check_alloc(c, positions * width * sizeof(double));
    if (cache == KERNEL_CACHE_INT8) {
        fill_int8(c, positions, width, gap, wild, &rows);
        return rows;
    }
    for (size_t at = 0; at < positions * width; at++) {
        const size_t i = at / width * rows.stride + at % width;
        const double tiny = wild && check_random(c) % 13 == 0 ? cache == KERNEL_CACHE_F32 ? 0x1p-135 : 0x1p-20 : 1;
        const double value = wild_or(c, wild, tiny * (double)check_normal(c));
        if (cache == KERNEL_CACHE_F32) {
            ((float *)rows.values)[i] = (float)value;
            store_double(rows.seen + at, (double)(float)value);
        } else {
            const uint16_t half = half_of(value);
            ((uint16_t *)rows.values)[i] = half;
            store_double(rows.seen + at, half_value(half));
        }
    }
    return rows;
}

/* A call, and what its cache is to the oracle. `parts`: how many parts of the cache it was put together from; 0: none. */
typedef struct attention_call {
    kernel_attention a;
    const double *keys, *values; /* [positions][width] */
    size_t parts;
} attention_call;

/* One output row in double, and its tolerance.
 *
 * A score is a sum of key_width products times the scale: it is off by at most a = gamma_{key_width + 2} max_j scale
 * sum |q k_j|. Subtracting the largest rounds by u |s_j - max|, and e^x is within 2 ulp (4 u): a weight p_j is off by a
 * factor within e^+-d, d = 2 a + 2 u max |s_j - max| + 4 u (2 a: the largest score is off, too). Rescaling by block of
 * 64 keys costs the same again for each block that raised the maximum: 10 u times the blocks. A part rescales once more
 * and may begin and end within a block: two blocks for each part. Sums of `visible` terms and of the parts, above and
 * below the fraction, cost gamma_{visible + parts + 8} each. All of it weighs sum p |v|. Where values are subnormal, each
 * product, and each rescaling, loses up to a smallest float. */
static void attend_row(const attention_call *call, size_t token, size_t head, double *scores, double *out,
                       double *tolerance)
{
    const kernel_attention *a = &call->a;
    const size_t visible = a->keys + token;
    const float *q = a->query + token * a->query_token_stride + head * a->query_head_stride;
    double largest = -(double)INFINITY, score_magnitude = 0, spread = 0, sum = 0;
    for (size_t j = 0; j < visible; j++) {
        double score = 0, magnitude = 0;
        for (size_t d = 0; d < a->key_width; d++) {
            const double product = (double)q[d] * load_double(call->keys + j * a->key_width + d);
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
    const double blocks = (double)(visible / 64 + 2 + 2 * call->parts);
    const double d =
        2 * gamma_of((double)a->key_width + 2) * score_magnitude + 2 * ROUNDOFF * spread + (4 + 10 * blocks) * ROUNDOFF;
    const double relative = 2 * expm1(d) + 2 * gamma_of((double)(visible + call->parts + 8));
    for (size_t i = 0; i < a->value_width; i++) {
        double total = 0, magnitude = 0;
        for (size_t j = 0; j < visible; j++) {
            const double v = load_double(call->values + j * a->value_width + i);
            total += scores[j] * v / sum;
            magnitude += fabs(scores[j] * v / sum);
        }
        out[i] = total;
        tolerance[i] = relative * magnitude + ((double)visible + blocks) * SMALLEST;
    }
}

static void check_output_rows(check *c, const attention_call *call)
{
    const kernel_attention *a = &call->a;
    double *scores = malloc((a->keys + a->tokens + 2 * a->value_width + 1) * sizeof *scores);
    if (!scores) abort();
    double *want = scores + a->keys + a->tokens, *tolerance = want + a->value_width;
    for (size_t at = 0; at < a->tokens * a->heads; at++) {
        const size_t t = at / a->heads, h = at % a->heads;
        const float *out = a->out + t * a->out_token_stride + h * a->out_head_stride;
        attend_row(call, t, h, scores, want, tolerance);
        for (size_t i = 0; i < a->value_width; i++)
            check_value(c, call->parts ? "merged" : "out", at * a->value_width + i, (double)out[i], want[i],
                        tolerance[i]);
    }
    free(scores);
}

/* A query and strides, `gap` floats between rows; heads or tokens lie closer together. */
static void lay_out(check *c, const attention_shape *shape, size_t gap, bool by_head, kernel_attention *a)
{
    const size_t inner = by_head ? shape->tokens : shape->heads, rows = shape->heads * shape->tokens;
    const size_t q_stride = shape->key_width + gap, out_stride = shape->value_width + gap;
    a->query_token_stride = by_head ? q_stride : q_stride * inner;
    a->query_head_stride = by_head ? q_stride * inner : q_stride;
    a->out_token_stride = by_head ? out_stride : out_stride * inner;
    a->out_head_stride = by_head ? out_stride * inner : out_stride;
    float *query = check_alloc(c, rows * q_stride * sizeof *query);
    for (size_t i = 0; i < rows * q_stride; i++)
        query[i] = i % (q_stride ? q_stride : 1) < shape->key_width ? check_normal(c) : NAN;
    a->query = query;
}

static void bind_cache(check *c, kernel_cache cache, const attention_shape *shape, size_t gap, bool wild,
                       attention_call *call)
{
    kernel_attention *a = &call->a;
    const size_t positions = shape->keys + shape->tokens - (shape->tokens > 0);
    const cache_rows keys = random_cache(c, cache, positions, shape->key_width, gap, wild);
    cache_rows values = keys;
    if (shape->shared) {
        values.seen = check_alloc(c, positions * shape->value_width * sizeof(double));
        for (size_t j = 0; j < positions; j++) {
            memcpy(values.seen + j * shape->value_width, keys.seen + j * shape->key_width,
                   shape->value_width * sizeof(double));
        }
    } else {
        values = random_cache(c, cache, positions, shape->value_width, gap, wild);
    }
    a->key = keys.values, a->key_stride = keys.stride;
    a->value = values.values, a->value_stride = values.stride;
    a->key_scales = keys.scales, a->key_scale_stride = keys.scale_stride;
    a->value_scales = values.scales, a->value_scale_stride = values.scale_stride;
    call->keys = keys.seen, call->values = values.seen;
}

/* The call again over `parts` consecutive parts, which are then merged. With several queries there can be one part only:
 * the later ones see more of the cache. */
static void check_parts(check *c, kernel_cache cache, const attention_call *whole, size_t parts)
{
    static const size_t sizes[KERNEL_CACHES] = {sizeof(float), sizeof(uint16_t), sizeof(int8_t)};
    const kernel_attention *a = &whole->a;
    const size_t rows = a->heads * a->tokens, row = a->value_width + 1;
    float *out = check_output(c, parts * rows * row * sizeof *out);
    float *partial = check_output(c, parts * rows * 2 * sizeof *partial);
    float *merged = check_output(c, rows * a->value_width * sizeof *merged);
    for (size_t p = 0; p < parts; p++) {
        const size_t first = a->keys * p / parts;
        kernel_attention part = *a;
        part.keys = a->keys * (p + 1) / parts - first;
        part.key = (const char *)a->key + first * a->key_stride * sizes[cache];
        part.value = (const char *)a->value + first * a->value_stride * sizes[cache];
        if (cache == KERNEL_CACHE_INT8) {
            part.key_scales += first * a->key_scale_stride;
            part.value_scales += first * a->value_scale_stride;
        }
        part.out = out + p * row, part.partial = partial + p * rows * 2;
        part.out_head_stride = parts * row, part.out_token_stride = a->heads * parts * row;
        CHECK_CALL(c->table->attention[cache](&part));
    }
    for (size_t r = 0; r < rows; r++) {
        for (size_t p = 0; p < parts; p++) {
            if (!check_untouched(out + (r * parts + p) * row + a->value_width, sizeof *out))
                check_fail(c, "wrote between rows of a part");
        }
        CHECK_CALL(c->table->attention_merge(parts, a->value_width, out + r * parts * row, row, partial + 2 * r,
                                             2 * rows, merged + r * a->value_width));
    }
    attention_call again = *whole;
    again.a.out = merged, again.a.out_head_stride = a->value_width;
    again.a.out_token_stride = a->heads * a->value_width, again.parts = parts;
    check_output_rows(c, &again);
}

static void check_attention(check *c, kernel_cache cache)
{
    for (size_t s = 0; s < 2 * sizeof shapes / sizeof shapes[0]; s++) {
        const attention_shape *shape = &shapes[s / 2];
        const size_t gap = s % 4, rows = shape->heads * shape->tokens;
        check_shape(c, "%s heads=%zu tokens=%zu keys=%zu widths=%zu,%zu", cache_names[cache], shape->heads,
                    shape->tokens, shape->keys, shape->key_width, shape->value_width);
        attention_call call = {
            .a = {.heads = shape->heads,
                  .tokens = shape->tokens,
                  .keys = shape->keys,
                  .key_width = shape->key_width,
                  .value_width = shape->value_width,
                  /* At times so large that most weights underflow; an infinite value times that may be NaN. */
                  .scale = s % 14 == 6 ? 20.0f : 0.2f + (float)(s % 5) * 0.1f}};
        kernel_attention *a = &call.a;
        lay_out(c, shape, gap, s % 3 == 0, a);
        bind_cache(c, cache, shape, gap, s % 2, &call);
        check_freeze(c);
        const size_t out_stride = shape->value_width + gap, out_bytes = rows * out_stride * sizeof(float);
        a->out = check_output(c, out_bytes);
        a->workspace = check_output(c, kernel_attention_workspace(a->heads, a->tokens, a->keys) * sizeof(float));
        CHECK_CALL(c->table->attention[cache](a));
        for (size_t r = 0; r < rows; r++) {
            if (!check_untouched(a->out + r * out_stride + shape->value_width, gap * sizeof(float)))
                check_fail(c, "wrote between rows");
        }
        if (shape->keys == 0 && !check_untouched(a->out, out_bytes))
            check_fail(c, "wrote an output though there is no key");
        if (shape->keys == 0 || rows == 0) continue;
        check_output_rows(c, &call);
        const size_t parts = shape->tokens > 1 ? 1 : 1 + s / 2 % 4;
        check_parts(c, cache, &call, parts < shape->keys ? parts : shape->keys);
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

static void check_attention_int8(check *c)
{
    check_attention(c, KERNEL_CACHE_INT8);
}

/* The formula in double. A weight e^(largest_p - L) is off by a factor within e^+-d, d = u max |largest_p - L| + 4 u (the
 * difference, and e^x within 2 ulp); the sums of `parts` products above and below the fraction cost gamma_{parts + 4}
 * each. */
static void check_merged(check *c, size_t parts, size_t width, const float *out, size_t out_stride,
                         const float *partial, size_t partial_stride, const float *y)
{
    double largest = -(double)INFINITY, sum = 0, spread = 0;
    for (size_t p = 0; p < parts; p++) {
        const double part = (double)partial[p * partial_stride];
        largest = isnan(part) || part > largest ? part : largest;
    }
    for (size_t p = 0; p < parts; p++) {
        const double below = (double)partial[p * partial_stride] - largest;
        if (isfinite(below)) spread = fmax(spread, -below);
        sum += exp(below) * (double)partial[p * partial_stride + 1];
    }
    const double relative = 2 * expm1(ROUNDOFF * spread + 4 * ROUNDOFF) + 2 * gamma_of((double)parts + 4);
    for (size_t i = 0; i < width; i++) {
        double total = 0, magnitude = 0;
        for (size_t p = 0; p < parts; p++) {
            const double term =
                exp((double)partial[p * partial_stride] - largest) * (double)out[p * out_stride + i] / sum;
            total += term;
            magnitude += fabs(term);
        }
        check_value(c, "y", i, (double)y[i], total, relative * magnitude + (double)parts * SMALLEST);
    }
}

/* What a part may leave: a sum of one or more exponentials, the largest of them 1; nothing at all where every score was
 * minus infinity; and NaN, which the merge must not lose. */
static void check_attention_merge(check *c)
{
    static const size_t part_counts[] = {0, 1, 2, 3, 8, 65}, widths[] = {0, 1, 5, 16, 33, 512};
    enum { PARTS = sizeof part_counts / sizeof part_counts[0], WIDTHS = sizeof widths / sizeof widths[0] };
    for (size_t s = 0; s < 4 * PARTS * WIDTHS; s++) {
        const size_t parts = part_counts[s / 4 % PARTS], width = widths[s / 4 / PARTS], kind = s % 4;
        const size_t out_stride = width + kind, partial_stride = 2 + 2 * kind;
        check_shape(c, "parts=%zu width=%zu kind=%zu", parts, width, kind);
        float *out = check_alloc(c, parts * out_stride * sizeof *out);
        float *partial = check_alloc(c, parts * partial_stride * sizeof *partial);
        for (size_t p = 0; p < parts; p++) {
            const bool nothing = kind > 0 && check_random(c) % 3 == 0, nan = kind == 2 && check_random(c) % 8 == 0;
            partial[p * partial_stride] = nothing ? -INFINITY : nan ? NAN : 20 * check_normal(c);
            partial[p * partial_stride + 1] = nothing ? 0.0f : 1 + 50 * fabsf(check_normal(c));
            for (size_t i = 0; i < width; i++) out[p * out_stride + i] = nothing ? 0.0f : 10 * check_normal(c);
        }
        check_freeze(c);
        float *y = check_output(c, width * sizeof *y);
        CHECK_CALL(c->table->attention_merge(parts, width, out, out_stride, partial, partial_stride, y));
        if (parts == 0 && !check_untouched(y, width * sizeof *y))
            check_fail(c, "wrote an output though there is no part");
        if (parts > 0) check_merged(c, parts, width, out, out_stride, partial, partial_stride, y);
    }
}

/* One group: the scale is the smallest binary16 that reaches max|x| in 127 steps, NaN when there is none; q is x / scale
 * rounded to the nearest, and the quotient, by way of a reciprocal, is off by 2 u of at most 127 before it is rounded. */
static void check_int8_group(check *c, size_t first, size_t width, const float *x, const int8_t *q, uint16_t scale)
{
    const double step = half_value(scale), largest_half = 65504;
    double largest = 0;
    bool finite = true;
    for (size_t i = 0; i < width; i++) {
        finite = finite && isfinite(x[i]);
        largest = fmax(largest, fabs((double)x[i]));
    }
    if (!finite || largest > 127 * largest_half) {
        if (!isnan(step)) check_fail(c, "the scale of the group at %zu is %.9g, expected NaN", first, step);
        return;
    }
    if (!(127 * step >= largest) || (scale > 0 && 127 * half_value((uint16_t)(scale - 1)) >= largest))
        check_fail(c, "the scale of the group at %zu is %.9g for magnitudes up to %.9g", first, step, largest);
    for (size_t i = 0; i < width; i++) {
        if (q[i] == -128) check_fail(c, "q[%zu] is -128", first + i);
        check_value(c, "q", first + i, q[i], step > 0 ? (double)x[i] / step : 0, 0.5 + 2 * 127 * ROUNDOFF);
    }
}

static void check_cache_int8(check *c)
{
    static const size_t widths[] = {0, 1, 16, 63, 64, 65, 80, 127, 128, 576};
    static const float factors[] = {1.0f, 0x1p-20f, 0x1p10f, 0.0f, 0x1p-140f};
    enum { WIDTHS = sizeof widths / sizeof widths[0], FACTORS = sizeof factors / sizeof factors[0] };
    for (size_t s = 0; s < 4 * WIDTHS * FACTORS; s++) {
        const size_t width = widths[s / 4 % WIDTHS], groups = (width + KERNEL_CACHE_GROUP - 1) / KERNEL_CACHE_GROUP;
        const float factor = factors[s / 4 / WIDTHS];
        check_shape(c, "width=%zu factor=%g", width, (double)factor);
        float *x = check_alloc(c, width * sizeof *x);
        for (size_t i = 0; i < width; i++) x[i] = factor * (s % 2 ? check_normal(c) : check_awkward(c, s % 4 == 0));
        check_freeze(c);
        int8_t *q = check_output(c, width);
        uint16_t *scales = check_output(c, groups * sizeof *scales);
        CHECK_CALL(c->table->cache_int8(width, x, q, scales));
        for (size_t g = 0; g < groups; g++) {
            const size_t first = g * KERNEL_CACHE_GROUP, left = width - first;
            check_int8_group(c, first, left < KERNEL_CACHE_GROUP ? left : KERNEL_CACHE_GROUP, x + first, q + first,
                             scales[g]);
        }
    }
}

const check_entry attention_checks[] = {
    {"attention_f32", check_attention_f32},   {"attention_f16", check_attention_f16},
    {"attention_int8", check_attention_int8}, {"attention_merge", check_attention_merge},
    {"cache_int8", check_cache_int8},         {NULL, NULL},
};
