/* bench_fixture.h - whole benches inside a test, and what they left. */
#ifndef CIUIC_BENCH_FIXTURE_H
#define CIUIC_BENCH_FIXTURE_H

#include <cjson/cJSON.h>

#include "harness/worker/bench.h"

/* bench_run with its words on stdout and stderr kept away from the test's. */
ciuic_status bench_quietly(const bench_options *options);
/* folder/name, to be freed. */
char *bench_path(const char *folder, const char *name);
/* The results in a folder; fails the test and gives NULL when there are none. */
cJSON *bench_results(const char *folder);
/* A machine record that took no time to measure, for bench_options.machine. */
cJSON *bench_machine(void);

/* A member's text, or "". */
const char *bench_text(const cJSON *object, const char *key);
/* The case whose id ends like this, or NULL. */
const cJSON *bench_case_of(const cJSON *results, const char *ending);
/* Entries of this kind in a journal's text. */
size_t bench_count_kind(const char *journal, const char *kind);

#endif
