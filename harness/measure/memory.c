/* memory.c - see memory.h. */
#include "harness/measure/memory.h"

#include <stdio.h>
#include <unistd.h>

bool memory_read(process_memory *memory)
{
    FILE *file = fopen("/proc/self/status", "re");
    if (file == NULL) return false;
    char line[256];
    int found = 0;
    unsigned long long peak = 0, anon = 0, mapped = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        found += sscanf(line, "VmHWM: %llu kB", &peak) == 1;
        found += sscanf(line, "RssAnon: %llu kB", &anon) == 1;
        found += sscanf(line, "RssFile: %llu kB", &mapped) == 1;
    }
    fclose(file);
    if (found != 3) return false;
    *memory = (process_memory){
        .peak_rss = (size_t)peak * 1024, .rss_anon = (size_t)anon * 1024, .rss_file = (size_t)mapped * 1024};
    return true;
}

size_t memory_physical(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (size_t)pages * (size_t)page : 0;
}
