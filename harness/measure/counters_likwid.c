/* counters_likwid.c - see counters_likwid.h.
 *
 * likwid is loaded when it is asked for and not linked: its event tables are 14 MB of relocated data in every process that
 * links it, which would be most of the peak memory of a worker with a small model. */
#include "harness/measure/counters_likwid.h"

#include <dlfcn.h>
#include <likwid.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/json.h"

enum { EVENTS_MAX = 64 };

/* Its functions, by their own names and types. */
#define LIKWID_FUNCTIONS(X)                                                                                            \
    X(topology_init)                                                                                                   \
    X(topology_finalize)                                                                                               \
    X(perfmon_setVerbosity)                                                                                            \
    X(perfmon_init)                                                                                                    \
    X(perfmon_finalize)                                                                                                \
    X(perfmon_addEventSet)                                                                                             \
    X(perfmon_setupCounters)                                                                                           \
    X(perfmon_startCounters)                                                                                           \
    X(perfmon_stopCounters)                                                                                            \
    X(perfmon_getNumberOfEvents)                                                                                       \
    X(perfmon_getEventName)                                                                                            \
    X(perfmon_getLastResult)

static struct {
#define MEMBER(function) __typeof__(&(function)) function;
    LIKWID_FUNCTIONS(MEMBER)
#undef MEMBER
} likwid;

static bool load_function(void *library, const char *name, void *place, size_t size)
{
    void *const address = dlsym(library, name);
    memcpy(place, &address, size); /* ISO C has no cast from an object's address to a function's */
    return address != NULL;
}

/* Loads the library once and for good. */
static bool load_likwid(void)
{
    static bool complete;
    if (complete) return true;
    void *const library = dlopen("liblikwid.so.5.2", RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) return false;
    complete = true;
#define LOAD(function)                                                                                                 \
    complete = load_function(library, #function, &likwid.function, sizeof likwid.function) && complete;
    LIKWID_FUNCTIONS(LOAD)
#undef LOAD
    return complete;
}

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
    if (!load_likwid()) {
        snprintf(reason, size, "liblikwid.so.5.2 cannot be loaded ('apt-get install likwid' brings it)");
        return NULL;
    }
    likwid.perfmon_setVerbosity(0);
    if (likwid.topology_init() != 0) {
        snprintf(reason, size, "likwid does not know this processor");
        return NULL;
    }
    const int initialised = likwid.perfmon_init(count, cpus);
    if (initialised != 0) {
        snprintf(reason, size, "likwid's perfmon_init fails with %d (no access to /dev/cpu/*/msr?)", initialised);
        return NULL;
    }
    likwid_counters *l = calloc(1, sizeof *l);
    int group = -1;
    for (size_t i = 0; l != NULL && group < 0 && i < sizeof groups / sizeof groups[0]; i++) {
        group = likwid.perfmon_addEventSet(groups[i]);
        snprintf(l->group_name, sizeof l->group_name, "%s", groups[i]);
    }
    if (l == NULL || group < 0 || likwid.perfmon_setupCounters(group) < 0) {
        snprintf(reason, size, "likwid has no event group that works on this processor");
        free(l);
        likwid.perfmon_finalize();
        return NULL;
    }
    l->group = group;
    l->cpus = count;
    l->events = likwid.perfmon_getNumberOfEvents(group);
    if (l->events > EVENTS_MAX) l->events = EVENTS_MAX;
    return l;
}

void likwid_counters_close(likwid_counters *l)
{
    if (l == NULL) return;
    likwid.perfmon_finalize();
    likwid.topology_finalize();
    free(l);
}

bool likwid_counters_start(likwid_counters *l)
{
    (void)l;
    return likwid.perfmon_startCounters() >= 0;
}

bool likwid_counters_stop(likwid_counters *l)
{
    if (likwid.perfmon_stopCounters() < 0) return false;
    for (int e = 0; e < l->events; e++)
        for (int c = 0; c < l->cpus; c++) l->totals[e] += likwid.perfmon_getLastResult(l->group, e, c);
    return true;
}

void likwid_counters_json(const likwid_counters *l, double repetitions, cJSON *object)
{
    cJSON_AddStringToObject(object, "group", l->group_name);
    cJSON *events = cJSON_AddObjectToObject(object, "events");
    for (int e = 0; events != NULL && e < l->events; e++) {
        const char *name = likwid.perfmon_getEventName(l->group, e);
        const double value = l->totals[e] / repetitions;
        if (name == NULL || json_find(events, name) != NULL) continue;
        json_add_double(events, name, value);
        if (strcmp(name, "INSTR_RETIRED_ANY") == 0 || strcmp(name, "RETIRED_INSTRUCTIONS") == 0)
            json_add_double(object, "instructions", value);
        if (strcmp(name, "CPU_CLK_UNHALTED_CORE") == 0 || strcmp(name, "CPU_CLOCKS_UNHALTED") == 0)
            json_add_double(object, "cycles", value);
    }
}
