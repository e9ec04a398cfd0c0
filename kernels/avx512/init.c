/* init.c - the avx512 rung: overrides what it does better. */
#include "kernels/avx512/kernels_avx512.h"

void kernel_table_init_avx512(kernel_table *table, uint32_t cpu)
{
    if (!(cpu & CPU_AVX512)) return;
    table->interleave = 16;
    table->matmul[KERNEL_F32] = matmul_f32_avx512;
    table->matmul[KERNEL_F16] = matmul_f16_avx512;
    table->matmul[KERNEL_BF16] = matmul_bf16_avx512;
    table->matmul[KERNEL_F8] = matmul_f8_avx512;
    table->matmul[KERNEL_INT8] = matmul_dequantized_avx512;
    table->matmul[KERNEL_INT4] = matmul_dequantized_avx512;
    table->matmul[KERNEL_INT3] = matmul_dequantized_avx512;
    table->matmul[KERNEL_INT5] = matmul_dequantized_avx512;
    table->matmul[KERNEL_INT6] = matmul_dequantized_avx512;
    table->matmul[KERNEL_AFFINE8] = matmul_affine8_avx512;
    table->matmul[KERNEL_AFFINE4] = matmul_affine4_avx512;
    table->matmul_q8[KERNEL_INT8] = matmul_int8_avx512;
    table->matmul_q8[KERNEL_INT4] = matmul_int4_avx512;
    table->matmul_q8[KERNEL_INT3] = matmul_int3_avx512;
    table->matmul_q8[KERNEL_INT5] = matmul_int5_avx512;
    table->matmul_q8[KERNEL_INT6] = matmul_int6_avx512;
    if (cpu & CPU_AVX512_BF16_FAST) {
        table->matmul[KERNEL_BF16] = matmul_bf16_dot;
        table->rounds_x[KERNEL_BF16] = true;
    }
    if (cpu & CPU_AVX512_VBMI) table->matmul[KERNEL_F8] = matmul_f8_vbmi;
    if (cpu & CPU_AVX512_VBMI && cpu & CPU_AVX512_BF16_FAST) {
        table->matmul[KERNEL_F8] = matmul_f8_dot;
        table->rounds_x[KERNEL_F8] = true;
    }
    if (cpu & CPU_AVX512_VNNI) {
        table->matmul_q8[KERNEL_INT8] = matmul_int8_vnni;
        table->matmul_q8[KERNEL_INT4] = matmul_int4_vnni;
        table->matmul_q8[KERNEL_INT3] = matmul_int3_vnni;
        table->matmul_q8[KERNEL_INT5] = matmul_int5_vnni;
        table->matmul_q8[KERNEL_INT6] = matmul_int6_vnni;
    }
    table->dequantize_row = dequantize_row_avx512;
    table->matvec_transposed = matvec_transposed_avx512;
    table->quantize_q8 = quantize_q8_avx512;
    table->rms_norm = rms_norm_avx512;
    table->layer_norm = layer_norm_avx512;
    table->softmax = softmax_avx512;
    table->conv2d = conv2d_avx512;
    table->conv2d_blocked = conv2d_blocked_avx512;
    table->rope_halves = rope_halves_avx512;
    table->rope_interleaved = rope_interleaved_avx512;
    table->silu = silu_avx512;
    table->swiglu = swiglu_avx512;
    table->add = add_avx512;
    table->mul = mul_avx512;
    table->axpy = axpy_avx512;
    table->to_f16 = to_f16_avx512;
    table->from_f16 = from_f16_avx512;
    table->attention[KERNEL_CACHE_F32] = attention_f32_avx512;
    table->attention[KERNEL_CACHE_F16] = attention_f16_avx512;
    table->attention[KERNEL_CACHE_INT8] = attention_int8_avx512;
}
