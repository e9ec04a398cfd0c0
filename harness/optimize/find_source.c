/* find_source.c - see find_source.h. */
#include "harness/optimize/find_source.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/suite/checkpoint_digest.h"
#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/error.h"

static ciuic_status check_digest(const char *folder, const char *path, const char *expected)
{
    checkpoint *c = NULL;
    sha256_hex found;
    CIUIC_TRY(checkpoint_open(path, &c));
    const ciuic_status status = checkpoint_digest(c, &found);
    checkpoint_release(c);
    CIUIC_TRY(status);
    if (strcmp(found.text, expected) == 0) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT,
                      "%s: is not what %s was made from: sha256 %.12s..., expected %.12s...; give the source with "
                      "--reference",
                      path, folder, found.text, expected);
}

ciuic_status find_source(const char *folder, const char *given, char **path, bool *gone)
{
    checkpoint *c = NULL;
    CIUIC_TRY(checkpoint_open(folder, &c));
    const quantized_provenance *made = checkpoint_provenance(c);
    const char *source = given != NULL ? given : made != NULL ? made->source_path : folder;
    char *found = strdup(source);
    const bool absent = made != NULL && given == NULL && access(source, F_OK) != 0;
    ciuic_status status = found != NULL ? CIUIC_OK : ciuic_fail_memory("a path", strlen(source));
    if (status == CIUIC_OK && made != NULL && !absent) status = check_digest(folder, source, made->source_sha256);
    checkpoint_release(c);
    if (status != CIUIC_OK) {
        free(found);
        return status;
    }
    *path = found;
    *gone = absent;
    return CIUIC_OK;
}
