/* prefetch.h - how far ahead of the weights in use the next ones are asked for. */
#ifndef CIUIC_KERNELS_SIMD_PREFETCH_H
#define CIUIC_KERNELS_SIMD_PREFETCH_H

/* Rows are read several side by side, a block of them at a time. Rows of a page or more are streams that the hardware
 * follows by itself, and better undisturbed. Shorter ones end before it has found its pace; so the same place some
 * whole blocks further on is asked for, far enough to cover the latency of memory. (Measured on Zen 4, rows of 256 to
 * 4096 bytes: up to half as fast again where weights come from L3 or memory, nothing lost in L2.) A prefetch past the
 * end does nothing. */
static ALWAYS_INLINE size_t prefetch_distance(size_t rows, size_t row_bytes)
{
    enum { PAGE = 4096, LEAST = 4096 };
    const size_t block = rows * row_bytes;
    if (row_bytes == 0 || row_bytes >= PAGE) return 0;
    return (LEAST + block - 1) / block * block;
}

static ALWAYS_INLINE void prefetch(const void *p)
{
    __builtin_prefetch(p);
}

/* What is needed only later, into the L2 cache. */
static ALWAYS_INLINE void prefetch_next(const void *p)
{
    __builtin_prefetch(p, 0, 2);
}

#endif
