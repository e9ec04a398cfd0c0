/* assemble.c - see assemble.h. */
#include "harness/suite/assemble.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "harness/graph_setting.h"
#include "harness/measure/case_ceiling.h"
#include "harness/suite/case_counters.h"
#include "harness/suite/packing.h"
#include "harness/suite/precision.h"
#include "harness/variant_json.h"
#include "harness/version.h"
#include "optimizer/json.h"

void format_time(char text[32])
{
    const time_t now = time(NULL);
    struct tm parts;
    if (gmtime_r(&now, &parts) == NULL || strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts) == 0) text[0] = '\0';
}

/* Copies members of `from`, those that it has, in this order. */
static void copy_members(cJSON *to, const cJSON *from, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const cJSON *item = json_find(from, keys[i]);
        if (item != NULL) cJSON_AddItemToObject(to, keys[i], cJSON_Duplicate(item, 1));
    }
}

static void add_workload(cJSON *object, const suite *s, size_t index)
{
    const suite_workload *w = &s->workloads[index];
    cJSON *workload = cJSON_AddObjectToObject(object, "workload");
    cJSON_AddStringToObject(workload, "checkpoint", s->checkpoints[w->checkpoint].name);
    cJSON_AddStringToObject(workload, "phase", suite_phase_name(w->phase));
    json_add_size(workload, "tokens", w->tokens);
    json_add_size(workload, "depth", w->depth);
    json_add_size(workload, "batch", 1);
    if (w->prefix > 0) json_add_size(workload, "prefix", w->prefix);
}

/* ---- cases ------------------------------------------------------------------------------------------------------ */

/* A case, or the A/A twin of the tuned baseline, which is a case of its own in the results. */
typedef struct case_key {
    const bench_record *record;
    size_t index; /* of the case */
    bool again;
} case_key;

/* Walks over its slots, in all blocks that hold it: a baseline is in several. */
typedef struct case_slots {
    case_key key;
    size_t block, slot;
} case_slots;

static const slot_record *next_slot(case_slots *c)
{
    const bench_record *r = c->key.record;
    const bench_matrix *m = r->matrix;
    for (; c->block < m->block_count; c->block++, c->slot = 0)
        for (; c->slot < m->blocks[c->block].slot_count; c->slot++) {
            const bench_slot *s = &m->blocks[c->block].slots[c->slot];
            if (s->index == c->key.index && s->again == c->key.again) return &r->blocks[c->block].slots[c->slot++];
        }
    return NULL;
}

static void add_variant(cJSON *item, const bench_variant *v)
{
    cJSON *variant = cJSON_AddObjectToObject(item, "variant");
    const char *baseline = suite_baseline_name(v->baseline);
    cJSON_AddStringToObject(variant, "name", v->name);
    cJSON_AddStringToObject(variant, "quantize", ciuic_quantize_name(v->options.quantize));
    graph_setting_add(variant, &v->options);
    cJSON_AddStringToObject(variant, "memory", ciuic_memory_name(v->options.memory));
    cJSON_AddStringToObject(variant, "kernels", kernel_isa_name(v->isa));
    if (baseline != NULL)
        cJSON_AddStringToObject(variant, "baseline", baseline);
    else
        cJSON_AddNullToObject(variant, "baseline");
    variant_json_add(variant, &v->options);
    if (v->prefix_cache > 0) json_add_size(variant, "prefix_cache_bytes", v->prefix_cache);
    if (v->packed) cJSON_AddTrueToObject(variant, "packed");
}

/* One index, or a baseline's several. */
static void add_blocks(cJSON *item, const case_key *key, bool baseline)
{
    cJSON *list = cJSON_CreateArray();
    size_t last = 0;
    case_slots at = {.key = *key};
    while (next_slot(&at) != NULL) cJSON_AddItemToArray(list, json_size(last = at.block));
    if (baseline || cJSON_GetArraySize(list) != 1) {
        cJSON_AddItemToObject(item, "block", list);
        return;
    }
    cJSON_Delete(list);
    json_add_size(item, "block", last);
}

