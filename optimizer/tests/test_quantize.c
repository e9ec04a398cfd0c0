/* test_quantize.c - codes and scales against values worked out here, error bounds derived, bad weights named. */
#include "optimizer/quantize/quantize.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/checkpoint/float_formats.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

enum { MAX_ROWS = 5, MAX_COLUMNS = 97, GUARD = 16, GUARD_BYTE = 0xa5 };

/* Room for any format, with bytes after it that nobody may write. */
typedef struct storage {
    unsigned char values[MAX_ROWS * MAX_COLUMNS * 4 + GUARD];
    uint16_t scales[MAX_ROWS * 4 + GUARD];
} storage;

static kernel_matrix prepare(storage *s, kernel_format format, size_t rows, size_t columns)
{
    memset(s, GUARD_BYTE, sizeof *s);
    return (kernel_matrix){.format = format,
                           .rows = rows,
                           .columns = columns,
                           .group = KERNEL_GROUP,
                           .values = s->values,
                           .scales = s->scales};
}

/* What the format's comment in kernels.h says that element [row][k] is; written from that comment alone. */
static double decode(const kernel_matrix *w, size_t row, size_t k)
{
    const size_t groups = (w->columns + 31) / 32;
    const unsigned char *bytes = w->values;
    uint16_t half;
    float wide;
    switch (w->format) {
    case KERNEL_F32:
        memcpy(&wide, bytes + 4 * (row * w->columns + k), 4);
        return (double)wide;
    case KERNEL_F16:
    case KERNEL_BF16:
        memcpy(&half, bytes + 2 * (row * w->columns + k), 2);
        return (double)(w->format == KERNEL_F16 ? float_from_f16(half) : float_from_bf16(half));
    case KERNEL_INT8:
        return (double)(signed char)bytes[row * groups * 32 + k] *
               (double)float_from_f16(w->scales[row * groups + k / 32]);
    case KERNEL_INT4: {
        const unsigned char byte = bytes[row * groups * 16 + k / 32 * 16 + k % 16];
        const int code = k % 32 < 16 ? byte & 15 : byte >> 4;
        return (code - 8) * (double)float_from_f16(w->scales[row * groups + k / 32]);
    }
    case KERNEL_INT3: {
        const unsigned char *block = bytes + (row * groups + k / 32) * 12;
        const int low = block[k % 8] >> k % 32 / 8 * 2 & 3;
        const int high = block[8 + k % 4] >> (k % 8 / 4 * 4 + k % 32 / 8) & 1;
        return (4 * high + low - 4) * (double)float_from_f16(w->scales[row * groups + k / 32]);
    }
    case KERNEL_INT5: {
        const unsigned char *block = bytes + (row * groups + k / 32) * 20;
        const int low = block[k % 16] >> k % 32 / 16 * 4 & 15;
        const int high = block[16 + k % 4] >> (k % 16 / 4 * 2 + k % 32 / 16) & 1;
        return (16 * high + low - 16) * (double)float_from_f16(w->scales[row * groups + k / 32]);
    }
    case KERNEL_INT6: {
        const unsigned char *block = bytes + (row * groups + k / 32) * 24;
        const int low = block[k % 16] >> k % 32 / 16 * 4 & 15;
        const int high = block[16 + k % 16 / 8 * 4 + k % 4] >> (k % 8 / 4 * 4 + k % 32 / 16 * 2) & 3;
        return (16 * high + low - 32) * (double)float_from_f16(w->scales[row * groups + k / 32]);
    }
    case KERNEL_AFFINE8:
        return bytes[row * w->columns + k] * (double)w->scale + (double)w->minimum;
    case KERNEL_AFFINE4: {
        const unsigned char byte = bytes[row * ((w->columns + 1) / 2) + k / 2];
        return (k % 2 == 0 ? byte & 15 : byte >> 4) * (double)w->scale + (double)w->minimum;
    }
    case KERNEL_F8:
    case KERNEL_FORMATS:
        break;
    }
    return (double)NAN;
}

