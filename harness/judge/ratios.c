/* ratios.c - see ratios.h. */
#include "harness/judge/ratios.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/bootstrap.h"
#include "harness/judge/holm.h"
#include "harness/judge/sign_test.h"
#include "harness/judge/stationarity.h"
#include "harness/judge/verdicts.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static ciuic_status out_of_memory(void)
{
    return ciuic_fail_memory("ratios", sizeof(cJSON));
}

/* ---- flags ------------------------------------------------------------------------------------------------------ */

/* "outliers", "warm-up", "drift": what a reader should know of a series before believing its median. */
static bool add_series(cJSON *o, const series_check *check, double drift_p_holm)
{
    bool ok = json_add_size(o, "outliers", check->outliers) && json_add_size(o, "warm_up_rounds", check->warm_up) &&
              json_add_double(o, "drift", check->drift) && json_add_double(o, "drift_p", check->drift_p) &&
              json_add_double(o, "drift_p_holm", drift_p_holm);
    cJSON *flags = ok ? cJSON_AddArrayToObject(o, "flags") : NULL;
    ok = flags != NULL;
    if (ok && check->outliers > 0) ok = cJSON_AddItemToArray(flags, cJSON_CreateString("outliers"));
    if (ok && check->warm_up > 0) ok = cJSON_AddItemToArray(flags, cJSON_CreateString("warm-up"));
    if (ok && drift_p_holm <= FAMILY_LEVEL) ok = cJSON_AddItemToArray(flags, cJSON_CreateString("drift"));
    return ok;
}

/* ---- ratios ----------------------------------------------------------------------------------------------------- */

/* One case over one baseline. */
typedef struct ratio {
    cJSON *json;
    const char *baseline; /* of the same name: the same pointer */
    series_check series;
    double p;      /* of "no difference beyond the noise floor"; NaN for a twin, which is no question */
    int direction; /* 1: faster */
    bool known;    /* low, high and the floor are */
} ratio;

/* All ratios of the results, whichever the baseline: one family of comparisons for Holm's correction. */
typedef struct ratio_family {
    ratio *items;
    size_t count;
} ratio_family;

static bool write_ratio(const result_set *r, const result_case *base, const result_case *c, const interval *speed,
                        const double *bootstrap, double floor, cJSON *o)
{
    return json_add_double(o, "value", speed->median) && json_add_double(o, "low", speed->low) &&
           json_add_double(o, "high", speed->high) && json_add_size(o, "rounds", speed->n) &&
           json_add_double(o, "coverage", results_coverage(r, speed)) &&
           json_add_double(o, "bootstrap_low", bootstrap[0]) && json_add_double(o, "bootstrap_high", bootstrap[1]) &&
           json_add_double(o, "noise_floor", floor) && json_add_double(o, "ceiling", ceiling_ratio(base, c)) &&
           json_add_double(o, "both_at_ceiling", both_at_ceiling(base, c));
}

static uint64_t seed_of(const result_set *r)
{
    const cJSON *seed = json_find(r->root, "seed");
    return json_is_number(seed) && seed->valuedouble >= 0.0 ? (uint64_t)seed->valuedouble : 0;
}

/* *logs are in the order of the rounds, and sorted in the end. */
static ciuic_status measure(const result_set *r, const result_case *base, const result_case *c, paired_logs *pairs,
                            ratio *out)
{
    double bootstrap[2], *ratios = malloc(pairs->n * sizeof *ratios);
    if (ratios == NULL) return out_of_memory();
    for (size_t i = 0; i < pairs->n; i++) ratios[i] = exp(pairs->logs[i]);
    const ciuic_status status = series_check_make(ratios, pairs->n, &out->series);
    free(ratios);
    CIUIC_TRY(status);
    out->p = results_p(r, sign_test_beyond(pairs->logs, pairs->n, log1p(pairs->noise_floor), &out->direction));
    if (c->twin) out->p = NAN;
    const interval speed = interval_exp(median_interval(pairs->logs, pairs->n, results_confidence(r)));
    bootstrap_median(pairs->logs, pairs->n, CONFIDENCE, seed_of(r), &bootstrap[0], &bootstrap[1]);
    bootstrap[0] = exp(bootstrap[0]);
    bootstrap[1] = exp(bootstrap[1]);
    out->known = !isnan(speed.low) && !isnan(pairs->noise_floor);
    return write_ratio(r, base, c, &speed, bootstrap, pairs->noise_floor, out->json) ? CIUIC_OK : out_of_memory();
}

static ciuic_status add_ratio(const result_set *r, const result_case *base, const result_case *c, const char *name,
                              ratio_family *family)
{
    paired_logs pairs;
    if (!case_ok(base) || !case_ok(c) || base == c || !same_prefix_cache(base, c)) return CIUIC_OK;
    ciuic_status status = find_pairs(r, base->id, c->id, &pairs);
    if (status == CIUIC_OK && pairs.n > 0) {
        cJSON *ratios = cJSON_GetObjectItemCaseSensitive(c->json, "ratios");
        ratio *out = &family->items[family->count++];
        *out = (ratio){.json = cJSON_AddObjectToObject(ratios, name), .baseline = name, .p = NAN};
        status = out->json != NULL ? measure(r, base, c, &pairs, out) : out_of_memory();
    }
    paired_logs_free(&pairs);
    return status;
}