/* Whether what was timed is what was scored: the errors of a case are its own only then. */
typedef enum outputs {
    OUTPUTS_MATCH,
    OUTPUTS_DIFFER,
    OUTPUTS_UNKNOWN, /* nothing was scored, or nothing timed */
} outputs;

static outputs compare_outputs(const case_key *key)
{
    const char *scored = key->record->cases[key->index].output;
    bool match = true, timed = false;
    case_slots at = {.key = *key};
    for (const slot_record *s = next_slot(&at); s != NULL; s = next_slot(&at)) {
        if (s->samples == 0) continue;
        timed = true;
        match = match && !s->other_output && (scored[0] == '\0' || strcmp(s->output, scored) == 0);
    }
    if (!match) return OUTPUTS_DIFFER;
    return scored[0] == '\0' || !timed ? OUTPUTS_UNKNOWN : OUTPUTS_MATCH;
}

/* The reason why a case has no result, with *status "failed" or "skipped"; NULL when it has one. A baseline counts as
 * measured when any of its blocks measured it. */
static const char *missing_reason(const case_key *key, const char **status)
{
    const char *failed = NULL;
    size_t samples = 0;
    case_slots at = {.key = *key};
    for (const slot_record *s = next_slot(&at); s != NULL; s = next_slot(&at)) {
        if (s->failed != NULL && failed == NULL) failed = s->failed;
        if (s->failed == NULL) samples += s->samples;
    }
    if (samples > 0 && compare_outputs(key) == OUTPUTS_DIFFER) {
        *status = "failed";
        return "wrong output: the logits while it was timed were not those that its error was measured on";
    }
    if (samples > 0) return NULL;
    const case_record *scored = &key->record->cases[key->index];
    if (key->record->suite->rounds == 0 && failed == NULL) {
        if (scored->accuracy != NULL) return NULL;
        failed = scored->accuracy_failed; /* all that such a case was for */
    }
    *status = failed != NULL ? "failed" : "skipped";
    return failed != NULL ? failed : "not measured: the bench was stopped before";
}

static void add_samples(cJSON *item, const case_key *key)
{
    cJSON *latency = cJSON_AddObjectToObject(item, "latency_s");
    cJSON *samples = cJSON_AddArrayToObject(latency, "samples"), *cpu = cJSON_AddArrayToObject(latency, "cpu_samples");
    case_slots at = {.key = *key};
    for (const slot_record *s = next_slot(&at); s != NULL; s = next_slot(&at)) {
        const size_t rounds = key->record->blocks[at.block].begun;
        for (size_t k = 0; s->seconds != NULL && k < rounds; k++) {
            if (isnan(s->seconds[k])) continue;
            cJSON_AddItemToArray(samples, json_double(s->seconds[k]));
            cJSON_AddItemToArray(cpu, json_double(s->cpu_seconds[k]));
        }
    }
}

/* null: every repetition computed all of its tokens. */
static void add_prefixes(cJSON *item, const case_key *key)
{
    const cJSON *said = NULL;
    case_slots at = {.key = *key};
    for (const slot_record *s = next_slot(&at); s != NULL && said == NULL; s = next_slot(&at))
        said = json_find(s->finished, "prefix_cache");
    if (said != NULL)
        cJSON_AddItemToObject(item, "prefix_cache", cJSON_Duplicate(said, 1));
    else
        cJSON_AddNullToObject(item, "prefix_cache");
}

/* Steady memory by kind after loading and one repetition, without the plan, which is the same then and later. */
static void add_memory_after_load(cJSON *memory, const cJSON *loaded)
{
    static const char *const plan[] = {"needed", "under_limit", "longest_context"};
    cJSON *after = cJSON_Duplicate(json_find(loaded, "memory"), 1);
    for (size_t i = 0; after != NULL && i < sizeof plan / sizeof plan[0]; i++)
        cJSON_DeleteItemFromObjectCaseSensitive(after, plan[i]);
    if (after != NULL) cJSON_AddItemToObject(memory, "after_load", after);
}