/* How far the decoded value may be from x, in a group whose value of largest magnitude is `extreme`.
 *
 * F16, BF16: half a unit in the last place of x: 2^-11 |x| or 2^-8 |x|, and half the smallest subnormal (F16: 2^-25).
 * AFFINE: half a step, plus the rounding of the float scale, which the top code multiplies by 2^bits - 1.
 * INT8: half a step while |x| <= 127.5 scale. The stored scale differs from |extreme| / 127 by its own rounding r
 *   (2^-11 of it, or 2^-25 where that is more), so |x| may exceed 127 scale by 127 r; then the code is clamped.
 * INT4: half a step for codes -8..7; values of the sign opposite to the extreme reach +8 and are clamped to 7, one step
 *   off; as with INT8, 8 r on top. INT3, INT5, INT6: likewise with 4, 16, 32 for 8. */
static double code_bound(int zero, double x, double extreme, double scale, double r)
{
    const bool clamped = x * extreme < 0 && fabs(x) > (zero - 0.5) * fabs(scale);
    return (clamped ? fabs(scale) + zero * r : fmax(fabs(scale) / 2, zero * r)) * (1 + 0x1p-20);
}

static double bound(const kernel_matrix *w, double x, double extreme, double scale)
{
    const double r = fmax(fabs(scale) * 0x1p-11, 0x1p-25);
    switch (w->format) {
    case KERNEL_F32:
        return 0;
    case KERNEL_F16:
        return fmax(fabs(x) * 0x1p-11, 0x1p-25);
    case KERNEL_BF16:
        return fabs(x) * 0x1p-8;
    case KERNEL_AFFINE8:
        return scale / 2 + 255 * scale * 0x1p-24;
    case KERNEL_AFFINE4:
        return scale / 2 + 15 * scale * 0x1p-24;
    case KERNEL_INT8:
        return fmax(fabs(scale) / 2, 127 * r) * (1 + 0x1p-20);
    case KERNEL_INT4:
        return code_bound(8, x, extreme, scale, r);
    case KERNEL_INT3:
        return code_bound(4, x, extreme, scale, r);
    case KERNEL_INT5:
        return code_bound(16, x, extreme, scale, r);
    case KERNEL_INT6:
        return code_bound(32, x, extreme, scale, r);
    case KERNEL_F8:
    case KERNEL_FORMATS:
        break;
    }
    return 0;
}

/* Quantises, with the range of all rows for the affine formats. */
static ciuic_status quantize(kernel_matrix *w, storage *s, const float *rows)
{
    if (w->format == KERNEL_AFFINE8 || w->format == KERNEL_AFFINE4) {
        affine_range range = affine_range_empty();
        affine_range_add(&range, w->rows * w->columns, rows);
        affine_parameters(range, w->format == KERNEL_AFFINE8 ? 8 : 4, &w->scale, &w->minimum);
    }
    return quantize_rows(w, (quantized_memory){s->values, s->scales, NULL}, 0, w->rows, rows);
}

/* Every element within its bound, padding the code of zero, nothing written beyond the end. */
static void check_matrix(const kernel_matrix *w, const storage *s, const float *rows, const char *what)
{
    const size_t groups = kernel_row_scales(w), used = w->rows * kernel_row_bytes(w->format, w->columns);
    const char *format = kernel_format_name(w->format);
    for (size_t row = 0; row < w->rows; row++) {
        const float *x = rows + row * w->columns;
        for (size_t k = 0; k < w->columns; k++) {
            double scale = (double)w->scale, extreme = 0;
            if (groups > 0) scale = (double)float_from_f16(s->scales[row * groups + k / 32]);
            for (size_t j = k / 32 * 32; j < w->columns && j < k / 32 * 32 + 32; j++)
                if (fabs((double)x[j]) > fabs(extreme)) extreme = (double)x[j];
            const double error = fabs(decode(w, row, k) - (double)x[k]);
            if (!(error <= bound(w, (double)x[k], extreme, scale)))
                CHECK(false, "%s %s K=%zu [%zu][%zu]: %.9g became %.9g, scale %g", what, format, w->columns, row, k,
                      (double)x[k], decode(w, row, k), scale);
        }
        for (size_t k = w->columns; k < groups * 32; k++)
            if (decode(w, row, k) != 0) CHECK(false, "%s %s: padding [%zu][%zu] is not 0", what, format, row, k);
    }
    for (size_t i = 0; i < GUARD; i++)
        if (s->values[used + i] != GUARD_BYTE)
            CHECK(false, "%s %s: byte %zu after the end was written", what, format, i);
    CHECK(s->scales[w->rows * groups] == (GUARD_BYTE << 8 | GUARD_BYTE), "%s %s: a scale after the end", what, format);
}

