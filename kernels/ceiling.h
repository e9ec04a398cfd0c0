/* ceiling.h - what physics allows on this machine, measured: the bandwidth of loads and the peak of arithmetic, by
 * loops that do nothing else. The harness turns these into ceilings; check-kernels prints shares of them. */
#ifndef CIUIC_KERNELS_CEILING_H
#define CIUIC_KERNELS_CEILING_H

#include "kernels/kernels.h"

/* Bytes per second that `threads` threads together stream from one buffer of `bytes`, each its own part, in one run or in
 * several side by side and by the loads of any rung, whichever is fastest: the widest need not be. The best pass of about `seconds`. The buffer is allocated and freed here; 0 when it cannot be. */
double ceiling_load_bandwidth(int threads, size_t bytes, double seconds);

/* The same by the loads of every rung in turn, each for about `seconds`, over one buffer, since filling it costs more than
 * reading it. A rung that this machine cannot run has 0; all have, when there is no buffer. */
void ceiling_bandwidth_by_isa(int threads, size_t bytes, double seconds, double by_isa[KERNEL_ISAS]);

/* By a rung's loads, as other programs measure it: in one run of each thread, and over pages as the system gives them. 0
 * when this machine cannot run the rung. */
double ceiling_plain_bandwidth(kernel_isa isa, int threads, size_t bytes, double seconds);

/* The rung whose loads `isa` reads memory with: its own, but for amx avx512's. Tile loads fill registers that only tile
 * products read, so they are no way to stream: what they bring in are the lines that avx512's loads bring in. */
kernel_isa ceiling_loads_of(kernel_isa isa);

/* FP32 operations per second (a multiply and an add count as two) of a loop that stays in registers, over all threads.
 * The portable rung multiplies and adds; the others fuse. 0 when this machine cannot run the rung. */
double ceiling_fma_peak(kernel_isa isa, int threads, double seconds);

/* int8 operations per second (a multiply and an add count as two) of the best int8 dot product that the rung's kernels
 * may use here; 0 when the rung has none or this machine cannot run it. */
double ceiling_dot_peak(kernel_isa isa, int threads, double seconds);

/* bfloat16 operations per second (a multiply and an add count as two) of the rung's bfloat16 dot product, over all
 * threads; 0 when the rung has none or this machine cannot run it. */
double ceiling_bf16_peak(kernel_isa isa, int threads, double seconds);

#endif
