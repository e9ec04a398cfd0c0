/* gbench_json.c - see gbench_json.h. Members and their order are those of libbenchmark 1.7's json_reporter.cc. */
#include "harness/report/gbench_json.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/judge/results.h"
#include "harness/judge/statistics.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static const double nanoseconds = 1e9;

/* The repetitions of one case, in the order of blocks and rounds. */
typedef struct repetitions {
    double *real_s, *cpu_s;
    size_t *iterations;
    size_t n;
} repetitions;

static ciuic_status out_of_memory(void)
{
    return ciuic_fail_memory("Google Benchmark's JSON", sizeof(cJSON));
}

static const char *text_or(const cJSON *object, const char *key, const char *otherwise)
{
    const char *text = cJSON_GetStringValue(json_find(object, key));
    return text != NULL ? text : otherwise;
}

static double number_or(const cJSON *object, const char *key, double otherwise)
{
    const cJSON *item = json_find(object, key);
    return json_is_number(item) ? item->valuedouble : otherwise;
}

/* ---- context ---------------------------------------------------------------------------------------------------- */

static bool add_caches(cJSON *context, const cJSON *machine)
{
    cJSON *list = cJSON_AddArrayToObject(context, "caches");
    const cJSON *cache = NULL;
    cJSON_ArrayForEach(cache, json_find(machine, "caches"))
    {
        cJSON *item = cJSON_CreateObject();
        if (item == NULL || !cJSON_AddItemToArray(list, item)) {
            cJSON_Delete(item);
            return false;
        }
        const bool ok = cJSON_AddStringToObject(item, "type", text_or(cache, "type", "Unified")) != NULL &&
                        json_add_double(item, "level", number_or(cache, "level", 0)) &&
                        json_add_double(item, "size", number_or(cache, "bytes", 0)) &&
                        json_add_size(item, "num_sharing", 0); /* not recorded */
        if (!ok) return false;
    }
    return list != NULL;
}

