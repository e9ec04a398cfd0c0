/* check_weights.c - the formats themselves: random matrices, an oracle that reads the format's definition in double,
 * and the kernels that take weights apart: dequantize_row, matvec_transposed, quantize_q8. */
#include "kernels/tests/check.h"

/* ---- the oracle ---- */

double half_value(uint16_t half)
{
    const int exponent = half >> 10 & 31, fraction = half & 1023;
    const double sign = half & 0x8000 ? -1.0 : 1.0;
    if (exponent == 31) return fraction ? NAN : sign * (double)INFINITY;
    return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

/* e4m3 (Open Compute Project, OFP8, 2023): 1, 4 and 3 bits, bias 7. */
static double f8_value(uint8_t code)
{
    const int exponent = code >> 3 & 15, fraction = code & 7;
    const double sign = code & 0x80 ? -1.0 : 1.0;
    if (exponent == 15 && fraction == 7) return NAN;
    return sign * (exponent ? ldexp(8 + fraction, exponent - 10) : ldexp(fraction, -9));
}

/* The whole number that a code stands for before scale and minimum. Matrices are read as their rows lie. */
static int code_of(const kernel_matrix *w, size_t row, size_t k)
{
    const uint8_t *values = (const uint8_t *)w->values + row * kernel_row_bytes(w->format, w->columns);
    const size_t group = k / KERNEL_GROUP, in_group = k % KERNEL_GROUP;
    switch (w->format) {
    case KERNEL_INT8:
        return (int8_t)values[k];
    case KERNEL_INT4:
        return (in_group < 16 ? values[group * 16 + in_group] & 15 : values[group * 16 + in_group - 16] >> 4) -
               (w->minimums ? 0 : 8);
    case KERNEL_INT3: {
        const uint8_t *bytes = values + group * 12;
        const int low = bytes[in_group % 8] >> in_group / 8 * 2 & 3;
        const int high = bytes[8 + in_group % 4] >> (in_group % 8 / 4 * 4 + in_group / 8) & 1;
        return 4 * high + low - (w->minimums ? 0 : 4);
    }
    case KERNEL_AFFINE8:
        return values[k];
    default:
        return k % 2 ? values[k / 2] >> 4 : values[k / 2] & 15;
    }
}

static size_t group_of(const kernel_matrix *w, size_t row, size_t k)
{
    return row * kernel_row_scales(w) + (w->group ? k / w->group : 0);
}

static double block_scale(const kernel_matrix *w, size_t row, size_t k)
{
    if (!w->block_scales) return 1;
    const size_t blocks = (w->columns + KERNEL_F8_BLOCK - 1) / KERNEL_F8_BLOCK;
    return (double)w->block_scales[(w->block_row + row) / KERNEL_F8_BLOCK * blocks + k / KERNEL_F8_BLOCK];
}

double weight_value(const kernel_matrix *w, size_t row, size_t k)
{
    const size_t at = row * w->columns + k;
    switch (w->format) {
    case KERNEL_F32:
        return (double)((const float *)w->values)[at];
    case KERNEL_F16:
        return half_value(((const uint16_t *)w->values)[at]);
    case KERNEL_BF16: {
        const uint32_t bits = (uint32_t)((const uint16_t *)w->values)[at] << 16;
        float value;
        memcpy(&value, &bits, sizeof value);
        return (double)value;
    }
    case KERNEL_F8:
        return f8_value(((const uint8_t *)w->values)[at]) * block_scale(w, row, k);
    case KERNEL_INT8:
    case KERNEL_INT4:
    case KERNEL_INT3: {
        const size_t group = group_of(w, row, k);
        return code_of(w, row, k) * half_value(w->scales[group]) + (w->minimums ? half_value(w->minimums[group]) : 0);
    }
    default:
        return code_of(w, row, k) * (double)w->scale + (double)w->minimum;
    }
}

/* q * scale + minimum is rounded relative to its terms, not to their sum. */
double weight_magnitude(const kernel_matrix *w, size_t row, size_t k)
{
    if (w->format == KERNEL_AFFINE8 || w->format == KERNEL_AFFINE4) {
        return fabs(code_of(w, row, k) * (double)w->scale) + fabs((double)w->minimum);
    }
    if (w->minimums) {
        const size_t group = group_of(w, row, k);
        return fabs(code_of(w, row, k) * half_value(w->scales[group])) + fabs(half_value(w->minimums[group]));
    }
    return fabs(weight_value(w, row, k));
}

/* ---- random matrices ---- */

static uint16_t random_half(check *c, weight_kind kind)
{
    const uint16_t bits = (uint16_t)check_random(c);
    if (kind == WEIGHTS_WILD) return bits; /* one in 32 is not finite */
    if (kind == WEIGHTS_AWKWARD) return (bits & 0x7c00) == 0x7c00 ? (uint16_t)(bits & 0x83ff) : bits;
    return (uint16_t)((bits & 0x8fff) | 0x2000); /* magnitudes of 2^-7 to 2^-3 */
}

static uint16_t random_bf16(check *c, weight_kind kind)
{
    const float value = kind == WEIGHTS_NORMAL ? check_normal(c) : check_awkward(c, kind == WEIGHTS_WILD);
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16) == 0x7f80 && isnan(value) ? 0x7fc0 : (uint16_t)(bits >> 16);
}

