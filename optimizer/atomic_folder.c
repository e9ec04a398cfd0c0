/* atomic_folder.c - output by way of a temporary folder beside its place and renameat2(2), which replaces nothing. */
#include "optimizer/atomic_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "optimizer/error.h"

static ciuic_status is_there(const char *path)
{
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: is there already; expected a new name, or remove it first", path);
}

/* A path that cannot be made is the caller's mistake; a full or failing disk is the machine's. */
static ciuic_status cannot_be_made(const char *path, int error)
{
    const bool machine = error == ENOSPC || error == EDQUOT || error == EIO || error == EROFS || error == ENOMEM;
    return ciuic_fail(machine ? CIUIC_ERROR_UNSUPPORTED : CIUIC_ERROR_INPUT,
                      "%s: the folder cannot be made: %s; choose a writable place", path, strerror(error));
}

/* Makes what is missing of the folders that `path` is in; notes where that began. */
static ciuic_status make_parents(atomic_folder *folder)
{
    char *path = folder->path;
    for (char *slash = strchr(path + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        const int made = mkdir(path, 0777), error = errno;
        *slash = '/';
        if (made == 0 && folder->parents == 0) folder->parents = (size_t)(slash - path);
        if (made != 0 && error != EEXIST) return cannot_be_made(path, error);
    }
    return CIUIC_OK;
}

/* Not mkdtemp(3): that makes folders only their owner can enter. */
static ciuic_status make_temporary(atomic_folder *folder)
{
    const size_t stem = strlen(folder->path);
    int error = EEXIST;
    memcpy(folder->temporary, folder->path, stem);
    for (unsigned attempt = 0; error == EEXIST && attempt < 100; attempt++) {
        struct timespec now = {0};
        clock_gettime(CLOCK_MONOTONIC, &now);
        const unsigned mixed = ((unsigned)now.tv_nsec ^ (unsigned)getpid() << 8) + attempt;
        snprintf(folder->temporary + stem, sizeof ".XXXXXX", ".%06x", mixed & 0xffffffu);
        if (mkdir(folder->temporary, 0777) == 0) return CIUIC_OK;
        error = errno;
    }
    folder->temporary[0] = '\0'; /* not ours to remove */
    return cannot_be_made(folder->path, error);
}

ciuic_status atomic_folder_open(const char *path, atomic_folder *folder)
{
    *folder = (atomic_folder){0};
    size_t length = strlen(path);
    while (length > 1 && path[length - 1] == '/') length--;
    if (length == 0) return ciuic_fail(CIUIC_ERROR_INPUT, "the path is empty; expected where to write");
    folder->path = strndup(path, length);
    folder->temporary = calloc(length + sizeof ".XXXXXX", 1);
    struct stat status;
    ciuic_status result = CIUIC_OK;
    if (folder->path == NULL || folder->temporary == NULL)
        result = ciuic_fail_memory("a folder's name", length);
    else if (lstat(folder->path, &status) == 0)
        result = is_there(folder->path);
    if (result == CIUIC_OK) result = make_parents(folder);
    if (result == CIUIC_OK) result = make_temporary(folder);
    if (result != CIUIC_OK) atomic_folder_abort(folder);
    return result;
}

ciuic_status atomic_folder_commit(atomic_folder *folder)
{
    int error = renameat2(AT_FDCWD, folder->temporary, AT_FDCWD, folder->path, RENAME_NOREPLACE) == 0 ? 0 : errno;
    /* A file system without the flag: rename would replace an empty folder at most. */
    if (error == EINVAL) error = rename(folder->temporary, folder->path) == 0 ? 0 : errno;
    ciuic_status status = CIUIC_OK;
    if (error == EEXIST || error == ENOTEMPTY) {
        status = is_there(folder->path);
    } else if (error != 0) {
        status = cannot_be_made(folder->path, error);
    } else {
        folder->temporary[0] = '\0'; /* it has its final name now */
        folder->parents = 0;
    }
    atomic_folder_abort(folder);
    return status;
}

static void remove_files(const char *path)
{
    DIR *files = opendir(path);
    if (files == NULL) return;
    for (const struct dirent *file = readdir(files); file != NULL; file = readdir(files))
        (void)!unlinkat(dirfd(files), file->d_name, 0); /* fails for "." and "..", and that is as well */
    closedir(files);
    rmdir(path);
}

/* From the deepest up to the first that was made; one that someone else put something into stays. */
static void remove_parents(atomic_folder *folder)
{
    for (size_t end = strlen(folder->path); folder->parents > 0 && end >= folder->parents; end--) {
        if (folder->path[end] != '/') continue;
        folder->path[end] = '\0';
        if (rmdir(folder->path) != 0) return;
    }
}

void atomic_folder_inherit(atomic_folder *to, atomic_folder *from)
{
    if (to->parents == 0 || (from->parents != 0 && from->parents < to->parents)) to->parents = from->parents;
    from->parents = 0;
}

void atomic_folder_abort(atomic_folder *folder)
{
    if (folder->temporary != NULL && folder->temporary[0] != '\0') remove_files(folder->temporary);
    if (folder->path != NULL) remove_parents(folder);
    free(folder->path);
    free(folder->temporary);
    *folder = (atomic_folder){0};
}
