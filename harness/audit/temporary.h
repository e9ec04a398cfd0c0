/* temporary.h - a folder for copies of checkpoints and for logits, gone when the audit is. */
#ifndef CIUIC_AUDIT_TEMPORARY_H
#define CIUIC_AUDIT_TEMPORARY_H

#include "optimizer/ciuic.h"

/* In $TMPDIR, or /tmp. The path is the caller's. */
ciuic_status temporary_make(char **path);
/* Removes it with everything in it, links not followed, and frees the path. NULL is allowed. */
void temporary_remove(char *path);

#endif