static void fill_values(check *c, kernel_format format, size_t rows, size_t columns, weight_kind kind, void *values)
{
    const size_t count = rows * columns, row_bytes = kernel_row_bytes(format, columns);
    switch (format) {
    case KERNEL_F32:
        for (size_t i = 0; i < count; i++) {
            ((float *)values)[i] = kind == WEIGHTS_NORMAL ? check_normal(c) : check_awkward(c, kind == WEIGHTS_WILD);
        }
        return;
    case KERNEL_F16:
        for (size_t i = 0; i < count; i++) ((uint16_t *)values)[i] = random_half(c, kind);
        return;
    case KERNEL_BF16:
        for (size_t i = 0; i < count; i++) ((uint16_t *)values)[i] = random_bf16(c, kind);
        return;
    case KERNEL_F8:
        for (size_t i = 0; i < count; i++) {
            const uint8_t code = (uint8_t)check_random(c);
            ((uint8_t *)values)[i] = kind != WEIGHTS_WILD && (code & 0x7f) == 0x7f ? 0x7e : code;
        }
        return;
    default:
        for (size_t i = 0; i < rows * row_bytes; i++) ((uint8_t *)values)[i] = (uint8_t)check_random(c);
    }
    /* The padding of groups: zeros for INT8; that of codes stays as it came, since it may be any. */
    for (size_t n = 0; n < rows && format == KERNEL_INT8; n++)
        memset((uint8_t *)values + n * row_bytes + columns, 0, row_bytes - columns);
}

/* Scales or minimums. None is infinite: times the sum of a group that is an infinity, and times its members, of which some
 * are negative, it is a NaN; kernels may do either. */
static uint16_t *random_halves(check *c, size_t count, weight_kind kind)
{
    uint16_t *halves = check_alloc(c, count * sizeof *halves);
    for (size_t i = 0; i < count; i++) {
        halves[i] = random_half(c, kind);
        if ((halves[i] & 0x7fff) == 0x7c00) halves[i]++;
    }
    return halves;
}

static float *random_floats(check *c, size_t count)
{
    float *floats = check_alloc(c, count * sizeof *floats);
    for (size_t i = 0; i < count; i++) floats[i] = check_normal(c);
    return floats;
}

kernel_matrix check_group_matrix(check *c, kernel_format format, size_t rows, size_t columns, size_t group,
                                 bool minimums, bool bias, weight_kind kind)
{
    kernel_matrix w = {.format = format, .rows = rows, .columns = columns, .group = group};
    void *values = check_alloc(c, rows * kernel_row_bytes(format, columns));
    fill_values(c, format, rows, columns, kind, values);
    w.values = values;
    const size_t scales = rows * kernel_row_scales(&w);
    if (kernel_is_grouped(format)) w.scales = random_halves(c, scales, kind);
    if (kernel_is_grouped(format) && minimums) w.minimums = random_halves(c, scales, kind);
    if (format == KERNEL_AFFINE8 || format == KERNEL_AFFINE4) {
        /* Awkward: as of a constant tensor, or of one that hardly varies. */
        const uint64_t draw = kind == WEIGHTS_NORMAL ? 2 : check_random(c) % 4;
        w.scale = check_normal(c) * (draw == 0 ? 0.0f : draw == 1 ? 0x1p-135f : 0.01f);
        w.minimum = check_normal(c);
    }
    if (format == KERNEL_F8) {
        w.block_row = check_random(c) % KERNEL_F8_BLOCK;
        const size_t blocks = (w.block_row + rows) / KERNEL_F8_BLOCK + 1;
        w.block_scales = random_floats(c, blocks * kernel_groups(columns, KERNEL_F8_BLOCK));
    }
    if (bias) w.bias = random_floats(c, rows);
    return w;
}

