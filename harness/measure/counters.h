/* counters.h - hardware counters of this process through one interface, whatever provides them here; or why nothing does.
 *
 * Sources: likwid, perf_event; simulated counts (counters_simulated.h) come from a process of their own. A GPU's counters would
 * be one more source, cupti, behind the same five functions: opened before the first kernel is launched (cuptiProfilerInitialize),
 * started and stopped around a repetition (cuptiRangeProfilerStart, -Stop), written by the same names where they mean the same
 * (instructions) and by CUPTI's own where they do not. There is no rung for GPUs yet, and so no such source.
 *
 * likwid (counts per core, memory traffic included) is used when a probe in a process of its own has gone through a whole
 * measurement with it: the library may exit, crash or hang where it lacks access. Otherwise perf_event_open. */
#ifndef CIUIC_COUNTERS_H
#define CIUIC_COUNTERS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "optimizer/ciuic.h"

typedef enum counter_source { COUNTERS_NONE, COUNTERS_PERF_EVENT, COUNTERS_LIKWID } counter_source;

enum { COUNTER_REASON_MAX = 512, COUNTER_GROUP_MAX = 32 };

typedef struct counter_support {
    counter_source source;
    char group[COUNTER_GROUP_MAX];   /* likwid's, where one is asked for by name; "": the usual one */
    char reason[COUNTER_REASON_MAX]; /* COUNTERS_NONE: "not available here, because ..."; "" otherwise */
} counter_support;

/* Finds out what works here, in forked children with a deadline. */
void counters_probe(counter_support *support);
/* The same for one of likwid's groups, and nothing but likwid. CIUIC_ERROR_USAGE: this processor has no such group; the error names
 * those that it has. Where likwid does not work at all, that is support->reason. */
ciuic_status counters_probe_group(const char *group, counter_support *support);
/* Whether `works` says so of `subject`, in a process of its own that it may end, crash, or hold up for more than `patience_ms`.
 * Otherwise `reason` is what it said, or which of these it did. */
typedef bool counter_trial(const char *subject, char *reason, size_t size);
bool counters_try(counter_trial *works, const char *subject, int patience_ms, char *reason, size_t size);
const char *counter_source_name(counter_source source); /* "likwid", "perf_event"; "none" */

typedef struct counters counters;

/* Call before the process has made its threads: perf_event follows threads made later. NULL when out of memory. A
 * source that fails after all becomes COUNTERS_NONE with its reason. */
counters *counters_open(const counter_support *support);
void counters_close(counters *c); /* NULL is allowed */
/* Count between start and stop, added up over all such spans. */
void counters_start(counters *c);
void counters_stop(counters *c);
/* What was counted, divided by `repetitions`: {"source": "perf_event", "cycles":, ...} or {"source": null, "reason":
 * "not available here, because ..."}; either way with "software": CPU time, page faults and context switches from getrusage, "migrations" as migrations_json has
 * them, and "energy" as energy_json has it. */
cJSON *counters_json(const counters *c, size_t repetitions);

#endif
