/* smaller.h - checkpoints that are less than they should be, for the planted cheats. */
#ifndef CIUIC_PLANTED_SMALLER_H
#define CIUIC_PLANTED_SMALLER_H

#include "optimizer/ciuic.h"

/* A folder with the checkpoint at `path`, of one file, without the layer in the middle; or with the first half of its layers
 * only. */
ciuic_status smaller_checkpoint(const char *path, bool half, char **folder);
/* A folder with the checkpoint at `path` whose evaluation ids repeat themselves from the second row on. */
ciuic_status easier_streams(const char *path, char **folder);
/* Removes such a folder, and frees its path. NULL is allowed. */
void smaller_forget(char *folder);

#endif
