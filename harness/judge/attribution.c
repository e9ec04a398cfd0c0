/* attribution.c - the lattice of one variant, measured and resampled. Every setting is compared with `tuned` in its own
 * block and its own rounds, so that settings of different blocks meet in tuned. */
#include "harness/judge/attribution.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/bootstrap.h"
#include "harness/judge/lattice.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static const char *const stage_names[LATTICE_STAGES] = {"quantize", "graph", "memory", "kernels"};

/* Figures of one lattice, all of them logarithms of speed: the total, a share of each stage, a stage's effect while
 * another is off and on for each ordered pair, and their difference for each unordered one. */
enum {
    TOTAL,
    SHAPLEY,
    OFF = SHAPLEY + LATTICE_STAGES,
    ON = OFF + 2 * LATTICE_PAIRS,
    INTERACTION = ON + 2 * LATTICE_PAIRS,
    PORTION = INTERACTION + LATTICE_PAIRS, /* of the total, for each stage: no logarithm, a share of one */
    FIGURES = PORTION + LATTICE_STAGES
};

/* log(tuned / setting) of each round in which both were measured, in ascending order, and which round that was. */
typedef struct point {
    const result_case *c;
    double *logs;
    size_t *rounds;
    size_t n;
} point;

typedef struct lattice {
    point points[LATTICE_POINTS];
    size_t *block_rounds; /* [block_count] of the results; 0 where the block is another group's */
    size_t rounds;        /* of all blocks together */
    size_t least;         /* pairs of the setting that has fewest */
    double noise_floor;
    double value[FIGURES], low[FIGURES], high[FIGURES];
} lattice;

static ciuic_status out_of_memory(void)
{
    return ciuic_fail_memory("the attribution", sizeof(lattice));
}

/* ---- the sixteen settings --------------------------------------------------------------------------------------- */

/* The setting that has the stages of `set` as `on` has them, and the others off. */
static const result_case *setting(const result_set *r, const result_case *on, size_t set)
{
    return find_variant(r, on, (set & 1) != 0, (set & 2) != 0, (set & 4) != 0 ? on->memory : "off",
                        (set & 8) != 0 ? on->kernels : "c");
}

typedef struct sample {
    double value;
    size_t round;
} sample;

static int compare_samples(const void *x, const void *y)
{
    const sample *a = x, *b = y;
    if (a->value != b->value) return a->value < b->value ? -1 : 1;
    return (a->round > b->round) - (a->round < b->round);
}

static const cJSON *samples_of(const result_block *block, const char *id)
{
    const cJSON *samples = json_find(json_find(block->json, "samples"), id);
    return cJSON_IsArray(samples) ? samples : NULL;
}

/* Appends the pairs of one block, whose first round is number `first` of all. */
static size_t add_samples(const result_block *block, const char *tuned, const char *id, size_t first, sample *out)
{
    const cJSON *a = samples_of(block, tuned), *b = samples_of(block, id);
    size_t n = 0, round = first;
    if (a == NULL || b == NULL) return 0;
    const cJSON *x = a->child, *y = b->child;
    for (; x != NULL && y != NULL; x = x->next, y = y->next, round++)
        if (sample_usable(x) && sample_usable(y)) out[n++] = (sample){log(x->valuedouble / y->valuedouble), round};
    return n;
}

static ciuic_status fill_point(const result_set *r, lattice *l, size_t set)
{
    point *p = &l->points[set];
    const char *tuned = r->groups[p->c->group].tuned->id;
    sample *samples = calloc(l->rounds + 1, sizeof *samples);
    p->logs = calloc(l->rounds + 1, sizeof *p->logs);
    p->rounds = calloc(l->rounds + 1, sizeof *p->rounds);
    size_t first = 0;
    const size_t begin = r->groups[p->c->group].blocks;
    for (size_t b = begin; samples != NULL && b != NO_BLOCK; first += l->block_rounds[b], b = r->blocks[b].next) {
        if (l->block_rounds[b] == 0) continue;
        const size_t added = add_samples(&r->blocks[b], tuned, p->c->id, first, samples + p->n);
        p->n += added;
        if (added > 0) l->noise_floor = fmax(l->noise_floor, r->blocks[b].noise_floor);
    }
    const bool made = samples != NULL && p->logs != NULL && p->rounds != NULL;
    if (made) qsort(samples, p->n, sizeof *samples, compare_samples);
    for (size_t i = 0; made && i < p->n; i++) {
        p->logs[i] = samples[i].value;
        p->rounds[i] = samples[i].round;
    }
    free(samples);
    if (set == 0 || p->n < l->least) l->least = p->n;
    return made ? CIUIC_OK : out_of_memory();
}

