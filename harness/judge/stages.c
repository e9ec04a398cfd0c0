/* stages.c - effects of single stages, by pairs of cases that differ in nothing else. */
#include "harness/judge/stages.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/effect_test.h"
#include "harness/judge/holm.h"
#include "harness/judge/linked.h"
#include "harness/judge/ratios.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

typedef enum stage { STAGE_QUANTIZE, STAGE_GRAPH, STAGE_MEMORY, STAGE_KERNELS, STAGE_COUNT } stage;
static const char *const stage_names[] = {"quantize", "graph", "memory", "kernels"};

typedef enum effect_verdict {
    EFFECT_FASTER,
    EFFECT_SLOWER,
    EFFECT_NONE,       /* seen to be less than a tenth either way */
    EFFECT_UNRESOLVED, /* within the noise, which would hide more than that */
    EFFECT_UNKNOWN,    /* not measured, or too few rounds */
} effect_verdict;
static const char *const effect_names[] = {"faster", "slower", "no difference", "not resolved", "unknown"};

/* One case with the stage, one without, all else equal. */
typedef struct effect {
    const result_case *with, *without; /* NULL: not part of the run */
    interval speed;                    /* time without the stage / time with it: above 1 the stage pays */
    double noise_floor;                /* the worst of the blocks compared; NaN when it is not known */
    bool paired;                       /* taken within rounds; otherwise by way of `tuned` */
    double p, p_holm;                  /* of no difference beyond the floor; NaN where nothing is known */
    effect_verdict verdict;
} effect;

/* ---- measuring -------------------------------------------------------------------------------------------------- */

static ciuic_status measure(const result_set *r, const result_case *with, const result_case *without, effect *e)
{
    *e = (effect){.with = with, .without = without, .verdict = EFFECT_UNKNOWN, .noise_floor = NAN, .paired = true};
    e->p = e->p_holm = NAN;
    e->speed = median_interval(NULL, 0, CONFIDENCE);
    if (!case_ok(with) || !case_ok(without) || !same_prefix_cache(with, without)) return CIUIC_OK;
    CIUIC_TRY(paired_speedup(r, without, with, &e->speed, &e->noise_floor));
    if (e->speed.n == 0) {
        e->paired = false;
        CIUIC_TRY(linked_speedup(r, without, with, &e->speed, &e->noise_floor));
    }
    /* A difference within the noise floor is none. An unknown floor or interval leaves every comparison false. */
    const double floor = e->noise_floor;
    if (e->speed.low > 1.0 + floor)
        e->verdict = EFFECT_FASTER;
    else if (e->speed.high < 1.0 / (1.0 + floor))
        e->verdict = EFFECT_SLOWER;
    else if (e->speed.low > 1.0 / 1.1 && e->speed.high < 1.1 && !isnan(floor))
        e->verdict = EFFECT_NONE;
    else if (!isnan(e->speed.low) && !isnan(floor))
        e->verdict = EFFECT_UNRESOLVED;
    return effect_p(r, without, with, e->paired, floor, &e->p);
}

/* "faster" and "slower" are called of all effects of a run together (Holm), as differences of cases are. Intervals stay those
 * of each effect by itself, and "no difference" is a statement about one of them. */
static ciuic_status correct_effects(effect *const *effects, size_t count)
{
    double *p = calloc(count + 1, sizeof *p);
    if (p == NULL) return ciuic_fail_memory("stages", count * sizeof *p);
    for (size_t i = 0; i < count; i++) p[i] = effects[i]->p;
    const ciuic_status status = holm_adjust(p, count, p);
    for (size_t i = 0; i < count && status == CIUIC_OK; i++) {
        effect *e = effects[i];
        const bool called = e->verdict == EFFECT_FASTER || e->verdict == EFFECT_SLOWER;
        e->p_holm = p[i];
        if (called && !(e->p_holm <= FAMILY_LEVEL)) e->verdict = EFFECT_UNRESOLVED;
    }
    free(p);
    return status;
}

