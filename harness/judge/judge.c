/* judge.c - judge_results: medians and ratios of every case, the noise floor, then verdicts, stages and the summary. */
#include "harness/judge/judge.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "harness/judge/attribution.h"
#include "harness/judge/claims.h"
#include "harness/judge/holds.h"
#include "harness/judge/ratios.h"
#include "harness/judge/results.h"
#include "harness/judge/stages.h"
#include "harness/judge/statistics.h"
#include "harness/judge/summary.h"
#include "harness/judge/verdicts.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static ciuic_status out_of_memory(void)
{
    return ciuic_fail_memory("judging results", sizeof(cJSON));
}

/* ---- cases ------------------------------------------------------------------------------------------------------ */

/* *seconds (to be freed) holds the usable samples of a case. */
static ciuic_status read_samples(const cJSON *latency, double **seconds, size_t *n)
{
    const cJSON *samples = json_find(latency, "samples");
    const size_t count = cJSON_IsArray(samples) ? (size_t)cJSON_GetArraySize(samples) : 0;
    *n = 0;
    *seconds = calloc(count > 0 ? count : 1, sizeof **seconds);
    if (*seconds == NULL) return ciuic_fail_memory("samples", count * sizeof **seconds);
    for (const cJSON *item = count > 0 ? samples->child : NULL; item != NULL; item = item->next)
        if (json_is_number(item) && item->valuedouble > 0.0) (*seconds)[(*n)++] = item->valuedouble;
    return CIUIC_OK;
}

static ciuic_status judge_latency(const result_set *r, const result_case *c)
{
    cJSON *latency = cJSON_GetObjectItemCaseSensitive(c->json, "latency_s");
    double *seconds = NULL;
    size_t n = 0;
    CIUIC_TRY(read_samples(latency, &seconds, &n));
    const interval time = median_interval(seconds, n, CONFIDENCE);
    free(seconds);
    const result_group *group = &r->groups[c->group];
    const double tokens = (double)group->tokens * (double)group->batch;
    bool ok = set_member(c->json, "tokens_per_s", json_double(tokens / time.median));
    if (cJSON_IsObject(latency)) {
        ok = ok && set_member(latency, "median", json_double(time.median));
        ok = ok && set_member(latency, "low", json_double(time.low));
        ok = ok && set_member(latency, "high", json_double(time.high));
    }
    return ok ? CIUIC_OK : out_of_memory();
}

/* ---- noise ------------------------------------------------------------------------------------------------------ */

/* From `tuned` measured against its own twin, block by block: the blocks of a group ran one after the other, and a
 * disturbance of one of them must neither hide among the pairs of the others nor be charged to them. */
static ciuic_status judge_noise(const result_set *r, result_block *block, size_t position, cJSON *floors)
{
    const result_group *group = block->group != NO_GROUP ? &r->groups[block->group] : NULL;
    if (group == NULL || group->tuned == NULL || !results_timed(r->root)) return CIUIC_OK;
    char twin[512];
    paired_logs pairs = {.noise_floor = NAN};
    snprintf(twin, sizeof twin, "%.480s#again", group->tuned->id);
    CIUIC_TRY(add_block_pairs(block, group->tuned->id, twin, &pairs));
    const size_t n = pairs.n;
    block->noise_floor = noise_floor(pairs.logs, n);
    const interval ratio = interval_exp(median_interval(pairs.logs, n, CONFIDENCE));
    paired_logs_free(&pairs);
    cJSON *o = cJSON_CreateObject();
    if (o == NULL || !cJSON_AddItemToArray(floors, o)) {
        cJSON_Delete(o);
        return out_of_memory();
    }
    const bool ok = json_add_size(o, "block", position) &&
                    set_member(o, "workload", cJSON_Duplicate(group->workload, true)) &&
                    json_add_size(o, "threads", group->threads) &&
                    cJSON_AddStringToObject(o, "case", group->tuned->id) != NULL && json_add_size(o, "rounds", n) &&
                    json_add_double(o, "ratio", ratio.median) && json_add_double(o, "low", ratio.low) &&
                    json_add_double(o, "high", ratio.high) && json_add_double(o, "floor", block->noise_floor);
    return ok ? CIUIC_OK : out_of_memory();
}

/* A block whose twin was lost takes the worst floor of its group's other blocks, or else of all: the same machine, the
 * same hour. */
static void lend_noise(result_set *r)
{
    double worst = NAN;
    for (size_t b = 0; b < r->block_count; b++) worst = fmax(worst, r->blocks[b].noise_floor);
    for (size_t g = 0; g < r->group_count; g++) {
        double of_group = NAN;
        for (size_t b = 0; b < r->block_count; b++)
            if (r->blocks[b].group == g) of_group = fmax(of_group, r->blocks[b].noise_floor);
        for (size_t b = 0; b < r->block_count; b++)
            if (r->blocks[b].group == g && isnan(r->blocks[b].noise_floor))
                r->blocks[b].noise_floor = isnan(of_group) ? worst : of_group;
    }
}

static ciuic_status judge_noises(result_set *r)
{
    cJSON *floors = cJSON_CreateArray();
    if (!set_member(r->root, "noise_floor", floors)) return out_of_memory();
    for (size_t b = 0; b < r->block_count; b++) CIUIC_TRY(judge_noise(r, &r->blocks[b], b, floors));
    lend_noise(r);
    return CIUIC_OK;
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

static ciuic_status judge_indexed(result_set *r, const cJSON *claims)
{
    cJSON *verdicts = NULL, *stages = NULL, *attribution = NULL, *summary = NULL, *holds = NULL;
    CIUIC_TRY(judge_noises(r));
    for (size_t i = 0; i < r->case_count; i++)
        if (case_ok(&r->cases[i])) CIUIC_TRY(judge_latency(r, &r->cases[i]));
    CIUIC_TRY(ratios_make(r));
    CIUIC_TRY(series_make(r));
    CIUIC_TRY(verdicts_make(r, claims, &verdicts));
    if (!set_member(r->root, "verdicts", verdicts)) return out_of_memory();
    CIUIC_TRY(stages_make(r, &stages));
    if (!set_member(r->root, "stages", stages)) return out_of_memory();
    CIUIC_TRY(attribution_make(r, &attribution));
    if (!set_member(r->root, "attribution", attribution)) return out_of_memory();
    CIUIC_TRY(summary_make(r, claims, &summary));
    if (!set_member(r->root, "summary", summary)) return out_of_memory();
    CIUIC_TRY(holds_make(r, claims, &holds));
    return set_member(summary, "claims", holds) ? CIUIC_OK : out_of_memory();
}

ciuic_status judge_results(cJSON *root, const cJSON *claims)
{
    result_set r;
    CIUIC_TRY(claims_check(claims, "claims"));
    ciuic_status status = results_index(root, &r);
    if (status == CIUIC_OK) status = judge_indexed(&r, claims);
    results_free(&r);
    return status;
}
