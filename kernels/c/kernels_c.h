/* kernels_c.h - the portable kernels, declared by kernel type; kernels.h says what each type computes. */
#ifndef CIUIC_KERNELS_C_H
#define CIUIC_KERNELS_C_H

#include "kernels/kernels.h"

kernel_matmul_fn matmul_f32_c, matmul_f16_c, matmul_bf16_c, matmul_f8_c, matmul_affine8_c, matmul_affine4_c;
kernel_matmul_fn matmul_dequantized_c; /* formats in groups */
kernel_matmul_q8_fn matmul_int8_c, matmul_int4_c, matmul_int3_c, matmul_int5_c, matmul_int6_c;
kernel_dequantize_row_fn dequantize_row_c;
kernel_matvec_transposed_fn matvec_transposed_c;
kernel_quantize_q8_fn quantize_q8_c;
kernel_rms_norm_fn rms_norm_c;
kernel_layer_norm_fn layer_norm_c;
kernel_softmax_fn softmax_c;
kernel_top_k_fn top_k_c;
kernel_route_fn route_c;
kernel_conv2d_fn conv2d_c;
kernel_conv2d_blocked_fn conv2d_blocked_c;
kernel_rope_fn rope_halves_c, rope_interleaved_c;
kernel_silu_fn silu_c;
kernel_swiglu_fn swiglu_c;
kernel_add_fn add_c;
kernel_mul_fn mul_c;
kernel_axpy_fn axpy_c;
kernel_to_f16_fn to_f16_c;
kernel_from_f16_fn from_f16_c;
kernel_attention_fn attention_f32_c, attention_f16_c, attention_int8_c;
kernel_attention_merge_fn attention_merge_c;
kernel_cache_int8_fn cache_int8_c;

/* out[i] = w[row][first + i] as float, i < count, for first a multiple of KERNEL_GROUP: what lets a matmul convert a
 * piece of a row once and use it for every row of x. */
void dequantize_span_c(const kernel_matrix *w, size_t row, size_t first, size_t count, float *out);

#endif