static ciuic_status fill(const result_set *r, lattice *l)
{
    const size_t group = l->points[0].c->group;
    l->noise_floor = NAN;
    l->block_rounds = calloc(r->block_count + 1, sizeof *l->block_rounds);
    if (l->block_rounds == NULL) return out_of_memory();
    for (size_t b = r->groups[group].blocks; b != NO_BLOCK; b = r->blocks[b].next) {
        const cJSON *tuned = samples_of(&r->blocks[b], r->groups[group].tuned->id);
        if (tuned != NULL) l->block_rounds[b] = (size_t)cJSON_GetArraySize(tuned);
        l->rounds += l->block_rounds[b];
    }
    for (size_t set = 0; set < LATTICE_POINTS; set++) CIUIC_TRY(fill_point(r, l, set));
    return CIUIC_OK;
}

static void free_lattice(lattice *l)
{
    for (size_t set = 0; set < LATTICE_POINTS; set++) {
        free(l->points[set].logs);
        free(l->points[set].rounds);
    }
    free(l->block_rounds);
}

/* ---- figures ---------------------------------------------------------------------------------------------------- */

static void figures_of(const double v[LATTICE_POINTS], double *figures)
{
    figures[TOTAL] = v[LATTICE_POINTS - 1] - v[0];
    lattice_shapley(v, figures + SHAPLEY);
    for (size_t i = 0; i < LATTICE_STAGES; i++) figures[PORTION + i] = figures[SHAPLEY + i] / figures[TOTAL];
    for (size_t k = 0; k < LATTICE_PAIRS; k++) {
        size_t i = 0, j = 0;
        lattice_pair(k, &i, &j);
        figures[OFF + 2 * k] = lattice_effect(v, i, j, 0);
        figures[ON + 2 * k] = lattice_effect(v, i, j, 1);
        figures[OFF + 2 * k + 1] = lattice_effect(v, j, i, 0);
        figures[ON + 2 * k + 1] = lattice_effect(v, j, i, 1);
        figures[INTERACTION + k] = figures[ON + 2 * k] - figures[OFF + 2 * k];
    }
}

/* The figures with each round taken counts[round] times. False when a setting has no round left in them. */
static bool figures_with(const lattice *l, const unsigned *counts, unsigned *own, double *figures)
{
    double v[LATTICE_POINTS];
    for (size_t set = 0; set < LATTICE_POINTS; set++) {
        const point *p = &l->points[set];
        for (size_t i = 0; i < p->n; i++) own[i] = counts[p->rounds[i]];
        v[set] = bootstrap_weighted_median(p->logs, own, p->n);
        if (isnan(v[set])) return false;
    }
    figures_of(v, figures);
    return true;
}

/* Each block's rounds are resampled by themselves: a block is an hour of its own. */
static void resample(const result_set *r, const lattice *l, uint64_t *state, unsigned *counts)
{
    size_t first = 0;
    const size_t begin = r->groups[l->points[0].c->group].blocks;
    for (size_t b = begin; b != NO_BLOCK; first += l->block_rounds[b], b = r->blocks[b].next)
        if (l->block_rounds[b] > 0) bootstrap_draw(state, l->block_rounds[b], counts + first);
}

static ciuic_status measure(const result_set *r, lattice *l)
{
    unsigned *counts = calloc(2 * l->rounds + 2, sizeof *counts), *own = NULL;
    double *all = malloc((size_t)FIGURES * BOOTSTRAP_RESAMPLES * sizeof *all), figures[FIGURES];
    const cJSON *seed = json_find(r->root, "seed");
    uint64_t state = json_is_number(seed) && seed->valuedouble >= 0.0 ? (uint64_t)seed->valuedouble : 0;
    size_t made = 0;
    ciuic_status status = counts != NULL && all != NULL ? CIUIC_OK : out_of_memory();
    if (status == CIUIC_OK) {
        own = counts + l->rounds + 1;
        for (size_t k = 0; k < l->rounds; k++) counts[k] = 1;
        if (!figures_with(l, counts, own, l->value))
            for (size_t f = 0; f < FIGURES; f++) l->value[f] = NAN;
        const bool enough = l->least >= interval_least_values(CONFIDENCE);
        for (size_t k = 0; enough && k < BOOTSTRAP_RESAMPLES; k++) {
            resample(r, l, &state, counts);
            if (!figures_with(l, counts, own, figures)) continue;
            for (size_t f = 0; f < FIGURES; f++) all[f * BOOTSTRAP_RESAMPLES + made] = figures[f];
            made++;
        }
        for (size_t f = 0; f < FIGURES; f++)
            bootstrap_percentiles(all + f * BOOTSTRAP_RESAMPLES, made, CONFIDENCE, &l->low[f], &l->high[f]);
    }
    free(counts);
    free(all);
    return status;
}

