/* init.c - the amx rung: overrides what it does better. */
#include "kernels/amx/kernels_amx.h"

void AMX(kernel_table_init)(kernel_table *table, uint32_t cpu)
{
    if (!(cpu & CPU_AVX512) || !(cpu & CPU_AMX_TILE)) return;
#ifndef CIUIC_TILES_MODELLED /* what they round x with, and what the avx512 rung takes over, kernels_amx.h */
    if (!(cpu & CPU_AVX512_VNNI) || !(cpu & CPU_AVX512_BF16)) return;
#endif
    if (cpu & CPU_AMX_BF16) {
        table->matmul[KERNEL_BF16] = AMX(matmul_bf16);
        table->rounds_x[KERNEL_BF16] = true;
    }
    if (cpu & CPU_AMX_INT8) {
        table->matmul_q8[KERNEL_INT8] = AMX(matmul_int8);
        table->matmul_q8[KERNEL_INT4] = AMX(matmul_int4);
        table->matmul_q8[KERNEL_INT3] = AMX(matmul_int3);
    }
}