/* The variant `on` with one stage changed to off, or all off but that one. */
static const result_case *neighbour(const result_set *r, const result_case *on, stage which, bool alone)
{
    const bool quantize = (which == STAGE_QUANTIZE) == alone, graph = (which == STAGE_GRAPH) == alone;
    const bool memory = (which == STAGE_MEMORY) == alone, kernels = (which == STAGE_KERNELS) == alone;
    return find_variant(r, on, quantize, graph, memory ? on->memory : "off", kernels ? on->kernels : "c");
}

/* ---- why a stage does not pay ----------------------------------------------------------------------------------- */

static void format_bytes(double bytes, char *text, size_t size)
{
    if (isnan(bytes))
        snprintf(text, size, "an unknown number of bytes");
    else if (bytes < 1e6)
        snprintf(text, size, "%.0f kB", bytes / 1e3);
    else
        snprintf(text, size, "%.1f MB", bytes / 1e6);
}

static double last_level_cache(const result_set *r)
{
    double level = 0.0, bytes = NAN;
    const cJSON *caches = json_find(json_find(r->root, "machine"), "caches");
    for (const cJSON *cache = caches != NULL ? caches->child : NULL; cache != NULL; cache = cache->next) {
        const cJSON *this_level = json_find(cache, "level"), *size = json_find(cache, "bytes");
        if (!json_is_number(this_level) || !json_is_number(size) || this_level->valuedouble < level) continue;
        level = this_level->valuedouble;
        bytes = size->valuedouble;
    }
    return bytes;
}

/* What formats by groups pay at run time, and what the affine ones do. */
static const char *cost_of_format(const result_case *c)
{
    return strncmp(c->quantize, "affine", 6) == 0 ? "converting them to floats"
                                                  : "unpacking them and quantising the activations";
}

static void explain_quantize(const result_set *r, const effect *e, char *text, size_t size)
{
    const double before = case_number(e->without, "weight_bytes", NULL);
    const double after = case_number(e->with, "weight_bytes", NULL), cache = last_level_cache(r);
    const cJSON *bound = json_find(json_find(e->without->json, "ceiling"), "bound");
    char large[48], small[48], held[48];
    format_bytes(before, large, sizeof large);
    format_bytes(after, small, sizeof small);
    format_bytes(cache, held, sizeof held);
    if (cJSON_IsString(bound) && strcmp(bound->valuestring, "compute") == 0)
        snprintf(
            text, size,
            "without it this workload is bound by arithmetic already, so fewer bytes of weights (%s instead of %s) buy "
            "little, while %s costs instructions",
            small, large, cost_of_format(e->with));
    else if (before <= cache)
        snprintf(
            text, size,
            "the 16-bit weights, %s, already fit in the last-level cache of %s, so reading %s in their place saves "
            "little, while %s costs instructions",
            large, held, small, cost_of_format(e->with));
    else
        snprintf(text, size, "%s takes longer than reading %s instead of %s saves", cost_of_format(e->with), small,
                 large);
}

/* 16-bit storage halves a cache of 32-bit floats; one that shrinks to less holds something else: MLA's latent vectors.
 * 0.45 and not 0.5, because the bytes are rounded up to whole pages or lines. */
static bool cache_is_latent(const effect *e)
{
    return case_number(e->with, "memory_bytes", "kv_cache") <
           0.45 * case_number(e->without, "memory_bytes", "kv_cache");
}

static void explain_memory(const result_set *r, const effect *e, char *text, size_t size)
{
    const bool decode = strcmp(r->groups[e->with->group].phase, "decode") == 0;
    const bool expanded = decode && !e->with->graph && cache_is_latent(e);
    const char *field = expanded ? "kv_cache" : "total";
    char before[48], after[48];
    format_bytes(case_number(e->without, "memory_bytes", field), before, sizeof before);
    format_bytes(case_number(e->with, "memory_bytes", field), after, sizeof after);
    if (expanded)
        snprintf(text, size,
                 "the cache then holds latent vectors (%s instead of %s), and without graph, which absorbs kv_b into "
                 "the query, every token expands it with kv_b again for every cached position",
                 after, before);
    else
        snprintf(text, size,
                 "this stage buys bytes, not time (its total is %s instead of %s), and pays for them by converting the "
                 "16-bit cache each time it is read",
                 after, before);
}

