/* check_matmul.c - the products of every weight format, on the shapes of DeepSeek models and on odd ones. */
#include "kernels/tests/check.h"

typedef struct matmul_shape {
    size_t m, rows, columns, gap; /* gap: floats between the rows of x, and of y */
} matmul_shape;

static const matmul_shape shapes[] = {
    {0, 5, 32, 0},
    {1, 0, 32, 0},
    {2, 3, 0, 1},
    {0, 0, 0, 0},
    {0, 40, 64, 0},
    {40, 0, 64, 0},
    {40, 9, 0, 3},
    {1, 1, 1, 0},
    {1, 2, 2, 0},
    {1, 3, 5, 0},
    {1, 7, 31, 0},
    {1, 8, 32, 0},
    {1, 9, 33, 0},
    {1, 13, 47, 0},
    {1, 17, 63, 0},
    {1, 16, 64, 0},
    {1, 64, 96, 0},
    {1, 31, 127, 0},
    {1, 40, 256, 0},
    {1, 35, 257, 0},
    {1, 12, 511, 0},
    {1, 12, 544, 0},
    {1, 10, 704, 0},
    {1, 12, 1536, 0},
    {1, 6, 2048, 0},
    {2, 5, 37, 1},
    {2, 11, 64, 3},
    {3, 7, 65, 1},
    {3, 18, 256, 0},
    {4, 8, 32, 0},
    {5, 19, 97, 2},
    {6, 33, 128, 0},
    {7, 12, 100, 5},
    {8, 16, 33, 1},
    {3, 9, 1100, 1},
    {7, 18, 2500, 0},
    {11, 15, 64, 0},
    {12, 16, 64, 7},
    {13, 33, 200, 1},
    {16, 32, 256, 0},
    {17, 49, 63, 2},
    {19, 65, 129, 1},
    {31, 20, 64, 0},
    {32, 64, 96, 0},
    {33, 97, 385, 1},
    {37, 31, 512, 0},
    {41, 130, 70, 1},
    {48, 33, 800, 0},
    {64, 16, 1, 0},
    {64, 17, 3, 1},
    {128, 64, 64, 0},
    {67, 40, 1000, 1},
    {61, 1, 64, 0},
    {1, 40, 4160, 0},
    {18, 33, 4200, 1},
    {273, 37, 70, 1},
    {66, 35, 2112, 1}, /* more columns than tiles take at once */
    {530, 70, 64, 1},  /* more rows of x than any rung takes at once */
    /* deepseek-v3-tiny's projections and a slice of V3's: query, latent, expert up and down, head */
    {1, 288, 256, 0},
    {40, 96, 256, 0},
    {1, 256, 704, 0},
    {9, 128, 176, 0},
    {1, 24, 7168, 0},
    {34, 24, 1536, 0},
    /* V3's dense down, output projection and kv_b; R1-Distill-Qwen-1.5B's down */
    {1, 5, 18432, 0},
    {9, 17, 18432, 0},
    {2, 7, 16384, 0},
    {5, 48, 512, 0},
    {33, 9, 8960, 0},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

/* Every fourth shape takes awkward values, every eighth wild ones, the rest plain. */
static weight_kind kind_of(size_t shape)
{
    return shape % 8 == 7 ? WEIGHTS_WILD : shape % 4 == 3 ? WEIGHTS_AWKWARD : WEIGHTS_NORMAL;
}

/* m rows, `width` values wide and gap apart, with NaN in the gaps: a kernel that reads them is found out. Awkward ones
 * have whole groups of zeros. */
static float *random_rows(check *c, size_t m, size_t width, size_t gap, weight_kind kind)
{
    float *x = check_alloc(c, m ? ((m - 1) * (width + gap) + width) * sizeof *x : 0);
    for (size_t i = 0; i < m; i++) {
        for (size_t k = 0; k < width; k++) {
            const bool zero = kind != WEIGHTS_NORMAL && (i + k / KERNEL_GROUP) % 5 == 4;
            x[i * (width + gap) + k] = kind == WEIGHTS_NORMAL ? check_normal(c)
                                       : zero                 ? 0.0f
                                                              : check_awkward(c, kind == WEIGHTS_WILD);
        }
    }
    return x;
}

static void check_gaps(check *c, const float *y, size_t m, size_t rows, size_t gap)
{
    for (size_t i = 0; gap && i + 1 < m; i++) {
        if (!check_untouched(y + i * (rows + gap) + rows, gap * sizeof *y))
            check_fail(c, "wrote between the rows of y");
    }
}

/* The oracle of one row of w, formed once for all rows of x. */
static void row_values(const kernel_matrix *w, size_t row, double *value, double *magnitude)
{
    for (size_t k = 0; k < w->columns; k++) {
        value[k] = weight_value(w, row, k);
        magnitude[k] = weight_magnitude(w, row, k);
    }
}

double check_rounded_x(const kernel_table *table, kernel_format format, size_t m)
{
    return table->rounds_x[format] && m >= KERNEL_BF16_ROWS ? 0x1p-8 * (1 + 0x1p-8) : 0;
}

/* The products inside a group are summed exactly, inside a row-long one in runs of at least 512 columns. What rounds: the
 * product of the two scales, a lane's integer times it, its conversion where it exceeds 2^24, the additions of the runs, of
 * at most 16 lanes (4 levels) and the bias; with minimums, their products with scale and sum, and as many additions more. */
double check_q8_roundings(const kernel_matrix *w)
{
    const size_t runs = w->group ? kernel_row_scales(w) : w->columns / 512 + 1;
    return (double)(w->minimums ? 2 * runs : runs) + 9;
}

/* What a block's sum is multiplied by at most, where codes are converted times 2^-8. */
static double largest_block_scale(const kernel_matrix *w, size_t row)
{
    const size_t blocks = kernel_groups(w->columns, KERNEL_F8_BLOCK);
    double largest = 0x1p8;
    for (size_t b = 0; w->block_scales && b < blocks; b++) {
        const size_t at = (w->block_row + row) / KERNEL_F8_BLOCK * blocks + b;
        largest = fmax(largest, 0x1p8 * fabs((double)w->block_scales[at]));
    }
    return largest;
}

/* What underflow costs: a smallest float an operation; where subnormals count as zero, a smallest normal float an operation -
 * of F8, times the scale that follows it - and all of a product with a subnormal factor. */
static double flushed(bool rounded, const kernel_matrix *w, size_t row, const float *x)
{
    const double columns = (double)w->columns;
    if (!rounded) return 2 * (columns + 1) * SMALLEST;
    double lost = 2 * (columns + 1) * (double)FLT_MIN * (w->format == KERNEL_F8 ? largest_block_scale(w, row) : 1);
    for (size_t k = 0; k < w->columns; k++) {
        const double a = fabs((double)x[k]), b = weight_magnitude(w, row, k);
        if ((a < (double)FLT_MIN || b < (double)FLT_MIN) && isfinite(a) && isfinite(b)) lost += a * b;
    }
    return lost;
}

/* Infinity times a subnormal is infinite, or NaN where a subnormal counts as zero: both are right. */
static bool infinity_meets_subnormal(const kernel_matrix *w, size_t row, const float *x)
{
    for (size_t k = 0; k < w->columns; k++) {
        const double a = fabs((double)x[k]), b = weight_magnitude(w, row, k), tiny = (double)FLT_MIN;
        if ((isinf(a) && b > 0 && b < tiny) || (isinf(b) && a > 0 && a < tiny)) return true;
    }
    return false;
}

/* The product with rows [first, end) of w only. */
typedef struct float_slice {
    size_t first, end;
    const float *y; /* as far apart as all of y */
} float_slice;

/* From a panel in the middle to the last row but one, which is not written though its panel may be there; nothing where
 * there is no such slice. */
static float_slice multiply_float_slice(check *c, const kernel_matrix *stored, size_t m, const float *x, size_t ldx,
                                        size_t ldy)
{
    const size_t by = stored->interleave ? stored->interleave : 1, first = stored->rows / by / 2 * by;
    if (m == 0 || stored->rows - first < 2) return (float_slice){0, 0, NULL};
    const size_t rows = stored->rows - first - 1;
    const kernel_matrix slice = kernel_matrix_rows(stored, first, rows);
    float *y = check_output(c, ((m - 1) * ldy + rows + 1) * sizeof *y);
    CHECK_CALL(c->table->matmul[stored->format](&slice, m, x, ldx, y, ldy));
    for (size_t i = 0; i < m; i++)
        if (!check_untouched(y + i * ldy + rows, sizeof *y)) check_fail(c, "a slice wrote a row that it lacks");
    return (float_slice){first, first + rows, y};
}

/* A product in floats: w, which lies as its rows do, or `stored`, the same in another way, with random x; `s` chooses.
 *
 * A sum of K products and a bias, in any order, fused or not: gamma_{K + 1} of the magnitudes, two roundings more where
 * the weight is rounded on the way (affine, minimums); each operation may lose a smallest float where it leaves the
 * normal floats. */
static void check_float_product(check *c, const kernel_matrix *w, const kernel_matrix *stored, size_t m, size_t gap,
                                size_t s)
{
    const kernel_format format = w->format;
    const size_t rows = w->rows, columns = w->columns, ldx = columns + gap, ldy = rows + gap;
    const size_t y_bytes = m ? ((m - 1) * ldy + rows) * sizeof(float) : 0;
    const float *x = random_rows(c, m, columns, gap, kind_of(s));
    check_freeze(c);
    float *y = check_output(c, y_bytes), *reference = check_output(c, y_bytes);
    CHECK_CALL(c->table->matmul[format](stored, m, x, ldx, y, ldy));
    CHECK_CALL(c->reference->matmul[format](w, m, x, ldx, reference, ldy));
    check_gaps(c, y, m, rows, gap);
    const float_slice slice = multiply_float_slice(c, stored, m, x, ldx, ldy);
    double *weights = check_output(c, columns * sizeof *weights);
    double *magnitudes = check_output(c, columns * sizeof *magnitudes);
    for (size_t at = 0; at < m * rows; at++) {
        const size_t n = at / m, i = at % m;
        if (i == 0) row_values(w, n, weights, magnitudes);
        double sum = w->bias ? (double)w->bias[n] : 0, magnitude = fabs(sum);
        for (size_t k = 0; k < columns; k++) {
            sum += (double)x[i * ldx + k] * weights[k];
            magnitude += fabs((double)x[i * ldx + k]) * magnitudes[k];
        }
        const double rounded = check_rounded_x(c->table, format, m);
        const double tolerance =
            (gamma_of((double)columns + 3) + rounded) * magnitude + flushed(rounded > 0, w, n, x + i * ldx);
        if (rounded > 0 && isnan(y[i * ldy + n]) && infinity_meets_subnormal(w, n, x + i * ldx)) continue;
        check_value(c, "y", i * ldy + n, (double)y[i * ldy + n], sum, tolerance);
        check_value(c, "y against c", i * ldy + n, (double)y[i * ldy + n], (double)reference[i * ldy + n],
                    2 * tolerance);
        if (n >= slice.first && n < slice.end)
            check_value(c, "a slice's y", i * ldy + n, (double)slice.y[i * ldy + n - slice.first], sum, tolerance);
    }
}

static void check_float(check *c, kernel_format format)
{
    for (size_t s = 0; s < SHAPES; s++) {
        const matmul_shape *shape = &shapes[s];
        check_shape(c, "m=%zu N=%zu K=%zu", shape->m, shape->rows, shape->columns);
        const kernel_matrix w = check_matrix(c, format, shape->rows, shape->columns, s % 2, kind_of(s));
        check_float_product(c, &w, &w, shape->m, shape->gap, s);
    }
}

/* x in floats and weights in two of the four kinds of groups, as their rows lie, as this rung likes them, or others. */
static void check_dequantized(check *c, kernel_format format)
{
    static const size_t groups[] = {32, 64, 128, 0}, others[] = {0, 12};
    for (size_t s = 0, n = 0; s < SHAPES; s++) {
        const matmul_shape *shape = &shapes[s];
        for (size_t g = s % 2; g < sizeof groups / sizeof groups[0]; g += 2, n++) {
            const bool minimums = n / 8 % 2;
            const size_t by = n % 3 ? c->table->interleave : others[n / 24 % 2];
            check_shape(c, "m=%zu N=%zu K=%zu group %zu by %zu%s", shape->m, shape->rows, shape->columns, groups[g], by,
                        minimums ? " with minimums" : "");
            const kernel_matrix w = check_group_matrix(c, format, shape->rows, shape->columns, groups[g], minimums,
                                                       n / 4 % 2, kind_of(n / 3));
            const kernel_matrix stored = check_interleaved(c, &w, by);
            check_float_product(c, &w, &stored, shape->m, shape->gap, n / 3);
        }
    }
}

/* Every code of e4m3, NaNs and zeros of both signs included, alone in its row but for zeros. x is a small whole number,
 * bfloat16 or not, and the scale a power of two or none: nothing rounds, and every bit must be right but those of a NaN. */
static void check_f8_codes(check *c)
{
    enum { CODES = 256 };
    static const size_t row_counts[] = {1, 2, 5, 8, 9, 16, 40}, widths[] = {1, 70, 200};
    for (size_t s = 0; s < 2 * sizeof widths / sizeof widths[0]; s++) {
        const size_t columns = widths[s / 2], blocks = kernel_groups(columns, KERNEL_F8_BLOCK);
        uint8_t codes[CODES * 200];
        float scales[3 * 2];
        for (size_t i = 0; i < 3 * blocks; i++) scales[i] = ldexpf(1, (int)i - 3);
        for (size_t i = 0; i < CODES * columns; i++) codes[i] = i % 3 ? 0 : 0x80;
        for (size_t n = 0; n < CODES; n++) codes[n * columns + n * 7 % columns] = (uint8_t)n;
        for (size_t j = 0; j < sizeof row_counts / sizeof row_counts[0]; j++) {
            const size_t m = row_counts[j];
            check_shape(c, "m=%zu K=%zu, %s", m, columns, s % 2 ? "powers of two" : "no scales");
            uint8_t *values = check_alloc(c, CODES * columns);
            memcpy(values, codes, CODES * columns);
            float *block_scales = check_alloc(c, sizeof scales), *x = check_alloc(c, m * columns * sizeof *x);
            memcpy(block_scales, scales, sizeof scales);
            for (size_t i = 0; i < m * columns; i++) x[i] = (float)(i / columns % 5 + 1);
            const kernel_matrix w = {.format = KERNEL_F8,
                                     .rows = CODES,
                                     .columns = columns,
                                     .values = values,
                                     .block_scales = s % 2 ? block_scales : NULL,
                                     .block_row = s % 2 ? 77 : 0};
            check_freeze(c);
            float *y = check_output(c, m * CODES * sizeof *y), *row = check_output(c, columns * sizeof *row);
            CHECK_CALL(c->table->matmul[KERNEL_F8](&w, m, x, columns, y, CODES));
            for (size_t at = 0; at < m * CODES; at++) {
                const size_t n = at % CODES, i = at / CODES;
                check_value(c, "y", at, (double)y[at], weight_value(&w, n, n * 7 % columns) * (double)(i % 5 + 1), 0);
            }
            for (size_t n = 0, count; n < CODES; n += count) { /* slices, as threads and heads take them */
                count = CODES - n < 48 ? CODES - n : 48;
                const kernel_matrix slice = kernel_matrix_rows(&w, n, count);
                float *part = check_output(c, m * count * sizeof *part);
                CHECK_CALL(c->table->matmul[KERNEL_F8](&slice, m, x, columns, part, count));
                for (size_t at = 0; at < m * count; at++)
                    check_value(c, "y of a slice", at, (double)part[at], (double)y[at / count * CODES + n + at % count],
                                0);
            }
            for (size_t n = 0; n < CODES; n++) {
                CHECK_CALL(c->table->dequantize_row(&w, n, row));
                for (size_t k = 0; k < columns; k++)
                    check_value(c, "dequantized", k, (double)row[k], weight_value(&w, n, k), 0);
            }
        }
    }
}

/* x quantised as w's groups are; on every fifth shape the extremes that saturate a careless int16 instead: all weights and
 * activations at the end of their range. */
static kernel_q8 quantized_rows(check *c, const kernel_matrix *w, size_t m, const float *x, size_t ldx, size_t s)
{
    const size_t row = kernel_row_bytes(KERNEL_INT8, w->columns), count = m * kernel_row_scales(w);
    kernel_q8 q = {check_alloc(c, m * row), check_alloc(c, count * sizeof(float)),
                   check_alloc(c, count * sizeof(int32_t))};
    c->reference->quantize_q8(m, w->columns, w->group, x, ldx, &q);
    if (s % 5 != 4 || count == 0) return q;
    const bool int8 = w->format == KERNEL_INT8;
    const int end = s % 2 ? 127 : -127, code = s % 3 ? (int8 ? 0x80 : 0) : int8 ? 0x7f : 0xff;
    const size_t groups = kernel_row_scales(w), step = w->group ? w->group : w->columns;
    for (size_t i = 0; i < m; i++) {
        for (size_t k = 0; k < w->columns; k++) q.values[i * row + k] = (int8_t)end;
        for (size_t g = 0; g < groups; g++) {
            const size_t rest = w->columns - g * step;
            q.scales[i * groups + g] = 0.01f;
            q.sums[i * groups + g] = (int32_t)(rest < step ? rest : step) * end;
        }
    }
    memset((void *)(uintptr_t)w->values, code, w->rows * kernel_row_bytes(w->format, w->columns));
    return q;
}

/* The product with all rows of w but the last, as a slice whose panel holds more of them than it names: those are not
 * written. NULL where there is no such slice. */
static const float *multiply_slice(check *c, const kernel_matrix *stored, size_t m, const kernel_q8 *q, size_t ldy)
{
    if (m == 0 || stored->rows < 2) return NULL;
    const size_t rows = stored->rows - 1;
    const kernel_matrix slice = kernel_matrix_rows(stored, 0, rows);
    float *y = check_output(c, ((m - 1) * ldy + rows + 1) * sizeof *y);
    CHECK_CALL(c->table->matmul_q8[stored->format](&slice, m, q, y, ldy));
    for (size_t i = 0; i < m; i++)
        if (!check_untouched(y + i * ldy + rows, sizeof *y)) check_fail(c, "a slice wrote a row that it lacks");
    return y;
}

/* Terms whose magnitudes add up to no more than what is summed here are rounded so often, and lose a smallest float each
 * time at the most, twice where a scale multiplies it. */
static void check_q8_shape(check *c, kernel_format format, const matmul_shape *shape, size_t s, size_t group,
                           bool minimums)
{
    const size_t m = shape->m, rows = shape->rows, columns = shape->columns, ldy = rows + shape->gap;
    const size_t y_bytes = m ? ((m - 1) * ldy + rows) * sizeof(float) : 0;
    check_shape(c, "m=%zu N=%zu K=%zu group %zu%s", m, rows, columns, group, minimums ? " with minimums" : "");
    const kernel_matrix w = check_group_matrix(c, format, rows, columns, group, minimums, s % 2, kind_of(s));
    const float *x = random_rows(c, m, columns, shape->gap, kind_of(s));
    const kernel_q8 q = quantized_rows(c, &w, m, x, columns + shape->gap, s);
    const kernel_matrix stored = check_interleaved(c, &w, s % 16 == 0 ? 0 : c->table->interleave);
    check_freeze(c);
    float *y = check_output(c, y_bytes), *reference = check_output(c, y_bytes);
    CHECK_CALL(c->table->matmul_q8[format](&stored, m, &q, y, ldy));
    CHECK_CALL(c->reference->matmul_q8[format](&w, m, &q, reference, ldy));
    check_gaps(c, y, m, rows, shape->gap);
    const float *slice = multiply_slice(c, &stored, m, &q, ldy);
    const size_t groups = kernel_row_scales(&w), row = kernel_row_bytes(KERNEL_INT8, columns);
    const double roundings = check_q8_roundings(&w);
    double *values = check_output(c, m * columns * sizeof *values); /* of x */
    for (size_t at = 0; at < m * columns; at++) {
        const size_t i = at / columns, k = at % columns;
        values[at] = q.values[i * row + k] * (double)q.scales[i * groups + (group ? k / group : 0)];
    }
    double *weights = check_output(c, columns * sizeof *weights);
    double *magnitudes = check_output(c, columns * sizeof *magnitudes);
    for (size_t at = 0; at < m * rows; at++) {
        const size_t n = at / m, i = at % m;
        if (i == 0) row_values(&w, n, weights, magnitudes);
        double sum = w.bias ? (double)w.bias[n] : 0, magnitude = fabs(sum);
        for (size_t k = 0; k < columns; k++) {
            const double value = values[i * columns + k];
            sum += weights[k] * value;
            magnitude += fabs(magnitudes[k] * value);
        }
        const double tolerance = gamma_of(roundings) * magnitude + 2 * roundings * SMALLEST;
        check_value(c, "y", i * ldy + n, (double)y[i * ldy + n], sum, tolerance);
        if (slice && n + 1 < rows)
            check_value(c, "a slice's y", i * ldy + n, (double)slice[i * ldy + n], sum, tolerance);
        check_value(c, "y against c", i * ldy + n, (double)y[i * ldy + n], (double)reference[i * ldy + n],
                    2 * tolerance);
    }
}

static void check_q8(check *c, kernel_format format)
{
    static const size_t groups[] = {32, 64, 128, 0};
    /* One group of more columns than an int32 has room for products of 255 and 127, 66311: all as large as can be. */
    static const matmul_shape long_rows[] = {{1, 3, 70000, 0}, {9, 2, 70017, 1}};
    for (size_t s = 0; s < 4; s++) check_q8_shape(c, format, &long_rows[s / 2], 4 + 5 * (s % 2), 0, s % 2);
    for (size_t s = 0; s < SHAPES; s++) {
        for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++) {
            const bool half = (s / 3 + g) % 2; /* minimums are added by what INT4 adds them by */
            if (format != KERNEL_INT3 || !half) check_q8_shape(c, format, &shapes[s], s + g, groups[g], false);
            if (format == KERNEL_INT4 || half) check_q8_shape(c, format, &shapes[s], s + g + 1, groups[g], true);
        }
    }
}

