/* init.c - the first rung: every entry of the table, in portable C. */
#include "kernels/c/kernels_c.h"

void kernel_table_init_c(kernel_table *table)
{
    table->matmul[KERNEL_F32] = matmul_f32_c;
    table->matmul[KERNEL_F16] = matmul_f16_c;
    table->matmul[KERNEL_BF16] = matmul_bf16_c;
    table->matmul[KERNEL_F8] = matmul_f8_c;
    table->matmul[KERNEL_INT8] = matmul_dequantized_c;
    table->matmul[KERNEL_INT4] = matmul_dequantized_c;
    table->matmul[KERNEL_INT3] = matmul_dequantized_c;
    table->matmul[KERNEL_INT5] = matmul_dequantized_c;
    table->matmul[KERNEL_INT6] = matmul_dequantized_c;
    table->matmul[KERNEL_AFFINE8] = matmul_affine8_c;
    table->matmul[KERNEL_AFFINE4] = matmul_affine4_c;
    table->matmul_q8[KERNEL_INT8] = matmul_int8_c;
    table->matmul_q8[KERNEL_INT4] = matmul_int4_c;
    table->matmul_q8[KERNEL_INT3] = matmul_int3_c;
    table->matmul_q8[KERNEL_INT5] = matmul_int5_c;
    table->matmul_q8[KERNEL_INT6] = matmul_int6_c;
    table->dequantize_row = dequantize_row_c;
    table->matvec_transposed = matvec_transposed_c;
    table->quantize_q8 = quantize_q8_c;
    table->rms_norm = rms_norm_c;
    table->layer_norm = layer_norm_c;
    table->softmax = softmax_c;
    table->top_k = top_k_c;
    table->route = route_c;
    table->conv2d = conv2d_c;
    table->conv2d_blocked = conv2d_blocked_c;
    table->rope_halves = rope_halves_c;
    table->rope_interleaved = rope_interleaved_c;
    table->silu = silu_c;
    table->swiglu = swiglu_c;
    table->add = add_c;
    table->mul = mul_c;
    table->axpy = axpy_c;
    table->to_f16 = to_f16_c;
    table->from_f16 = from_f16_c;
    table->attention[KERNEL_CACHE_F32] = attention_f32_c;
    table->attention[KERNEL_CACHE_F16] = attention_f16_c;
    table->attention[KERNEL_CACHE_INT8] = attention_int8_c;
    table->attention_merge = attention_merge_c;
    table->cache_int8 = cache_int8_c;
}
