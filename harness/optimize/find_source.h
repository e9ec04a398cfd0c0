/* find_source.h - the checkpoint that a quantised one was made from: what its errors are measured against. */
#ifndef CIUIC_FIND_SOURCE_H
#define CIUIC_FIND_SOURCE_H

#include "optimizer/ciuic.h"

/* The path of the checkpoint to measure `folder` against, to be freed: `given`, where that is not NULL; of a quantised
 * folder the source that its config.json names; otherwise the folder itself. *gone: that source is not there, and none was
 * given: then there is nothing to measure against. CIUIC_ERROR_INPUT: what is there has another digest than the source had. */
ciuic_status find_source(const char *folder, const char *given, char **path, bool *gone);

#endif
