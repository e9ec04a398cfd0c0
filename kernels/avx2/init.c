/* init.c - the avx2 rung: overrides what it does better. */
#include "kernels/avx2/kernels_avx2.h"

void kernel_table_init_avx2(kernel_table *table, uint32_t cpu)
{
    if (!(cpu & CPU_AVX2)) return;
    table->matmul[KERNEL_F32] = matmul_f32_avx2;
    table->matmul[KERNEL_F16] = matmul_f16_avx2;
    table->matmul[KERNEL_BF16] = matmul_bf16_avx2;
    table->matmul[KERNEL_AFFINE8] = matmul_affine8_avx2;
    table->matmul[KERNEL_AFFINE4] = matmul_affine4_avx2;
    table->matmul_q8[KERNEL_INT8] = matmul_int8_avx2;
    table->matmul_q8[KERNEL_INT4] = matmul_int4_avx2;
}