#define FORMAT_CHECK(name, check, format)                                                                              \
    static void check_##name(check_type *c)                                                                            \
    {                                                                                                                  \
        check(c, format);                                                                                              \
    }
typedef check check_type;
FORMAT_CHECK(f32, check_float, KERNEL_F32)
FORMAT_CHECK(f16, check_float, KERNEL_F16)
FORMAT_CHECK(bf16, check_float, KERNEL_BF16)
FORMAT_CHECK(f8, check_float, KERNEL_F8)
FORMAT_CHECK(affine8, check_float, KERNEL_AFFINE8)
FORMAT_CHECK(affine4, check_float, KERNEL_AFFINE4)
FORMAT_CHECK(int8, check_q8, KERNEL_INT8)
FORMAT_CHECK(int4, check_q8, KERNEL_INT4)
FORMAT_CHECK(int3, check_q8, KERNEL_INT3)
FORMAT_CHECK(f32_int8, check_dequantized, KERNEL_INT8)
FORMAT_CHECK(f32_int4, check_dequantized, KERNEL_INT4)
FORMAT_CHECK(f32_int3, check_dequantized, KERNEL_INT3)

const check_entry matmul_checks[] = {
    {"matmul_f32", check_f32},           {"matmul_f16", check_f16},
    {"matmul_bf16", check_bf16},         {"matmul_f8", check_f8},
    {"matmul_f8_codes", check_f8_codes}, {"matmul_affine8", check_affine8},
    {"matmul_affine4", check_affine4},   {"matmul_int8", check_int8},
    {"matmul_int4", check_int4},         {"matmul_int3", check_int3},
    {"matmul_f32_int8", check_f32_int8}, {"matmul_f32_int4", check_f32_int4},
    {"matmul_f32_int3", check_f32_int3}, {NULL, NULL},
};
