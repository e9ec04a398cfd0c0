/* counters_likwid.h - likwid's counters, summed over the cores of this process. */
#ifndef CIUIC_COUNTERS_LIKWID_H
#define CIUIC_COUNTERS_LIKWID_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct likwid_counters likwid_counters;

/* Takes the first of likwid's groups that this architecture has of MEM, MEM1, L3, L2, CLOCK. NULL with `reason` when it
 * cannot. May exit, crash or hang where likwid lacks access: call it in a process that may be lost. */
likwid_counters *likwid_counters_open(char *reason, size_t size);
void likwid_counters_close(likwid_counters *l);
bool likwid_counters_start(likwid_counters *l);
bool likwid_counters_stop(likwid_counters *l); /* and adds what was counted */
/* Adds "group" and every event by likwid's own name, per repetition, and `cycles` and `instructions` where it has them. */
void likwid_counters_json(const likwid_counters *l, double repetitions, cJSON *object);

#endif
