/* kernels_amx.h - the kernels of the amx rung, declared by kernel type; kernels.h says what each type computes. */
#ifndef CIUIC_KERNELS_AMX_H
#define CIUIC_KERNELS_AMX_H

#include "kernels/kernels.h"

/* The name of this compilation's kernel: with the tile instructions, or with the model of them (tile.h). */
#ifdef CIUIC_TILES_MODELLED
#define AMX(name) name##_amx_modelled
#else
#define AMX(name) name##_amx
#endif

/* Fewer rows of x leave most of a tile empty; the avx512 rung takes them. */
enum { AMX_LEAST_ROWS = 16 };

kernel_matmul_fn AMX(matmul_bf16);
kernel_matmul_q8_fn AMX(matmul_int8), AMX(matmul_int4);

/* As kernel_table_init_amx, with kernels whose tile instructions are modelled in C: linked into check-kernels only. */
void kernel_table_init_amx_modelled(kernel_table *table, uint32_t cpu);

#endif
