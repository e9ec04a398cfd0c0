/* lies_within.h - whether output would go into a checkpoint: a slip of the hand must not replace a model. */
#ifndef CIUIC_LIES_WITHIN_H
#define CIUIC_LIES_WITHIN_H

#include <stdbool.h>

/* Whether `path` is the folder or lies in it, links followed; a path that is not there yet lies where the first of its
 * parents that is there does. */
bool lies_within(const char *path, const char *folder);

#endif
