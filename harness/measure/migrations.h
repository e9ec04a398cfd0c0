/* migrations.h - how often the threads of this process were moved from one core to another while something was timed. A thread
 * that is moved finds the caches of its new core cold.
 *
 * Sources, the first that works here:
 *   perf_event             PERF_COUNT_SW_CPU_MIGRATIONS, which takes permission to count in the kernel
 *   /proc/self/task/sched  each thread's se.nr_migrations, on kernels with CONFIG_SCHED_DEBUG
 *   /proc/self/task/stat   on which core each thread ran last, before and after: a move there and back is not seen, so the
 *                          figure is a lower bound, and says so */
#ifndef CIUIC_MIGRATIONS_H
#define CIUIC_MIGRATIONS_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

typedef enum migration_source {
    MIGRATIONS_NONE,
    MIGRATIONS_PERF_EVENT,
    MIGRATIONS_SCHED,
    MIGRATIONS_STAT
} migration_source;

typedef struct thread_place {
    long thread;
    double value; /* moves so far, or the core that it ran on last */
} thread_place;

typedef struct migration_meter {
    migration_source source;
    const char *root; /* "" is the machine itself; tests have a folder */
    int file;         /* of perf_event; otherwise -1 */
    thread_place *before;
    size_t count;
    double moves; /* over all spans, of the last two sources */
} migration_meter;

/* Finds the source; before the process has made its threads. Borrows `root`; a root of a test's has no perf_event. */
void migrations_open(migration_meter *m, const char *root);
void migrations_close(migration_meter *m);
/* Count between start and stop, added up over all such spans. */
void migrations_start(migration_meter *m);
void migrations_stop(migration_meter *m);
/* {"source":, "lower_bound":, "moves": of all spans, "per_repetition":, "per_cpu_second":}; {"source": null, "reason":} where
 * there is none. NULL when out of memory. */
cJSON *migrations_json(const migration_meter *m, double repetitions, double cpu_s);

/* Whether so many moves in so much CPU time make timing worse, or less steady. */
bool migrations_frequent(double moves, double per_cpu_second);

#endif