kernel_matrix check_matrix(check *c, kernel_format format, size_t rows, size_t columns, bool bias, weight_kind kind)
{
    return check_group_matrix(c, format, rows, columns, KERNEL_GROUP, false, bias, kind);
}

kernel_matrix check_interleaved(check *c, const kernel_matrix *w, size_t interleave)
{
    if (interleave == 0 || !kernel_is_grouped(w->format)) return *w;
    kernel_matrix to = *w;
    to.interleave = interleave;
    const size_t rows = kernel_stored_rows(&to), scales = rows * kernel_row_scales(w);
    void *values = check_alloc(c, rows * kernel_row_bytes(w->format, w->columns));
    uint16_t *scale = check_alloc(c, scales * sizeof *scale), *minimum = NULL;
    if (w->minimums) minimum = check_alloc(c, scales * sizeof *minimum);
    kernel_interleave(w, interleave, values, scale, minimum);
    to.values = values;
    to.scales = scale;
    to.minimums = minimum;
    return to;
}

/* ---- dequantize_row ---- */

/* Groups, minimums and interleaving, in turn, for shape s. */
static kernel_matrix varied_matrix(check *c, kernel_format format, size_t rows, size_t columns, size_t s, bool bias,
                                   weight_kind kind)
{
    static const size_t groups[] = {32, 64, 128, 0};
    return check_group_matrix(c, format, rows, columns, groups[s % 4], s / 4 % 2, bias, kind);
}

/* Every format but these is exact in float: an int8 times a binary16 has 19 bits. Affine and minimums: q * scale and the
 * sum round once each, or the sum alone when fused: gamma_2 of the terms. F8: one product with a float. */
static void check_dequantize_row(check *c)
{
    static const size_t columns[] = {0, 1, 2, 7, 15, 16, 17, 31, 32, 33, 64, 127, 255, 256, 384, 513, 7168};
    for (int f = 0; f < KERNEL_FORMATS; f++) {
        for (size_t s = 0; s < 2 * sizeof columns / sizeof columns[0]; s++) {
            const size_t k = columns[s / 2], rows = 19, row = s % rows;
            const kernel_format format = (kernel_format)f;
            check_shape(c, "%s, %zu columns, row %zu", kernel_format_name(format), k, row);
            const kernel_matrix w = varied_matrix(c, format, rows, k, s, false, WEIGHTS_WILD);
            const kernel_matrix stored = check_interleaved(c, &w, s % 2 ? c->table->interleave : 0);
            check_freeze(c);
            float *out = check_output(c, k * sizeof *out);
            CHECK_CALL(c->table->dequantize_row(&stored, row, out));
            const bool rounded = f == KERNEL_AFFINE8 || f == KERNEL_AFFINE4 || f == KERNEL_F8 || w.minimums;
            for (size_t i = 0; i < k; i++) {
                const double tolerance = rounded ? gamma_of(2) * weight_magnitude(&w, row, i) + SMALLEST : 0;
                check_value(c, "out", i, (double)out[i], weight_value(&w, row, i), tolerance);
            }
        }
    }
}

/* ---- matvec_transposed ---- */

/* A sum of `rows` products and what y held, in any order: gamma_{rows + 1} of the magnitudes; three roundings more where
 * the weight itself is rounded, or a[r] is multiplied by a scale first. A product or sum below the normal floats loses at
 * most one smallest float, which a code or a minimum may multiply. */
static void check_matvec_transposed(check *c)
{
    static const size_t shapes[][2] = {{0, 5},     {5, 0},    {1, 1},    {3, 7},     {4, 32},
                                       {7, 33},    {8, 64},   {9, 100},  {32, 128},  {64, 512},
                                       {128, 257}, {17, 600}, {33, 320}, {128, 512}, {0, 0}};
    for (int f = 0; f < KERNEL_FORMATS; f++) {
        for (size_t s = 0; s < 2 * sizeof shapes / sizeof shapes[0]; s++) {
            const size_t rows = shapes[s / 2][0], k = shapes[s / 2][1];
            const bool wild = s % 3 == 2;
            const kernel_format format = (kernel_format)f;
            check_shape(c, "%s, %zu x %zu", kernel_format_name(format), rows, k);
            const kernel_matrix w = varied_matrix(c, format, rows, k, s, true, wild ? WEIGHTS_WILD : WEIGHTS_AWKWARD);
            kernel_matrix stored = check_interleaved(c, &w, s % 2 ? c->table->interleave : 0);
            /* At times all rows but the last, as a slice whose panel holds that one, too. */
            const size_t used = s % 4 == 1 && !wild && rows > 0 ? rows - 1 : rows;
            stored = kernel_matrix_rows(&stored, 0, used);
            float *a = check_alloc(c, used * sizeof *a), *before = check_alloc(c, k * sizeof *before);
            bool infinite = false;
            for (size_t r = 0; r < used; r++) {
                a[r] = check_awkward(c, wild);
                infinite = infinite || isinf(a[r]);
            }
            for (size_t i = 0; i < k; i++) before[i] = check_normal(c);
            check_freeze(c);
            float *y = check_output(c, k * sizeof *y);
            if (k) memcpy(y, before, k * sizeof *y);
            CHECK_CALL(c->table->matvec_transposed(&stored, a, y));
            for (size_t i = 0; i < k; i++) {
                double sum = (double)before[i], magnitude = fabs(sum);
                for (size_t r = 0; r < used; r++) {
                    sum += (double)a[r] * weight_value(&w, r, i);
                    magnitude += fabs((double)a[r]) * weight_magnitude(&w, r, i);
                }
                /* An infinity times a code and times a minimum of the other sign: NaN, where their sum would come first an
                 * infinity. */
                if (infinite && w.minimums && isnan(y[i])) continue;
                check_value(c, "y", i, (double)y[i], sum,
                            gamma_of((double)rows + 4) * magnitude + ((double)rows + 1) * 256 * SMALLEST);
            }
        }
    }
}