/* Uniform in [-1, 1). */
static float uniform(unsigned long long *state)
{
    return (float)((double)(random_next(state) >> 11) * 0x1p-52 - 1);
}

static void errors_stay_within_their_bound(void)
{
    static const size_t columns[] = {1, 2, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 97};
    static const float magnitudes[] = {1, 0.02f, 1e-6f, 3e-8f, 500};
    unsigned long long state = test_seed();
    static storage s;
    static float rows[MAX_ROWS * MAX_COLUMNS];
    for (int format = 0; format < KERNEL_FORMATS; format++) {
        if (format == KERNEL_F8) continue; /* only ever read */
        for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
            for (size_t m = 0; m < sizeof magnitudes / sizeof magnitudes[0]; m++) {
                kernel_matrix w = prepare(&s, (kernel_format)format, MAX_ROWS, columns[i]);
                for (size_t j = 0; j < w.rows * w.columns; j++) rows[j] = magnitudes[m] * uniform(&state);
                const ciuic_status status = quantize(&w, &s, rows);
                CHECK(status == CIUIC_OK, "%s", ciuic_last_error());
                check_matrix(&w, &s, rows, "random");
            }
        }
    }
}

static void constant_and_zero_tensors(void)
{
    static const float constants[] = {0, -0.0f, 1, -1, 0.3f, 1e-30f, -65504, 1e-7f};
    static storage s;
    float rows[2 * 33];
    for (int format = 0; format < KERNEL_FORMATS; format++) {
        if (format == KERNEL_F8) continue; /* only ever read */
        for (size_t i = 0; i < sizeof constants / sizeof constants[0]; i++) {
            kernel_matrix w = prepare(&s, (kernel_format)format, 2, 33);
            for (size_t j = 0; j < 66; j++) rows[j] = constants[i];
            CHECK(quantize(&w, &s, rows) == CIUIC_OK, "%s", ciuic_last_error());
            check_matrix(&w, &s, rows, "constant");
            if (format != KERNEL_AFFINE8 && format != KERNEL_AFFINE4) continue;
            CHECK(w.scale == 0 && decode(&w, 1, 32) == (double)constants[i], "%s: constant %g became %g",
                  kernel_format_name(w.format), (double)constants[i], decode(&w, 1, 32));
        }
    }
}