/* "faster" and "slower" are said only of what lies beyond the noise floor in so many rounds that, of all cases of the
 * suite against all their baselines, none is likely to do so by chance. */
static const char *difference_of(const ratio *item, double p_holm)
{
    if (!item->known) return "unknown";
    if (!(p_holm <= FAMILY_LEVEL) || item->direction == 0) return "not shown";
    return item->direction > 0 ? "faster" : "slower";
}

/* Drift warns, and does so among the ratios over one baseline: another baseline is no reason to warn less. */
static ciuic_status correct_family(const ratio_family *family)
{
    double *p = calloc(2 * family->count + 1, sizeof *p);
    if (p == NULL) return out_of_memory();
    double *drift = p + family->count;
    for (size_t i = 0; i < family->count; i++) {
        p[i] = family->items[i].p;
        drift[i] = family->items[i].series.drift_p;
    }
    ciuic_status status = holm_adjust(p, family->count, p);
    for (size_t i = 0, n = 0; i < family->count && status == CIUIC_OK; i += n) {
        for (n = 1; i + n < family->count && family->items[i + n].baseline == family->items[i].baseline;) n++;
        status = holm_adjust(drift + i, n, drift + i);
    }
    for (size_t i = 0; i < family->count && status == CIUIC_OK; i++) {
        const ratio *item = &family->items[i];
        const bool ok = json_add_double(item->json, "p", item->p) && json_add_double(item->json, "p_holm", p[i]) &&
                        cJSON_AddStringToObject(item->json, "difference", difference_of(item, p[i])) != NULL &&
                        add_series(item->json, &item->series, drift[i]);
        if (!ok) status = out_of_memory();
    }
    free(p);
    return status;
}

ciuic_status ratios_make(const result_set *r)
{
    static const char *const names[] = {"naive", "tuned", "openblas", "onednn"};
    ciuic_status status = CIUIC_OK;
    for (size_t i = 0; i < r->case_count; i++)
        if (case_ok(&r->cases[i]) && !set_member(r->cases[i].json, "ratios", cJSON_CreateObject()))
            return out_of_memory();
    const size_t baselines = sizeof names / sizeof names[0];
    ratio_family family = {.items = calloc(baselines * r->case_count + 1, sizeof(ratio))};
    if (family.items == NULL) return out_of_memory();
    for (size_t b = 0; b < baselines; b++)
        for (size_t i = 0; i < r->case_count && status == CIUIC_OK; i++) {
            const result_case *c = &r->cases[i];
            status = add_ratio(r, group_baseline(&r->groups[c->group], names[b]), c, names[b], &family);
        }
    if (status == CIUIC_OK) status = correct_family(&family);
    free(family.items);
    return status;
}

/* ---- the times themselves --------------------------------------------------------------------------------------- */

typedef struct slot_series {
    cJSON *json;
    series_check check;
} slot_series;

static ciuic_status check_slot(const cJSON *samples, slot_series *out)
{
    const size_t most = (size_t)cJSON_GetArraySize(samples);
    size_t n = 0;
    double *seconds = malloc((most + 1) * sizeof *seconds);
    if (seconds == NULL) return out_of_memory();
    for (const cJSON *s = samples->child; s != NULL; s = s->next)
        if (sample_usable(s)) seconds[n++] = s->valuedouble;
    const ciuic_status status = series_check_make(seconds, n, &out->check);
    free(seconds);
    return status;
}

/* The entries of one block, appended to *all. */
static ciuic_status check_block(cJSON *block, slot_series **all, size_t *count)
{
    const cJSON *samples = json_find(block, "samples");
    cJSON *series = cJSON_CreateObject();
    if (!set_member(block, "series", series)) return out_of_memory();
    if (!cJSON_IsObject(samples)) return CIUIC_OK;
    const size_t most = *count + (size_t)cJSON_GetArraySize(samples);
    slot_series *grown = reallocarray(*all, most + 1, sizeof *grown);
    if (grown == NULL) return out_of_memory();
    *all = grown;
    for (const cJSON *list = samples->child; list != NULL; list = list->next) {
        if (!cJSON_IsArray(list) || list->string == NULL) continue;
        slot_series *out = &grown[(*count)++];
        *out = (slot_series){.json = cJSON_AddObjectToObject(series, list->string)};
        if (out->json == NULL) return out_of_memory();
        CIUIC_TRY(check_slot(list, out));
    }
    return CIUIC_OK;
}

static ciuic_status correct_series(const slot_series *all, size_t count)
{
    ciuic_status status = CIUIC_OK;
    double *p = calloc(count + 1, sizeof *p);
    if (p == NULL) return out_of_memory();
    for (size_t i = 0; i < count; i++) p[i] = all[i].check.drift_p;
    status = holm_adjust(p, count, p);
    for (size_t i = 0; i < count && status == CIUIC_OK; i++)
        if (!add_series(all[i].json, &all[i].check, p[i])) status = out_of_memory();
    free(p);
    return status;
}

ciuic_status series_make(const result_set *r)
{
    slot_series *all = NULL;
    size_t count = 0;
    ciuic_status status = CIUIC_OK;
    for (size_t b = 0; b < r->block_count && status == CIUIC_OK; b++)
        status = check_block(r->blocks[b].json, &all, &count);
    if (status == CIUIC_OK) status = correct_series(all, count);
    free(all);
    return status;
}
