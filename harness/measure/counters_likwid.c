/* counters_likwid.c - see counters_likwid.h.
 *
 * likwid is loaded when it is asked for and not linked: its event tables are 14 MB of relocated data in every process that
 * links it, which would be most of the peak memory of a worker with a small model. */
#include "harness/measure/counters_likwid.h"

#include <dirent.h>
#include <dlfcn.h>
#include <likwid.h>
#include <limits.h>
#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/measure/counters.h"
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
    X(perfmon_getLastResult)                                                                                           \
    X(perfmon_getGroups)                                                                                               \
    X(perfmon_returnGroups)                                                                                            \
    X(perfmon_getNumberOfMetrics)                                                                                      \
    X(perfmon_getMetricName)                                                                                           \
    X(perfmon_getMetric)

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
    char group_name[COUNTER_GROUP_MAX];
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

/* Whether this architecture has the group; otherwise `reason` names those that it has, as many as there is room for. */
static bool has_group(const char *group, char *reason, size_t size)
{
    char **names = NULL, **short_texts = NULL, **long_texts = NULL;
    const int count = likwid.perfmon_getGroups(&names, &short_texts, &long_texts);
    bool found = false;
    if (count <= 0) {
        snprintf(reason, size, "likwid lists no groups for this processor (%d): it may not know it", count);
        return false;
    }
    for (int i = 0; i < count && !found; i++) found = strcmp(names[i], group) == 0;
    size_t used = found ? 0 : (size_t)snprintf(reason, size, LIKWID_NO_GROUP "%s on this processor; it has", group);
    for (int i = 0; i < count && !found && used < size; i++)
        used += (size_t)snprintf(reason + used, size - used, "%s %s", i > 0 ? "," : "", names[i]);
    likwid.perfmon_returnGroups(count, names, short_texts, long_texts);
    return found;
}

likwid_group_file likwid_group_look(const char *const *folders, size_t count, const char *group)
{
    likwid_group_file found = LIKWID_GROUP_UNCHECKED;
    for (size_t i = 0; i < count && found != LIKWID_GROUP_FOUND; i++) {
        DIR *folder = opendir(folders[i]);
        if (folder == NULL) continue;
        found = LIKWID_GROUP_NOWHERE;
        for (const struct dirent *e = readdir(folder); e != NULL && found != LIKWID_GROUP_FOUND; e = readdir(folder)) {
            char path[PATH_MAX];
            if (e->d_name[0] == '.') continue;
            const int length = snprintf(path, sizeof path, "%s/%s/%s.txt", folders[i], e->d_name, group);
            if (length < (int)sizeof path && access(path, F_OK) == 0) found = LIKWID_GROUP_FOUND;
        }
        closedir(folder);
    }
    return found;
}

static bool begin_likwid(const char *group, int count, const int *cpus, char *reason, size_t size)
{
    if (!load_likwid()) {
        snprintf(reason, size, "liblikwid.so.5.2 cannot be loaded ('apt-get install likwid' brings it)");
        return false;
    }
    likwid.perfmon_setVerbosity(0);
    if (likwid.topology_init() != 0) {
        snprintf(reason, size, "likwid does not know this processor");
        return false;
    }
    if (group != NULL && !has_group(group, reason, size)) return false;
    const int initialised = likwid.perfmon_init(count, cpus);
    if (initialised == 0) return true;
    snprintf(reason, size, LIKWID_HAS_GROUP "perfmon_init fails with %d (no access to /dev/cpu/*/msr?)", initialised);
    return false;
}

likwid_counters *likwid_counters_open(const char *group, char *reason, size_t size)
{
    static const char *const usual[] = {"MEM", "MEM1", "L3", "L2", "CLOCK"};
    const char *const *groups = group != NULL ? &group : usual;
    const size_t choices = group != NULL ? 1 : sizeof usual / sizeof usual[0];
    int cpus[CPU_SETSIZE];
    const int count = list_cpus(cpus, CPU_SETSIZE);
    if (!begin_likwid(group, count, cpus, reason, size)) return NULL;
    likwid_counters *l = calloc(1, sizeof *l);
    int set = -1;
    for (size_t i = 0; l != NULL && set < 0 && i < choices; i++) {
        set = likwid.perfmon_addEventSet(groups[i]);
        snprintf(l->group_name, sizeof l->group_name, "%s", groups[i]);
    }
    if (l == NULL || set < 0 || likwid.perfmon_setupCounters(set) < 0) {
        if (group != NULL)
            snprintf(reason, size, LIKWID_HAS_GROUP "group %s cannot be set up on this processor", group);
        else
            snprintf(reason, size, "likwid has no event group that works on this processor");
        free(l);
        likwid.perfmon_finalize();
        return NULL;
    }
    l->group = set;
    l->cpus = count;
    l->events = likwid.perfmon_getNumberOfEvents(set);
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

/* Whether a metric grows with the time that was measured, by the unit that ends its name. */
static bool is_amount(const char *name)
{
    static const char *const units[] = {"[s]", "[J]", "[Bytes]", "[kBytes]", "[MBytes]", "[GBytes]", "[TBytes]"};
    const char *unit = strrchr(name, '[');
    for (size_t i = 0; unit != NULL && i < sizeof units / sizeof units[0]; i++)
        if (strcmp(unit, units[i]) == 0) return true;
    return false;
}

static bool add_metric(const likwid_counters *l, int metric, const char *name, double repetitions, cJSON *metrics)
{
    double sum = 0, min = INFINITY, max = -INFINITY;
    int cores = 0;
    for (int c = 0; c < l->cpus; c++) {
        const double all = likwid.perfmon_getMetric(l->group, metric, c);
        const double value = is_amount(name) ? all / repetitions : all;
        if (!isfinite(value)) continue; /* a core that has done nothing has no ratio */
        sum += value;
        min = fmin(min, value);
        max = fmax(max, value);
        cores++;
    }
    cJSON *item = cJSON_AddObjectToObject(metrics, name);
    return item != NULL && json_add_double(item, "sum", cores > 0 ? sum : NAN) &&
           json_add_double(item, "min", cores > 0 ? min : NAN) && json_add_double(item, "max", cores > 0 ? max : NAN) &&
           json_add_double(item, "mean", cores > 0 ? sum / cores : NAN);
}

static void add_metrics(const likwid_counters *l, double repetitions, cJSON *object)
{
    cJSON *metrics = cJSON_AddObjectToObject(object, "metrics");
    const int count = likwid.perfmon_getNumberOfMetrics(l->group);
    bool ok = metrics != NULL;
    for (int m = 0; m < count && ok; m++) {
        const char *name = likwid.perfmon_getMetricName(l->group, m);
        if (name != NULL && json_find(metrics, name) == NULL) ok = add_metric(l, m, name, repetitions, metrics);
    }
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
    add_metrics(l, repetitions, object);
}
