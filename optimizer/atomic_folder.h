/* atomic_folder.h - a folder of output that appears whole or not at all: filled beside its place, then renamed. */
#ifndef CIUIC_ATOMIC_FOLDER_H
#define CIUIC_ATOMIC_FOLDER_H

#include "optimizer/ciuic.h"

typedef struct atomic_folder {
    char *path;      /* final path */
    char *temporary; /* path + ".XXXXXX": make files in here, and no folders */
    size_t parents;  /* bytes of `path` up to the end of the first parent that was made for it; 0: none was */
} atomic_folder;

/* `path` must not exist yet: CIUIC_ERROR_INPUT when it does. Parents that are missing are made. */
ciuic_status atomic_folder_open(const char *path, atomic_folder *folder);
/* Renames; the files in it are the caller's to have synchronised (atomic_file does). On failure nothing is left. */
ciuic_status atomic_folder_commit(atomic_folder *folder);
/* Of two for the same place: the parents that were made for `from` are from now on removed with `to`, which outlives it. */
void atomic_folder_inherit(atomic_folder *to, atomic_folder *from);
/* Removes the temporary folder with its files, and the parents made for it; harmless after a commit. */
void atomic_folder_abort(atomic_folder *folder);

#endif