static void explain_graph(const result_set *r, const effect *e, char *text, size_t size)
{
    char weights[48];
    format_bytes(case_number(e->with, "weight_bytes", NULL), weights, sizeof weights);
    if (strcmp(r->groups[e->with->group].phase, "prefill") == 0)
        snprintf(
            text, size,
            "in a prefill the matmuls take nearly all of the time, and a fused graph has the same ones in fewer calls");
    else
        snprintf(
            text, size,
            "fusing saves passes over vectors that are tiny beside %s of weights, and what MLA's absorbed kv_b saves "
            "grows with the depth, here %zu",
            weights, r->groups[e->with->group].depth);
}

/* Counted facts beside the mechanism: what the stage did to the bytes and operations of a token. */
static void append_counts(const effect *e, char *text, size_t size)
{
    const double ops = case_number(e->with, "ceiling", "flops_per_token");
    const double ops_without = case_number(e->without, "ceiling", "flops_per_token");
    const size_t used = strlen(text);
    if (ops > 1.02 * ops_without)
        snprintf(text + used, size - used, "; it also does %.2f million operations a token instead of %.2f", ops / 1e6,
                 ops_without / 1e6);
}

/* The known mechanism of a stage that does not pay; "likely", because it is inferred from sizes, not measured. */
static void explain_cost(const result_set *r, const effect *e, stage which, char *text, size_t size)
{
    switch (which) {
    case STAGE_QUANTIZE:
        explain_quantize(r, e, text, size);
        break;
    case STAGE_GRAPH:
        explain_graph(r, e, text, size);
        break;
    case STAGE_MEMORY:
        explain_memory(r, e, text, size);
        break;
    default:
        snprintf(text, size,
                 "rows this short leave wide registers mostly idle, and what remains outside the kernels is the same");
    }
    append_counts(e, text, size);
}

/* Why an effect is unknown. */
static void explain_unknown(const result_set *r, const effect *e, char *text, size_t size)
{
    const result_case *lost = !case_ok(e->with) ? e->with : !case_ok(e->without) ? e->without : NULL;
    const double error = 1.0 - results_confidence(r), confidence = 1.0 - (e->paired ? error : error / 2.0);
    if (lost != NULL)
        snprintf(text, size, "%.80s %.16s: %.300s", case_variant_name(lost), lost->status,
                 lost->reason[0] != '\0' ? lost->reason : "no reason was recorded");
    else if (e->speed.n == 0)
        snprintf(text, size, "no round measured both it and %.80s", case_variant_name(e->without));
    else if (isnan(e->speed.low))
        snprintf(text, size, "%zu round%s not enough; a 95%% interval%s needs at least %zu", e->speed.n,
                 e->speed.n == 1 ? " is" : "s are", e->paired ? "" : " by way of tuned",
                 interval_least_values(confidence));
    else
        snprintf(text, size, "no A/A pair was measured, so the noise is not known");
}

static void format_effect(const effect *e, char *text, size_t size)
{
    snprintf(text, size, "%.2fx (%.2f to %.2f, noise floor %.1f%%)", e->speed.median, e->speed.low, e->speed.high,
             100.0 * e->noise_floor);
}

/* Of a stage that is added to all others: why it is not called faster. A loss gets its likely reason; where there is
 * none there is nothing to explain. */
