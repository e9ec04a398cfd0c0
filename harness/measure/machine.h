/* machine.h - what is measured on: the record that goes into every result, and warnings that come with advice. */
#ifndef CIUIC_MACHINE_H
#define CIUIC_MACHINE_H

#include <cjson/cJSON.h>
#include <sched.h>

#include "kernels/kernels.h"
#include "optimizer/ciuic.h"

/* Describes this machine: cpu, cores, threads, memory_bytes, kernel, compiler, flags, isa, caches,
 * load_average, what machine_state.h adds, hypervisor, openblas, onednn, counters and warnings. Measures nothing. NULL when out of memory. */
cJSON *machine_describe(void);

/* Measures what physics allows here, for one thread and for `threads`: adds bandwidth_bytes_per_s and
 * bandwidth_by_isa_bytes_per_s (over a buffer of bandwidth_buffer_bytes, four times what machine_cache_bytes says of the CPUs
 * that this process may use; 128 MiB where it says 0), peak_flops_per_s, peak_bf16_ops_per_s and peak_int8_ops_per_s by rung.
 * Measured again, the higher figures stay. About two seconds, more where caches are of hundreds of megabytes.
 * CIUIC_ERROR_UNSUPPORTED where the record's memory_bytes or the limit of its cgroup is less than that buffer. */
ciuic_status machine_measure(cJSON *machine, int threads);

/* Sets the bandwidth by the loads of `isa` with so many threads where it is higher than what is known: of the rungs that read
 * by them, and of the machine, whose bandwidth is the best of any rung. In cross_check as well: a record has one figure of
 * this program's. */
void machine_raise_bandwidth(cJSON *machine, kernel_isa isa, int threads, double value);

/* What the caches of these CPUs hold together, in bytes: all instances of the level that holds the most. That is the last level,
 * but for machines whose second levels, one for each core, hold more than the third that all share. Read below `root`, "" for
 * this machine. Where the kernel does not say which CPUs share an instance, all do; 0 when it says nothing. */
ciuic_status machine_cache_bytes(const char *root, const cpu_set_t *cpus, size_t *bytes);

/* Seconds that the hypervisor gave to others while this machine wanted to run, summed over its cores, since boot; 0
 * where the kernel does not count. */
double machine_stolen_s(void);

#endif
