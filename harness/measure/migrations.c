/* migrations.c - see migrations.h. */
#include "harness/measure/migrations.h"

#include <dirent.h>
#include <linux/perf_event.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/measure/perf_event.h"
#include "optimizer/json.h"

enum { PATH = 512, THREADS_MAX = 4096 };

/* ---- /proc ------------------------------------------------------------------------------------------------------ */

static double moves_of(FILE *sched)
{
    char line[256];
    double moves;
    while (fgets(line, sizeof line, sched) != NULL)
        if (strncmp(line, "se.nr_migrations", 16) == 0 && sscanf(line, "%*s : %lf", &moves) == 1 && moves >= 0)
            return moves;
    return NAN;
}

/* Field 39; the second, the name in parentheses, may hold anything. */
static double core_of(FILE *stat)
{
    char text[1024];
    const size_t n = fread(text, 1, sizeof text - 1, stat);
    text[n] = '\0';
    char *at = strrchr(text, ')'), *rest = NULL;
    if (at == NULL) return NAN;
    const char *field = strtok_r(at + 1, " ", &rest);
    for (int i = 3; i < 39 && field != NULL; i++) field = strtok_r(NULL, " ", &rest);
    double core = NAN;
    return field != NULL && sscanf(field, "%lf", &core) == 1 && core >= 0 ? core : NAN;
}

static double value_of(const migration_meter *m, const char *thread)
{
    const bool sched = m->source == MIGRATIONS_SCHED;
    char path[PATH];
    snprintf(path, sizeof path, "%s/proc/self/task/%.20s/%s", m->root, thread, sched ? "sched" : "stat");
    FILE *file = fopen(path, "re");
    if (file == NULL) return NAN; /* it has ended */
    const double value = sched ? moves_of(file) : core_of(file);
    fclose(file);
    return value;
}

/* Those of all threads that say it: [*count], the caller's; NULL without any. */
static thread_place *read_places(const migration_meter *m, size_t *count)
{
    char path[PATH];
    thread_place *places = NULL;
    size_t room = 0;
    *count = 0;
    snprintf(path, sizeof path, "%s/proc/self/task", m->root);
    DIR *threads = opendir(path);
    if (threads == NULL) return NULL;
    for (const struct dirent *t = readdir(threads); t != NULL && *count < THREADS_MAX; t = readdir(threads)) {
        const double value = t->d_name[0] != '.' ? value_of(m, t->d_name) : NAN;
        if (isnan(value)) continue;
        if (*count == room) {
            room = room > 0 ? 2 * room : 16;
            thread_place *more = realloc(places, room * sizeof *more);
            if (more == NULL) break;
            places = more;
        }
        places[(*count)++] = (thread_place){.thread = strtol(t->d_name, NULL, 10), .value = value};
    }
    closedir(threads);
    return places;
}

static const thread_place *find(const thread_place *places, size_t count, long thread)
{
    for (size_t i = 0; i < count; i++)
        if (places[i].thread == thread) return &places[i];
    return NULL;
}

/* A thread that was made meanwhile has been where it is since it began, or has moved as often as it says. */
static double moves_between(const migration_meter *m, const thread_place *after, size_t count)
{
    double moves = 0;
    for (size_t i = 0; i < count; i++) {
        const thread_place *before = find(m->before, m->count, after[i].thread);
        if (m->source == MIGRATIONS_SCHED)
            moves += fmax(0, after[i].value - (before != NULL ? before->value : 0));
        else if (before != NULL)
            moves += after[i].value != before->value;
    }
    return moves;
}

/* ---- the meter -------------------------------------------------------------------------------------------------- */

void migrations_open(migration_meter *m, const char *root)
{
    *m = (migration_meter){.root = root, .file = -1};
    if (root[0] == '\0') m->file = perf_event_open(PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS, true);
    if (m->file >= 0) {
        m->source = MIGRATIONS_PERF_EVENT;
        return;
    }
    for (migration_source s = MIGRATIONS_SCHED; s <= MIGRATIONS_STAT; s++) {
        m->source = s;
        migrations_start(m);
        if (m->count > 0) return;
    }
    m->source = MIGRATIONS_NONE;
}

void migrations_close(migration_meter *m)
{
    if (m->file >= 0) close(m->file);
    free(m->before);
    *m = (migration_meter){.root = "", .file = -1};
}

void migrations_start(migration_meter *m)
{
    perf_event_start(m->file);
    if (m->source < MIGRATIONS_SCHED) return;
    free(m->before);
    m->before = read_places(m, &m->count);
}

void migrations_stop(migration_meter *m)
{
    size_t count = 0;
    perf_event_stop(m->file);
    if (m->source < MIGRATIONS_SCHED) return;
    thread_place *after = read_places(m, &count);
    m->moves += moves_between(m, after, count);
    free(after);
}

cJSON *migrations_json(const migration_meter *m, double repetitions, double cpu_s)
{
    static const char *const names[] = {"", "perf_event", "/proc/self/task/sched", "/proc/self/task/stat"};
    cJSON *object = cJSON_CreateObject();
    if (object == NULL) return NULL;
    if (m->source == MIGRATIONS_NONE) {
        cJSON_AddNullToObject(object, "source");
        cJSON_AddStringToObject(
            object, "reason",
            "not available here, because perf_event may not count in the kernel and /proc/self/task "
            "does not say where threads run");
        return object;
    }
    double moves = m->source == MIGRATIONS_PERF_EVENT ? perf_event_read(m->file) : m->moves;
    cJSON_AddStringToObject(object, "source", names[m->source]);
    cJSON_AddBoolToObject(object, "lower_bound", m->source == MIGRATIONS_STAT);
    json_add_double(object, "moves", moves);
    json_add_double(object, "per_repetition", moves / repetitions);
    json_add_double(object, "per_cpu_second", cpu_s > 0 ? moves / cpu_s : NAN);
    return object;
}

/* A move costs the first two levels of cache: 2 MiB refilled at some 10 GB/s is 0.2 ms. Ten in a second of CPU time are 0.2% of it,
 * which the noise floor of a quiet machine just shows; a few in all are chance. */
bool migrations_frequent(double moves, double per_cpu_second)
{
    const double rate = 10, few = 4;
    return moves > few && per_cpu_second > rate;
}