static cJSON *effect_sentence(const result_set *r, const effect *e, stage which)
{
    if (e->with == NULL || e->without == NULL || e->verdict == EFFECT_FASTER) return cJSON_CreateNull();
    char label[128], why[SENTENCE], measured[128], sentence[2 * SENTENCE];
    const char *name = stage_names[which], *variant = case_variant_name(e->with);
    group_label(r, e->with->group, label, sizeof label);
    format_effect(e, measured, sizeof measured);
    if (e->verdict == EFFECT_UNKNOWN) {
        explain_unknown(r, e, why, sizeof why);
        snprintf(sentence, sizeof sentence, "%s, %.80s: what %s earns is unknown, because %s.", label, variant, name,
                 why);
    } else if (e->verdict == EFFECT_SLOWER) {
        explain_cost(r, e, which, why, sizeof why);
        snprintf(
            sentence, sizeof sentence,
            "%s, %.80s: %s costs more than it gives. With it the speed is %s of what it is without; likely because %s.",
            label, variant, name, measured, why);
    } else if (e->verdict == EFFECT_NONE) {
        snprintf(sentence, sizeof sentence, "%s, %.80s: %s makes no difference worth the name to speed, %s.", label,
                 variant, name, measured);
    } else if (e->p <= 1.0 - CONFIDENCE) {
        snprintf(
            sentence, sizeof sentence,
            "%s, %.80s: what %s earns, %s, would be told by itself, but not among all effects of this run (Holm: p "
            "is %.2g); more rounds would tell.",
            label, variant, name, measured, e->p_holm);
    } else {
        snprintf(sentence, sizeof sentence,
                 "%s, %.80s: what %s earns cannot be told from noise, %s; more rounds or a quieter machine would tell.",
                 label, variant, name, measured);
    }
    return sentence_json(sentence);
}

/* Of a stage by itself: said only where it is a loss. */
static cJSON *alone_sentence(const result_set *r, const effect *e, stage which)
{
    if (e->verdict != EFFECT_SLOWER) return cJSON_CreateNull();
    char label[128], why[SENTENCE], measured[128], sentence[2 * SENTENCE];
    group_label(r, e->with->group, label, sizeof label);
    format_effect(e, measured, sizeof measured);
    explain_cost(r, e, which, why, sizeof why);
    snprintf(sentence, sizeof sentence,
             "%s, %.80s against %.80s: %s alone makes it slower. With it the speed is %s of what it is without; likely "
             "because %s.",
             label, case_variant_name(e->with), case_variant_name(e->without), stage_names[which], measured, why);
    return sentence_json(sentence);
}

/* ---- objects ---------------------------------------------------------------------------------------------------- */

static double bytes_ratio(const effect *e, const char *field)
{
    if (!case_ok(e->with) || !case_ok(e->without)) return NAN;
    return case_number(e->with, "memory_bytes", field) / case_number(e->without, "memory_bytes", field);
}

static cJSON *effect_object(const result_set *r, const effect *e)
{
    if (e->with == NULL || e->without == NULL) return cJSON_CreateNull();
    cJSON *o = cJSON_CreateObject();
    bool ok = o != NULL && cJSON_AddStringToObject(o, "case", e->with->id) != NULL;
    ok = ok && cJSON_AddStringToObject(o, "without", e->without->id) != NULL;
    ok = ok && json_add_double(o, "value", e->speed.median);
    ok = ok && json_add_double(o, "low", e->speed.low);
    ok = ok && json_add_double(o, "high", e->speed.high);
    ok = ok && json_add_size(o, "rounds", e->speed.n);
    ok = ok && json_add_double(o, "coverage", results_coverage(r, &e->speed));
    ok = ok && json_add_double(o, "noise_floor", e->noise_floor);
    ok = ok && cJSON_AddBoolToObject(o, "paired", e->paired) != NULL;
    ok = ok && json_add_double(o, "p", e->p);
    ok = ok && json_add_double(o, "p_holm", e->p_holm);
    ok = ok && cJSON_AddStringToObject(o, "verdict", effect_names[e->verdict]) != NULL;
    ok = ok && json_add_double(o, "total_bytes_ratio", bytes_ratio(e, "total"));
    ok = ok && json_add_double(o, "peak_rss_ratio", bytes_ratio(e, "peak_rss"));
    if (ok) return o;
    cJSON_Delete(o);
    return NULL;
}