/* The article's formula on four values, its codes worked out in the comments. */
static void affine_is_the_formula(void)
{
    float scale, minimum;
    affine_range range = affine_range_empty();
    affine_parameters(range, 8, &scale, &minimum);
    CHECK(scale == 0 && minimum == 0, "an empty tensor: scale %g", (double)scale);
    static const float values[] = {-1, 0.5f, 3, -0.25f};
    CHECK(affine_range_add(&range, 4, values) && range.minimum == -1 && range.maximum == 3, "range");
    affine_parameters(range, 8, &scale, &minimum);
    CHECK(scale == 4.0f / 255 && minimum == -1, "scale %g", (double)scale);
    affine_parameters(range, 4, &scale, &minimum);
    CHECK(scale == 4.0f / 15, "scale %g", (double)scale);
    static const float bad[][2] = {{9, NAN}, {9, INFINITY}, {9, -INFINITY}};
    for (size_t i = 0; i < 3; i++)
        CHECK(!affine_range_add(&range, 2, bad[i]) && range.maximum == 3, "a bad value widened the range");
    const affine_range widest = {-FLT_MAX, FLT_MAX};
    affine_parameters(widest, 8, &scale, &minimum);
    CHECK(isfinite(scale), "maximum - minimum overflowed");

    storage s;
    kernel_matrix w = prepare(&s, KERNEL_AFFINE8, 1, 4);
    w.scale = 4.0f / 255;
    w.minimum = -1;
    /* (0.5 + 1) / (4/255) = 95.6, (-0.25 + 1) / (4/255) = 47.8 */
    CHECK(quantize_rows(&w, (quantized_memory){s.values, NULL, NULL}, 0, 1, values) == CIUIC_OK, "%s",
          ciuic_last_error());
    CHECK(s.values[0] == 0 && s.values[1] == 96 && s.values[2] == 255 && s.values[3] == 48, "codes %d %d %d %d",
          s.values[0], s.values[1], s.values[2], s.values[3]);
    w = prepare(&s, KERNEL_AFFINE4, 1, 3);
    w.scale = 4.0f / 15;
    w.minimum = -1;
    /* (0.5 + 1) / (4/15) = 5.6; the last byte's upper half is 0 */
    CHECK(quantize_rows(&w, (quantized_memory){s.values, NULL, NULL}, 0, 1, values) == CIUIC_OK, "%s",
          ciuic_last_error());
    CHECK(s.values[0] == (6 << 4 | 0) && s.values[1] == 15, "codes %02x %02x", s.values[0], s.values[1]);
}

