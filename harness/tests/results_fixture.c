/* results_fixture.c - MADE-UP results, for tests only. See results_fixture.h. */
#include "harness/tests/results_fixture.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "harness/judge/accuracy.h"
#include "harness/judge/claims.h"
#include "harness/judge/content_digest.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

const fixture_machine fixture_usual = {
    .int8_gain = 1.3,
    .int4_gain = 1.7,
    .graph_gain = 1.15,
    .memory_gain = 1.05,
    .kernels_gain = 8.0,
    .openblas_gain = 5.0,
    .noise = 0.01,
    .drift = 0.01,
    .rounds = 15,
    .blocks = 1,
    .int4_error = 0.09,
    .int8_error = 0.004,
    .int4_rise = 0.02,
    .int8_rise = 0.0004,
};

const fixture_machine fixture_equals = {.int8_gain = 1,
                                        .int4_gain = 1,
                                        .graph_gain = 1,
                                        .memory_gain = 1,
                                        .kernels_gain = 1,
                                        .openblas_gain = 1,
                                        .blocks = 1};

enum { VARIANTS = 24, SLOTS = VARIANTS + 2 };

typedef struct slot {
    const char *quantize, *kernels, *baseline;
    bool graph, memory, twin, openblas;
    char id[160], name[64];
    double seconds;
} slot;

typedef struct phase_shape {
    const char *phase;
    int tokens, depth;
    double seconds; /* of naive */
} phase_shape;

static const phase_shape phases[] = {{"prefill", 128, 0, 0.8}, {"decode", 64, 256, 0.5}};

static uint64_t random_state;

static double uniform(void)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(random_state >> 11) * 0x1p-53;
}

/* ---- the made-up machine ---------------------------------------------------------------------------------------- */

static double gain_of(const fixture_machine *m, const slot *s)
{
    if (s->openblas) return m->openblas_gain;
    double gain = 1.0;
    if (strcmp(s->quantize, "int8") == 0) gain *= m->int8_gain;
    if (strcmp(s->quantize, "int4") == 0) gain *= m->int4_gain;
    if (s->graph) gain *= m->graph_gain;
    if (s->memory) gain *= m->memory_gain;
    if (strcmp(s->kernels, "c") != 0) gain *= m->kernels_gain;
    return gain;
}

static void fill_slot(const fixture_machine *m, const phase_shape *shape, slot *s)
{
    const char *quantize = strcmp(s->quantize, "none") == 0 ? "fp16" : s->quantize;
    if (s->openblas)
        snprintf(s->name, sizeof s->name, "openblas");
    else
        snprintf(s->name, sizeof s->name, "%s%s%s+%s%s", quantize, s->graph ? "+graph" : "", s->memory ? "+memory" : "",
                 s->kernels, s->twin ? "#again" : "");
    snprintf(s->id, sizeof s->id, "made-up-model/%s%d@%d/b1/t2/%s", shape->phase, shape->tokens, shape->depth, s->name);
    s->seconds = shape->seconds / gain_of(m, s);
}

static void fill_slots(const fixture_machine *m, const phase_shape *shape, slot *slots)
{
    static const char *const quantizes[] = {"none", "int8", "int4"};
    static const char *const kernels[] = {"c", "avx512"};
    for (int i = 0; i < VARIANTS; i++) {
        slot *s = &slots[i];
        *s = (slot){
            .quantize = quantizes[i / 8], .graph = (i & 4) != 0, .memory = (i & 2) != 0, .kernels = kernels[i & 1]};
        if (i == 0) s->baseline = "naive";
        if (i == 7) s->baseline = "tuned";
        fill_slot(m, shape, s);
    }
    slots[VARIANTS] = slots[7];
    slots[VARIANTS].twin = true;
    slots[VARIANTS].baseline = NULL;
    fill_slot(m, shape, &slots[VARIANTS]);
    slots[VARIANTS + 1] = slots[7];
    slots[VARIANTS + 1].openblas = true;
    slots[VARIANTS + 1].baseline = "openblas";
    fill_slot(m, shape, &slots[VARIANTS + 1]);
}

/* ---- objects ---------------------------------------------------------------------------------------------------- */

static cJSON *workload_object(const phase_shape *shape)
{
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "checkpoint", "made-up-model");
    cJSON_AddStringToObject(o, "phase", shape->phase);
    cJSON_AddNumberToObject(o, "tokens", shape->tokens);
    cJSON_AddNumberToObject(o, "depth", shape->depth);
    cJSON_AddNumberToObject(o, "batch", 1);
    return o;
}

