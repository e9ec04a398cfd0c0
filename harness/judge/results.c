/* results.c - indexing a results object. Ids say which cases belong together:
 * "<workload>/b<batch>/t<threads>/<variant>". */
#include "harness/judge/results.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/json.h"

static const char twin_suffix[] = "#again";

static bool is_twin(const char *id)
{
    const size_t length = strlen(id), suffix = sizeof twin_suffix - 1;
    return length >= suffix && strcmp(id + length - suffix, twin_suffix) == 0;
}

static const char *text_or(const cJSON *object, const char *key, const char *otherwise)
{
    const cJSON *item = json_find(object, key);
    return cJSON_IsString(item) ? item->valuestring : otherwise;
}

static ciuic_status read_group(const result_case *c, const char *where, size_t id_length, result_group *group)
{
    const cJSON *workload = NULL;
    *group = (result_group){.id = c->id, .id_length = id_length, .blocks = NO_BLOCK};
    CIUIC_TRY(json_get_object(c->json, where, "workload", &workload));
    group->workload = workload;
    CIUIC_TRY(json_get_string(workload, where, "phase", &group->phase));
    CIUIC_TRY(json_get_string(workload, where, "checkpoint", &group->checkpoint));
    CIUIC_TRY(json_get_size(workload, where, "tokens", 1, SIZE_MAX, &group->tokens));
    CIUIC_TRY(json_get_size(workload, where, "depth", 0, SIZE_MAX, &group->depth));
    CIUIC_TRY(json_get_size(workload, where, "batch", 1, SIZE_MAX, &group->batch));
    return json_get_size(c->json, where, "threads", 1, SIZE_MAX, &group->threads);
}

/* The group that c's id names, made when it is new. */
static ciuic_status find_group(result_set *r, const result_case *c, const char *where, size_t *index)
{
    const char *slash = strrchr(c->id, '/');
    if (slash == NULL)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: id \"%s\" has no '/'; expected <workload>/b<n>/t<n>/<variant>", where,
                          c->id);
    const size_t length = (size_t)(slash - c->id);
    for (size_t g = r->group_count; g-- > 0;) { /* the last one first: cases of a group stand together */
        if (r->groups[g].id_length != length || strncmp(r->groups[g].id, c->id, length) != 0) continue;
        *index = g;
        return CIUIC_OK;
    }
    CIUIC_TRY(read_group(c, where, length, &r->groups[r->group_count]));
    *index = r->group_count++;
    return CIUIC_OK;
}

/* By what the variant was, and by what its worker told. */
static double prefix_cache_of(const cJSON *json, const cJSON *variant)
{
    const cJSON *asked = json_find(variant, "prefix_cache_bytes"),
                *told = json_find(json_find(json, "prefix_cache"), "capacity");
    if (json_is_number(asked)) return asked->valuedouble;
    return json_is_number(told) ? told->valuedouble : json_find(json, "prefix_cache") != NULL ? INFINITY : 0;
}

static double prefix_tokens_of(const cJSON *json)
{
    const cJSON *prefix = json_find(json_find(json, "workload"), "prefix");
    return json_is_number(prefix) ? prefix->valuedouble : 0;
}

static ciuic_status read_case(result_set *r, cJSON *json, size_t position)
{
    char where[64];
    snprintf(where, sizeof where, "results: cases[%zu]", position);
    const cJSON *variant = NULL;
    result_case c = {.json = json, .reason = text_or(json, "reason", "")};
    CIUIC_TRY(json_get_string(json, where, "id", &c.id));
    CIUIC_TRY(json_get_string(json, where, "status", &c.status));
    if (strcmp(c.status, "ok") == 0 && cJSON_IsFalse(json_find(json, "outputs_match"))) {
        c.status = "failed";
        c.reason = "its timed runs ended with other logits than those that its accuracy was measured on";
    }
    CIUIC_TRY(json_get_object(json, where, "variant", &variant));
    CIUIC_TRY(json_get_string(variant, where, "quantize", &c.quantize));
    if (cJSON_IsString(json_find(variant, "graph"))) {
        c.graph = true;
        CIUIC_TRY(json_get_string(variant, where, "graph", &c.passes));
    } else {
        CIUIC_TRY(json_get_bool(variant, where, "graph", &c.graph));
    }
    CIUIC_TRY(json_get_string(variant, where, "memory", &c.memory));
    CIUIC_TRY(json_get_string(variant, where, "kernels", &c.kernels));
    if (strcmp(c.quantize, "fp16") == 0) c.quantize = "none";
    c.prefix_cache = prefix_cache_of(json, variant);
    if (c.prefix_cache > 0) c.prefix_tokens = prefix_tokens_of(json);
    c.packed = cJSON_IsTrue(json_find(variant, "packed"));
    c.twin = is_twin(c.id);
    c.weights = case_variant_name(&c);
    c.weights_length = strcspn(c.weights, "+");
    c.baseline = c.twin ? NULL : text_or(variant, "baseline", NULL);
    CIUIC_TRY(find_group(r, &c, where, &c.group));
    result_case *stored = &r->cases[r->case_count++];
    *stored = c;
    if (c.baseline == NULL) return CIUIC_OK;
    result_group *group = &r->groups[c.group];
    if (strcmp(c.baseline, "naive") == 0) group->naive = stored;
    if (strcmp(c.baseline, "tuned") == 0) group->tuned = stored;
    if (strcmp(c.baseline, "openblas") == 0) group->openblas = stored;
    if (strcmp(c.baseline, "onednn") == 0) group->onednn = stored;
    return CIUIC_OK;
}

