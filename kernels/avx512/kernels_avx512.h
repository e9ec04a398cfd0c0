/* kernels_avx512.h - the kernels of the avx512 rung, declared by kernel type; kernels.h says what each type
 * computes. */
#ifndef CIUIC_KERNELS_AVX512_H
#define CIUIC_KERNELS_AVX512_H

#include "kernels/kernels.h"

kernel_matmul_fn matmul_f32_avx512, matmul_f16_avx512, matmul_bf16_avx512, matmul_bf16_dot, matmul_bf16_dot_few,
    matmul_affine8_avx512, matmul_affine4_avx512;
kernel_matmul_fn matmul_f8_avx512, matmul_f8_vbmi; /* the second needs CPU_AVX512_VBMI */
kernel_matmul_fn matmul_f8_dot;                    /* needs that and CPU_AVX512_BF16 */
kernel_matmul_fn matmul_dequantized_avx512;        /* formats in groups */
kernel_matmul_q8_fn matmul_int8_avx512, matmul_int4_avx512, matmul_int3_avx512, matmul_int5_avx512, matmul_int6_avx512;
kernel_matmul_q8_fn matmul_int8_vnni, matmul_int4_vnni, matmul_int3_vnni, matmul_int5_vnni,
    matmul_int6_vnni; /* need CPU_AVX512_VNNI too */
kernel_dequantize_row_fn dequantize_row_avx512;
kernel_matvec_transposed_fn matvec_transposed_avx512;
kernel_quantize_q8_fn quantize_q8_avx512;
kernel_rms_norm_fn rms_norm_avx512;
kernel_layer_norm_fn layer_norm_avx512;
kernel_softmax_fn softmax_avx512;
kernel_conv2d_fn conv2d_avx512;
kernel_conv2d_blocked_fn conv2d_blocked_avx512;
kernel_rope_fn rope_halves_avx512, rope_interleaved_avx512;
kernel_silu_fn silu_avx512;
kernel_swiglu_fn swiglu_avx512;
kernel_add_fn add_avx512;
kernel_mul_fn mul_avx512;
kernel_axpy_fn axpy_avx512;
kernel_to_f16_fn to_f16_avx512;
kernel_from_f16_fn from_f16_avx512;
kernel_attention_fn attention_f32_avx512, attention_f16_avx512, attention_int8_avx512;

#endif