static bool add_context(cJSON *root, const cJSON *results)
{
    char host[256] = "";
    if (gethostname(host, sizeof host - 1) != 0) host[0] = '\0';
    const cJSON *machine = json_find(results, "machine"), *load = json_find(machine, "load_average"), *value = NULL;
    const char *governor = text_or(machine, "governor", "performance");
    cJSON *context = cJSON_AddObjectToObject(root, "context");
    bool ok = context != NULL && cJSON_AddStringToObject(context, "date", text_or(results, "started", "")) != NULL;
    ok = ok && cJSON_AddStringToObject(context, "host_name", host) != NULL;
    ok = ok && cJSON_AddStringToObject(context, "executable", "ciuic") != NULL;
    ok = ok && json_add_double(context, "num_cpus", number_or(machine, "threads", 0));
    ok = ok && json_add_size(context, "mhz_per_cpu", 0); /* not recorded */
    ok = ok && cJSON_AddBoolToObject(context, "cpu_scaling_enabled", strcmp(governor, "performance") != 0) != NULL;
    ok = ok && add_caches(context, machine);
    cJSON *averages = ok ? cJSON_AddArrayToObject(context, "load_avg") : NULL;
    ok = averages != NULL;
    cJSON_ArrayForEach(value, load)
    {
        if (json_is_number(value)) ok = ok && cJSON_AddItemToArray(averages, json_double(value->valuedouble));
    }
    ok = ok && cJSON_AddStringToObject(context, "library_build_type", "release") != NULL;
    ok = ok && cJSON_AddStringToObject(context, "ciuic_suite", text_or(results, "suite", "")) != NULL;
    ok = ok &&
         cJSON_AddStringToObject(context, "ciuic_sha256", text_or(json_find(results, "program"), "sha256", "")) != NULL;
    return ok;
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

/* The members that all rows of a case begin with. */
static cJSON *new_row(cJSON *rows, const cJSON *c, size_t family, const char *name, const char *run_type, size_t n)
{
    cJSON *row = cJSON_CreateObject();
    if (row == NULL || !cJSON_AddItemToArray(rows, row)) {
        cJSON_Delete(row);
        return NULL;
    }
    const bool ok = cJSON_AddStringToObject(row, "name", name) != NULL && json_add_size(row, "family_index", family) &&
                    json_add_size(row, "per_family_instance_index", 0) &&
                    cJSON_AddStringToObject(row, "run_name", text_or(c, "id", "")) != NULL &&
                    cJSON_AddStringToObject(row, "run_type", run_type) != NULL && json_add_size(row, "repetitions", n);
    return ok ? row : NULL;
}

static bool add_times(cJSON *row, double real, double cpu)
{
    return json_add_double(row, "real_time", real) && json_add_double(row, "cpu_time", cpu) &&
           cJSON_AddStringToObject(row, "time_unit", "ns") != NULL;
}

static bool add_repetitions(cJSON *rows, const cJSON *c, size_t family, const repetitions *r)
{
    for (size_t i = 0; i < r->n; i++) {
        cJSON *row = new_row(rows, c, family, text_or(c, "id", ""), "iteration", r->n);
        const bool ok = row != NULL && json_add_size(row, "repetition_index", i) &&
                        json_add_double(row, "threads", number_or(c, "threads", 1)) &&
                        json_add_size(row, "iterations", r->iterations[i]) &&
                        add_times(row, nanoseconds * r->real_s[i], nanoseconds * r->cpu_s[i]);
        if (!ok) return false;
    }
    return true;
}

static double mean_of(const double *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += values[i];
    return sum / (double)n;
}

/* Of a sample: over n - 1, as Google Benchmark has it; 0 for a single value. */
static double deviation_of(const double *values, size_t n)
{
    const double mean = mean_of(values, n);
    double squares = 0;
    for (size_t i = 0; i < n; i++) squares += (values[i] - mean) * (values[i] - mean);
    return n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
}

static bool add_aggregate(cJSON *rows, const cJSON *c, size_t family, const repetitions *r, const char *aggregate,
                          const double values[2])
{
    char name[512];
    const bool ratio = strcmp(aggregate, "cv") == 0;
    const double unit = ratio ? 1 : nanoseconds;
    snprintf(name, sizeof name, "%.480s_%s", text_or(c, "id", ""), aggregate);
    cJSON *row = new_row(rows, c, family, name, "aggregate", r->n);
    return row != NULL && json_add_double(row, "threads", number_or(c, "threads", 1)) &&
           cJSON_AddStringToObject(row, "aggregate_name", aggregate) != NULL &&
           cJSON_AddStringToObject(row, "aggregate_unit", ratio ? "percentage" : "time") != NULL &&
           json_add_size(row, "iterations", r->n) && add_times(row, unit * values[0], unit * values[1]);
}

/* Sorts the repetitions. */
static bool add_aggregates(cJSON *rows, const cJSON *c, size_t family, const repetitions *r)
{
    const double mean[2] = {mean_of(r->real_s, r->n), mean_of(r->cpu_s, r->n)};
    const double deviation[2] = {deviation_of(r->real_s, r->n), deviation_of(r->cpu_s, r->n)};
    const double cv[2] = {deviation[0] / mean[0], mean[1] > 0 ? deviation[1] / mean[1] : 0};
    const double median[2] = {median_interval(r->real_s, r->n, CONFIDENCE).median,
                              median_interval(r->cpu_s, r->n, CONFIDENCE).median};
    return add_aggregate(rows, c, family, r, "mean", mean) && add_aggregate(rows, c, family, r, "median", median) &&
           add_aggregate(rows, c, family, r, "stddev", deviation) && add_aggregate(rows, c, family, r, "cv", cv);
}

/* ---- cases ------------------------------------------------------------------------------------------------------ */

/* How often the n-th usable sample of a case repeated its workload: blocks say so for each slot. */
static void read_iterations(const cJSON *results, const char *id, repetitions *r)
{
    size_t n = 0;
    const cJSON *block = NULL, *sample = NULL;
    cJSON_ArrayForEach(block, json_find(results, "blocks"))
    {
        const double count = number_or(json_find(block, "iterations"), id, 1);
        cJSON_ArrayForEach(sample, json_find(json_find(block, "samples"), id))
        {
            if (sample_usable(sample) && n < r->n) r->iterations[n++] = count >= 1 ? (size_t)count : 1;
        }
    }
    for (; n < r->n; n++) r->iterations[n] = 1;
}

static ciuic_status read_repetitions(const cJSON *results, const cJSON *c, repetitions *r)
{
    const cJSON *latency = json_find(c, "latency_s"), *samples = json_find(latency, "samples");
    const cJSON *cpu = json_find(latency, "cpu_samples");
    const size_t most = cJSON_IsArray(samples) ? (size_t)cJSON_GetArraySize(samples) : 0;
    r->real_s = calloc(most + 1, sizeof *r->real_s);
    r->cpu_s = calloc(most + 1, sizeof *r->cpu_s);
    r->iterations = calloc(most + 1, sizeof *r->iterations);
    if (r->real_s == NULL || r->cpu_s == NULL || r->iterations == NULL) return out_of_memory();
    const cJSON *used = cJSON_IsArray(cpu) ? cpu->child : NULL;
    for (const cJSON *s = most > 0 ? samples->child : NULL; s != NULL; s = s->next) {
        if (sample_usable(s)) {
            r->real_s[r->n] = s->valuedouble;
            r->cpu_s[r->n++] = json_is_number(used) ? used->valuedouble : 0;
        }
        if (used != NULL) used = used->next;
    }
    read_iterations(results, text_or(c, "id", ""), r);
    return CIUIC_OK;
}

static ciuic_status add_case(const cJSON *results, const cJSON *c, size_t *family, cJSON *rows)
{
    repetitions r = {0};
    if (strcmp(text_or(c, "status", ""), "ok") != 0) return CIUIC_OK;
    ciuic_status status = read_repetitions(results, c, &r);
    if (status == CIUIC_OK && r.n > 0) {
        const bool ok = add_repetitions(rows, c, *family, &r) && add_aggregates(rows, c, *family, &r);
        if (!ok) status = out_of_memory();
        ++*family;
    }
    free(r.real_s);
    free(r.cpu_s);
    free(r.iterations);
    return status;
}

ciuic_status gbench_json_make(const cJSON *results, cJSON **out)
{
    cJSON *root = cJSON_CreateObject();
    const cJSON *c = NULL;
    size_t family = 0;
    if (root == NULL) return out_of_memory();
    ciuic_status status = add_context(root, results) ? CIUIC_OK : out_of_memory();
    cJSON *rows = status == CIUIC_OK ? cJSON_AddArrayToObject(root, "benchmarks") : NULL;
    if (rows == NULL) status = out_of_memory();
    cJSON_ArrayForEach(c, json_find(results, "cases"))
    {
        if (status == CIUIC_OK) status = add_case(results, c, &family, rows);
    }
    if (status == CIUIC_OK)
        *out = root;
    else
        cJSON_Delete(root);
    return status;
}
