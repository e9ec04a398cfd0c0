/* weights.h - LANES weights of any floating-point or affine format as one vector of floats. The format is a constant at
 * every call, so the switch is gone after inlining. Included after the rung's vector.h. */
#ifndef CIUIC_KERNELS_SIMD_WEIGHTS_H
#define CIUIC_KERNELS_SIMD_WEIGHTS_H

#include "kernels/kernels.h"

/* Rows of weights (or keys) at any distance from each other. */
typedef struct weight_rows {
    const unsigned char *values;
    size_t stride;     /* bytes from one row to the next */
    vf scale, minimum; /* affine formats */
} weight_rows;

static ALWAYS_INLINE weight_rows rows_of_matrix(const kernel_matrix *w)
{
    return (weight_rows){w->values, kernel_row_bytes(w->format, w->columns), vf_set1(w->scale), vf_set1(w->minimum)};
}

/* Column k is even; so is every multiple of LANES. */
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
        return start + k / 2;
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
    case KERNEL_AFFINE8:
        return vf_fma(vf_of_u8(load_bytes_part(p, count)), w->scale, w->minimum);
    default:
        return vf_fma(vf_of_u8(split_nibbles(load_bytes_part(p, (count + 1) / 2))), w->scale, w->minimum);
    }
}

#endif
