/* google_benchmark.c - what a Google Benchmark program writes with --benchmark_out: repetitions under `benchmarks`. Tokens are
 * known where the benchmark counts them as items; aggregates and what ended in an error are left out. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/import/formats.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

bool is_google_benchmark(const cJSON *root)
{
    return cJSON_IsObject(root) && json_find(root, "benchmarks") != NULL && json_find(root, "context") != NULL;
}

static ciuic_status get_unit(const cJSON *item, const char *where, double *seconds)
{
    static const struct {
        const char *name;
        double seconds;
    } units[] = {{"ns", 1e-9}, {"us", 1e-6}, {"ms", 1e-3}, {"s", 1.0}};
    const char *name = NULL;
    CIUIC_TRY(json_get_string(item, where, "time_unit", &name));
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(name, units[i].name) != 0) continue;
        *seconds = units[i].seconds;
        return CIUIC_OK;
    }
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: time_unit \"%.20s\"; expected ns, us, ms or s", where, name);
}

/* Rates are per second of CPU time, unless the benchmark's name says otherwise. What does not come out whole was no count of
 * tokens, and stays unknown. */
static ciuic_status get_tokens(const cJSON *item, const char *where, const char *name, double unit, size_t *tokens)
{
    const bool wall = strstr(name, "/real_time") != NULL || strstr(name, "/manual_time") != NULL;
    double rate = 0.0, time = 0.0;
    CIUIC_TRY(json_get_double(item, where, "items_per_second", 0.0, 1e18, &rate));
    CIUIC_TRY(json_get_double(item, where, wall ? "real_time" : "cpu_time", 0.0, 1e18, &time));
    const double items = rate * time * unit, whole = nearbyint(items);
    if (whole >= 1.0 && whole < 1e12 && fabs(items - whole) < 1e-3) *tokens = (size_t)whole;
    return CIUIC_OK;
}

static ciuic_status read_run(const cJSON *item, const char *where, imported_set *set)
{
    const char *name = NULL, *type = cJSON_GetStringValue(json_find(item, "run_type"));
    double unit = 0.0, time = 0.0;
    char copy[IMPORTED_NAME];
    if (!cJSON_IsObject(item)) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: not an object; expected a run", where);
    if ((type != NULL && strcmp(type, "iteration") != 0) || cJSON_IsTrue(json_find(item, "error_occurred")))
        return CIUIC_OK;
    CIUIC_TRY(json_get_string(item, where, json_find(item, "run_name") != NULL ? "run_name" : "name", &name));
    CIUIC_TRY(get_unit(item, where, &unit));
    CIUIC_TRY(json_get_double(item, where, "real_time", 0.0, 1e18, &time));
    if (strlen(name) >= sizeof copy)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: a name of more than %d bytes", where, IMPORTED_NAME - 1);
    strcpy(copy, name);
    imported_timing like = {.name = copy, .tokens_per_s = NAN};
    if (json_find(item, "threads") != NULL)
        CIUIC_TRY(json_get_size(item, where, "threads", 1, (size_t)1 << 20, &like.threads));
    if (json_find(item, "items_per_second") != NULL) CIUIC_TRY(get_tokens(item, where, name, unit, &like.tokens));
    return imported_add(set, where, &like, time * unit);
}

ciuic_status read_google_benchmark(const cJSON *root, imported_set *set)
{
    const cJSON *runs = NULL;
    size_t position = 0;
    set->format = "Google Benchmark";
    CIUIC_TRY(json_get_array(root, set->path, "benchmarks", &runs));
    for (const cJSON *item = runs->child; item != NULL; item = item->next, position++) {
        char where[320];
        snprintf(where, sizeof where, "%.255s: benchmarks[%zu]", set->path, position);
        CIUIC_TRY(read_run(item, where, set));
    }
    return CIUIC_OK;
}
