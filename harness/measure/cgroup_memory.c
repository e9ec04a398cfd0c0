/* cgroup_memory.c - see cgroup_memory.h. */
#include "harness/measure/cgroup_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "optimizer/error.h"

enum { LINE = 512, PATH = 1024 };

/* The path after "0::", which is the one of cgroup v2. */
static bool read_membership(const char *file, char path[LINE])
{
    char line[LINE];
    FILE *stream = fopen(file, "re");
    bool found = false;
    while (stream != NULL && !found && fgets(line, sizeof line, stream) != NULL) {
        found = strncmp(line, "0::/", 4) == 0;
        if (found) snprintf(path, LINE, "%.*s", (int)strcspn(line + 3, "\n"), line + 3);
    }
    if (stream != NULL) fclose(stream);
    return found;
}

/* Whether the file of one line has this word. */
static bool has_word(const char *file, const char *word)
{
    char line[LINE] = "";
    FILE *stream = fopen(file, "re");
    if (stream == NULL) return false;
    const bool read = fgets(line, sizeof line, stream) != NULL;
    fclose(stream);
    char *rest = NULL;
    for (char *w = read ? strtok_r(line, " \n", &rest) : NULL; w != NULL; w = strtok_r(NULL, " \n", &rest))
        if (strcmp(w, word) == 0) return true;
    return false;
}

void cgroup_memory_find(const char *root, const char *membership, cgroup_memory *found)
{
    char path[LINE], folder[PATH], file[PATH + 32];
    *found = (cgroup_memory){0};
    snprintf(file, sizeof file, "%s/cgroup.controllers", root);
    if (access(file, R_OK) != 0) {
        snprintf(found->reason, sizeof found->reason, "cgroup v2 is not mounted at %.100s", root);
        return;
    }
    if (!read_membership(membership, path)) {
        snprintf(found->reason, sizeof found->reason, "%.100s names no cgroup v2", membership);
        return;
    }
    snprintf(folder, sizeof folder, "%s%s", root, strcmp(path, "/") == 0 ? "" : path);
    snprintf(file, sizeof file, "%s/cgroup.subtree_control", folder);
    if (!has_word(file, "memory"))
        snprintf(found->reason, sizeof found->reason, "%.150s does not have the memory controller", file);
    else if (access(folder, W_OK | X_OK) != 0)
        snprintf(found->reason, sizeof found->reason, "no group may be made in %.150s: %s", folder, strerror(errno));
    else if (strlen(folder) >= sizeof found->parent)
        snprintf(found->reason, sizeof found->reason, "the path of this process's cgroup is too long");
    else
        snprintf(found->parent, sizeof found->parent, "%.*s", (int)sizeof found->parent - 1, folder);
    found->available = found->parent[0] != '\0';
}

void cgroup_memory_find_own(cgroup_memory *found)
{
    cgroup_memory_find("/sys/fs/cgroup", "/proc/self/cgroup", found);
}

static ciuic_status write_number(const char *folder, const char *name, size_t value)
{
    char file[PATH + 32], text[32];
    snprintf(file, sizeof file, "%s/%s", folder, name);
    const int length = snprintf(text, sizeof text, "%zu", value);
    const int descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    const bool written = descriptor >= 0 && write(descriptor, text, (size_t)length) == length;
    const int error = errno;
    if (descriptor >= 0) close(descriptor);
    if (written) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s: %s cannot be written: %s", file, text, strerror(error));
}

ciuic_status cgroup_memory_hold(const cgroup_memory *c, const char *name, pid_t pid, size_t bytes)
{
    char folder[PATH], swap[PATH + 32];
    snprintf(folder, sizeof folder, "%s/%s", c->parent, name);
    if (mkdir(folder, 0700) != 0 && errno != EEXIST)
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s: cannot be made: %s", folder, strerror(errno));
    CIUIC_TRY(write_number(folder, "memory.max", bytes));
    snprintf(swap, sizeof swap, "%s/memory.swap.max", folder);
    if (access(swap, W_OK) == 0) CIUIC_TRY(write_number(folder, "memory.swap.max", 0)); /* a kernel may count no swap */
    return write_number(folder, "cgroup.procs", (size_t)pid);
}

void cgroup_memory_drop(const cgroup_memory *c, const char *name)
{
    char folder[PATH];
    snprintf(folder, sizeof folder, "%s/%s", c->parent, name);
    (void)rmdir(folder);
}