/* ---- quantize_q8 ---- */

/* scale = largest / 127 rounds once. q rounds x * (127 / largest), two roundings of a value up to 127, to an integer: q
 * * scale is within scale * (1/2 + 127 * gamma_3) of x. Every rung gives the same integers, whose sum is exact. */
static void check_group(check *c, const float *x, size_t width, const int8_t *q, size_t padded, double scale,
                        int32_t sum)
{
    double largest = 0;
    bool finite = true;
    int32_t total = 0;
    for (size_t i = 0; i < width; i++) {
        finite = finite && isfinite(x[i]);
        largest = fmax(largest, fabs((double)x[i]));
    }
    for (size_t i = 0; i < padded; i++) {
        total += q[i];
        if (q[i] < -127) check_fail(c, "q[%zu] is -128, expected -127..127", i);
        if (i >= width && q[i] != 0) check_fail(c, "padding q[%zu] is %d, expected 0", i, q[i]);
    }
    if (sum != total) check_fail(c, "the sum is %d, expected %d", sum, total);
    if (!finite) {
        check_value(c, "scale", 0, scale, NAN, 0);
        return;
    }
    /* 127 / largest overflows below this: such a group counts as zero. */
    const bool vanishes = largest == 0 || 127.0 / largest > (double)FLT_MAX;
    check_value(c, "scale", 0, scale, vanishes ? 0 : largest / 127, ROUNDOFF * largest / 127 + SMALLEST);
    for (size_t i = 0; i < width && !vanishes; i++) {
        const double tolerance = scale * (0.5 + 127 * gamma_of(3)) + 127 * SMALLEST;
        check_value(c, "q * scale", i, q[i] * scale, (double)x[i], tolerance);
    }
}

static void fill_awkwardly(check *c, size_t m, size_t k, size_t ldx, int kind, bool ties, float *x)
{
    for (size_t i = 0; i < m; i++) {
        for (size_t j = 0; j < k; j++) {
            float *at = x + i * ldx + j;
            if (kind == 0)
                *at = check_normal(c);
            else if (kind == 1)
                *at = i % 2 ? check_normal(c) * 0x1p-130f : check_awkward(c, false);
            else
                *at = check_awkward(c, true);
            if (kind == 1 && ties) *at = check_random(c) % 2 ? 0.5f : -127.0f; /* ties, exactly */
        }
    }
}

