/* counters.c - see counters.h. */
#include "harness/measure/counters.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "harness/child_process.h"
#include "harness/measure/counters_likwid.h"
#include "harness/measure/energy.h"
#include "harness/measure/migrations.h"
#include "harness/measure/perf_event.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

typedef struct perf_event {
    const char *name;
    uint64_t config; /* of PERF_TYPE_HARDWARE */
} perf_event;

static const perf_event perf_events[] = {
    {"cycles", PERF_COUNT_HW_CPU_CYCLES},
    {"instructions", PERF_COUNT_HW_INSTRUCTIONS},
    {"cache_references", PERF_COUNT_HW_CACHE_REFERENCES},
    {"cache_misses", PERF_COUNT_HW_CACHE_MISSES},
    {"branch_misses", PERF_COUNT_HW_BRANCH_MISSES},
};
enum { PERF_EVENTS = sizeof perf_events / sizeof perf_events[0] };

struct counters {
    counter_support support;
    int files[PERF_EVENTS]; /* -1: not counted here */
    likwid_counters *likwid;
    energy_meter energy;
    migration_meter migrations;
    double task_clock_s; /* CPU time of all threads, over all spans */
    struct rusage at_start;
    double page_faults, voluntary_switches, involuntary_switches; /* totals over all spans */
};

/* ---- perf_event ------------------------------------------------------------------------------------------------- */

static int perf_paranoid(void)
{
    int level = -99;
    FILE *file = fopen("/proc/sys/kernel/perf_event_paranoid", "re");
    if (file == NULL) return level;
    if (fscanf(file, "%d", &level) != 1) level = -99;
    fclose(file);
    return level;
}

/* Why cycles cannot be counted, in words that lead somewhere. */
static void perf_reason(int error, char *reason, size_t size)
{
    if (error == EACCES || error == EPERM)
        snprintf(reason, size,
                 "perf_event_open is forbidden (%s; kernel.perf_event_paranoid is %d, 'sysctl "
                 "kernel.perf_event_paranoid=2' allows it, in a container also CAP_PERFMON)",
                 strerror(error), perf_paranoid());
    else if (error == ENOENT || error == EOPNOTSUPP || error == ENODEV)
        snprintf(reason, size, "the kernel has no hardware events (a virtual machine without a PMU?)");
    else
        snprintf(reason, size, "perf_event_open fails (%s)", strerror(error));
}

/* ---- probing ---------------------------------------------------------------------------------------------------- */

/* A whole measurement with likwid, of that group; NULL: the usual one. */
static bool likwid_works(const char *group, char *reason, size_t size)
{
    likwid_counters *l = likwid_counters_open(group, reason, size);
    if (l == NULL) return false;
    const bool works = likwid_counters_start(l) && likwid_counters_stop(l);
    if (!works) snprintf(reason, size, LIKWID_HAS_GROUP "counters do not start");
    likwid_counters_close(l);
    return works;
}

static _Noreturn void probe_child(counter_trial *works, const char *subject, int answer)
{
    char reason[COUNTER_REASON_MAX] = "";
    const int nowhere = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (nowhere >= 0) {
        dup2(nowhere, STDOUT_FILENO);
        dup2(nowhere, STDERR_FILENO);
    }
    alarm(10);
    if (works(subject, reason, sizeof reason)) snprintf(reason, sizeof reason, "+");
    ssize_t written = write(answer, reason, strlen(reason));
    _exit(written > 0 ? 0 : 1);
}

/* Whatever likwid does to the process that asks, this one only reads its answer, or that there is none. */
bool counters_try(counter_trial *works, const char *subject, int patience_ms, char *reason, size_t size)
{
    int ends[2];
    child_prepare_waiting();
    if (pipe2(ends, O_CLOEXEC) != 0) {
        snprintf(reason, size, "likwid cannot be probed (%s)", strerror(errno));
        return false;
    }
    const pid_t pid = fork();
    if (pid == 0) probe_child(works, subject, ends[1]);
    close(ends[1]);
    size_t length = 0;
    struct pollfd ready = {.fd = ends[0], .events = POLLIN};
    if (pid > 0 && poll(&ready, 1, patience_ms) > 0) {
        const ssize_t n = read(ends[0], reason, size - 1);
        length = n > 0 ? (size_t)n : 0;
    }
    reason[length] = '\0';
    close(ends[0]);
    int status = 0;
    if (pid > 0) {
        kill(pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR) continue;
    }
    if (strcmp(reason, "+") == 0) return true;
    if (length == 0)
        snprintf(reason, size, "likwid %s when it is initialised",
                 pid <= 0                ? "cannot be probed"
                 : WIFEXITED(status)     ? "ends the process (no access daemon?)"
                 : WTERMSIG(status) == 9 ? "hangs"
                                         : "crashes");
    return false;
}