/* ---- objects ---------------------------------------------------------------------------------------------------- */

/* A figure that is a logarithm, as a factor. */
static cJSON *factor(const lattice *l, size_t figure)
{
    cJSON *o = cJSON_CreateObject();
    const bool ok = o != NULL && json_add_double(o, "value", exp(l->value[figure])) &&
                    json_add_double(o, "low", exp(l->low[figure])) && json_add_double(o, "high", exp(l->high[figure]));
    if (ok) return o;
    cJSON_Delete(o);
    return NULL;
}

/* The part of the whole speed-up that is a stage's; null where there is none to divide. */
static cJSON *portion(const lattice *l, size_t stage)
{
    const bool divides = l->low[TOTAL] > log1p(l->noise_floor) || l->high[TOTAL] < -log1p(l->noise_floor);
    if (!divides) return cJSON_CreateNull();
    cJSON *o = cJSON_CreateObject();
    const bool ok = o != NULL && json_add_double(o, "value", l->value[PORTION + stage]) &&
                    json_add_double(o, "low", l->low[PORTION + stage]) &&
                    json_add_double(o, "high", l->high[PORTION + stage]);
    if (ok) return o;
    cJSON_Delete(o);
    return NULL;
}

/* Bytes that each stage saves, of `field`; NaN where a case lacks it. */
static void bytes_saved(const lattice *l, const char *field, double saved[LATTICE_STAGES])
{
    double v[LATTICE_POINTS];
    for (size_t set = 0; set < LATTICE_POINTS; set++) v[set] = -case_number(l->points[set].c, "memory_bytes", field);
    lattice_shapley(v, saved);
}

/* How far the peaks of tuned and its A/A twin, one program twice, are apart in bytes: noise. NaN where none ran. */
static double peak_noise(const result_set *r, const result_case *on)
{
    const result_group *group = &r->groups[on->group];
    for (const result_case *twin = group->cases; twin != NULL; twin = twin->next)
        if (twin->twin && case_ok(twin) && case_ok(group->tuned))
            return fabs(case_number(twin, "memory_bytes", "peak_rss") -
                        case_number(group->tuned, "memory_bytes", "peak_rss"));
    return NAN;
}

static const char *peak_word(double saved, double noise)
{
    if (isnan(saved) || isnan(noise)) return "unknown";
    if (fabs(saved) <= fmax(noise, 0.5)) return "not shown"; /* a share is a mean: less than a byte is rounding */
    return saved > 0.0 ? "saved" : "added";
}

static bool add_stages(const result_set *r, const lattice *l, const result_case *on, cJSON *o)
{
    const char *const settings[] = {on->quantize, "on", on->memory, on->kernels};
    double total[LATTICE_STAGES], peak[LATTICE_STAGES];
    bytes_saved(l, "total", total);
    bytes_saved(l, "peak_rss", peak);
    const double noise = peak_noise(r, on);
    cJSON *array = cJSON_AddArrayToObject(o, "stages");
    for (size_t i = 0; i < LATTICE_STAGES && array != NULL; i++) {
        cJSON *item = cJSON_CreateObject();
        if (item == NULL || !cJSON_AddItemToArray(array, item)) {
            cJSON_Delete(item);
            return false;
        }
        const bool ok = cJSON_AddStringToObject(item, "stage", stage_names[i]) != NULL &&
                        cJSON_AddStringToObject(item, "setting", settings[i]) != NULL &&
                        set_member(item, "factor", factor(l, SHAPLEY + i)) &&
                        set_member(item, "share", portion(l, i)) && json_add_double(item, "bytes_saved", total[i]) &&
                        json_add_double(item, "peak_rss_saved", peak[i]) &&
                        json_add_double(item, "peak_rss_noise", noise) &&
                        cJSON_AddStringToObject(item, "peak_rss", peak_word(peak[i], noise)) != NULL;
        if (!ok) return false;
    }
    return array != NULL;
}

