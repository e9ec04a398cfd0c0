/* temporary.c - see temporary.h. */
#include "harness/audit/temporary.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/folder_removal.h"
#include "optimizer/error.h"

ciuic_status temporary_make(char **path)
{
    const char *root = getenv("TMPDIR");
    char *name = NULL;
    if (asprintf(&name, "%s/ciuic-audit-XXXXXX", root != NULL && root[0] != '\0' ? root : "/tmp") < 0)
        return ciuic_fail_memory("a path", 0);
    if (mkdtemp(name) != NULL) {
        *path = name;
        return CIUIC_OK;
    }
    const ciuic_status status =
        ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s: cannot be made: %s; set TMPDIR to a folder", name, strerror(errno));
    free(name);
    return status;
}

void temporary_remove(char *path)
{
    if (path == NULL) return;
    folder_remove(path);
    free(path);
}