/* What a worker said at its end, after all its work; before that, of its loading. */
static void add_memory(cJSON *item, const case_key *key, const cJSON *loaded)
{
    double peak = NAN;
    const cJSON *said = json_find(loaded, "memory"), *member = NULL;
    case_slots at = {.key = *key};
    for (const slot_record *s = next_slot(&at); s != NULL; s = next_slot(&at)) {
        if (s->finished == NULL) continue;
        peak = fmax(peak, json_number(s->finished, "peak_rss"));
        if (json_find(s->finished, "memory") != NULL) said = json_find(s->finished, "memory");
    }
    cJSON *memory = cJSON_AddObjectToObject(item, "memory_bytes");
    json_add_double(memory, "peak_rss", peak);
    cJSON_ArrayForEach(member, said) cJSON_AddItemToObject(memory, member->string, cJSON_Duplicate(member, 1));
    add_memory_after_load(memory, loaded);
    add_prefixes(item, key);
}

/* What the timed workload ended with, whether or not it was scored. */
static void add_timed_output(cJSON *item, const case_key *key)
{
    case_slots at = {.key = *key};
    for (const slot_record *s = next_slot(&at); s != NULL; s = next_slot(&at)) {
        if (s->output[0] == '\0') continue;
        cJSON_AddStringToObject(item, "timed_output_sha256", s->output);
        return;
    }
}

static void add_accuracy(cJSON *item, const case_record *c)
{
    if (c->weight_check != NULL) {
        static const char *const members[] = {"checked", "unchecked", "seconds"};
        copy_members(cJSON_AddObjectToObject(item, "weight_check"), c->weight_check, members,
                     sizeof members / sizeof members[0]);
    }
    if (c->output[0] != '\0') cJSON_AddStringToObject(item, "output_sha256", c->output);
    if (c->accuracy == NULL) {
        cJSON_AddNullToObject(item, "accuracy");
        if (c->accuracy_failed != NULL) cJSON_AddStringToObject(item, "accuracy_reason", c->accuracy_failed);
        return;
    }
    cJSON_AddItemToObject(item, "accuracy", cJSON_Duplicate(c->accuracy, 1));
}

static void add_ceiling(cJSON *item, const bench_record *r, const bench_case *c, const cJSON *loaded)
{
    const size_t buffer = ceiling_buffer_bytes(loaded);
    const case_ceiling ceiling =
        ceiling_of_case(loaded, r->machine, &r->suite->workloads[c->workload], &c->variant.options, c->threads,
                        record_bandwidth(r, c->threads, buffer));
    json_add_double(item, "ceiling_tokens_per_s", ceiling.tokens_per_s);
    cJSON *object = cJSON_AddObjectToObject(item, "ceiling");
    cJSON_AddStringToObject(object, "bound", ceiling.memory_bound ? "memory" : "compute");
    json_add_double(object, "bytes_per_token", ceiling.bytes_per_token);
    json_add_double(object, "flops_per_token", ceiling.flops_per_token);
    json_add_double(object, "bandwidth_bytes_per_s", ceiling.bandwidth);
    json_add_size(object, "bandwidth_buffer_bytes", ceiling.buffer_bytes);
    json_add_double(object, "peak_ops_per_s", ceiling.peak);
}