static void check_quantize_q8(check *c)
{
    static const size_t shapes[][2] = {{0, 40}, {3, 0},   {1, 1},   {2, 5},    {1, 16},   {3, 31},    {2, 32}, {4, 33},
                                       {5, 64}, {3, 100}, {2, 256}, {1, 1537}, {2, 7168}, {1, 18432}, {0, 0}};
    static const size_t sizes[] = {32, 64, 128, 0};
    for (size_t s = 0; s < 4 * sizeof shapes / sizeof shapes[0]; s++) {
        for (int kind = 0; kind < 3; kind++) {
            const size_t m = shapes[s / 4][0], k = shapes[s / 4][1], group = sizes[s % 4], ldx = k + (size_t)kind;
            const size_t groups = kernel_groups(k, group), row = kernel_row_bytes(KERNEL_INT8, k);
            check_shape(c, "%zu x %zu, groups of %zu, rows %zu apart", m, k, group, ldx);
            float *x = check_alloc(c, m ? ((m - 1) * ldx + k) * sizeof *x : 0);
            fill_awkwardly(c, m, k, ldx, kind, s / 4 % 3 == 0, x);
            check_freeze(c);
            const size_t words = m * groups * sizeof(float);
            kernel_q8 got = {check_output(c, m * row), check_output(c, words), check_output(c, words)};
            kernel_q8 want = {check_output(c, m * row), check_output(c, words), check_output(c, words)};
            CHECK_CALL(c->table->quantize_q8(m, k, group, x, ldx, &got));
            CHECK_CALL(c->reference->quantize_q8(m, k, group, x, ldx, &want));
            if (m > 0 && row > 0 && memcmp(got.values, want.values, m * row) != 0)
                check_fail(c, "integers differ from those of the c rung");
            const size_t step = group ? group : row;
            for (size_t g = 0; g < m * groups; g++) {
                const size_t i = g / groups, first = g % groups * step;
                check_group(c, x + i * ldx + first, k - first < step ? k - first : step, got.values + i * row + first,
                            row - first < step ? row - first : step, (double)got.scales[g], got.sums[g]);
            }
        }
    }
}

/* ---- kernel_interleave and back ---- */

static void check_deinterleaved(check *c, const kernel_matrix *w, const kernel_matrix *interleaved)
{
    const size_t bytes = w->rows * kernel_row_bytes(w->format, w->columns);
    const size_t scale_bytes = w->rows * kernel_row_scales(w) * sizeof(uint16_t);
    void *values = check_output(c, bytes);
    uint16_t *scales = check_output(c, scale_bytes), *minimums = w->minimums ? check_output(c, scale_bytes) : NULL;
    CHECK_CALL(kernel_deinterleave(interleaved, values, scales, minimums));
    if (bytes && memcmp(values, w->values, bytes) != 0) check_fail(c, "values differ after the way back");
    if (scale_bytes && memcmp(scales, w->scales, scale_bytes) != 0) check_fail(c, "scales differ after the way back");
    if (scale_bytes && minimums && memcmp(minimums, w->minimums, scale_bytes) != 0)
        check_fail(c, "minimums differ after the way back");
}

/* Bytes 0..3 of each row of a panel, then 4..7, scales group by group; zeros where the last panel has no row. Back
 * again, nothing has changed. */
static void check_interleave(check *c)
{
    static const size_t shapes[][2] = {{0, 32}, {5, 0}, {1, 1}, {3, 40}, {4, 64}, {17, 33}, {31, 100}, {33, 320}};
    const size_t by = c->table->interleave ? c->table->interleave : 4;
    static const kernel_format formats[] = {KERNEL_INT8, KERNEL_INT4, KERNEL_INT3};
    for (size_t s = 0; s < 24 * sizeof shapes / sizeof shapes[0]; s++) {
        const kernel_format format = formats[s % 3];
        const size_t rows = shapes[s / 24][0], k = shapes[s / 24][1];
        check_shape(c, "%s by %zu, %zu x %zu", kernel_format_name(format), by, rows, k);
        const kernel_matrix w = varied_matrix(c, format, rows, k, s / 3, false, WEIGHTS_WILD);
        const kernel_matrix to = check_interleaved(c, &w, by);
        const size_t bytes = kernel_row_bytes(format, k), groups = kernel_row_scales(&w);
        for (size_t i = 0; i < kernel_stored_rows(&to); i++) {
            const size_t panel = i / by, place = i % by;
            for (size_t at = 0; at < bytes; at++) {
                const uint8_t want = i < rows ? ((const uint8_t *)w.values)[i * bytes + at] : 0;
                const size_t from = panel * by * bytes + at / 4 * 4 * by + place * 4 + at % 4;
                if (((const uint8_t *)to.values)[from] != want) check_fail(c, "row %zu, byte %zu differs", i, at);
            }
            for (size_t g = 0; g < groups; g++) {
                const size_t from = (panel * groups + g) * by + place;
                const bool scale = to.scales[from] == (i < rows ? w.scales[i * groups + g] : 0);
                const bool minimum = !w.minimums || to.minimums[from] == (i < rows ? w.minimums[i * groups + g] : 0);
                if (!scale || !minimum) check_fail(c, "row %zu, group %zu differs", i, g);
            }
        }
        check_deinterleaved(c, &w, &to);
    }
}

const check_entry weight_checks[] = {
    {"interleave", check_interleave},
    {"dequantize_row", check_dequantize_row},
    {"matvec_transposed", check_matvec_transposed},
    {"quantize_q8", check_quantize_q8},
    {NULL, NULL},
};
