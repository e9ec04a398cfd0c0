/* prefetch.h - how far ahead of the weights in use the next ones are asked for. */
#ifndef CIUIC_KERNELS_SIMD_PREFETCH_H
#define CIUIC_KERNELS_SIMD_PREFETCH_H

/* Several rows are read side by side, a block of rows at a time; to the hardware's prefetcher that is several short
 * streams, each of which it has to discover anew. So where a block is small, the same place some whole blocks further on
 * is asked for: far enough to cover the latency of memory, near enough to be in the L1 cache still when it is needed.
 * Rows longer than that are streams of their own. A prefetch past the end does nothing. */
static ALWAYS_INLINE size_t prefetch_distance(size_t block_bytes)
{
    enum { NEAR = 4096, FAR = 8192, ALONG_THE_ROW = 1024 };
    if (block_bytes == 0 || block_bytes > FAR) return ALONG_THE_ROW;
    return (NEAR + block_bytes - 1) / block_bytes * block_bytes;
}

#endif
