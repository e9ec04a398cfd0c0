/* memory.h - what the kernel says about this process's memory (/proc/self/status). */
#ifndef CIUIC_MEASURE_MEMORY_H
#define CIUIC_MEASURE_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

typedef struct process_memory {
    size_t peak_rss; /* VmHWM, bytes: the most that was resident since the start */
    size_t rss_anon; /* RssAnon: heap, stacks */
    size_t rss_file; /* RssFile: mapped files, shared libraries among them */
} process_memory;

/* False when the kernel does not say. */
bool memory_read(process_memory *memory);
/* Physical memory of the machine, bytes; 0 when unknown. */
size_t memory_physical(void);

#endif
