/* lies_within.c - see lies_within.h. */
#include "harness/lies_within.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

bool lies_within(const char *path, const char *folder)
{
    char inner[PATH_MAX], outer[PATH_MAX], *part = strdup(path);
    bool found = false;
    while (part != NULL && !found) {
        found = realpath(part[0] != '\0' ? part : ".", inner) != NULL;
        char *slash = strrchr(part, '/');
        if (found || part[0] == '\0') break;
        if (slash == NULL)
            part[0] = '\0';
        else
            slash[slash == part && slash[1] != '\0' ? 1 : 0] = '\0';
    }
    free(part);
    if (!found || realpath(folder, outer) == NULL) return false;
    const size_t length = strlen(outer);
    return strncmp(inner, outer, length) == 0 && (inner[length] == '\0' || inner[length] == '/');
}
