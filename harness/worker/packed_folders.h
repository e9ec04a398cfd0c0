/* packed_folders.h - the folders that packed variants are loaded from: made when the first block needs them, in the bench's own
 * folder, and gone when all is measured. */
#ifndef CIUIC_PACKED_FOLDERS_H
#define CIUIC_PACKED_FOLDERS_H

#include "harness/worker/block.h"

/* Where folder `packing` lies, to be freed; NULL when out of memory. */
char *packed_folder_path(const bench *b, size_t packing);

/* Sees to it that the folder which case `index` is loaded from is there, if it is loaded from one: as the journal remembers
 * it, or made by a worker, whose answer is noted as an entry "packed". *failed is why there is none, borrowed from the record,
 * or NULL. Fails only when interrupted, out of memory, when the journal cannot be written, or when a folder that had to be made
 * again is another than it was. */
ciuic_status packed_folder_need(bench *b, size_t index, const char **failed);

/* The same of all that block `index` still has to measure: no worker of it is there yet to be disturbed. */
ciuic_status packed_folders_of_block(bench *b, size_t index);

/* Removes them all. */
void packed_folders_remove(const bench *b);

#endif
