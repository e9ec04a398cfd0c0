/* peak.h - the loops behind ceiling.h, one set per rung: nothing but loads, or nothing but arithmetic. */
#ifndef CIUIC_KERNELS_PEAK_H
#define CIUIC_KERNELS_PEAK_H

#include <stddef.h>
#include <stdint.h>

/* Does `rounds` rounds of arithmetic in registers; returns the operations done. */
typedef double peak_arithmetic_fn(size_t rounds);
/* Reads `streams` runs of `bytes` bytes side by side, the first at p, each behind the one before; `bytes` is a multiple
 * of 512 and p aligned to 64. Every byte is loaded, as often as the function is called. */
typedef void peak_load_fn(const void *p, size_t bytes, size_t streams);

peak_arithmetic_fn peak_multiply_add_c, peak_fma_avx2, peak_fma_avx512;
peak_arithmetic_fn peak_dot_avx2, peak_dot_avx_vnni, peak_dot_avx512, peak_dot_vnni, peak_bf16_avx512, peak_dot_amx,
    peak_bf16_amx;
peak_load_fn peak_load_c, peak_load_avx2, peak_load_avx512;
peak_arithmetic_fn peak_fma_neon, peak_dot_neon, peak_dot_dotprod, peak_dot_i8mm;
peak_load_fn peak_load_neon;

#endif
