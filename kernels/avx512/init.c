/* init.c - the avx512 rung: overrides what it does better. */
#include "kernels/avx512/kernels_avx512.h"

void kernel_table_init_avx512(kernel_table *table, uint32_t cpu)
{
    if (!(cpu & CPU_AVX512)) return;
    table->matmul[KERNEL_F32] = matmul_f32_avx512;
    table->matmul[KERNEL_F16] = matmul_f16_avx512;
    table->matmul[KERNEL_BF16] = matmul_bf16_avx512;
    table->matmul[KERNEL_AFFINE8] = matmul_affine8_avx512;
    table->matmul[KERNEL_AFFINE4] = matmul_affine4_avx512;
    table->matmul_q8[KERNEL_INT8] = matmul_int8_avx512;
    table->matmul_q8[KERNEL_INT4] = matmul_int4_avx512;
    if (cpu & CPU_AVX512_VNNI) {
        table->matmul_q8[KERNEL_INT8] = matmul_int8_vnni;
        table->matmul_q8[KERNEL_INT4] = matmul_int4_vnni;
    }
}
