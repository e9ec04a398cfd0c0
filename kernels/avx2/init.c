/* init.c - the avx2 rung: overrides what it does better. */
#include "kernels/avx2/kernels_avx2.h"

void kernel_table_init_avx2(kernel_table *table, uint32_t cpu)
{
    if (!(cpu & CPU_AVX2)) return;
    table->interleave = 8;
    table->matmul[KERNEL_F32] = matmul_f32_avx2;
    table->matmul[KERNEL_F16] = matmul_f16_avx2;
    table->matmul[KERNEL_BF16] = matmul_bf16_avx2;
    table->matmul[KERNEL_F8] = matmul_f8_avx2;
    table->matmul[KERNEL_INT8] = matmul_dequantized_avx2;
    table->matmul[KERNEL_INT4] = matmul_dequantized_avx2;
    table->matmul[KERNEL_INT3] = matmul_dequantized_avx2;
    table->matmul[KERNEL_INT5] = matmul_dequantized_avx2;
    table->matmul[KERNEL_INT6] = matmul_dequantized_avx2;
    table->matmul[KERNEL_AFFINE8] = matmul_affine8_avx2;
    table->matmul[KERNEL_AFFINE4] = matmul_affine4_avx2;
    table->matmul_q8[KERNEL_INT8] = matmul_int8_avx2;
    table->matmul_q8[KERNEL_INT4] = matmul_int4_avx2;
    table->matmul_q8[KERNEL_INT3] = matmul_int3_avx2;
    table->matmul_q8[KERNEL_INT5] = matmul_int5_avx2;
    table->matmul_q8[KERNEL_INT6] = matmul_int6_avx2;
    if (cpu & CPU_AVX_VNNI) {
        table->matmul_q8[KERNEL_INT8] = matmul_int8_avx_vnni;
        table->matmul_q8[KERNEL_INT4] = matmul_int4_avx_vnni;
        table->matmul_q8[KERNEL_INT3] = matmul_int3_avx_vnni;
        table->matmul_q8[KERNEL_INT5] = matmul_int5_avx_vnni;
        table->matmul_q8[KERNEL_INT6] = matmul_int6_avx_vnni;
    }
    table->dequantize_row = dequantize_row_avx2;
    table->matvec_transposed = matvec_transposed_avx2;
    table->quantize_q8 = quantize_q8_avx2;
    table->rms_norm = rms_norm_avx2;
    table->layer_norm = layer_norm_avx2;
    table->softmax = softmax_avx2;
    table->conv2d = conv2d_avx2;
    table->conv2d_blocked = conv2d_blocked_avx2;
    table->rope_halves = rope_halves_avx2;
    table->rope_interleaved = rope_interleaved_avx2;
    table->silu = silu_avx2;
    table->swiglu = swiglu_avx2;
    table->add = add_avx2;
    table->mul = mul_avx2;
    table->axpy = axpy_avx2;
    table->to_f16 = to_f16_avx2;
    table->from_f16 = from_f16_avx2;
    table->attention[KERNEL_CACHE_F32] = attention_f32_avx2;
    table->attention[KERNEL_CACHE_F16] = attention_f16_avx2;
    table->attention[KERNEL_CACHE_INT8] = attention_int8_avx2;
}
