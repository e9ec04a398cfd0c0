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

static void int8_span(size_t count, const int8_t *restrict in, const uint16_t *restrict scales, float *restrict out)
{
    for (size_t first = 0; first < count; first += KERNEL_GROUP) {
        const size_t width = count - first < KERNEL_GROUP ? count - first : KERNEL_GROUP;
        const float scale = f16_to_f32(scales[first / KERNEL_GROUP]);
        for (size_t i = first; i < first + width; i++) out[i] = (float)in[i] * scale;
    }
}

static void int4_span(size_t count, const uint8_t *restrict in, const uint16_t *restrict scales, float *restrict out)
{
    enum { HALF = KERNEL_GROUP / 2 };
    for (size_t first = 0; first < count; first += KERNEL_GROUP) {
        float group[KERNEL_GROUP];
        const float scale = f16_to_f32(scales[first / KERNEL_GROUP]);
        const uint8_t *codes = in + first / 2;
        for (size_t i = 0; i < HALF; i++) {
            group[i] = (float)((codes[i] & 15) - 8) * scale;
            group[i + HALF] = (float)((codes[i] >> 4) - 8) * scale;
        }
        const size_t width = count - first < KERNEL_GROUP ? count - first : KERNEL_GROUP;
        memcpy(out + first, group, width * sizeof *out);
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
    const uint16_t *scales = w->scales;
    if (scales) scales += row * kernel_row_scales(w->format, w->columns) + first / KERNEL_GROUP;
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
    case KERNEL_INT8:
        int8_span(count, (const int8_t *)values, scales, out);
        break;
    case KERNEL_INT4:
        int4_span(count, values, scales, out);
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