/* ---- finding ---------------------------------------------------------------------------------------------------- */

static int compare_cases(const void *a, const void *b)
{
    const result_case *const *x = a, *const *y = b;
    const int order = strcmp((*x)->id, (*y)->id);
    return order != 0 ? order : (*x > *y) - (*x < *y);
}

static ciuic_status index_cases(result_set *r)
{
    r->by_id = calloc(r->case_count, sizeof *r->by_id);
    if (r->by_id == NULL) return ciuic_fail_memory("results", r->case_count * sizeof *r->by_id);
    for (size_t i = r->case_count; i-- > 0;) {
        result_case *c = &r->cases[i];
        r->by_id[i] = c;
        c->next = r->groups[c->group].cases;
        r->groups[c->group].cases = c;
    }
    qsort(r->by_id, r->case_count, sizeof *r->by_id, compare_cases);
    for (size_t i = 1; i < r->case_count; i++) { /* samples are found by id, and would be taken for those of both */
        const result_case *first = r->by_id[i - 1], *second = r->by_id[i];
        if (strcmp(first->id, second->id) == 0)
            return ciuic_fail(CIUIC_ERROR_INPUT,
                              "results: cases[%td]: id \"%.160s\" is that of cases[%td], too; expected another",
                              second - r->cases, second->id, first - r->cases);
    }
    return CIUIC_OK;
}

const result_case *results_case(const result_set *r, const char *id)
{
    size_t first = 0, end = r->case_count;
    while (first < end) { /* the first whose id is not below the one wanted */
        const size_t middle = first + (end - first) / 2;
        if (strcmp(r->by_id[middle]->id, id) < 0)
            first = middle + 1;
        else
            end = middle;
    }
    return first < r->case_count && strcmp(r->by_id[first]->id, id) == 0 ? r->by_id[first] : NULL;
}

/* ---- blocks ----------------------------------------------------------------------------------------------------- */

/* The group that a block's samples are of. */
static size_t block_group(const result_set *r, const cJSON *block)
{
    const cJSON *samples = json_find(block, "samples");
    for (const cJSON *list = samples != NULL ? samples->child : NULL; list != NULL; list = list->next) {
        const result_case *c = list->string != NULL ? results_case(r, list->string) : NULL;
        if (c != NULL) return c->group;
    }
    return NO_GROUP;
}

/* bench leaves an entry for each round that was begun, null where a sample was lost: also of a slot that failed, and of a bench that
 * was stopped. Pairs are taken by position. */
static ciuic_status check_rounds(const cJSON *block, size_t position)
{
    char where[64];
    size_t rounds = 0;
    snprintf(where, sizeof where, "results: blocks[%zu]", position);
    CIUIC_TRY(json_get_size(block, where, "rounds", 0, SIZE_MAX, &rounds));
    const cJSON *samples = json_find(block, "samples");
    for (const cJSON *list = samples != NULL ? samples->child : NULL; list != NULL; list = list->next) {
        const size_t found = (size_t)cJSON_GetArraySize(list);
        if (found != rounds)
            return ciuic_fail(
                CIUIC_ERROR_INPUT,
                "%s.samples[\"%.160s\"]: found %zu samples, expected %zu, one for each of the block's rounds", where,
                list->string != NULL ? list->string : "", found, rounds);
    }
    return CIUIC_OK;
}

static ciuic_status index_blocks(result_set *r, const cJSON *blocks)
{
    const size_t count = (size_t)cJSON_GetArraySize(blocks);
    if (count == 0) return CIUIC_OK;
    r->blocks = calloc(count, sizeof *r->blocks);
    if (r->blocks == NULL) return ciuic_fail_memory("results", count * sizeof *r->blocks);
    for (cJSON *item = blocks->child; item != NULL; item = item->next) {
        CIUIC_TRY(check_rounds(item, r->block_count));
        r->blocks[r->block_count++] =
            (result_block){.json = item, .group = block_group(r, item), .next = NO_BLOCK, .noise_floor = NAN};
    }
    for (size_t b = r->block_count; b-- > 0;) {
        result_block *block = &r->blocks[b];
        if (block->group == NO_GROUP) continue;
        block->next = r->groups[block->group].blocks;
        r->groups[block->group].blocks = b;
    }
    return CIUIC_OK;
}