/* How well the case's speed over tuned is known, in the block that knows it worst, beside what was asked for. */
static void add_precision(cJSON *item, const case_key *key)
{
    const bench_record *r = key->record;
    const double asked = r->suite->precision;
    const char *stopped = "";
    double worst = NAN;
    bool any = false;
    case_slots at = {.key = *key};
    while (asked > 0 && next_slot(&at) != NULL) {
        const size_t slot = at.slot - 1; /* next_slot stands behind the slot that it gave */
        double reached = NAN;
        if (!precision_applies(r, at.block, slot)) continue;
        if (precision_of_slot(r, at.block, slot, &reached) != CIUIC_OK) continue;
        if (any && !isnan(reached) && !(reached > worst)) continue; /* a NaN, too few rounds, is the worst of all */
        any = true;
        worst = reached;
        stopped = r->blocks[at.block].stopped;
        if (isnan(worst)) break;
    }
    if (!any) return;
    cJSON *precision = cJSON_AddObjectToObject(item, "precision");
    json_add_double(precision, "asked", asked);
    json_add_double(precision, "reached", worst);
    if (worst <= asked)
        cJSON_AddStringToObject(precision, "stopped_by", "precision");
    else if (stopped[0] != '\0')
        cJSON_AddStringToObject(precision, "stopped_by", stopped);
    else
        cJSON_AddNullToObject(precision, "stopped_by");
}

static void add_measurements(cJSON *item, const case_key *key)
{
    static const char *const sizes[] = {"bits_per_weight", "weight_bytes", "load_s", "load_growth_bytes", "computed"};
    const cJSON *loaded = NULL, *counters = NULL;
    case_slots at = {.key = *key};
    for (const slot_record *s = next_slot(&at); s != NULL; s = next_slot(&at)) {
        if (loaded == NULL) loaded = s->loaded;
        if (counters == NULL && s->finished != NULL) counters = json_find(s->finished, "counters");
    }
    const bool timed = key->record->suite->rounds > 0;
    if (timed) add_samples(item, key);
    if (timed) add_precision(item, key);
    if (timed) add_timed_output(item, key);
    copy_members(item, loaded, sizes, sizeof sizes / sizeof sizes[0]);
    if (json_find(loaded, "first_token_s") != NULL) /* of a prefill */
        json_add_double(item, "first_token_s", json_number(loaded, "first_token_s"));
    if (cJSON_IsTrue(json_find(loaded, "random_weights"))) cJSON_AddTrueToObject(item, "random_weights");
    add_memory(item, key, loaded);
    /* The ceiling is of computing all tokens: what a cache has spared knows no such bound. */
    const bench_case *c = &key->record->matrix->cases[key->index];
    const bool spared = c->variant.prefix_cache > 0 && key->record->suite->workloads[c->workload].prefix > 0;
    if (timed && !spared) add_ceiling(item, key->record, c, loaded);
    cJSON_AddItemToObject(item, "counters",
                          case_counters(key->record->cases[key->index].counters, counters, loaded,
                                        &key->record->suite->workloads[c->workload]));
}

/* A case that was not run because of what it needs. */
static void add_refusal(cJSON *item, const case_key *key)
{
    case_slots at = {.key = *key};
    for (const slot_record *s = next_slot(&at); s != NULL; s = next_slot(&at)) {
        if (s->refused == NULL) continue;
        cJSON_AddItemToObject(item, "refused", cJSON_Duplicate(s->refused, 1));
        return;
    }
}

static cJSON *case_item(const case_key *key)
{
    const bench_record *r = key->record;
    const bench_case *c = &r->matrix->cases[key->index];
    const bench_slot slot = {.index = key->index, .again = key->again};
    char id[SLOT_ID_MAX];
    cJSON *item = cJSON_CreateObject();
    if (item == NULL) return NULL;
    matrix_slot_id(r->matrix, &slot, id);
    const char *status = "skipped", *reason = c->skip[0] != '\0' ? c->skip : missing_reason(key, &status);
    cJSON_AddStringToObject(item, "id", id);
    cJSON_AddStringToObject(item, "status", reason == NULL ? "ok" : status);
    if (reason != NULL) cJSON_AddStringToObject(item, "reason", reason);
    add_variant(item, &c->variant);
    add_workload(item, r->suite, c->workload);
    json_add_size(item, "threads", (size_t)c->threads);
    if (c->packing != NO_PACKING) json_add_size(item, "packing", c->packing);
    add_blocks(item, key, c->variant.baseline != BASELINE_NONE);
    const outputs same = compare_outputs(key);
    if (same == OUTPUTS_UNKNOWN)
        cJSON_AddNullToObject(item, "outputs_match");
    else
        cJSON_AddBoolToObject(item, "outputs_match", same == OUTPUTS_MATCH);
    const cJSON *search = r->cases[key->index].search;
    if (search != NULL && !key->again) cJSON_AddItemToObject(item, "limits", cJSON_Duplicate(search, 1));
    if (reason != NULL) {
        add_refusal(item, key);
        return item;
    }
    add_measurements(item, key);
    add_accuracy(item, &r->cases[key->index]);
    return item;
}