/* Scales are powers of two, so every code can be written down. */
static void codes_worked_out_by_hand(void)
{
    storage s;
    float x[33] = {0};
    kernel_matrix w = prepare(&s, KERNEL_INT8, 1, 33);
    x[0] = 127 * 0.25f; /* scale 0.25 */
    x[1] = -127 * 0.25f;
    x[2] = 0.125f;   /* half a step: to even, 0 */
    x[3] = 0.375f;   /* one and a half: to even, 2 */
    x[4] = -0.3f;    /* -1.2 */
    x[32] = -0.127f; /* alone in its group: code -127 */
    CHECK(quantize(&w, &s, x) == CIUIC_OK, "%s", ciuic_last_error());
    const signed char *q = (const signed char *)s.values;
    CHECK(float_from_f16(s.scales[0]) == 0.25f, "scale %g", (double)float_from_f16(s.scales[0]));
    CHECK(q[0] == 127 && q[1] == -127 && q[2] == 0 && q[3] == 2 && q[4] == -1 && q[5] == 0 && q[32] == -127,
          "codes %d %d %d %d %d %d %d", q[0], q[1], q[2], q[3], q[4], q[5], q[32]);

    w = prepare(&s, KERNEL_INT4, 1, 33);
    memset(x, 0, sizeof x);
    x[0] = -2;     /* the extreme: scale 0.25, code 0 */
    x[1] = 2;      /* +8 steps: clamped to 7, code 15 */
    x[2] = 1.75f;  /* 7 steps */
    x[3] = 0.125f; /* half a step: to even, 0, code 8 */
    x[16] = -0.5f; /* upper half of byte 0: code 6 */
    x[31] = 0.25f; /* upper half of byte 15: code 9 */
    x[32] = 4;     /* positive extreme: scale -0.5, code 0 */
    CHECK(quantize(&w, &s, x) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(float_from_f16(s.scales[0]) == 0.25f && float_from_f16(s.scales[1]) == -0.5f, "scales %g %g",
          (double)float_from_f16(s.scales[0]), (double)float_from_f16(s.scales[1]));
    CHECK(s.values[0] == (6 << 4 | 0) && s.values[1] == (8 << 4 | 15) && s.values[2] == (8 << 4 | 15) &&
              s.values[3] == 0x88 && s.values[15] == (9 << 4 | 8) && s.values[16] == (8 << 4 | 0),
          "codes %02x %02x %02x %02x %02x %02x", s.values[0], s.values[1], s.values[2], s.values[3], s.values[15],
          s.values[16]);
    CHECK(decode(&w, 0, 0) == -2 && decode(&w, 0, 32) == 4, "the extreme is not hit exactly");

    w = prepare(&s, KERNEL_INT3, 1, 33);
    memset(x, 0, sizeof x);
    x[0] = -1;     /* the extreme: scale 0.25, code 0 */
    x[1] = 1;      /* +4 steps: clamped to 3, code 7 */
    x[4] = 0.125f; /* half a step: to even, 0, code 4 */
    x[9] = -0.25f; /* second bits of byte 1: code 3 */
    x[31] = 0.5f;  /* last bits of byte 7: code 6 */
    x[32] = 2;     /* positive extreme: scale -0.5, code 0 */
    CHECK(quantize(&w, &s, x) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(float_from_f16(s.scales[0]) == 0.25f && float_from_f16(s.scales[1]) == -0.5f, "scales %g %g",
          (double)float_from_f16(s.scales[0]), (double)float_from_f16(s.scales[1]));
    CHECK(s.values[0] == 0 && s.values[1] == (3 << 2 | 3) && s.values[4] == 0 && s.values[7] == 2 << 6 &&
              s.values[12] == 0,
          "low bits %02x %02x %02x %02x %02x", s.values[0], s.values[1], s.values[4], s.values[7], s.values[12]);
    CHECK(s.values[8] == 0xfe && s.values[9] == 0xfd && s.values[10] == 0xff && s.values[11] == 0xff &&
              s.values[20] == 0xfe && s.values[21] == 0xff,
          "high bits %02x %02x %02x %02x %02x %02x", s.values[8], s.values[9], s.values[10], s.values[11], s.values[20],
          s.values[21]);
    CHECK(decode(&w, 0, 0) == -1 && decode(&w, 0, 32) == 2, "the extreme is not hit exactly");

    w = prepare(&s, KERNEL_INT5, 1, 33);
    memset(x, 0, sizeof x);
    x[0] = -4;      /* the extreme: scale 0.25, code 0 */
    x[1] = 4;       /* +16 steps: clamped to 15, code 31 */
    x[16] = -0.25f; /* upper half of byte 0: code 15 */
    x[31] = 2;      /* upper half of byte 15, code 24 */
    x[32] = 8;      /* positive extreme: scale -0.5, code 0 */
    CHECK(quantize(&w, &s, x) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(float_from_f16(s.scales[0]) == 0.25f && float_from_f16(s.scales[1]) == -0.5f, "scales %g %g",
          (double)float_from_f16(s.scales[0]), (double)float_from_f16(s.scales[1]));
    CHECK(s.values[0] == 15 << 4 && s.values[1] == 15 && s.values[15] == 8 << 4 && s.values[20] == 0,
          "low bits %02x %02x %02x %02x", s.values[0], s.values[1], s.values[15], s.values[20]);
    CHECK(s.values[16] == 0xfc && s.values[17] == 0xff && s.values[19] == 0xff && s.values[36] == 0xfe,
          "high bits %02x %02x %02x %02x", s.values[16], s.values[17], s.values[19], s.values[36]);
    CHECK(decode(&w, 0, 0) == -4 && decode(&w, 0, 32) == 8, "the extreme is not hit exactly");

    w = prepare(&s, KERNEL_INT6, 1, 33);
    memset(x, 0, sizeof x);
    x[0] = -8;     /* the extreme: scale 0.25, code 0 */
    x[1] = 8;      /* +32 steps: clamped to 31, code 63 */
    x[16] = -4.5f; /* upper half of byte 0: code 14 */
    x[31] = 6;     /* upper half of byte 15, last bits of byte 23: code 56 */
    x[32] = 16;    /* positive extreme: scale -0.5, code 0 */
    CHECK(quantize(&w, &s, x) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(float_from_f16(s.scales[0]) == 0.25f && float_from_f16(s.scales[1]) == -0.5f, "scales %g %g",
          (double)float_from_f16(s.scales[0]), (double)float_from_f16(s.scales[1]));
    CHECK(s.values[0] == 14 << 4 && s.values[1] == 15 && s.values[15] == 8 << 4 && s.values[24] == 0,
          "low bits %02x %02x %02x %02x", s.values[0], s.values[1], s.values[15], s.values[24]);
    CHECK(s.values[16] == 0xa0 && s.values[17] == 0xab && s.values[19] == 0xaa && s.values[23] == 0xea &&
              s.values[40] == 0xa8,
          "high bits %02x %02x %02x %02x %02x", s.values[16], s.values[17], s.values[19], s.values[23], s.values[40]);
    CHECK(decode(&w, 0, 0) == -8 && decode(&w, 0, 32) == 16, "the extreme is not hit exactly");
}

/* An extreme that BF16 can hold has 8 significant bits, so a quarter of it, an eighth, a sixteenth or a
 * thirty-second is exact in binary16 down to its subnormals, and codes reproduce it exactly, whichever sign it has. */
static void hit_every_bf16_extreme(kernel_format format)
{
    storage s;
    unsigned long long state = test_seed();
    size_t wrong = 0;
    for (int i = 0; i < 2000; i++) {
        float x[32];
        /* magnitudes from 2^-11, so that a thirty-second is 2^-23 times a whole number, to 2^16 */
        const float extreme =
            float_from_bf16(float_to_bf16(ldexpf(1 + (uniform(&state) + 1) / 2, (int)(random_next(&state) % 27) - 11)));
        const size_t at = random_next(&state) % 32;
        for (size_t k = 0; k < 32; k++) x[k] = 0.99f * extreme * uniform(&state);
        x[at] = random_next(&state) % 2 ? extreme : -extreme;
        kernel_matrix w = prepare(&s, format, 1, 32);
        if (quantize(&w, &s, x) != CIUIC_OK || decode(&w, 0, at) != (double)x[at]) wrong++;
    }
    CHECK(wrong == 0, "%zu of 2000 extremes are not hit exactly by %s", wrong, kernel_format_name(format));
}

static void codes_hit_every_bf16_extreme(void)
{
    hit_every_bf16_extreme(KERNEL_INT4);
    hit_every_bf16_extreme(KERNEL_INT3);
    hit_every_bf16_extreme(KERNEL_INT5);
    hit_every_bf16_extreme(KERNEL_INT6);
}

static void bad_weights_are_named(void)
{
    static const struct {
        kernel_format format;
        float value;
        const char *message; /* NULL: stored */
    } table[] = {
        {KERNEL_F32, NAN, "weight [3][34] is nan; expected a finite value for f32"},
        {KERNEL_F32, INFINITY, "weight [3][34] is inf; expected a finite value"},
        {KERNEL_F16, NAN, "expected a finite value for f16"},
        {KERNEL_F16, 65519.99f, NULL},
        {KERNEL_F16, 65520, "weight [3][34] is 65520; expected a magnitude below 65520 for f16"},
        {KERNEL_F16, -1e30f, "weight [3][34] is -1e+30"},
        {KERNEL_BF16, 3.3895e38f, NULL},
        {KERNEL_BF16, FLT_MAX, "expected a magnitude below 2^128 - 2^119"},
        {KERNEL_BF16, -INFINITY, "weight [3][34] is -inf"},
        {KERNEL_AFFINE8, NAN, "expected a finite value for affine8"},
        {KERNEL_AFFINE4, INFINITY, "expected a finite value for affine4"},
        {KERNEL_INT8, NAN, "weight [3][34] is nan; expected a finite value for int8"},
        {KERNEL_INT8, 8e6f, NULL},
        {KERNEL_INT8, 8.4e6f, "weight [3][34] is 8.4e+06; expected a magnitude below 127 * 65520"},
        {KERNEL_INT4, -INFINITY, "weight [3][34] is -inf; expected a finite value for int4"},
        {KERNEL_INT4, 5e5f, NULL},
        {KERNEL_INT4, -5.3e5f, "expected a magnitude below 8 * 65520"},
        {KERNEL_INT3, NAN, "weight [3][34] is nan; expected a finite value for int3"},
        {KERNEL_INT3, 2.6e5f, NULL},
        {KERNEL_INT3, -2.7e5f, "expected a magnitude below 4 * 65520"},
        {KERNEL_INT5, 1.04e6f, NULL},
        {KERNEL_INT5, -1.05e6f, "expected a magnitude below 16 * 65520"},
        {KERNEL_INT6, NAN, "weight [3][34] is nan; expected a finite value for int6"},
        {KERNEL_INT6, 2.09e6f, NULL},
        {KERNEL_INT6, -2.1e6f, "expected a magnitude below 32 * 65520"},
    };
    static storage s;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        float rows[2 * 40] = {0};
        kernel_matrix w = prepare(&s, table[i].format, 5, 40);
        rows[40 + 34] = table[i].value; /* the second of rows 2 and 3 */
        const ciuic_status status = quantize_rows(&w, (quantized_memory){s.values, s.scales, NULL}, 2, 2, rows);
        CHECK((status == CIUIC_OK) == (table[i].message == NULL), "%s %g: status %d",
              kernel_format_name(table[i].format), (double)table[i].value, (int)status);
        if (table[i].message != NULL)
            CHECK(status == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), table[i].message) != NULL,
                  "\"%s\" lacks \"%s\"", ciuic_last_error(), table[i].message);
    }
    kernel_matrix w = prepare(&s, KERNEL_INT8, 5, 40);
    CHECK(quantize_rows(&w, (quantized_memory){s.values, s.scales, NULL}, 4, 2, NULL) == CIUIC_ERROR_USAGE,
          "a row beyond the end");
    CHECK(quantize_rows(&w, (quantized_memory){s.values, s.scales, NULL}, 6, SIZE_MAX, NULL) == CIUIC_ERROR_USAGE,
          "overflow");
    CHECK(quantize_rows(&w, (quantized_memory){s.values, s.scales, NULL}, 5, 0, NULL) == CIUIC_OK,
          "no rows at the end");
}

/* Rows one by one and out of order are the rows all at once. */
static void rows_may_come_in_pieces(void)
{
    static storage whole, pieces;
    unsigned long long state = test_seed();
    for (int format = 0; format < KERNEL_FORMATS; format++) {
        if (format == KERNEL_F8) continue; /* only ever read */
        float rows[MAX_ROWS * 45];
        for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) rows[i] = uniform(&state);
        kernel_matrix a = prepare(&whole, (kernel_format)format, MAX_ROWS, 45);
        kernel_matrix b = prepare(&pieces, (kernel_format)format, MAX_ROWS, 45);
        CHECK(quantize(&a, &whole, rows) == CIUIC_OK, "%s", ciuic_last_error());
        b.scale = a.scale;
        b.minimum = a.minimum;
        for (size_t row = MAX_ROWS; row-- > 0;)
            CHECK(quantize_rows(&b, (quantized_memory){pieces.values, pieces.scales, NULL}, row, 1, rows + row * 45) ==
                      CIUIC_OK,
                  "%s", ciuic_last_error());
        CHECK(memcmp(&whole, &pieces, sizeof whole) == 0, "%s differs in pieces", kernel_format_name(a.format));
    }
}

static const test_case cases[] = {
    {"errors stay within their bound", errors_stay_within_their_bound},
    {"constant and zero tensors", constant_and_zero_tensors},
    {"affine is the formula", affine_is_the_formula},
    {"codes worked out by hand", codes_worked_out_by_hand},
    {"codes hit every BF16 extreme", codes_hit_every_bf16_extreme},
    {"bad weights are named", bad_weights_are_named},
    {"rows may come in pieces", rows_may_come_in_pieces},
};
TEST_SUITE(quantize, cases);
