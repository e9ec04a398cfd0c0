/* init.c - the neon rung: overrides what it does better. Some extensions go unused. Arithmetic on binary16 (CPU_NEON_FP16)
 * also sums in binary16: eight products an instruction, but sums are to be FP32 (kernels.h). Its widening form (FHM: fmlal,
 * which sums in FP32) makes four products an instruction, no more than fmla does of floats, so that it could save only the
 * widening, which many rows of x share anyway; and it would want x rounded to binary16, which ends at 65504. Widening
 * binary16, e4m3's way to float included, takes no more than plain NEON has. bfloat16 products (CPU_NEON_BF16) would suit
 * BF16 and F8 weights and many rows of x; here those take the FP32 path, unrounded. */
#include "kernels/neon/kernels_neon.h"

void kernel_table_init_neon(kernel_table *table, uint32_t cpu)
{
    if (!(cpu & CPU_NEON)) return;
    table->interleave = 4;
    table->matmul[KERNEL_F32] = matmul_f32_neon;
    table->matmul[KERNEL_F16] = matmul_f16_neon;
    table->matmul[KERNEL_BF16] = matmul_bf16_neon;
    table->matmul[KERNEL_F8] = matmul_f8_neon;
    table->matmul[KERNEL_INT8] = matmul_dequantized_neon;
    table->matmul[KERNEL_INT4] = matmul_dequantized_neon;
    table->matmul[KERNEL_INT3] = matmul_dequantized_neon;
    table->matmul[KERNEL_INT5] = matmul_dequantized_neon;
    table->matmul[KERNEL_INT6] = matmul_dequantized_neon;
    table->matmul[KERNEL_AFFINE8] = matmul_affine8_neon;
    table->matmul[KERNEL_AFFINE4] = matmul_affine4_neon;
    table->matmul_q8[KERNEL_INT8] = matmul_int8_neon;
    table->matmul_q8[KERNEL_INT4] = matmul_int4_neon;
    table->matmul_q8[KERNEL_INT3] = matmul_int3_neon;
    table->matmul_q8[KERNEL_INT5] = matmul_int5_neon;
    table->matmul_q8[KERNEL_INT6] = matmul_int6_neon;
    if (cpu & CPU_NEON_DOTPROD) {
        table->matmul_q8[KERNEL_INT8] = matmul_int8_dotprod;
        table->matmul_q8[KERNEL_INT4] = matmul_int4_dotprod;
        table->matmul_q8[KERNEL_INT3] = matmul_int3_dotprod;
        table->matmul_q8[KERNEL_INT5] = matmul_int5_dotprod;
        table->matmul_q8[KERNEL_INT6] = matmul_int6_dotprod;
        if (cpu & CPU_NEON_I8MM) {
            table->matmul_q8[KERNEL_INT8] = matmul_int8_i8mm;
            table->matmul_q8[KERNEL_INT4] = matmul_int4_i8mm;
            table->matmul_q8[KERNEL_INT3] = matmul_int3_i8mm;
            table->matmul_q8[KERNEL_INT5] = matmul_int5_i8mm;
            table->matmul_q8[KERNEL_INT6] = matmul_int6_i8mm;
        }
    }
    table->dequantize_row = dequantize_row_neon;
    table->matvec_transposed = matvec_transposed_neon;
    table->quantize_q8 = quantize_q8_neon;
    table->rms_norm = rms_norm_neon;
    table->layer_norm = layer_norm_neon;
    table->softmax = softmax_neon;
    table->conv2d = conv2d_neon;
    table->conv2d_blocked = conv2d_blocked_neon;
    table->rope_halves = rope_halves_neon;
    table->rope_interleaved = rope_interleaved_neon;
    table->silu = silu_neon;
    table->swiglu = swiglu_neon;
    table->add = add_neon;
    table->mul = mul_neon;
    table->axpy = axpy_neon;
    table->to_f16 = to_f16_neon;
    table->from_f16 = from_f16_neon;
    table->attention[KERNEL_CACHE_F32] = attention_f32_neon;
    table->attention[KERNEL_CACHE_F16] = attention_f16_neon;
    table->attention[KERNEL_CACHE_INT8] = attention_int8_neon;
}