/* The digests of the logits that errors are measured against. */
static void add_references(cJSON *results, const bench_record *r)
{
    cJSON *references = cJSON_AddArrayToObject(results, "references");
    for (size_t w = 0; w < r->suite->workload_count; w++) {
        if (r->references[w][0] == '\0') continue;
        cJSON *item = cJSON_CreateObject();
        add_workload(item, r->suite, w);
        cJSON_AddStringToObject(item, "sha256", r->references[w]);
        cJSON_AddItemToArray(references, item);
    }
}

/* The folders that packed variants were loaded from; absent where there are no such variants. */
static void add_packings(cJSON *results, const bench_record *r)
{
    static const char *const told[] = {"sha256",        "bytes",           "bits_per_weight",  "seconds",
                                       "check_seconds", "weights_checked", "weights_unchecked"};
    if (r->matrix->packing_count == 0) return;
    cJSON *list = cJSON_AddArrayToObject(results, "packings");
    for (size_t i = 0; i < r->matrix->packing_count; i++) {
        const bench_packing *p = &r->matrix->packings[i];
        const packing_record *known = &r->packings[i];
        cJSON *item = cJSON_CreateObject();
        cJSON_AddStringToObject(item, "checkpoint", r->suite->checkpoints[p->checkpoint].name);
        cJSON_AddStringToObject(item, "weights", p->weights);
        json_add_size(item, "interleave", p->interleave);
        json_add_size(item, "times_made", known->times);
        copy_members(item, known->made, told, sizeof told / sizeof told[0]);
        if (known->failed != NULL) cJSON_AddStringToObject(item, "failed", known->failed);
        cJSON_AddItemToArray(list, item);
    }
}

static void add_cases(cJSON *results, const bench_record *r)
{
    cJSON *cases = cJSON_AddArrayToObject(results, "cases");
    for (size_t i = 0; i < r->matrix->case_count; i++) {
        case_key key = {.record = r, .index = i};
        cJSON_AddItemToArray(cases, case_item(&key));
        if (r->suite->rounds == 0 || r->matrix->cases[i].variant.baseline != BASELINE_TUNED) continue;
        key.again = true;
        cJSON_AddItemToArray(cases, case_item(&key));
    }
}

/* ---- blocks ----------------------------------------------------------------------------------------------------- */

/* The ids in the order in which they were asked, round by round. */
static void add_schedule(cJSON *item, const bench_record *r, size_t b)
{
    const block_record *block = &r->blocks[b];
    cJSON *schedule = cJSON_AddArrayToObject(item, "schedule");
    size_t at = 0;
    for (size_t round = 0; round < block->begun; round++) {
        cJSON *order = cJSON_CreateArray();
        for (; at < block->asked_count && block->asked[at].round == round; at++) {
            char id[SLOT_ID_MAX];
            matrix_slot_id(r->matrix, &r->matrix->blocks[b].slots[block->asked[at].slot], id);
            cJSON_AddItemToArray(order, cJSON_CreateString(id));
        }
        cJSON_AddItemToArray(schedule, order);
    }
}

