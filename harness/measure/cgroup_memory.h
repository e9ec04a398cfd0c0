/* cgroup_memory.h - holding a process to a limit by the memory controller of cgroup v2, where this program may make a group of
 * its own: the kernel then counts pages, where RLIMIT_AS counts addresses. */
#ifndef CIUIC_CGROUP_MEMORY_H
#define CIUIC_CGROUP_MEMORY_H

#include <sys/types.h>

#include "optimizer/ciuic.h"

typedef struct cgroup_memory {
    bool available;
    char parent[512]; /* the folder in which groups can be made; "" when not available */
    char reason[256]; /* why not; "" when available */
} cgroup_memory;

/* `root` is where cgroups are mounted, /sys/fs/cgroup; `membership` says which this process is in, /proc/self/cgroup. */
void cgroup_memory_find(const char *root, const char *membership, cgroup_memory *found);
/* The same of this process; asked of the system each time. */
void cgroup_memory_find_own(cgroup_memory *found);

/* Moves process `pid` into a new group `name` that may take `bytes` and no swap from now on: what it has already is not
 * counted. CIUIC_ERROR_UNSUPPORTED where the kernel refuses. */
ciuic_status cgroup_memory_hold(const cgroup_memory *c, const char *name, pid_t pid, size_t bytes);
/* Removes the group when its process is gone; nothing happens where there is none. */
void cgroup_memory_drop(const cgroup_memory *c, const char *name);

#endif