static cJSON *memory_object(const slot *s)
{
    const double weights = s->openblas                        ? 30.4e6
                           : strcmp(s->quantize, "int8") == 0 ? 8.1e6
                           : strcmp(s->quantize, "int4") == 0 ? 4.3e6
                                                              : 15.2e6;
    const bool mapped = s->memory && strcmp(s->quantize, "none") == 0 && !s->openblas;
    const double cache = s->memory ? 0.7e6 : 10.5e6, activations = s->memory ? 0.4e6 : 6.1e6, workspace = 0.2e6;
    cJSON *o = cJSON_CreateObject();
    json_add_size(o, "peak_rss", (size_t)(9e6 + weights + cache + activations + workspace + uniform() * 1e5));
    json_add_size(o, "weights", mapped ? 0 : (size_t)weights);
    json_add_size(o, "mapped", mapped ? (size_t)weights : 0);
    json_add_size(o, "kv_cache", (size_t)cache);
    json_add_size(o, "activations", (size_t)activations);
    json_add_size(o, "workspace", (size_t)workspace);
    json_add_size(o, "total", (size_t)(weights + cache + activations + workspace));
    return o;
}

static cJSON *accuracy_object(const fixture_machine *m, const slot *s)
{
    const bool int4 = strcmp(s->quantize, "int4") == 0, int8 = strcmp(s->quantize, "int8") == 0;
    const double error = int4 ? m->int4_error : int8 ? m->int8_error : 1e-5;
    const double rise = int4 ? m->int4_rise : int8 ? m->int8_rise : 0.0;
    accuracy_result result = {.tokens = 4096,
                              .positions = 4096,
                              .nll = 3.3 + rise,
                              .nll_error = 0.03,
                              .perplexity = exp(3.3 + rise),
                              .reference_nll = 3.3,
                              .nll_rise = rise,
                              .nll_rise_error = 0.1 * rise + 1e-5,
                              .mean_abs_error = error,
                              .max_abs_error = 8 * error,
                              .relative_l2 = error / 2,
                              .cosine = 1 - error * error,
                              .kl = rise,
                              .kl_error = rise / 30,
                              .kl_p99 = 5 * rise,
                              .kl_max = 20 * rise,
                              .top1_agreement = 1 - error / 2,
                              .finite = !m->accuracy_null};
    if (m->accuracy_null) {
        accuracy *empty = accuracy_create(2);
        const float bad[] = {NAN, NAN};
        if (empty != NULL && accuracy_add(empty, bad, bad, 0)) accuracy_finish(empty, &result);
        accuracy_free(empty);
    }
    return accuracy_json(&result);
}

static cJSON *case_object(const fixture_machine *m, const phase_shape *shape, const slot *s)
{
    const bool int8 = strcmp(s->quantize, "int8") == 0, int4 = strcmp(s->quantize, "int4") == 0;
    const double bits = s->openblas ? 32.0 : int8 ? 8.5 : int4 ? 4.5 : 16.0;
    cJSON *o = cJSON_CreateObject();
    cJSON_AddStringToObject(o, "id", s->id);
    cJSON_AddStringToObject(o, "status", "ok");
    cJSON *variant = cJSON_AddObjectToObject(o, "variant");
    cJSON_AddStringToObject(variant, "quantize", s->quantize);
    cJSON_AddBoolToObject(variant, "graph", s->graph);
    cJSON_AddStringToObject(variant, "memory", s->memory ? "on" : "off");
    cJSON_AddStringToObject(variant, "kernels", s->kernels);
    if (s->baseline != NULL)
        cJSON_AddStringToObject(variant, "baseline", s->baseline);
    else
        cJSON_AddNullToObject(variant, "baseline");
    cJSON_AddItemToObject(o, "workload", workload_object(shape));
    cJSON_AddNumberToObject(o, "threads", 2);
    cJSON_AddItemToObject(o, "memory_bytes", memory_object(s));
    cJSON_AddItemToObject(o, "accuracy", accuracy_object(m, s));
    json_add_double(o, "bits_per_weight", bits);
    json_add_size(o, "weight_bytes", (size_t)(7.6e6 * bits / 8));
    json_add_double(o, "ceiling_tokens_per_s",
                    strcmp(shape->phase, "decode") == 0 ? 4.6e10 / (7.6e6 * bits / 8) : 15000.0);
    cJSON *ceiling = cJSON_AddObjectToObject(o, "ceiling");
    cJSON_AddStringToObject(ceiling, "bound", strcmp(shape->phase, "decode") == 0 ? "memory" : "compute");
    json_add_double(ceiling, "bytes_per_token", 7.6e6 * bits / 8);
    json_add_double(ceiling, "flops_per_token", 1.5e7);
    cJSON *counters = cJSON_AddObjectToObject(o, "counters");
    cJSON_AddNullToObject(counters, "source");
    cJSON_AddStringToObject(counters, "reason", "made-up data has no counters");
    cJSON_AddStringToObject(o, "output_sha256", "0000000000000000000000000000000000000000000000000000000000000000");
    cJSON_AddTrueToObject(o, "outputs_match");
    return o;
}

