/* counters_likwid.h - likwid's counters, summed over the cores of this process. */
#ifndef CIUIC_COUNTERS_LIKWID_H
#define CIUIC_COUNTERS_LIKWID_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct likwid_counters likwid_counters;

/* What likwid cannot do here, and why; begins so when it has no group of that name, and then lists those that it has. */
#define LIKWID_NO_GROUP "likwid has no group "
/* And so when it has the group, and something else is missing. */
#define LIKWID_HAS_GROUP "likwid's "

/* Whether likwid brings a group of that name, for any processor: what its folders of group files say, `folders` of them, each
 * with a folder for every architecture ("/usr/share/likwid/perfgroups"). */
typedef enum likwid_group_file {
    LIKWID_GROUP_FOUND,
    LIKWID_GROUP_NOWHERE,
    LIKWID_GROUP_UNCHECKED, /* none of the folders is there */
} likwid_group_file;
likwid_group_file likwid_group_look(const char *const *folders, size_t count, const char *group);

/* Measures likwid's group of that name; NULL: the first that this architecture has of MEM, MEM1, L3, L2, CLOCK. NULL with
 * `reason` when it cannot. May exit, crash or hang where likwid lacks access: call it in a process that may be lost. */
likwid_counters *likwid_counters_open(const char *group, char *reason, size_t size);
void likwid_counters_close(likwid_counters *l);
bool likwid_counters_start(likwid_counters *l);
bool likwid_counters_stop(likwid_counters *l); /* and adds what was counted */
/* Adds "group"; every event by likwid's own name, per repetition, and `cycles` and `instructions` where it has them; and "metrics", by
 * likwid's own names: {"sum", "min", "max", "mean"} over the cores, as its own tables have it. Times, volumes and energies are of one
 * repetition, rates and ratios as they are. */
void likwid_counters_json(const likwid_counters *l, double repetitions, cJSON *object);

#endif
