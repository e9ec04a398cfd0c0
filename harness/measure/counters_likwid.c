/* counters_likwid.c - see counters_likwid.h. */
#include "harness/measure/counters_likwid.h"

#include <likwid.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/json.h"

enum { EVENTS_MAX = 64 };

struct likwid_counters {
    int group, events, cpus;
    char group_name[16];
    double totals[EVENTS_MAX];
};

static int list_cpus(int *cpus, int most)
{
    cpu_set_t set;
    int count = 0;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 0;
    for (size_t i = 0; i < CPU_SETSIZE && count < most; i++)
        if (CPU_ISSET(i, &set)) cpus[count++] = (int)i;
    return count;
}

likwid_counters *likwid_counters_open(char *reason, size_t size)
{
    static const char *const groups[] = {"MEM", "MEM1", "L3", "L2", "CLOCK"};
    int cpus[CPU_SETSIZE];
    const int count = list_cpus(cpus, CPU_SETSIZE);
    perfmon_setVerbosity(0);
    if (topology_init() != 0) {
        snprintf(reason, size, "likwid does not know this processor");
        return NULL;
    }
    const int initialised = perfmon_init(count, cpus);
    if (initialised != 0) {
        snprintf(reason, size, "likwid's perfmon_init fails with %d (no access to /dev/cpu/*/msr?)", initialised);
        return NULL;
    }
    likwid_counters *l = calloc(1, sizeof *l);
    int group = -1;
    for (size_t i = 0; l != NULL && group < 0 && i < sizeof groups / sizeof groups[0]; i++) {
        group = perfmon_addEventSet(groups[i]);
        snprintf(l->group_name, sizeof l->group_name, "%s", groups[i]);
    }
    if (l == NULL || group < 0 || perfmon_setupCounters(group) < 0) {
        snprintf(reason, size, "likwid has no event group that works on this processor");
        free(l);
        perfmon_finalize();
        return NULL;
    }
    l->group = group;
    l->cpus = count;
    l->events = perfmon_getNumberOfEvents(group);
    if (l->events > EVENTS_MAX) l->events = EVENTS_MAX;
    return l;
}

void likwid_counters_close(likwid_counters *l)
{
    if (l == NULL) return;
    perfmon_finalize();
    topology_finalize();
    free(l);
}

bool likwid_counters_start(likwid_counters *l)
{
    (void)l;
    return perfmon_startCounters() >= 0;
}

bool likwid_counters_stop(likwid_counters *l)
{
    if (perfmon_stopCounters() < 0) return false;
    for (int e = 0; e < l->events; e++)
        for (int c = 0; c < l->cpus; c++) l->totals[e] += perfmon_getLastResult(l->group, e, c);
    return true;
}

void likwid_counters_json(const likwid_counters *l, double repetitions, cJSON *object)
{
    cJSON_AddStringToObject(object, "group", l->group_name);
    cJSON *events = cJSON_AddObjectToObject(object, "events");
    for (int e = 0; events != NULL && e < l->events; e++) {
        const char *name = perfmon_getEventName(l->group, e);
        const double value = l->totals[e] / repetitions;
        if (name == NULL || json_find(events, name) != NULL) continue;
        json_add_double(events, name, value);
        if (strcmp(name, "INSTR_RETIRED_ANY") == 0 || strcmp(name, "RETIRED_INSTRUCTIONS") == 0)
            json_add_double(object, "instructions", value);
        if (strcmp(name, "CPU_CLK_UNHALTED_CORE") == 0 || strcmp(name, "CPU_CLOCKS_UNHALTED") == 0)
            json_add_double(object, "cycles", value);
    }
}
