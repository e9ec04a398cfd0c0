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

/* Fewer rows of x leave most of a tile empty: kernels of the avx512 rung take them. Measured on Emerald Rapids with 2048 x 1536
 * weights, one thread; Gop/s of tiles and of vectors:
 *     rows            8          12         16         64          128
 *     BF16            93, 75     139, 82    188, 86    492, 113    629, 111
 *     INT8 by rows    255, 256   387, 364   502, 358   1299, 473   1501, 435
 *     INT8 by 32      175, 230   220, 292   284, 290   358, 332    386, 329
 *     INT4 by 32      151, 306   185, 338   247, 325   334, 323    384, 336
 * INT3 is left to either as INT4 is, unmeasured.
 * BF16 goes to tiles as soon as x may be rounded. On this CPU vectors multiply bfloat16 more slowly (VDPBF16PS: 72 to 86
 * Gop/s at best) than floats (179), so that fewer rows are left to the latter. */
enum {
    AMX_LEAST_ROWS_BF16 = KERNEL_BF16_ROWS,
    AMX_LEAST_ROWS = 12,
    AMX_LEAST_ROWS_GROUPS = 64,
};

/* Beside the model they are those of a Skylake, which can run the model too. */
#ifdef CIUIC_TILES_MODELLED
#define FEW_BF16 matmul_bf16_avx512
#define FEW_INT8 matmul_int8_avx512
#define FEW_INT4 matmul_int4_avx512
#define FEW_INT3 matmul_int3_avx512
#else
#define FEW_BF16 matmul_bf16_avx512
#define FEW_INT8 matmul_int8_vnni
#define FEW_INT4 matmul_int4_vnni
#define FEW_INT3 matmul_int3_vnni
#endif

kernel_matmul_fn AMX(matmul_bf16);
kernel_matmul_q8_fn AMX(matmul_int8), AMX(matmul_int4), AMX(matmul_int3);

/* As kernel_table_init_amx, with kernels whose tile instructions are modelled in C: linked into check-kernels only. */
void kernel_table_init_amx_modelled(kernel_table *table, uint32_t cpu);

#endif