ciuic_status results_index(cJSON *root, result_set *r)
{
    const cJSON *cases = NULL, *blocks = NULL;
    *r = (result_set){.root = root};
    CIUIC_TRY(json_get_array(root, "results", "cases", &cases));
    CIUIC_TRY(json_get_array(root, "results", "blocks", &blocks));
    const size_t count = (size_t)cJSON_GetArraySize(cases);
    if (count == 0) return CIUIC_OK;
    r->cases = calloc(count, sizeof *r->cases);
    r->groups = calloc(count, sizeof *r->groups);
    if (r->cases == NULL || r->groups == NULL) return ciuic_fail_memory("results", count * sizeof *r->cases);
    size_t position = 0;
    for (cJSON *item = cases->child; item != NULL; item = item->next) CIUIC_TRY(read_case(r, item, position++));
    CIUIC_TRY(index_cases(r));
    return index_blocks(r, blocks);
}

void results_free(result_set *r)
{
    free(r->by_id);
    free(r->cases);
    free(r->groups);
    free(r->blocks);
    *r = (result_set){0};
}

bool case_ok(const result_case *c)
{
    return c != NULL && strcmp(c->status, "ok") == 0;
}

const result_case *group_baseline(const result_group *group, const char *name)
{
    if (strcmp(name, "naive") == 0) return group->naive;
    if (strcmp(name, "tuned") == 0) return group->tuned;
    if (strcmp(name, "openblas") == 0) return group->openblas;
    if (strcmp(name, "onednn") == 0) return group->onednn;
    return NULL;
}

bool same_weights(const result_case *a, const result_case *b)
{
    return strcmp(a->quantize, b->quantize) == 0 && a->weights_length == b->weights_length &&
           strncmp(a->weights, b->weights, a->weights_length) == 0;
}

bool same_prefix_cache(const result_case *a, const result_case *b)
{
    return a->prefix_cache == b->prefix_cache && a->prefix_tokens == b->prefix_tokens;
}

bool results_timed(const cJSON *root)
{
    return !cJSON_IsFalse(json_find(root, "timed"));
}

const result_case *find_variant(const result_set *r, const result_case *like, bool quantize, bool graph,
                                const char *memory, const char *kernels)
{
    const result_group *of = &r->groups[like->group];
    for (const result_case *c = of->cases; c != NULL; c = c->next) {
        if (c->twin || c->packed || c->graph != graph || c->passes != NULL || !same_prefix_cache(c, like)) continue;
        if (c == of->openblas || c == of->onednn) continue; /* a library's matmuls: not a point of the lattice */
        if (quantize ? !same_weights(c, like) : strcmp(c->quantize, "none") != 0) continue;
        if (strcmp(c->memory, memory) == 0 && strcmp(c->kernels, kernels) == 0) return c;
    }
    return NULL;
}

bool is_all_on(const result_set *r, const result_case *c)
{
    const result_case *tuned = r->groups[c->group].tuned;
    return tuned != NULL && c->baseline == NULL && !c->twin && !c->packed && same_prefix_cache(c, tuned) &&
           strcmp(c->quantize, "none") != 0 && c->graph && c->passes == NULL && strcmp(c->memory, "off") != 0 &&
           strcmp(c->kernels, tuned->kernels) == 0;
}

/* ---- pairs ------------------------------------------------------------------------------------------------------ */

static const cJSON *block_samples(const cJSON *block, const char *id)
{
    const cJSON *samples = json_find(json_find(block, "samples"), id);
    return cJSON_IsArray(samples) ? samples : NULL;
}

bool sample_usable(const cJSON *sample)
{
    return json_is_number(sample) && isfinite(sample->valuedouble) && sample->valuedouble > 0.0;
}

ciuic_status add_block_pairs(const result_block *block, const char *first, const char *second, paired_logs *pairs)
{
    const cJSON *a = block_samples(block->json, first), *b = block_samples(block->json, second);
    if (a == NULL || b == NULL || a->child == NULL) return CIUIC_OK;
    const size_t most = pairs->n + (size_t)cJSON_GetArraySize(a), before = pairs->n;
    double *grown = reallocarray(pairs->logs, most, sizeof *grown);
    if (grown == NULL) return ciuic_fail_memory("paired samples", most * sizeof *grown);
    pairs->logs = grown;
    const cJSON *x = a->child, *y = b->child;
    for (; x != NULL && y != NULL; x = x->next, y = y->next)
        if (sample_usable(x) && sample_usable(y)) /* null: this round was lost for one of them */
            pairs->logs[pairs->n++] = log(x->valuedouble / y->valuedouble);
    if (pairs->n > before) pairs->noise_floor = fmax(pairs->noise_floor, block->noise_floor);
    return CIUIC_OK;
}