static cJSON *block_item(const bench_record *r, size_t b)
{
    const bench_block *plan = &r->matrix->blocks[b];
    const block_record *block = &r->blocks[b];
    cJSON *item = cJSON_CreateObject();
    json_add_size(item, "index", b);
    add_workload(item, r->suite, plan->workload);
    json_add_size(item, "threads", (size_t)plan->threads);
    json_add_size(item, "rounds", block->begun);
    if (block->stopped[0] != '\0') cJSON_AddStringToObject(item, "stopped_by", block->stopped);
    json_add_size(item, "workers_started", block->starts);
    json_add_double(item, "stolen_s", block->done ? block->stolen_s : NAN);
    add_schedule(item, r, b);
    cJSON *iterations = cJSON_AddObjectToObject(item, "iterations");
    cJSON *samples = cJSON_AddObjectToObject(item, "samples");
    for (size_t i = 0; i < plan->slot_count; i++) {
        char id[SLOT_ID_MAX];
        matrix_slot_id(r->matrix, &plan->slots[i], id);
        json_add_size(iterations, id, block->slots[i].iterations);
        cJSON *list = cJSON_AddArrayToObject(samples, id);
        for (size_t k = 0; k < block->begun; k++) cJSON_AddItemToArray(list, json_double(block->slots[i].seconds[k]));
    }
    return item;
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static void add_program(cJSON *results, const cJSON *run)
{
    cJSON *program = cJSON_AddObjectToObject(results, "program");
    const cJSON *digest = json_find(run, "program_sha256");
    cJSON_AddStringToObject(program, "version", program_version());
    cJSON_AddStringToObject(program, "git", program_git());
    cJSON_AddStringToObject(program, "sha256", cJSON_IsString(digest) ? digest->valuestring : "");
    cJSON_AddStringToObject(program, "compiler", program_compiler());
    cJSON_AddStringToObject(program, "flags", program_flags());
}

static void add_header(cJSON *results, const bench_record *r, bool complete)
{
    static const char *const from_run[] = {"started", "command", "suite_file", "suite_sha256", "seed", "checkpoints"};
    char now[32];
    format_time(now);
    json_add_size(results, "schema_version", 1);
    cJSON_AddStringToObject(results, "suite", r->suite->name);
    cJSON_AddStringToObject(results, "description", r->suite->description);
    copy_members(results, r->run, from_run, sizeof from_run / sizeof from_run[0]);
    cJSON *evaluation = cJSON_AddObjectToObject(results, "evaluation");
    json_add_size(evaluation, "windows", r->suite->accuracy_windows);
    json_add_size(evaluation, "window_tokens", r->suite->accuracy_tokens);
    cJSON_AddBoolToObject(results, "complete", complete);
    cJSON_AddBoolToObject(results, "timed", r->suite->rounds > 0);
    json_add_double(results, "precision", r->suite->precision > 0 ? r->suite->precision : NAN);
    if (r->suite->total_limit > 0)
        json_add_size(cJSON_AddObjectToObject(results, "limits"), "total_bytes", r->suite->total_limit);
    cJSON_AddStringToObject(results, "finished", now);
    json_add_double(results, "elapsed_s", r->elapsed_s);
    cJSON_AddItemToObject(results, "resumed", cJSON_Duplicate(r->resumed, 1));
    if (kernel_isa_override() != NULL)
        cJSON_AddStringToObject(results, "isa_override", kernel_isa_override());
    else
        cJSON_AddNullToObject(results, "isa_override");
    add_program(results, r->run);
    cJSON_AddItemToObject(results, "machine", cJSON_Duplicate(r->machine, 1));
}

cJSON *assemble_results(const bench_record *r, const cJSON *claims, bool complete)
{
    cJSON *results = cJSON_CreateObject();
    if (results == NULL) return NULL;
    add_header(results, r, complete);
    cJSON_AddItemToObject(results, "claims", cJSON_Duplicate(claims, 1));
    add_references(results, r);
    add_packings(results, r);
    cJSON *blocks = cJSON_AddArrayToObject(results, "blocks");
    for (size_t b = 0; b < r->matrix->block_count; b++) cJSON_AddItemToArray(blocks, block_item(r, b));
    add_cases(results, r);
    return results;
}