/* A block holds every baseline and its share of the other variants. */
static bool in_block(const slot *s, int index, size_t block, size_t blocks)
{
    return s->baseline != NULL || s->twin || (size_t)index % blocks == block;
}

static void add_block(const fixture_machine *m, const phase_shape *shape, const slot *slots, size_t block,
                      cJSON *blocks)
{
    cJSON *o = cJSON_CreateObject();
    json_add_size(o, "index", (size_t)cJSON_GetArraySize(blocks));
    cJSON_AddItemToArray(blocks, o);
    cJSON_AddItemToObject(o, "workload", workload_object(shape));
    cJSON_AddNumberToObject(o, "threads", 2);
    json_add_size(o, "rounds", m->rounds);
    cJSON *schedule = cJSON_AddArrayToObject(o, "schedule"), *samples = cJSON_AddObjectToObject(o, "samples");
    for (int i = 0; i < SLOTS; i++)
        if (in_block(&slots[i], i, block, m->blocks)) cJSON_AddArrayToObject(samples, slots[i].id);
    for (size_t round = 0; round < m->rounds; round++) {
        cJSON *order = cJSON_CreateArray();
        cJSON_AddItemToArray(schedule, order);
        for (cJSON *list = samples->child; list != NULL; list = list->next) {
            double seconds = NAN;
            for (int i = 0; i < SLOTS; i++)
                if (strcmp(slots[i].id, list->string) == 0) seconds = slots[i].seconds;
            if (m->disturbed > 0.0 && block + 1 == m->blocks) seconds *= m->disturbed;
            seconds *= (1.0 + m->drift * (double)round) * (1.0 + m->noise * (2.0 * uniform() - 1.0));
            cJSON_AddItemToArray(list, json_double(seconds));
            cJSON_AddItemToArray(order, cJSON_CreateString(list->string));
        }
    }
}

/* cases[].latency_s.samples are those of all blocks, one after the other; cases[].block says which. */
static void collect_samples(cJSON *results)
{
    for (cJSON *c = cJSON_GetObjectItem(results, "cases")->child; c != NULL; c = c->next) {
        cJSON *indices = cJSON_CreateArray(), *latency = cJSON_AddObjectToObject(c, "latency_s");
        cJSON *samples = cJSON_AddArrayToObject(latency, "samples");
        for (cJSON *block = cJSON_GetObjectItem(results, "blocks")->child; block != NULL; block = block->next) {
            cJSON *list = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItem(block, "samples"),
                                                           cJSON_GetObjectItem(c, "id")->valuestring);
            if (list == NULL) continue;
            cJSON_AddItemToArray(indices, cJSON_Duplicate(cJSON_GetObjectItem(block, "index"), true));
            for (cJSON *s = list->child; s != NULL; s = s->next)
                cJSON_AddItemToArray(samples, cJSON_Duplicate(s, true));
        }
        cJSON_AddItemToObject(c, "block", indices);
    }
}

static void add_machine(cJSON *results)
{
    const char *text =
        "{\"cpu\": \"Made-up CPU (test data)\", \"cores\": 2, \"threads\": 2, \"memory_bytes\": 8589934592,"
        " \"kernel\": \"Linux 0.0.0-made-up\", \"compiler\": \"none\", \"flags\": [\"avx2\", \"avx512f\"],"
        " \"isa\": [\"c\", \"avx2\", \"avx512\"], \"bandwidth_bytes_per_s\": {\"1\": 2.6e10, \"2\": 4.6e10},"
        " \"bandwidth_by_isa_bytes_per_s\": {\"c\": {\"1\": 1.3e10, \"2\": 4.14e10}, \"avx2\": {\"1\": 2.6e10,"
        " \"2\": 4.5e10}, \"avx512\": {\"1\": 2.5e10, \"2\": 4.6e10}},"
        " \"peak_flops_per_s\": {\"c\": {\"1\": 1.4e10, \"2\": 2.8e10}, \"avx512\": {\"1\": 1.1e11, \"2\": 2.2e11}},"
        " \"caches\": [{\"level\": 1, \"type\": \"Data\", \"bytes\": 32768}, {\"level\": 3, \"type\": \"Unified\","
        " \"bytes\": 33554432}], \"governor\": null, \"load_average\": [0.5, 0.4, 0.3], \"hugepages\": \"madvise\","
        " \"hypervisor\": \"made-up\", \"warnings\": [\"MADE-UP TEST DATA: nothing on this page was measured\"]}";
    cJSON_AddItemToObject(results, "machine", cJSON_Parse(text));
}