ciuic_status find_pairs(const result_set *r, const char *first, const char *second, paired_logs *pairs)
{
    *pairs = (paired_logs){.noise_floor = NAN};
    const result_case *c = results_case(r, first);
    const size_t begin = c != NULL ? r->groups[c->group].blocks : NO_BLOCK;
    for (size_t b = begin; b != NO_BLOCK; b = r->blocks[b].next)
        CIUIC_TRY(add_block_pairs(&r->blocks[b], first, second, pairs));
    return CIUIC_OK;
}

void paired_logs_free(paired_logs *pairs)
{
    free(pairs->logs);
    *pairs = (paired_logs){.noise_floor = NAN};
}

bool results_precise(const result_set *r)
{
    return json_is_number(json_find(r->root, "precision"));
}

double results_confidence(const result_set *r)
{
    return results_precise(r) ? PRECISION_CONFIDENCE : CONFIDENCE;
}

double results_coverage(const result_set *r, const interval *speed)
{
    return results_precise(r) ? fmin(CONFIDENCE, speed->coverage) : speed->coverage;
}

double results_p(const result_set *r, double p)
{
    return isnan(p) ? p : fmin(1.0, p * ((1.0 - CONFIDENCE) / (1.0 - results_confidence(r))));
}

ciuic_status paired_speedup(const result_set *r, const result_case *base, const result_case *c, interval *out,
                            double *floor)
{
    paired_logs pairs;
    const ciuic_status status = find_pairs(r, base->id, c->id, &pairs);
    *out = interval_exp(median_interval(pairs.logs, pairs.n, results_confidence(r)));
    if (floor != NULL) *floor = pairs.noise_floor;
    paired_logs_free(&pairs);
    return status;
}

double case_number(const result_case *c, const char *outer, const char *inner)
{
    const cJSON *item = json_find(c->json, outer);
    if (inner != NULL) item = json_find(item, inner);
    return json_is_number(item) ? item->valuedouble : NAN;
}

void group_label(const result_set *r, size_t group, char *text, size_t size)
{
    const result_group *g = &r->groups[group];
    bool checkpoints = false, thread_counts = false;
    for (size_t i = 0; i < r->group_count; i++) {
        checkpoints = checkpoints || strcmp(r->groups[i].checkpoint, g->checkpoint) != 0;
        thread_counts = thread_counts || r->groups[i].threads != g->threads;
    }
    char depth[32] = "", batch[32] = "", threads[32] = "";
    if (strcmp(g->phase, "decode") == 0 || g->depth > 0) snprintf(depth, sizeof depth, "@%zu", g->depth);
    if (g->batch > 1) snprintf(batch, sizeof batch, ", batch %zu", g->batch);
    if (thread_counts) snprintf(threads, sizeof threads, ", %zu thread%s", g->threads, g->threads == 1 ? "" : "s");
    snprintf(text, size, "%.64s%s%.16s%zu%s%s%s", checkpoints ? g->checkpoint : "", checkpoints ? " " : "", g->phase,
             g->tokens, depth, batch, threads);
}

const char *case_variant_name(const result_case *c)
{
    const char *slash = strrchr(c->id, '/');
    return slash != NULL ? slash + 1 : c->id;
}

bool set_member(cJSON *object, const char *key, cJSON *item)
{
    if (item == NULL) return false;
    cJSON_DeleteItemFromObjectCaseSensitive(object, key);
    if (cJSON_AddItemToObject(object, key, item)) return true;
    cJSON_Delete(item);
    return false;
}

/* Bytes of the UTF-8 sequence at `text`; 0 when there is none. Overlong forms and surrogates are let through: JSON
 * readers differ on them, and they come from files that were already accepted as JSON. */
static size_t utf8_length(const unsigned char *text)
{
    const size_t length = text[0] < 0x80                      ? 1
                          : text[0] >= 0xc2 && text[0] < 0xe0 ? 2
                          : text[0] >= 0xe0 && text[0] < 0xf0 ? 3
                          : text[0] >= 0xf0 && text[0] < 0xf5 ? 4
                                                              : 0;
    for (size_t i = 1; i < length; i++)
        if ((text[i] & 0xc0) != 0x80) return 0; /* the terminating NUL, too */
    return length;
}

cJSON *sentence_json(const char *text)
{
    cJSON *item = cJSON_CreateString(text);
    if (item == NULL) return NULL;
    for (char *c = item->valuestring; *c != '\0';) {
        const size_t length = utf8_length((const unsigned char *)c);
        if (length == 0) *c = '?';
        c += length > 0 ? length : 1;
    }
    return item;
}
