/* formats.h - what the readers of single formats share; for harness/import only. */
#ifndef CIUIC_IMPORT_FORMATS_H
#define CIUIC_IMPORT_FORMATS_H

#include <cjson/cJSON.h>
#include <stdbool.h>

#include "harness/import/imported.h"

enum { IMPORTED_NAME = 1024, IMPORTED_TIMINGS = 4096, IMPORTED_SAMPLES = 1000000 };

/* Adds one repetition to the timing that is `like` in name, phase, tokens, depth and threads, or to a new one. `where` is
 * for messages. */
ciuic_status imported_add(imported_set *set, const char *where, const imported_timing *like, double seconds);

bool is_llama_bench(const cJSON *root);
bool is_google_benchmark(const cJSON *root);
ciuic_status read_llama_bench(const cJSON *root, imported_set *set);
ciuic_status read_google_benchmark(const cJSON *root, imported_set *set);
ciuic_status read_csv_timings(const char *text, size_t length, imported_set *set);

#endif