cJSON *fixture_results(const fixture_machine *machine)
{
    random_state = 1;
    cJSON *results = cJSON_CreateObject();
    cJSON_AddNumberToObject(results, "schema_version", 1);
    add_machine(results);
    cJSON_AddItemToObject(
        results, "program",
        cJSON_Parse("{\"version\": \"0.0.0\", \"git\": \"made-up\", \"sha256\": null, \"compiler\": \"none\","
                    " \"flags\": \"\"}"));
    cJSON_AddItemToObject(results, "command", cJSON_Parse("[\"ciuic\", \"bench\", \"made-up.json\"]"));
    cJSON_AddStringToObject(results, "suite", "made-up");
    cJSON_AddStringToObject(results, "suite_file", "made-up.json");
    cJSON_AddStringToObject(results, "suite_sha256",
                            "0000000000000000000000000000000000000000000000000000000000000000");
    cJSON_AddNumberToObject(results, "seed", 1);
    cJSON_AddStringToObject(results, "started", "2000-01-01T00:00:00Z");
    cJSON_AddStringToObject(results, "finished", "2000-01-01T00:01:00Z");
    cJSON_AddTrueToObject(results, "complete");
    cJSON_AddNullToObject(results, "isa_override");
    cJSON *cases = cJSON_AddArrayToObject(results, "cases"), *blocks = cJSON_AddArrayToObject(results, "blocks");
    for (size_t p = 0; p < sizeof phases / sizeof phases[0]; p++) {
        slot slots[SLOTS];
        fill_slots(machine, &phases[p], slots);
        for (int i = 0; i < SLOTS; i++) cJSON_AddItemToArray(cases, case_object(machine, &phases[p], &slots[i]));
        for (size_t b = 0; b < machine->blocks; b++) add_block(machine, &phases[p], slots, b, blocks);
    }
    collect_samples(results);
    return results;
}

/* ---- looking things up ------------------------------------------------------------------------------------------ */

static bool ends_with(const char *text, const char *ending)
{
    const size_t n = strlen(text), m = strlen(ending);
    return n >= m && strcmp(text + n - m, ending) == 0;
}

cJSON *fixture_case(cJSON *results, const char *ending)
{
    for (cJSON *c = cJSON_GetObjectItem(results, "cases")->child; c != NULL; c = c->next)
        if (ends_with(cJSON_GetObjectItem(c, "id")->valuestring, ending)) return c;
    return NULL;
}

const cJSON *fixture_verdict(const cJSON *results, const char *claim_id, const char *ending, const char *baseline)
{
    const cJSON *verdicts = json_find(results, "verdicts");
    for (const cJSON *v = verdicts != NULL ? verdicts->child : NULL; v != NULL; v = v->next)
        if (strcmp(json_find(v, "claim")->valuestring, claim_id) == 0 &&
            strcmp(json_find(v, "baseline")->valuestring, baseline) == 0 &&
            ends_with(json_find(v, "case")->valuestring, ending))
            return v;
    return NULL;
}

cJSON *fixture_bench_results(const fixture_machine *machine)
{
    cJSON *results = fixture_results(machine), *claims = NULL;
    CU_ASSERT_EQUAL_FATAL(claims_read("suites/claims.json", &claims), CIUIC_OK);
    cJSON_AddItemToObject(results, "claims", claims);
    return results;
}

/* Over what will be read from the file, where a number that is none is null. */
void fixture_seal(cJSON *results)
{
    cJSON *read_back = NULL;
    cJSON_DeleteItemFromObjectCaseSensitive(results, CONTENT_DIGEST_KEY);
    CU_ASSERT_TRUE(json_exact_numbers(results));
    char *text = cJSON_PrintUnformatted(results);
    CU_ASSERT_FATAL(text != NULL && json_parse(text, strlen(text), "results", &read_back) == CIUIC_OK);
    const sha256_hex digest = content_digest(read_back);
    CU_ASSERT_PTR_NOT_NULL(cJSON_AddStringToObject(results, CONTENT_DIGEST_KEY, digest.text));
    cJSON_free(text);
    cJSON_Delete(read_back);
}
