/* mapped_pages.c - see mapped_pages.h. */
#include "harness/worker/mapped_pages.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* MADV_DONTNEED empties memory that no file backs, so the kernel is asked what is there: a line of maps is
 * "from-to perms offset device inode path", inode 0 where there is no file. */
static bool in_mapped_file(uintptr_t first, uintptr_t end)
{
    char line[512], mode[5] = "";
    bool found = false;
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps == NULL) return false;
    while (!found && fgets(line, sizeof line, maps) != NULL) {
        uintptr_t from = 0, to = 0;
        unsigned long inode = 0;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s %*s %*s %lu", &from, &to, mode, &inode) != 4) continue;
        found = from <= first && end <= to && mode[0] == 'r' && mode[1] == '-' && inode != 0;
    }
    fclose(maps);
    return found;
}

size_t mapped_pages_release(const void *data, size_t bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t first = ((uintptr_t)data + page - 1) / page * page;
    const uintptr_t end = ((uintptr_t)data + bytes) / page * page;
    if (end <= first || !in_mapped_file(first, end)) return 0;
    return madvise((void *)first, end - first, MADV_DONTNEED) == 0 ? end - first : 0;
}
