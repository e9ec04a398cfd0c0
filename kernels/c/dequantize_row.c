/* dequantize_row.c - weights of any format as floats: the definition of the formats in code. */
#include "kernels/c/convert.h"
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

/* Columns [first, first + count) of a row of INT8 or INT4, first a multiple of KERNEL_GROUP, interleaved or not. */
static void group_span(const kernel_matrix *w, size_t row, size_t first, size_t count, float *restrict out)
{
    enum { UNIT = 4, HALF = KERNEL_GROUP / 2 };
    const bool int8 = w->format == KERNEL_INT8;
    const size_t together = w->interleave ? w->interleave : 1, panel = row / together, lane = row % together;
    const size_t row_bytes = kernel_row_bytes(w->format, w->columns), groups = kernel_row_scales(w);
    const unsigned char *values = (const unsigned char *)w->values + panel * together * row_bytes + lane * UNIT;
    for (size_t done = 0; done < count; done += KERNEL_GROUP) {
        const size_t group = w->group ? (first + done) / w->group : 0;
        const size_t scale_at = (panel * groups + group) * together + lane;
        const float scale = f16_to_f32(w->scales[scale_at]);
        const float minimum = w->minimums ? f16_to_f32(w->minimums[scale_at]) : 0;
        unsigned char bytes[KERNEL_GROUP];
        float block[KERNEL_GROUP];
        const size_t at = kernel_row_bytes(w->format, first + done), size = int8 ? KERNEL_GROUP : HALF;
        for (size_t i = 0; i < size; i += UNIT) memcpy(bytes + i, values + (at + i) * together, UNIT);
        if (int8) {
            for (size_t i = 0; i < KERNEL_GROUP; i++) block[i] = (float)(int8_t)bytes[i] * scale + minimum;
        } else {
            const int zero = w->minimums ? 0 : 8;
            for (size_t i = 0; i < HALF; i++) {
                block[i] = (float)((bytes[i] & 15) - zero) * scale + minimum;
                block[i + HALF] = (float)((bytes[i] >> 4) - zero) * scale + minimum;
            }
        }
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
