/* page_cache.c - see page_cache.h. */
#include "harness/worker/page_cache.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

void page_cache_drop(const char *folder)
{
    DIR *files = opendir(folder);
    if (files == NULL) return;
    for (const struct dirent *f = readdir(files); f != NULL; f = readdir(files)) {
        const int file = openat(dirfd(files), f->d_name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
        if (file < 0) continue;
        (void)posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED);
        close(file);
    }
    closedir(files);
}
