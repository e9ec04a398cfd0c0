/* memory.c - see memory.h. */
#include "harness/measure/memory.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A line "Name:   123 kB" of a file under /proc. */
typedef struct figure {
    const char *format;
    size_t *bytes;
} figure;

/* Adds up what the lines of `path` say; whether each figure was there. */
static bool read_figures(const char *path, const figure *figures, int count)
{
    char line[512];
    unsigned found = 0;
    FILE *file = fopen(path, "re");
    if (file == NULL) return false;
    while (fgets(line, sizeof line, file) != NULL)
        for (int i = 0; i < count; i++) {
            unsigned long long kilobytes = 0;
            if (sscanf(line, figures[i].format, &kilobytes) != 1) continue;
            *figures[i].bytes += (size_t)kilobytes * 1024;
            found |= 1u << i;
        }
    fclose(file);
    return found == (1u << count) - 1;
}

bool memory_read(process_memory *memory)
{
    process_memory m = {0};
    const figure figures[] = {{"VmHWM: %llu kB", &m.peak_rss},     {"VmRSS: %llu kB", &m.rss},
                              {"RssAnon: %llu kB", &m.rss_anon},   {"RssFile: %llu kB", &m.rss_file},
                              {"RssShmem: %llu kB", &m.rss_shmem}, {"VmSize: %llu kB", &m.addresses}};
    if (!read_figures("/proc/self/status", figures, sizeof figures / sizeof figures[0])) return false;
    *memory = m;
    return true;
}

bool memory_read_sharing(memory_sharing *sharing)
{
    memory_sharing s = {0};
    const figure figures[] = {{"Private_Clean: %llu kB", &s.private_bytes},
                              {"Private_Dirty: %llu kB", &s.private_bytes},
                              {"Shared_Clean: %llu kB", &s.shared_bytes},
                              {"Shared_Dirty: %llu kB", &s.shared_bytes}};
    if (!read_figures("/proc/self/smaps_rollup", figures, sizeof figures / sizeof figures[0])) return false;
    *sharing = s;
    return true;
}

/* A mapping of smaps: the line "from-to perms offset device inode path", then its figures, the last of them its flags. */
typedef struct mapping {
    unsigned long long from, to;
    bool guard;      /* a page that nobody may touch */
    bool checkpoint; /* a .safetensors file */
    bool stack;      /* the first thread's, or one behind a guard, as threads' are */
    size_t resident;
} mapping;

static bool begin_mapping(const char *line, const mapping *before, mapping *m)
{
    static const char suffix[] = ".safetensors\n";
    char perms[5] = "";
    unsigned long long from = 0, to = 0, inode = 0;
    if (sscanf(line, "%llx-%llx %4s %*s %*s %llu", &from, &to, perms, &inode) != 4) return false;
    const size_t length = strlen(line);
    const bool writable = strncmp(perms, "rw", 2) == 0;
    *m = (mapping){.from = from,
                   .to = to,
                   .guard = strcmp(perms, "---p") == 0 && to - from == (unsigned long long)sysconf(_SC_PAGESIZE),
                   .checkpoint = length >= sizeof suffix && strcmp(line + length - (sizeof suffix - 1), suffix) == 0,
                   .stack = strstr(line, "[stack]") != NULL ||
                            (writable && inode == 0 && before->guard && before->to == from)};
    return true;
}

bool memory_read_mappings(memory_mappings *mappings)
{
    char line[4608];
    mapping m = {0}, before = {0};
    *mappings = (memory_mappings){0};
    FILE *file = fopen("/proc/self/smaps", "re");
    if (file == NULL) return false;
    while (fgets(line, sizeof line, file) != NULL) {
        unsigned long long kilobytes = 0;
        before = m;
        if (begin_mapping(line, &before, &m)) continue;
        if (sscanf(line, "Rss: %llu kB", &kilobytes) == 1) m.resident = (size_t)kilobytes * 1024;
        if (strncmp(line, "VmFlags:", 8) != 0) continue;
        if (m.checkpoint) mappings->checkpoints += m.resident;
        /* The cache's layers, too, lie behind pages that nobody may touch, but are not reserved (nr). */
        if (m.stack && strstr(line, " nr") == NULL) mappings->stacks += m.resident;
    }
    fclose(file);
    return true;
}

size_t memory_physical(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return pages > 0 && page > 0 ? (size_t)pages * (size_t)page : 0;
}
