/* weights.h - LANES weights of any floating-point or affine format as one vector of floats. The format is a constant at
 * every call, so the switch is gone after inlining. Included after the rung's vector.h. */
#ifndef CIUIC_KERNELS_SIMD_WEIGHTS_H
#define CIUIC_KERNELS_SIMD_WEIGHTS_H

#include "kernels/kernels.h"

/* Rows of weights (or keys) at any distance from each other. */
typedef struct weight_rows {
    const unsigned char *values;
    size_t stride;             /* bytes from one row to the next */
    vf scale, minimum;         /* affine formats */
    const float *block_scales; /* F8, as in kernel_matrix */
    size_t block_row, blocks;
    const kernel_matrix *matrix; /* that they are of; NULL for keys */
} weight_rows;

static ALWAYS_INLINE weight_rows rows_of_matrix(const kernel_matrix *w)
{
    return (weight_rows){.values = w->values,
                         .stride = kernel_row_bytes(w->format, w->columns),
                         .scale = vf_set1(w->scale),
                         .minimum = vf_set1(w->minimum),
                         .block_scales = w->block_scales,
                         .block_row = w->block_row,
                         .blocks = kernel_groups(w->columns, KERNEL_F8_BLOCK),
                         .matrix = w};
}

/* What a code of F8 times 2^-8, as vf_of_f8 gives it, is multiplied by. */
static ALWAYS_INLINE vf block_scale_at(const weight_rows *w, size_t row, size_t k)
{
    if (w->block_scales == NULL) return vf_set1(0x1p8f);
    return vf_set1(0x1p8f * w->block_scales[(w->block_row + row) / KERNEL_F8_BLOCK * w->blocks + k / KERNEL_F8_BLOCK]);
}

/* Column k is even, as is every multiple of LANES; where rows in groups lie as they are, a multiple of KERNEL_GROUP. */
static ALWAYS_INLINE const void *weight_at(kernel_format format, const weight_rows *w, size_t row, size_t k)
{
    const unsigned char *start = w->values + row * w->stride;
    switch (format) {
    case KERNEL_F32:
        return start + 4 * k;
    case KERNEL_F16:
    case KERNEL_BF16:
        return start + 2 * k;
    case KERNEL_AFFINE4:
    case KERNEL_INT4:
        return start + k / 2;
    case KERNEL_INT3:
        return start + k / 8 * 3;
    default:
        return start + k;
    }
}

static ALWAYS_INLINE vf load_weights(kernel_format format, const weight_rows *w, size_t row, size_t k)
{
    const void *p = weight_at(format, w, row, k);
    switch (format) {
    case KERNEL_F32:
        return vf_load(p);
    case KERNEL_F16:
        return vf_load_f16(p);
    case KERNEL_BF16:
        return vf_load_bf16(p);
    case KERNEL_F8: /* k is a multiple of LANES, so all of them are of one block */
        return vf_mul(vf_of_f8(load_bytes(p)), block_scale_at(w, row, k));
    case KERNEL_AFFINE8:
        return vf_fma(vf_of_u8(load_bytes(p)), w->scale, w->minimum);
    default:
        return vf_fma(vf_of_u8(split_nibbles(load_half_bytes(p))), w->scale, w->minimum);
    }
}

/* The first `count` < LANES of them; what stands in the other lanes is finite wherever scale and minimum are. */
static ALWAYS_INLINE vf load_weights_part(kernel_format format, const weight_rows *w, size_t row, size_t k,
                                          size_t count)
{
    const void *p = weight_at(format, w, row, k);
    switch (format) {
    case KERNEL_F32:
        return vf_load_part(p, count);
    case KERNEL_F16:
        return vf_load_f16_part(p, count);
    case KERNEL_BF16:
        return vf_load_bf16_part(p, count);
    case KERNEL_F8:
        return vf_mul(vf_of_f8(load_bytes_part(p, count)), block_scale_at(w, row, k));
    case KERNEL_AFFINE8:
        return vf_fma(vf_of_u8(load_bytes_part(p, count)), w->scale, w->minimum);
    default:
        return vf_fma(vf_of_u8(split_nibbles(load_bytes_part(p, (count + 1) / 2))), w->scale, w->minimum);
    }
}

#endif
