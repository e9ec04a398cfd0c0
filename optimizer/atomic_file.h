/* atomic_file.h - output files that appear whole or not at all: written beside their place, fsynced, renamed. */
#ifndef CIUIC_ATOMIC_FILE_H
#define CIUIC_ATOMIC_FILE_H

#include <stdbool.h>
#include <stdio.h>

#include "optimizer/ciuic.h"

typedef struct atomic_file {
    FILE *stream;    /* write here */
    char *path;      /* final path */
    char *temporary; /* path + ".XXXXXX", same folder */
    bool unsynced;   /* may be set after opening: no fsync, so that a machine that crashes may lose it */
} atomic_file;

ciuic_status atomic_file_open(const char *path, atomic_file *file);
/* Flushes, checks for write errors (a full disk), fsyncs, renames. On failure the temporary is removed. */
ciuic_status atomic_file_commit(atomic_file *file);
/* Removes the temporary; harmless after a commit. */
void atomic_file_abort(atomic_file *file);
/* What a write to it that failed with this errno means; returns the status. */
ciuic_status atomic_file_failed(const atomic_file *file, int error);
/* The first three in one. */
ciuic_status atomic_file_write(const char *path, const void *data, size_t bytes);
/* The same without fsync: for many small files that can be made again, where waiting for the disk is most of the work. */
ciuic_status atomic_file_write_unsynced(const char *path, const void *data, size_t bytes);

#endif