static const int likwid_patience_ms = 5000;

/* Where likwid cannot be asked for its groups, their files can be looked for. */
static likwid_group_file look_for_group(const char *group)
{
    char own[PATH_MAX] = "";
    const char *const home = getenv("HOME");
    const char *const folders[] = {"/usr/share/likwid/perfgroups", "/usr/local/share/likwid/perfgroups", own};
    if (home != NULL && snprintf(own, sizeof own, "%s/.likwid/groups", home) >= (int)sizeof own) own[0] = '\0';
    return likwid_group_look(folders, sizeof folders / sizeof folders[0], group);
}

ciuic_status counters_probe_group(const char *group, counter_support *support)
{
    char reason[COUNTER_REASON_MAX - 128 - COUNTER_GROUP_MAX];
    *support = (counter_support){.source = COUNTERS_NONE};
    snprintf(support->group, sizeof support->group, "%s", group);
    if (counters_try(likwid_works, group, likwid_patience_ms, reason, sizeof reason))
        support->source = COUNTERS_LIKWID;
    else if (strncmp(reason, LIKWID_NO_GROUP, strlen(LIKWID_NO_GROUP)) == 0)
        return ciuic_fail(CIUIC_ERROR_USAGE, "counters: likwid:%s: %s", group, reason);
    else if (strncmp(reason, LIKWID_HAS_GROUP, strlen(LIKWID_HAS_GROUP)) == 0)
        snprintf(support->reason, sizeof support->reason, "not available here, because %s", reason);
    else if (look_for_group(group) == LIKWID_GROUP_NOWHERE)
        return ciuic_fail(CIUIC_ERROR_USAGE,
                          "counters: likwid:%s: " LIKWID_NO_GROUP
                          "%s on any processor; 'likwid-perfctr -a' lists those "
                          "that it has on this one",
                          group, group);
    else
        snprintf(support->reason, sizeof support->reason,
                 "not available here, because %s; whether likwid has a group %s on this processor could not be checked",
                 reason, group);
    return CIUIC_OK;
}

void counters_probe(counter_support *support)
{
    char likwid_reason[200], reason[COUNTER_REASON_MAX - 240];
    *support = (counter_support){.source = COUNTERS_NONE};
    if (counters_try(likwid_works, NULL, likwid_patience_ms, likwid_reason, sizeof likwid_reason)) {
        support->source = COUNTERS_LIKWID;
        return;
    }
    const int file = perf_event_open(PERF_TYPE_HARDWARE, perf_events[0].config, false);
    if (file >= 0) {
        close(file);
        support->source = COUNTERS_PERF_EVENT;
        return;
    }
    perf_reason(errno, reason, sizeof reason);
    snprintf(support->reason, sizeof support->reason, "not available here, because %s; and %s", reason, likwid_reason);
}

const char *counter_source_name(counter_source source)
{
    static const char *const names[] = {"none", "perf_event", "likwid"};
    return names[source];
}

/* ---- counting --------------------------------------------------------------------------------------------------- */

static void give_up(counters *c, const char *why)
{
    c->support.source = COUNTERS_NONE;
    snprintf(c->support.reason, sizeof c->support.reason, "not available here, because %s", why);
}

