/* kernels_amx.h - the kernels of the amx rung, declared by kernel type; kernels.h says what each type computes. */
#ifndef CIUIC_KERNELS_AMX_H
#define CIUIC_KERNELS_AMX_H

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/kernels.h"

/* The name of this compilation's kernel: with the tile instructions, or with the model of them (tile.h). */
#ifdef CIUIC_TILES_MODELLED
#define AMX(name) name##_amx_modelled
#else
#define AMX(name) name##_amx
#endif

/* Fewer rows of x leave most of a tile empty: kernels of the avx512 rung take them. Where the two meet has not been
 * measured. Beside the model they are those of a Skylake, which can run the model too. */
enum { AMX_LEAST_ROWS = 16 };
#ifdef CIUIC_TILES_MODELLED
#define FEW_BF16 matmul_bf16_avx512
#define FEW_INT8 matmul_int8_avx512
#define FEW_INT4 matmul_int4_avx512
#else
#define FEW_BF16 matmul_bf16_dot
#define FEW_INT8 matmul_int8_vnni
#define FEW_INT4 matmul_int4_vnni
#endif

kernel_matmul_fn AMX(matmul_bf16);
kernel_matmul_q8_fn AMX(matmul_int8), AMX(matmul_int4);

/* As kernel_table_init_amx, with kernels whose tile instructions are modelled in C: linked into check-kernels only. */
void kernel_table_init_amx_modelled(kernel_table *table, uint32_t cpu);

#endif
