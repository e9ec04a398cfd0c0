/* kernels_neon.h - the kernels of the neon rung, declared by kernel type; kernels.h says what each type computes. */
#ifndef CIUIC_KERNELS_NEON_H
#define CIUIC_KERNELS_NEON_H

#include "kernels/kernels.h"

kernel_matmul_fn matmul_f32_neon, matmul_f16_neon, matmul_bf16_neon, matmul_affine8_neon, matmul_affine4_neon;
kernel_matmul_fn matmul_f8_neon;
kernel_matmul_fn matmul_dequantized_neon; /* formats in groups */
kernel_matmul_q8_fn matmul_int8_neon, matmul_int4_neon, matmul_int3_neon, matmul_int5_neon, matmul_int6_neon;
/* These need CPU_NEON_DOTPROD too. */
kernel_matmul_q8_fn matmul_int8_dotprod, matmul_int4_dotprod, matmul_int3_dotprod, matmul_int5_dotprod,
    matmul_int6_dotprod;
/* These need CPU_NEON_DOTPROD and CPU_NEON_I8MM too. */
kernel_matmul_q8_fn matmul_int8_i8mm, matmul_int4_i8mm, matmul_int3_i8mm, matmul_int5_i8mm, matmul_int6_i8mm;
kernel_dequantize_row_fn dequantize_row_neon;
kernel_matvec_transposed_fn matvec_transposed_neon;
kernel_quantize_q8_fn quantize_q8_neon;
kernel_rms_norm_fn rms_norm_neon;
kernel_layer_norm_fn layer_norm_neon;
kernel_softmax_fn softmax_neon;
kernel_conv2d_fn conv2d_neon;
kernel_conv2d_blocked_fn conv2d_blocked_neon;
kernel_rope_fn rope_halves_neon, rope_interleaved_neon;
kernel_silu_fn silu_neon;
kernel_swiglu_fn swiglu_neon;
kernel_add_fn add_neon;
kernel_mul_fn mul_neon;
kernel_axpy_fn axpy_neon;
kernel_to_f16_fn to_f16_neon;
kernel_from_f16_fn from_f16_neon;
kernel_attention_fn attention_f32_neon, attention_f16_neon, attention_int8_neon;

#endif
