/* likwid.c - a liblikwid.so.5.2 for tests: three groups, figures worked by hand, and every way in which the real one ends a
 * process that asks it, by the environment's FAKE_LIKWID: works, silent (lists no groups), forbidden, exits, crashes, hangs. */
#include <likwid.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNT(array) (int)(sizeof(array) / sizeof(array)[0])

static char clock_group[] = "CLOCK", l2_group[] = "L2", mem_group[] = "MEM";
static char *groups[] = {clock_group, l2_group, mem_group};
static char instructions[] = "INSTR_RETIRED_ANY", reads[] = "CAS_COUNT_RD";
static char *events[] = {instructions, reads};
static char runtime[] = "Runtime (RDTSC) [s]", cpi[] = "CPI", volume[] = "Memory data volume [GBytes]",
            bandwidth[] = "Memory bandwidth [MBytes/s]";
static char *metrics[] = {runtime, cpi, volume, bandwidth};
static int spans; /* measured so far */

static int is(const char *behaviour)
{
    const char *wanted = getenv("FAKE_LIKWID");
    return wanted != NULL && strcmp(wanted, behaviour) == 0;
}

int topology_init(void)
{
    if (is("exits")) exit(3); /* as without an access daemon */
    return 0;
}

void topology_finalize(void)
{
}

void perfmon_setVerbosity(int verbosity)
{
    (void)verbosity;
}

int perfmon_getGroups(char ***names, char ***short_infos, char ***long_infos)
{
    *names = *short_infos = *long_infos = groups;
    return is("silent") ? -22 : COUNT(groups);
}

void perfmon_returnGroups(int count, char **names, char **short_infos, char **long_infos)
{
    (void)count, (void)names, (void)short_infos, (void)long_infos;
}

int perfmon_init(int threads, const int *cpus)
{
    (void)threads, (void)cpus;
    if (is("forbidden")) return -13;
    if (is("crashes")) {
        signal(SIGSEGV, SIG_DFL); /* a sanitizer has its own ideas */
        raise(SIGSEGV);
    }
    while (is("hangs")) pause();
    return 0;
}

void perfmon_finalize(void)
{
}

int perfmon_addEventSet(const char *group)
{
    for (int i = 0; i < COUNT(groups); i++)
        if (strcmp(groups[i], group) == 0) return i;
    return -22;
}

int perfmon_setupCounters(int group)
{
    return group;
}

int perfmon_startCounters(void)
{
    return 0;
}

int perfmon_stopCounters(void)
{
    spans++;
    return 0;
}

int perfmon_getNumberOfEvents(int group)
{
    (void)group;
    return COUNT(events);
}

char *perfmon_getEventName(int group, int event)
{
    (void)group;
    return events[event];
}

/* Of one span: a million instructions on each core; memory is counted on the first alone. */
double perfmon_getLastResult(int group, int event, int cpu)
{
    (void)group;
    return event == 0 ? 1e6 : cpu == 0 ? 5e5 : 0;
}

int perfmon_getNumberOfMetrics(int group)
{
    (void)group;
    return COUNT(metrics);
}

char *perfmon_getMetricName(int group, int metric)
{
    (void)group;
    return metrics[metric];
}

/* Of all spans: 0.25 s and 2 GB each; a ratio of 0.5 on the first core, and none where nothing ran. */
double perfmon_getMetric(int group, int metric, int cpu)
{
    (void)group;
    switch (metric) {
    case 0:
        return 0.25 * spans;
    case 1:
        return cpu == 0 ? 0.5 : (double)NAN;
    case 2:
        return cpu == 0 ? 2.0 * spans : 0;
    default:
        return cpu == 0 ? 8000 : 0;
    }
}