/* One stage of a variant with everything on. */
typedef struct stage_effects {
    const result_case *on;
    stage which;
    effect alone, last;
} stage_effects;

static ciuic_status measure_stage(const result_set *r, const result_case *on, stage which, stage_effects *out)
{
    out->on = on;
    out->which = which;
    CIUIC_TRY(measure(r, neighbour(r, on, which, true), r->groups[on->group].naive, &out->alone));
    return measure(r, on, neighbour(r, on, which, false), &out->last);
}

static ciuic_status add_stage(const result_set *r, const stage_effects *effects, cJSON *stages)
{
    const result_case *on = effects->on;
    const stage which = effects->which;
    const result_group *group = &r->groups[on->group];
    const char *const settings[] = {on->quantize, "on", on->memory, on->kernels};
    cJSON *o = cJSON_CreateObject();
    bool ok = o != NULL && cJSON_AddItemToArray(stages, o);
    if (!ok) cJSON_Delete(o);
    ok = ok && set_member(o, "workload", cJSON_Duplicate(group->workload, true));
    ok = ok && json_add_size(o, "threads", group->threads);
    ok = ok && cJSON_AddStringToObject(o, "all_on", on->id) != NULL;
    ok = ok && cJSON_AddStringToObject(o, "stage", stage_names[which]) != NULL;
    ok = ok && cJSON_AddStringToObject(o, "setting", settings[which]) != NULL;
    ok = ok && set_member(o, "alone", effect_object(r, &effects->alone));
    ok = ok && set_member(o, "last", effect_object(r, &effects->last));
    ok = ok && set_member(o, "alone_sentence", alone_sentence(r, &effects->alone, which));
    ok = ok && set_member(o, "sentence", effect_sentence(r, &effects->last, which));
    return ok ? CIUIC_OK : ciuic_fail_memory("stages", sizeof *o);
}

/* Variants with everything on whose times were asked for: what a stage earns is time. */
static size_t count_variants(const result_set *r)
{
    size_t n = 0;
    for (size_t i = 0; i < r->case_count && results_timed(r->root); i++) n += is_all_on(r, &r->cases[i]) ? 1 : 0;
    return n;
}

static ciuic_status measure_stages(const result_set *r, stage_effects *all, size_t count)
{
    effect **effects = calloc(2 * count + 1, sizeof *effects);
    if (effects == NULL) return ciuic_fail_memory("stages", count * sizeof *effects);
    ciuic_status status = CIUIC_OK;
    size_t n = 0;
    for (size_t i = 0; i < r->case_count && n < count; i++)
        for (int which = 0; is_all_on(r, &r->cases[i]) && which < STAGE_COUNT && status == CIUIC_OK; which++, n++) {
            status = measure_stage(r, &r->cases[i], (stage)which, &all[n]);
            effects[2 * n] = &all[n].alone;
            effects[2 * n + 1] = &all[n].last;
        }
    if (status == CIUIC_OK) status = correct_effects(effects, 2 * count);
    free(effects);
    return status;
}

ciuic_status stages_make(const result_set *r, cJSON **stages)
{
    const size_t count = STAGE_COUNT * count_variants(r);
    stage_effects *all = calloc(count + 1, sizeof *all);
    cJSON *array = cJSON_CreateArray();
    ciuic_status status = all != NULL && array != NULL ? CIUIC_OK : ciuic_fail_memory("stages", count * sizeof *all);
    if (status == CIUIC_OK) status = measure_stages(r, all, count);
    for (size_t i = 0; i < count && status == CIUIC_OK; i++) status = add_stage(r, &all[i], array);
    free(all);
    if (status == CIUIC_OK)
        *stages = array;
    else
        cJSON_Delete(array);
    return status;
}
