/* dequantize_row.c - weights of any format as floats: the definition of the formats in code. */
#include "kernels/c/convert.h"
#include "kernels/c/int3.h"
#include "kernels/c/kernels_c.h"

static void f16_span(size_t count, const uint16_t *restrict in, float *restrict out)
{
    for (size_t i = 0; i < count; i++) out[i] = f16_to_f32(in[i]);
}

static void bf16_span(size_t count, const uint16_t *restrict in, float *restrict out)
{
    for (size_t i = 0; i < count; i++) out[i] = bf16_to_f32(in[i]);
}

static void f8_span(const kernel_matrix *w, size_t row, size_t first, size_t count, const uint8_t *restrict in,
                    float *restrict out)
{
    for (size_t i = 0; i < count; i++) out[i] = f8_to_f32(in[i]);
    if (w->block_scales == NULL) return;
    const float *scales =
        w->block_scales + (w->block_row + row) / KERNEL_F8_BLOCK * kernel_groups(w->columns, KERNEL_F8_BLOCK);
    for (size_t i = 0; i < count; i++) out[i] *= scales[(first + i) / KERNEL_F8_BLOCK];
}

/* The whole numbers that KERNEL_GROUP columns stand for before scale and minimum. */
static void block_numbers(kernel_format format, const uint8_t *bytes, int zero, int16_t *restrict numbers)
{
    enum { HALF = KERNEL_GROUP / 2 };
    if (format == KERNEL_INT8) {
        for (size_t i = 0; i < KERNEL_GROUP; i++) numbers[i] = (int8_t)bytes[i];
    } else if (format == KERNEL_INT4) {
        for (size_t i = 0; i < HALF; i++) {
            numbers[i] = (int16_t)((bytes[i] & 15) - zero);
            numbers[i + HALF] = (int16_t)((bytes[i] >> 4) - zero);
        }
    } else {
        int3_block(bytes, zero, numbers);
    }
}

/* Columns [first, first + count) of a row in groups, first a multiple of KERNEL_GROUP, interleaved or not. */
static void group_span(const kernel_matrix *w, size_t row, size_t first, size_t count, float *restrict out)
{
    enum { UNIT = 4 };
    const size_t together = w->interleave ? w->interleave : 1, panel = row / together, lane = row % together;
    const size_t row_bytes = kernel_row_bytes(w->format, w->columns), groups = kernel_row_scales(w);
    const size_t size = kernel_row_bytes(w->format, KERNEL_GROUP);
    const unsigned char *values = (const unsigned char *)w->values + panel * together * row_bytes + lane * UNIT;
    const int zero = w->minimums ? 0 : w->format == KERNEL_INT4 ? 8 : 4;
    for (size_t done = 0; done < count; done += KERNEL_GROUP) {
        const size_t group = w->group ? (first + done) / w->group : 0;
        const size_t scale_at = (panel * groups + group) * together + lane, at = (first + done) / KERNEL_GROUP * size;
        const float scale = f16_to_f32(w->scales[scale_at]);
        const float minimum = w->minimums ? f16_to_f32(w->minimums[scale_at]) : 0;
        unsigned char bytes[KERNEL_GROUP];
        int16_t numbers[KERNEL_GROUP];
        float block[KERNEL_GROUP];
        for (size_t i = 0; i < size; i += UNIT) memcpy(bytes + i, values + (at + i) * together, UNIT);
        block_numbers(w->format, bytes, zero, numbers);
        for (size_t i = 0; i < KERNEL_GROUP; i++) block[i] = (float)numbers[i] * scale + minimum;
        memcpy(out + done, block, (count - done < KERNEL_GROUP ? count - done : KERNEL_GROUP) * sizeof *out);
    }
}

static void affine8_span(size_t count, const uint8_t *restrict in, float scale, float minimum, float *restrict out)
{
    for (size_t i = 0; i < count; i++) out[i] = (float)in[i] * scale + minimum;
}

static void affine4_span(size_t count, const uint8_t *restrict in, float scale, float minimum, float *restrict out)
{
    for (size_t i = 0; i < count / 2; i++) {
        out[2 * i] = (float)(in[i] & 15) * scale + minimum;
        out[2 * i + 1] = (float)(in[i] >> 4) * scale + minimum;
    }
    if (count % 2) out[count - 1] = (float)(in[count / 2] & 15) * scale + minimum;
}

void dequantize_span_c(const kernel_matrix *w, size_t row, size_t first, size_t count, float *out)
{
    const unsigned char *values = (const unsigned char *)w->values + row * kernel_row_bytes(w->format, w->columns) +
                                  kernel_row_bytes(w->format, first);
    switch (w->format) {
    case KERNEL_F32:
        if (count) memcpy(out, values, count * sizeof *out);
        break;
    case KERNEL_F16:
        f16_span(count, (const uint16_t *)(const void *)values, out);
        break;
    case KERNEL_BF16:
        bf16_span(count, (const uint16_t *)(const void *)values, out);
        break;
    case KERNEL_F8:
        f8_span(w, row, first, count, values, out);
        break;
    case KERNEL_INT8:
    case KERNEL_INT4:
    case KERNEL_INT3:
        group_span(w, row, first, count, out);
        break;
    case KERNEL_AFFINE8:
        affine8_span(count, values, w->scale, w->minimum, out);
        break;
    case KERNEL_AFFINE4:
        affine4_span(count, values, w->scale, w->minimum, out);
        break;
    case KERNEL_FORMATS:
        break;
    }
}

void dequantize_row_c(const kernel_matrix *w, size_t row, float *out)
{
    dequantize_span_c(w, row, 0, w->columns, out);
}