counters *counters_open(const counter_support *support)
{
    counters *c = calloc(1, sizeof *c);
    if (c == NULL) return NULL;
    c->support = *support;
    for (int i = 0; i < PERF_EVENTS; i++) c->files[i] = -1;
    energy_open(&c->energy, "");
    migrations_open(&c->migrations, "");
    char reason[COUNTER_REASON_MAX - 64];
    if (support->source == COUNTERS_LIKWID) {
        c->likwid = likwid_counters_open(support->group[0] != '\0' ? support->group : NULL, reason, sizeof reason);
        if (c->likwid == NULL) give_up(c, reason);
    } else if (support->source == COUNTERS_PERF_EVENT) {
        for (int i = 0; i < PERF_EVENTS; i++) {
            c->files[i] = perf_event_open(PERF_TYPE_HARDWARE, perf_events[i].config, false);
            if (i == 0 && c->files[0] < 0) {
                perf_reason(errno, reason, sizeof reason);
                give_up(c, reason);
                break;
            }
        }
    }
    return c;
}

void counters_close(counters *c)
{
    if (c == NULL) return;
    for (int i = 0; i < PERF_EVENTS; i++)
        if (c->files[i] >= 0) close(c->files[i]);
    likwid_counters_close(c->likwid);
    migrations_close(&c->migrations);
    free(c);
}

static double cpu_seconds(const struct rusage *r)
{
    return (double)(r->ru_utime.tv_sec + r->ru_stime.tv_sec) +
           1e-6 * (double)(r->ru_utime.tv_usec + r->ru_stime.tv_usec);
}

void counters_start(counters *c)
{
    migrations_start(&c->migrations);
    getrusage(RUSAGE_SELF, &c->at_start);
    energy_start(&c->energy);
    for (int i = 0; i < PERF_EVENTS; i++) perf_event_start(c->files[i]);
    if (c->support.source == COUNTERS_LIKWID && !likwid_counters_start(c->likwid))
        give_up(c, "likwid's counters do not start");
}

void counters_stop(counters *c)
{
    if (c->support.source == COUNTERS_LIKWID && !likwid_counters_stop(c->likwid))
        give_up(c, "likwid's counters do not stop");
    for (int i = 0; i < PERF_EVENTS; i++) perf_event_stop(c->files[i]);
    struct rusage now;
    energy_stop(&c->energy);
    getrusage(RUSAGE_SELF, &now);
    c->task_clock_s += cpu_seconds(&now) - cpu_seconds(&c->at_start);
    c->page_faults += (double)(now.ru_minflt + now.ru_majflt - c->at_start.ru_minflt - c->at_start.ru_majflt);
    c->voluntary_switches += (double)(now.ru_nvcsw - c->at_start.ru_nvcsw);
    c->involuntary_switches += (double)(now.ru_nivcsw - c->at_start.ru_nivcsw);
    migrations_stop(&c->migrations);
}

cJSON *counters_json(const counters *c, size_t repetitions)
{
    cJSON *object = cJSON_CreateObject();
    const double count = repetitions > 0 ? (double)repetitions : NAN;
    if (object == NULL) return NULL;
    if (c->support.source == COUNTERS_NONE) {
        cJSON_AddNullToObject(object, "source");
        cJSON_AddStringToObject(object, "reason", c->support.reason);
    } else {
        cJSON_AddStringToObject(object, "source", counter_source_name(c->support.source));
    }
    if (c->support.source == COUNTERS_LIKWID) likwid_counters_json(c->likwid, count, object);
    if (c->support.source == COUNTERS_PERF_EVENT)
        for (int i = 0; i < PERF_EVENTS; i++) {
            const double value = perf_event_read(c->files[i]);
            if (!isnan(value)) json_add_double(object, perf_events[i].name, value / count);
        }
    cJSON *energy = energy_json(&c->energy, count);
    if (energy != NULL) cJSON_AddItemToObject(object, "energy", energy);
    cJSON *software = cJSON_AddObjectToObject(object, "software");
    if (software == NULL) return object;
    cJSON_AddStringToObject(software, "source", "getrusage");
    json_add_double(software, "task_clock_s", c->task_clock_s / count);
    json_add_double(software, "page_faults", c->page_faults / count);
    json_add_double(software, "voluntary_context_switches", c->voluntary_switches / count);
    json_add_double(software, "involuntary_context_switches", c->involuntary_switches / count);
    cJSON *moves = migrations_json(&c->migrations, count, c->task_clock_s);
    if (moves != NULL) cJSON_AddItemToObject(software, "migrations", moves);
    return object;
}
