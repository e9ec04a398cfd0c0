/* atomic_file.c - output by way of a temporary file in the same folder and rename(2). */
#include "optimizer/atomic_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "optimizer/error.h"

/* A path that cannot be written is the caller's mistake; a full or failing disk is the machine's. */
static ciuic_status output_failed(const char *path, int error)
{
    const bool path_is_wrong = error == ENOENT || error == ENOTDIR || error == EISDIR || error == EACCES ||
                               error == EPERM || error == ENAMETOOLONG || error == ELOOP;
    return ciuic_fail(path_is_wrong ? CIUIC_ERROR_INPUT : CIUIC_ERROR_UNSUPPORTED,
                      "%s: cannot be written: %s; choose a writable place with enough space", path, strerror(error));
}

/* Not mkstemp(3): that makes files only their owner can read, and the umask cannot be read without changing it. */
static int create_temporary(char *temporary, size_t stem)
{
    static atomic_uint counter;
    for (int attempt = 0; attempt < 100; attempt++) {
        struct timespec now = {0};
        clock_gettime(CLOCK_MONOTONIC, &now);
        const unsigned mixed = ((unsigned)now.tv_nsec ^ (unsigned)getpid() << 8) + atomic_fetch_add(&counter, 1u);
        snprintf(temporary + stem, 8, ".%06x", mixed & 0xffffffu);
        const int descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (descriptor >= 0 || errno != EEXIST) return descriptor;
    }
    return -1;
}

ciuic_status atomic_file_open(const char *path, atomic_file *file)
{
    *file = (atomic_file){0};
    if (path[0] == '\0') return ciuic_fail(CIUIC_ERROR_INPUT, "the path is empty; expected where to write");
    struct stat status;
    if (stat(path, &status) == 0 && !S_ISREG(status.st_mode))
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: is %s; expected a regular file or a new name", path,
                          S_ISDIR(status.st_mode) ? "a folder" : "a device, pipe or socket");

    const size_t length = strlen(path);
    file->path = strdup(path);
    file->temporary = malloc(length + sizeof ".XXXXXX");
    if (file->path == NULL || file->temporary == NULL) {
        atomic_file_abort(file);
        return ciuic_fail_memory("a file name", length);
    }
    memcpy(file->temporary, path, length + 1);
    const int descriptor = create_temporary(file->temporary, length);
    if (descriptor < 0) {
        const int error = errno;
        file->temporary[0] = '\0'; /* not ours to remove */
        atomic_file_abort(file);
        return output_failed(path, error);
    }
    file->stream = fdopen(descriptor, "wb");
    if (file->stream == NULL) {
        close(descriptor);
        atomic_file_abort(file);
        return ciuic_fail_memory("a stream", BUFSIZ);
    }
    return CIUIC_OK;
}

ciuic_status atomic_file_failed(const atomic_file *file, int error)
{
    return output_failed(file->path, error);
}

void atomic_file_abort(atomic_file *file)
{
    if (file->stream != NULL) fclose(file->stream);
    if (file->temporary != NULL && file->temporary[0] != '\0') unlink(file->temporary);
    free(file->path);
    free(file->temporary);
    *file = (atomic_file){0};
}

/* Makes the rename itself last. Best effort: the file is whole either way, and some file systems refuse this. */
static void sync_folder(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash == NULL ? strdup(".") : strndup(path, (size_t)(slash - path) + 1);
    if (folder == NULL) return;
    const int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    free(folder);
    if (descriptor < 0) return;
    (void)!fsync(descriptor);
    close(descriptor);
}

/* 0, or the errno of the first thing that failed. */
static int flush_and_close(atomic_file *file)
{
    /* A write that failed before now left its mark on the stream, and its errno is gone: most likely a full disk. */
    int error = ferror(file->stream) ? ENOSPC : 0;
    if (fflush(file->stream) != 0 && error == 0) error = errno;
    /* EINVAL: a file system that cannot synchronise. */
    if (error == 0 && !file->unsynced && fsync(fileno(file->stream)) != 0 && errno != EINVAL) error = errno;
    if (fclose(file->stream) != 0 && error == 0) error = errno;
    file->stream = NULL;
    return error;
}

ciuic_status atomic_file_commit(atomic_file *file)
{
    int error = flush_and_close(file);
    if (error == 0 && rename(file->temporary, file->path) != 0) error = errno;
    ciuic_status status = CIUIC_OK;
    if (error != 0) {
        status = output_failed(file->path, error);
    } else {
        file->temporary[0] = '\0'; /* it has its final name now */
        if (!file->unsynced) sync_folder(file->path);
    }
    atomic_file_abort(file);
    return status;
}

static ciuic_status write_whole(const char *path, const void *data, size_t bytes, bool unsynced)
{
    atomic_file file;
    CIUIC_TRY(atomic_file_open(path, &file));
    file.unsynced = unsynced;
    if (bytes > 0) fwrite(data, 1, bytes, file.stream); /* commit looks at the stream's error mark */
    return atomic_file_commit(&file);
}

ciuic_status atomic_file_write(const char *path, const void *data, size_t bytes)
{
    return write_whole(path, data, bytes, false);
}

ciuic_status atomic_file_write_unsynced(const char *path, const void *data, size_t bytes)
{
    return write_whole(path, data, bytes, true);
}