typedef enum together { TOGETHER_UNKNOWN, TOGETHER_NEITHER, TOGETHER_MORE, TOGETHER_LESS } together;
static const char *const together_names[] = {"unknown", "not shown", "more", "less"};

/* By its own bootstrap interval, which is not corrected for the number of pairs: a hint of where to look, as the report says,
 * and no verdict. */
static together judge_pair(const lattice *l, size_t k)
{
    const double margin = log1p(l->noise_floor);
    if (isnan(margin) || isnan(l->low[INTERACTION + k])) return TOGETHER_UNKNOWN;
    if (l->low[INTERACTION + k] > margin) return TOGETHER_MORE;
    return l->high[INTERACTION + k] < -margin ? TOGETHER_LESS : TOGETHER_NEITHER;
}

/* "1.60x (1.52 to 1.70)" */
static void format_factor(const lattice *l, size_t figure, char *text, size_t size)
{
    snprintf(text, size, "%.2fx (%.2f to %.2f)", exp(l->value[figure]), exp(l->low[figure]), exp(l->high[figure]));
}

/* Of a pair that is more or less together than apart, seen from the stage of the two that changes more for it; `side` 0 is
 * the pair's first stage as the one that is added. */
static cJSON *pair_sentence(const lattice *l, const result_case *on, size_t k, size_t side, together found)
{
    char off[64], with[64], text[SENTENCE];
    size_t i = 0, j = 0;
    const double margin = log1p(l->noise_floor);
    if (found != TOGETHER_MORE && found != TOGETHER_LESS) return cJSON_CreateNull();
    lattice_pair(k, &i, &j);
    const size_t added = side == 0 ? i : j, other = side == 0 ? j : i;
    const size_t figure_off = OFF + 2 * k + side, figure_on = ON + 2 * k + side;
    const bool helps_off = l->low[figure_off] > margin, helps_on = l->low[figure_on] > margin;
    const char *name = added == 0 ? on->quantize : stage_names[added];
    const bool costs = l->value[figure_off] < 0 && l->value[figure_on] < 0; /* worth nothing either way */
    const char *what = helps_on && !helps_off   ? "is seen to help only once"
                       : helps_off && !helps_on ? "is seen to help only before"
                       : found == TOGETHER_MORE ? (costs ? "costs less once" : "is worth more once")
                                                : (costs ? "costs more once" : "is worth less once");
    format_factor(l, figure_off, off, sizeof off);
    format_factor(l, figure_on, with, sizeof with);
    snprintf(text, sizeof text, "%.32s %s %s is on: %s with it, %s without.", name, what,
             other == 0 ? on->quantize : stage_names[other], with, off);
    return sentence_json(text);
}

static bool add_pairs(const lattice *l, const result_case *on, cJSON *o)
{
    cJSON *array = cJSON_AddArrayToObject(o, "interactions");
    for (size_t k = 0; k < LATTICE_PAIRS && array != NULL; k++) {
        size_t i = 0, j = 0;
        lattice_pair(k, &i, &j);
        const together found = judge_pair(l, k);
        cJSON *item = cJSON_CreateObject();
        if (item == NULL || !cJSON_AddItemToArray(array, item)) {
            cJSON_Delete(item);
            return false;
        }
        const bool ok = cJSON_AddStringToObject(item, "first", stage_names[i]) != NULL &&
                        cJSON_AddStringToObject(item, "second", stage_names[j]) != NULL &&
                        set_member(item, "factor", factor(l, INTERACTION + k)) &&
                        set_member(item, "first_while_second_off", factor(l, OFF + 2 * k)) &&
                        set_member(item, "first_while_second_on", factor(l, ON + 2 * k)) &&
                        set_member(item, "second_while_first_off", factor(l, OFF + 2 * k + 1)) &&
                        set_member(item, "second_while_first_on", factor(l, ON + 2 * k + 1)) &&
                        cJSON_AddStringToObject(item, "together", together_names[found]) != NULL &&
                        set_member(item, "sentence", pair_sentence(l, on, k, 0, found)) &&
                        set_member(item, "sentence_second", pair_sentence(l, on, k, 1, found));
        if (!ok) return false;
    }
    return array != NULL;
}

/* ---- without the lattice ---------------------------------------------------------------------------------------- */

