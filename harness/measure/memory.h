/* memory.h - what the kernel says about this process's memory (/proc/self/status, smaps_rollup, smaps). */
#ifndef CIUIC_MEASURE_MEMORY_H
#define CIUIC_MEASURE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

typedef struct process_memory {
    size_t peak_rss;  /* VmHWM, bytes: the most that was resident since the start */
    size_t rss;       /* VmRSS: resident now, the sum of the three below */
    size_t rss_anon;  /* RssAnon: heap, stacks */
    size_t rss_file;  /* RssFile: mapped files, shared libraries among them */
    size_t rss_shmem; /* RssShmem: shared memory without a file */
    size_t addresses; /* VmSize: what RLIMIT_AS counts */
} process_memory;

/* False when the kernel does not say. */
bool memory_read(process_memory *memory);

/* The same resident memory by who else maps its pages. */
typedef struct memory_sharing {
    size_t private_bytes, shared_bytes;
} memory_sharing;
bool memory_read_sharing(memory_sharing *sharing);

/* Resident bytes of mappings by what they are. */
typedef struct memory_mappings {
    size_t checkpoints; /* mapped .safetensors files */
    size_t stacks;      /* of the first thread and of all others: kernels keep panels of matrices there */
} memory_mappings;
bool memory_read_mappings(memory_mappings *mappings);

/* Physical memory of the machine, bytes; 0 when unknown. */
size_t memory_physical(void);

#endif
