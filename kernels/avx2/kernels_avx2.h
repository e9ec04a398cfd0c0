/* kernels_avx2.h - the kernels of the avx2 rung, declared by kernel type; kernels.h says what each type computes. */
#ifndef CIUIC_KERNELS_AVX2_H
#define CIUIC_KERNELS_AVX2_H

#include "kernels/kernels.h"

/* The name of this compilation's kernel: by AVX-VNNI's form of an instruction, or by AVX-512's (matmul_q8_vnni.c). */
#ifdef CIUIC_VNNI_EVEX
#define AVX_VNNI(name) name##_avx_vnni_evex
#else
#define AVX_VNNI(name) name##_avx_vnni
#endif

kernel_matmul_fn matmul_f32_avx2, matmul_f16_avx2, matmul_bf16_avx2, matmul_affine8_avx2, matmul_affine4_avx2;
kernel_matmul_fn matmul_f8_avx2;
kernel_matmul_fn matmul_dequantized_avx2; /* formats in groups */
kernel_matmul_q8_fn matmul_int8_avx2, matmul_int4_avx2, matmul_int3_avx2, matmul_int5_avx2, matmul_int6_avx2;
/* These need CPU_AVX_VNNI too. */
kernel_matmul_q8_fn matmul_int8_avx_vnni, matmul_int4_avx_vnni, matmul_int3_avx_vnni, matmul_int5_avx_vnni,
    matmul_int6_avx_vnni;
/* These, in check-kernels only, need CPU_AVX512_VNNI. */
kernel_matmul_q8_fn matmul_int8_avx_vnni_evex, matmul_int4_avx_vnni_evex, matmul_int3_avx_vnni_evex,
    matmul_int5_avx_vnni_evex, matmul_int6_avx_vnni_evex;
kernel_dequantize_row_fn dequantize_row_avx2;
kernel_matvec_transposed_fn matvec_transposed_avx2;
kernel_quantize_q8_fn quantize_q8_avx2;
kernel_rms_norm_fn rms_norm_avx2;
kernel_layer_norm_fn layer_norm_avx2;
kernel_softmax_fn softmax_avx2;
kernel_conv2d_fn conv2d_avx2;
kernel_conv2d_blocked_fn conv2d_blocked_avx2;
kernel_rope_fn rope_halves_avx2, rope_interleaved_avx2;
kernel_silu_fn silu_avx2;
kernel_swiglu_fn swiglu_avx2;
kernel_add_fn add_avx2;
kernel_mul_fn mul_avx2;
kernel_axpy_fn axpy_avx2;
kernel_to_f16_fn to_f16_avx2;
kernel_from_f16_fn from_f16_avx2;
kernel_attention_fn attention_f32_avx2, attention_f16_avx2, attention_int8_avx2;

#endif