/* What `stages` says of this variant: a stage alone and last. */
static bool add_isolated(const result_set *r, const result_case *on, cJSON *o)
{
    cJSON *array = cJSON_AddArrayToObject(o, "stages");
    const cJSON *stages = json_find(r->root, "stages"), *entry = NULL;
    if (array == NULL) return false;
    cJSON_ArrayForEach(entry, stages)
    {
        const char *all_on = cJSON_GetStringValue(json_find(entry, "all_on"));
        if (all_on == NULL || strcmp(all_on, on->id) != 0) continue;
        cJSON *item = cJSON_CreateObject();
        if (item == NULL || !cJSON_AddItemToArray(array, item)) {
            cJSON_Delete(item);
            return false;
        }
        static const char *const keys[] = {"stage", "setting", "alone", "last"};
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++) {
            const cJSON *member = cJSON_GetObjectItemCaseSensitive(entry, keys[k]);
            if (member != NULL && !set_member(item, keys[k], cJSON_Duplicate(member, true))) return false;
        }
    }
    return true;
}

/* ---- entries ---------------------------------------------------------------------------------------------------- */

/* How many of the sixteen settings have no measurement, with the first of them in words. */
static size_t find_settings(const result_set *r, const result_case *on, lattice *l, char *why, size_t size)
{
    size_t missing = 0;
    for (size_t set = 0; set < LATTICE_POINTS; set++) {
        const result_case *c = l->points[set].c = setting(r, on, set);
        if (case_ok(c)) continue;
        if (missing++ > 0) continue;
        if (c != NULL)
            snprintf(why, size, "%.80s %.16s", case_variant_name(c), c->status);
        else
            snprintf(why, size, "this suite has no variant with only%s%s%s%s on", (set & 1) != 0 ? " quantize" : "",
                     (set & 2) != 0 ? " graph" : "", (set & 4) != 0 ? " memory" : "", (set & 8) != 0 ? " kernels" : "");
    }
    return missing;
}

static bool add_lattice(const result_set *r, const lattice *l, const result_case *on, cJSON *o)
{
    double total[LATTICE_STAGES], all = 0.0;
    bytes_saved(l, "total", total);
    for (size_t i = 0; i < LATTICE_STAGES; i++) all += total[i];
    return json_add_size(o, "rounds", l->least) && json_add_double(o, "noise_floor", l->noise_floor) &&
           set_member(o, "speedup", factor(l, TOTAL)) && json_add_double(o, "bytes_saved", all) &&
           add_stages(r, l, on, o) && add_pairs(l, on, o);
}

static ciuic_status add_entry(const result_set *r, const result_case *on, cJSON *array)
{
    const result_group *group = &r->groups[on->group];
    char why[160] = "";
    lattice l = {0};
    const size_t missing = find_settings(r, on, &l, why, sizeof why);
    ciuic_status status = CIUIC_OK;
    if (missing == 0) status = fill(r, &l);
    if (missing == 0 && status == CIUIC_OK) status = measure(r, &l);
    if (status == CIUIC_OK) {
        cJSON *o = cJSON_CreateObject();
        bool ok = o != NULL && cJSON_AddItemToArray(array, o);
        if (!ok) cJSON_Delete(o);
        ok = ok && set_member(o, "workload", cJSON_Duplicate(group->workload, true));
        ok = ok && json_add_size(o, "threads", group->threads);
        ok = ok && cJSON_AddStringToObject(o, "all_on", on->id) != NULL;
        const char *method = missing == 0 ? "shapley" : "isolation and leave-one-out";
        ok = ok && cJSON_AddStringToObject(o, "method", method) != NULL && json_add_size(o, "missing", missing);
        ok = ok && set_member(o, "reason", missing > 0 ? sentence_json(why) : cJSON_CreateNull());
        ok = ok && (missing == 0 ? add_lattice(r, &l, on, o) : add_isolated(r, on, o));
        if (!ok) status = out_of_memory();
    }
    free_lattice(&l);
    return status;
}

ciuic_status attribution_make(const result_set *r, cJSON **attribution)
{
    cJSON *array = cJSON_CreateArray();
    if (array == NULL) return out_of_memory();
    ciuic_status status = CIUIC_OK;
    for (size_t i = 0; i < r->case_count && status == CIUIC_OK; i++)
        if (results_timed(r->root) && is_all_on(r, &r->cases[i])) status = add_entry(r, &r->cases[i], array);
    if (status == CIUIC_OK)
        *attribution = array;
    else
        cJSON_Delete(array);
    return status;
}
