/* verdicts.c - evidence for a claim from a case and a baseline, and the sentence that says what it amounts to. */
#include "harness/judge/verdicts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/judge/holm.h"
#include "harness/judge/limit_evidence.h"
#include "harness/judge/linked.h"
#include "harness/judge/ratios.h"
#include "harness/judge/sign_test.h"
#include "harness/plain_text.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

/* What was measured for one claim, case and baseline. */
typedef struct evidence {
    double value, low, high; /* low and high are NaN where nothing can be said */
    double floor;            /* relative noise by which the interval is widened before it is judged; NaN: none known */
    double judged_low, judged_high;
    double p, p_holm;                /* speed: test of what the widened interval decides; NaN otherwise */
    double ceiling, both_at_ceiling; /* NaN where they do not apply */
    double bits;                     /* a weight, of the case; NaN where it is not known */
    size_t rounds;
    char interval[128];         /* how low and high were made */
    char problem[SENTENCE / 2]; /* why there is no value; "" when there is one */
    char words[SENTENCE / 2];   /* METRIC_LIMIT: what it amounts to */
} evidence;

void metric_format(const claim_metric *metric, double value, char *text, size_t size)
{
    if (isnan(value))
        snprintf(text, size, "unknown");
    else if (metric->kind == METRIC_SPEED)
        snprintf(text, size, fabs(value) < 100.0 ? "%.2fx" : "%.0fx", value);
    else if (metric->percent)
        snprintf(text, size, fabs(value) < 0.1 ? "%.2f%%" : "%.1f%%", 100.0 * value);
    else
        snprintf(text, size, "%.3g", value);
}

static double ratio_or_nan(double a, double b)
{
    return a > 0.0 && b > 0.0 ? a / b : NAN;
}

double ceiling_ratio(const result_case *base, const result_case *c)
{
    return ratio_or_nan(case_number(c, "ceiling_tokens_per_s", NULL), case_number(base, "tokens_per_s", NULL));
}

double both_at_ceiling(const result_case *base, const result_case *c)
{
    return ratio_or_nan(case_number(c, "ceiling_tokens_per_s", NULL), case_number(base, "ceiling_tokens_per_s", NULL));
}

/* ---- evidence --------------------------------------------------------------------------------------------------- */

static bool complain(evidence *e, const char *what, const result_case *c)
{
    if (c == NULL)
        snprintf(e->problem, sizeof e->problem, "%s was not part of this run", what);
    else
        snprintf(e->problem, sizeof e->problem, "%s %.16s: %.200s", what, c->status,
                 c->reason[0] != '\0' ? c->reason : "no reason was recorded");
    return false;
}

static size_t count_beyond(const paired_logs *pairs, double bound, bool above)
{
    size_t n = 0;
    for (size_t i = 0; i < pairs->n; i++) n += above ? pairs->logs[i] >= bound : pairs->logs[i] < bound;
    return n;
}

/* Two-sided p of the sign test that a claim's verdict is: at most 1 - CONFIDENCE exactly when claim_judge decides from
 * the widened interval, since that interval's end is an order statistic. NaN without pairs or a floor. */
static double verdict_p(const claim *about, const paired_logs *pairs, double floor)
{
    const double margin = log1p(floor);
    double kept = 0.0, missed = 1.0; /* tails: every bound is kept; some bound is missed */
    if (pairs->n == 0 || isnan(margin)) return NAN;
    if (!isnan(about->min)) {
        kept = fmax(kept, sign_test_tail(pairs->n, count_beyond(pairs, log(about->min) + margin, true)));
        missed = fmin(missed, sign_test_tail(pairs->n, count_beyond(pairs, log(about->min) - margin, false)));
    }
    if (!isnan(about->max)) {
        kept = fmax(kept, sign_test_tail(pairs->n, count_beyond(pairs, log(about->max) - margin, false)));
        missed = fmin(missed, sign_test_tail(pairs->n, count_beyond(pairs, log(about->max) + margin, true)));
    }
    return fmin(1.0, 2.0 * fmin(kept, missed));
}

/* A claim, and the noise by which an interval is widened before it is held against it. */
typedef struct widened_claim {
    const claim *about;
    double margin; /* log(1 + the noise floor) */
} widened_claim;

static bool claim_decides(double low, double high, const void *data)
{
    const widened_claim *w = data;
    return claim_judge(w->about, exp(low - w->margin), exp(high + w->margin)) != VERDICT_INCONCLUSIVE;
}

/* Cases of two blocks: the interval by way of tuned, and the same p of it. */
static ciuic_status linked_evidence(const result_set *r, const claim *about, const result_case *base,
                                    const result_case *c, interval *speed, evidence *e)
{
    CIUIC_TRY(linked_speedup(r, base, c, speed, &e->floor));
    const widened_claim question = {about, log1p(e->floor)};
    if (isnan(question.margin)) return CIUIC_OK;
    CIUIC_TRY(linked_p(r, base, c, claim_decides, &question, &e->p));
    e->p_holm = e->p;
    return CIUIC_OK;
}

static ciuic_status speed_evidence(const result_set *r, const claim *about, const result_case *base,
                                   const result_case *c, evidence *e)
{
    paired_logs pairs;
    const ciuic_status found = find_pairs(r, base->id, c->id, &pairs);
    e->floor = pairs.noise_floor;
    e->p = e->p_holm = results_p(r, verdict_p(about, &pairs, e->floor));
    interval speed = interval_exp(median_interval(pairs.logs, pairs.n, results_confidence(r)));
    paired_logs_free(&pairs);
    CIUIC_TRY(found);
    const bool linked = speed.n == 0; /* cases of two blocks */
    if (linked) CIUIC_TRY(linked_evidence(r, about, base, c, &speed, e));
    e->value = speed.median;
    e->low = speed.low;
    e->high = speed.high;
    e->rounds = speed.n;
    e->judged_low = speed.low / (1.0 + e->floor); /* an unknown floor makes both NaN: nothing can be judged */
    e->judged_high = speed.high * (1.0 + e->floor);
    e->ceiling = ceiling_ratio(base, c);
    e->both_at_ceiling = both_at_ceiling(base, c);
    e->bits = case_number(c, "bits_per_weight", NULL);
    if (speed.n == 0)
        snprintf(e->problem, sizeof e->problem, "no round measured both the case and the baseline");
    else if (isnan(speed.low))
        snprintf(e->interval, sizeof e->interval, "none: %zu paired rounds, a 95%% interval needs at least %zu",
                 speed.n, interval_least_values(results_confidence(r)));
    else if (linked)
        snprintf(e->interval, sizeof e->interval, "%.0f%% by way of tuned: the two were never in the same round",
                 100.0 * CONFIDENCE);
    else if (results_precise(r))
        snprintf(e->interval, sizeof e->interval,
                 "%.0f%% by simulation for the median of %zu paired ratios, rounds being added until it was narrow",
                 100.0 * CONFIDENCE, speed.n);
    else
        snprintf(e->interval, sizeof e->interval, "%.1f%% for the median of %zu paired ratios, by order statistics",
                 100.0 * speed.coverage, speed.n);
    return CIUIC_OK;
}

/* The twin is the same program twice: what differs in its peak is noise. The accounted total is exact. */
static double memory_floor(const result_set *r, const result_case *c, const char *field)
{
    const result_case *tuned = r->groups[c->group].tuned;
    if (strcmp(field, "peak_rss") != 0) return 0.0;
    for (const result_case *twin = r->groups[c->group].cases; twin != NULL; twin = twin->next) {
        if (!twin->twin || !case_ok(twin) || !case_ok(tuned)) continue;
        const double ratio = case_number(twin, "memory_bytes", field) / case_number(tuned, "memory_bytes", field);
        if (ratio > 0.0) return expm1(fabs(log(ratio)));
    }
    return 0.0;
}

static void memory_evidence(const result_set *r, const result_case *base, const result_case *c, const char *field,
                            evidence *e)
{
    const double ours = case_number(c, "memory_bytes", field), theirs = case_number(base, "memory_bytes", field);
    if (!(ours >= 0.0) || !(theirs > 0.0)) {
        snprintf(e->problem, sizeof e->problem, "memory_bytes.%s was not recorded", field);
        return;
    }
    const double ratio = ours / theirs;
    e->floor = memory_floor(r, c, field);
    e->value = e->low = e->high = 1.0 - ratio;
    e->judged_low = 1.0 - ratio * (1.0 + e->floor);
    e->judged_high = 1.0 - ratio / (1.0 + e->floor);
    snprintf(e->interval, sizeof e->interval,
             strcmp(field, "peak_rss") == 0 ? "none: one figure of the kernel per process"
                                            : "none: counted, not sampled");
}

/* How near to its bound an error without an interval decides nothing, relative to the bound. A margin, not an estimate:
 * positions of one text are correlated, so that the spread of their mean cannot be had from a few hundred of them as if
 * they were independent; a tenth is what two or three standard errors come to where a position's error varies by a
 * third of its mean and every fourth of 400 positions counts as independent (2 or 3 x 1/3 / sqrt(100)). */
static const double error_margin = 0.1;

/* exp(rise) - 1 with 1.96 standard errors. That takes tokens for independent; neighbours are not, and the interval is a
 * little narrow for it. */
static void rise_evidence(const result_case *c, evidence *e)
{
    const double rise = case_number(c, "accuracy", "nll_rise"), error = case_number(c, "accuracy", "nll_rise_error");
    const double tokens = case_number(c, "accuracy", "tokens");
    e->value = expm1(rise);
    e->low = expm1(rise - 1.96 * error);
    e->high = expm1(rise + 1.96 * error);
    e->rounds = tokens > 0.0 ? (size_t)tokens : 0;
    snprintf(e->interval, sizeof e->interval, "95%% if the %zu paired tokens were independent: normal", e->rounds);
}

/* Wilson's interval for a share of n positions: unlike the normal one it does not shrink to nothing at 0 and 1. */
static void share_evidence(double share, double n, evidence *e)
{
    const double z2 = 1.96 * 1.96 / n;
    const double middle = (share + z2 / 2.0) / (1.0 + z2);
    const double half = sqrt(z2 * (share * (1.0 - share) + z2 / 4.0)) / (1.0 + z2);
    e->low = middle - half;
    e->high = middle + half;
    snprintf(e->interval, sizeof e->interval, "95%% if the %.0f positions were independent: Wilson's", n);
}

static void error_evidence(const claim *about, const result_case *c, evidence *e)
{
    const char *field = about->metric->field;
    const double positions = case_number(c, "accuracy", "positions");
    double margin = 0.0;
    if (field != NULL) e->value = e->low = e->high = case_number(c, "accuracy", field);
    if (field == NULL) {
        rise_evidence(c, e);
    } else if (strcmp(field, "kl") == 0) {
        const double error = case_number(c, "accuracy", "kl_error");
        e->low = e->value - 1.96 * error;
        e->high = e->value + 1.96 * error;
        snprintf(e->interval, sizeof e->interval, "95%% if the %.0f positions were independent: normal", positions);
    } else if (strcmp(field, "top1_agreement") == 0) {
        share_evidence(e->value, positions, e);
    } else {
        margin = error_margin * (isnan(about->max) ? about->min : about->max);
        snprintf(e->interval, sizeof e->interval,
                 "none: %s over %.0f positions; within 10%% of the bound nothing is decided",
                 strcmp(field, "max_abs_error") == 0 ? "the largest" : "a mean", isnan(positions) ? 0.0 : positions);
    }
    e->judged_low = e->low - margin;
    e->judged_high = e->high + margin;
    const cJSON *finite = json_find(json_find(c->json, "accuracy"), "finite");
    if (cJSON_IsTrue(json_find(c->json, "random_weights")))
        snprintf(e->problem, sizeof e->problem,
                 "the checkpoint's weights are random: its errors say nothing of a trained model's");
    else if (cJSON_IsFalse(finite))
        snprintf(e->problem, sizeof e->problem, "its logits hold NaN or infinity");
    else if (isnan(e->value))
        snprintf(e->problem, sizeof e->problem, "its accuracy was not recorded");
}

/* Whether a limit is kept is counted before anything is loaded, and exact. */
static void share_of_limit(const result_set *r, const claim *about, const result_case *base, const char *baseline,
                           const result_case *c, evidence *e)
{
    limit_evidence found;
    limit_evidence_gather(r, about, base, baseline, c, &found);
    if (found.problem[0] == '\0') e->value = e->low = e->high = e->judged_low = e->judged_high = found.share;
    snprintf(e->interval, sizeof e->interval, "none: counted, not sampled");
    snprintf(e->problem, sizeof e->problem, "%s", found.problem);
    snprintf(e->words, sizeof e->words, "%s", found.words);
}

static ciuic_status gather(const result_set *r, const claim *about, const result_case *base, const char *baseline,
                           const result_case *c, evidence *e)
{
    *e = (evidence){.value = NAN,
                    .low = NAN,
                    .high = NAN,
                    .floor = NAN,
                    .judged_low = NAN,
                    .judged_high = NAN,
                    .p = NAN,
                    .p_holm = NAN,
                    .ceiling = NAN,
                    .both_at_ceiling = NAN,
                    .bits = NAN};
    if (about->metric->kind == METRIC_LIMIT) {
        share_of_limit(r, about, base, baseline, c, e);
        return CIUIC_OK;
    }
    if (!case_ok(c) && !complain(e, "the case", c)) return CIUIC_OK;
    if (about->metric->kind == METRIC_ERROR) {
        error_evidence(about, c, e);
        return CIUIC_OK;
    }
    if (!case_ok(base)) {
        char what[64];
        snprintf(what, sizeof what, "the baseline %.16s", baseline);
        complain(e, what, base);
        return CIUIC_OK;
    }
    if (!same_prefix_cache(base, c)) {
        snprintf(e->problem, sizeof e->problem,
                 "the case keeps the beginnings of prompts in a cache and the baseline does not, so that they compute "
                 "different tokens");
        return CIUIC_OK;
    }
    if (about->metric->kind == METRIC_SPEED) return speed_evidence(r, about, base, c, e);
    memory_evidence(r, base, c, about->metric->field, e);
    return CIUIC_OK;
}

/* ---- sentences -------------------------------------------------------------------------------------------------- */

/* Ceilings are measured as well, and held against others' measurements within so much (harness/measure/likwid_bench.h): nothing
 * nearer to them is called out of reach. */
static const double ceiling_margin = 1.1;

/* The lowest bound of the claim that the two ceilings rule out, and that was not measured to be reached; NaN: none. */
static double unreachable_bound(const claim *about, const evidence *e)
{
    const double bounds[] = {about->min, about->band_top};
    for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++)
        if (e->both_at_ceiling * ceiling_margin < bounds[i] && e->value < bounds[i])
            return bounds[i]; /* false for NaN */
    return NAN;
}

/* What bytes and operations leave over an FP16 as good as they allow, whatever the baseline of this run is. */
static void explain_best(const claim *about, const evidence *e, const char *baseline, char *text)
{
    char bound[32], best[32];
    const double beyond = unreachable_bound(about, e);
    if (strcmp(baseline, "tuned") != 0 || isnan(beyond)) return;
    metric_format(about->metric, beyond, bound, sizeof bound);
    metric_format(about->metric, e->both_at_ceiling, best, sizeof best);
    plain_append(text, SENTENCE, "; %s cannot be reached", bound);
    if (!isnan(e->bits)) plain_append(text, SENTENCE, " by %.1f bits", e->bits);
    plain_append(text, SENTENCE, " over an FP16 at its own ceiling: the ceiling here is %s", best);
}

static void explain_speed(const claim *about, const evidence *e, verdict v, const char *baseline, char *text)
{
    char ceiling[32], top[32];
    metric_format(about->metric, e->ceiling, ceiling, sizeof ceiling);
    metric_format(about->metric, about->band_top, top, sizeof top);
    if (v != VERDICT_SUPPORTED && e->ceiling < about->min)
        plain_append(text, SENTENCE, "; bytes and operations allow at most %s the measured speed of %s", ceiling,
                     baseline);
    if (v == VERDICT_SUPPORTED && !isnan(about->band_top))
        plain_append(text, SENTENCE,
                     e->judged_low >= about->band_top   ? "; %s is reached too"
                     : e->judged_high < about->band_top ? "; %s is not reached"
                                                        : "; whether %s is reached is open",
                     top);
    explain_best(about, e, baseline, text);
}

static void explain(const claim *about, const evidence *e, verdict v, const char *baseline, char *text)
{
    text[0] = '\0';
    if (e->problem[0] != '\0') {
        plain_append(text, SENTENCE, "Nothing was measured that could decide it: %s.", e->problem);
        return;
    }
    if (e->words[0] != '\0') {
        plain_append(text, SENTENCE, "%s.", e->words);
        return;
    }
    char value[32], low[32], high[32], bound[32];
    const double decides = claim_bound(about, e->value);
    const bool upper = decides == about->max;
    metric_format(about->metric, e->value, value, sizeof value);
    metric_format(about->metric, e->low, low, sizeof low);
    metric_format(about->metric, e->high, high, sizeof high);
    metric_format(about->metric, decides, bound, sizeof bound);
    plain_append(text, SENTENCE, "%s", value);
    if (e->low < e->high) plain_append(text, SENTENCE, " (%s to %s)", low, high);
    const char *limit = upper ? "the most allowed" : "the least required";
    if (v == VERDICT_SUPPORTED) {
        plain_append(text, SENTENCE, " keeps %s, %s", limit, bound);
    } else if (v == VERDICT_REFUTED) {
        plain_append(text, SENTENCE, " %s %s, %s", upper ? "exceeds" : "misses", limit, bound);
    } else if (isnan(e->low) && about->metric->kind == METRIC_SPEED) {
        plain_append(text, SENTENCE, " cannot be judged: interval %s", e->interval);
    } else if (isnan(e->judged_low)) {
        plain_append(text, SENTENCE, " cannot be judged: %s",
                     about->metric->kind == METRIC_SPEED ? "no A/A pair was measured, so the noise is unknown"
                                                         : "its spread is unknown");
    } else if (e->p <= 1.0 - CONFIDENCE) {
        plain_append(
            text, SENTENCE,
            " would be decided by itself, but not among all cases of this suite: corrected for their number (Holm), p "
            "is %.2g; more rounds would tell",
            e->p_holm);
    } else {
        plain_append(text, SENTENCE, " is too close to %s, %s, to tell", limit, bound);
        if (e->floor > 0.0) plain_append(text, SENTENCE, " (noise floor %.1f%%)", 100.0 * e->floor);
        if (about->metric->kind == METRIC_ERROR) plain_append(text, SENTENCE, " (interval: %s)", e->interval);
    }
    if (about->metric->kind == METRIC_SPEED) explain_speed(about, e, v, baseline, text);
    plain_append(text, SENTENCE, ".");
}

/* ---- objects ---------------------------------------------------------------------------------------------------- */

/* Kernels of another rung than tuned's are judged, and are not what a user of this machine gets. */
static bool on_best_rung(const result_set *r, const result_case *c)
{
    const result_case *tuned = r->groups[c->group].tuned;
    return tuned == NULL || strcmp(tuned->kernels, c->kernels) == 0;
}

static cJSON *verdict_object(const result_set *r, const claim *about, const result_case *base, const char *baseline,
                             const result_case *c, const evidence *e, verdict v)
{
    char reason[SENTENCE];
    explain(about, e, v, baseline, reason);
    const bool fair = strcmp(baseline, "tuned") == 0 || strcmp(baseline, "reference") == 0;
    const bool headline = fair && on_best_rung(r, c);
    cJSON *o = cJSON_CreateObject();
    bool ok = o != NULL && cJSON_AddStringToObject(o, "claim", about->id) != NULL;
    ok = ok && cJSON_AddStringToObject(o, "metric", about->metric->name) != NULL;
    ok = ok && set_member(o, "workload", cJSON_Duplicate(r->groups[c->group].workload, true));
    ok = ok && json_add_size(o, "threads", r->groups[c->group].threads);
    ok = ok && cJSON_AddStringToObject(o, "case", c->id) != NULL;
    ok = ok && set_member(o, "variant", cJSON_Duplicate(json_find(c->json, "variant"), true));
    ok = ok && cJSON_AddStringToObject(o, "baseline", baseline) != NULL;
    ok = ok && (base != NULL ? cJSON_AddStringToObject(o, "baseline_case", base->id)
                             : cJSON_AddNullToObject(o, "baseline_case")) != NULL;
    ok = ok && cJSON_AddBoolToObject(o, "headline", headline) != NULL;
    ok = ok && json_add_double(o, "value", e->value);
    ok = ok && json_add_double(o, "low", e->low);
    ok = ok && json_add_double(o, "high", e->high);
    ok = ok && cJSON_AddStringToObject(o, "interval", e->interval) != NULL;
    ok = ok && json_add_size(o, "rounds", e->rounds);
    ok = ok && json_add_double(o, "p", e->p);
    ok = ok && json_add_double(o, "p_holm", e->p_holm);
    ok = ok && json_add_double(o, "noise_floor", e->floor);
    ok = ok && json_add_double(o, "ceiling_ratio", e->ceiling);
    ok = ok && json_add_double(o, "both_at_ceiling", e->both_at_ceiling);
    ok = ok && cJSON_AddStringToObject(o, "verdict", verdict_name(v)) != NULL;
    ok = ok && set_member(o, "reason", sentence_json(reason));
    if (ok) return o;
    cJSON_Delete(o);
    return NULL;
}

/* A claim that holds against a weaker baseline only says so, in every verdict it concerns. */
static bool note_weaker_baselines(cJSON *const *objects, const verdict *found, size_t n)
{
    size_t tuned = n;
    for (size_t i = 0; i < n; i++)
        if (strcmp(json_find(objects[i], "baseline")->valuestring, "tuned") == 0) tuned = i;
    if (tuned == n || found[tuned] == VERDICT_SUPPORTED) return true;
    char weaker[128] = "";
    bool ok = true;
    for (size_t i = 0; i < n; i++) {
        if (found[i] != VERDICT_SUPPORTED) continue;
        plain_append(weaker, sizeof weaker, "%s%s", weaker[0] != '\0' ? " and " : "",
                     json_find(objects[i], "baseline")->valuestring);
        char reason[SENTENCE];
        snprintf(reason, sizeof reason, "%.500s Against tuned, the fair baseline, it is %s.",
                 json_find(objects[i], "reason")->valuestring, verdict_name(found[tuned]));
        ok = ok && set_member(objects[i], "reason", sentence_json(reason));
    }
    if (weaker[0] == '\0') return ok;
    char reason[SENTENCE];
    snprintf(reason, sizeof reason, "%.500s", json_find(objects[tuned], "reason")->valuestring);
    plain_append(reason, sizeof reason, " It holds against %s only.", weaker);
    return ok && set_member(objects[tuned], "reason", sentence_json(reason));
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

/* One claim, case and baseline. Those of one claim and case stand one after the other. */
typedef struct question {
    claim about;
    const result_case *c, *base;
    const char *baseline;
    evidence e;
} question;

typedef struct question_list {
    question *items;
    size_t count, room;
} question_list;

enum { MAX_BASELINES = 4 };

static ciuic_status new_question(question_list *list, question **out)
{
    if (list->count == list->room) {
        const size_t room = list->room > 0 ? 2 * list->room : 64;
        question *grown = reallocarray(list->items, room, sizeof *grown);
        if (grown == NULL) return ciuic_fail_memory("verdicts", room * sizeof *grown);
        list->items = grown;
        list->room = room;
    }
    *out = &list->items[list->count++];
    return CIUIC_OK;
}

/* A rung is judged against what is fair on that rung: tuned's settings with its kernels, where the run has that. */
static const result_case *baseline_of(const result_set *r, const result_case *c, const char *name)
{
    const result_case *base = group_baseline(&r->groups[c->group], name);
    if (base == NULL || strcmp(name, "tuned") != 0 || strcmp(base->kernels, c->kernels) == 0) return base;
    const result_case *same = find_variant(r, c, false, true, base->memory, c->kernels);
    return case_ok(same) ? same : base;
}

static ciuic_status ask_case(const result_set *r, const claim *about, const result_case *c, question_list *list)
{
    size_t n = 0;
    for (const cJSON *name = about->baselines->child; name != NULL && n < MAX_BASELINES; name = name->next) {
        const result_case *base = baseline_of(r, c, name->valuestring);
        /* Not every machine has this library, and not every suite asks for it: nothing to say about one never meant. */
        if (base == NULL && strcmp(name->valuestring, "onednn") == 0) continue;
        if (base == c) continue; /* nothing is faster or slower than itself */
        question *q = NULL;
        CIUIC_TRY(new_question(list, &q));
        *q = (question){.about = *about, .c = c, .base = base, .baseline = name->valuestring};
        CIUIC_TRY(gather(r, about, base, name->valuestring, c, &q->e));
        n++;
    }
    return CIUIC_OK;
}

/* All verdicts about speed are a family, whichever the baseline: the more of them a suite has, the surer each must be. */
static ciuic_status correct_family(question_list *list)
{
    double *p = calloc(list->count + 1, sizeof *p);
    if (p == NULL) return ciuic_fail_memory("verdicts", list->count * sizeof *p);
    for (size_t i = 0; i < list->count; i++) p[i] = list->items[i].e.p;
    const ciuic_status status = holm_adjust(p, list->count, p);
    for (size_t i = 0; i < list->count && status == CIUIC_OK; i++) list->items[i].e.p_holm = p[i];
    free(p);
    return status;
}

static verdict decide(const question *q)
{
    if (q->e.problem[0] != '\0') return VERDICT_INCONCLUSIVE;
    if (q->e.p_holm > FAMILY_LEVEL) return VERDICT_INCONCLUSIVE; /* false for NaN: only speed has one */
    return claim_judge(&q->about, q->e.judged_low, q->e.judged_high);
}

/* The n questions of one claim and case, one for each baseline. */
static ciuic_status judge_case(const result_set *r, const question *questions, size_t n, cJSON *verdicts)
{
    cJSON *objects[MAX_BASELINES];
    verdict found[MAX_BASELINES];
    for (size_t i = 0; i < n; i++) {
        const question *q = &questions[i];
        found[i] = decide(q);
        objects[i] = verdict_object(r, &q->about, q->base, q->baseline, q->c, &q->e, found[i]);
        if (objects[i] == NULL || !cJSON_AddItemToArray(verdicts, objects[i])) {
            cJSON_Delete(objects[i]);
            return ciuic_fail_memory("verdicts", sizeof(cJSON));
        }
    }
    return note_weaker_baselines(objects, found, n) ? CIUIC_OK : ciuic_fail_memory("verdicts", SENTENCE);
}

static ciuic_status ask_all(const result_set *r, const cJSON *claims, question_list *list)
{
    size_t position = 0;
    for (const cJSON *item = claims->child; item != NULL; item = item->next, position++) {
        claim about;
        CIUIC_TRY(claim_parse(item, "claims", position, &about));
        for (size_t i = 0; i < r->case_count; i++)
            if (claim_covers(&about, r, &r->cases[i])) CIUIC_TRY(ask_case(r, &about, &r->cases[i], list));
    }
    return correct_family(list);
}

ciuic_status verdicts_make(const result_set *r, const cJSON *claims, cJSON **verdicts)
{
    question_list list = {0};
    cJSON *array = cJSON_CreateArray();
    if (array == NULL) return ciuic_fail_memory("verdicts", sizeof *array);
    ciuic_status status = ask_all(r, claims, &list);
    for (size_t i = 0, n = 1; i < list.count && status == CIUIC_OK; i += n) {
        const question *first = &list.items[i];
        for (n = 1; i + n < list.count && first[n].c == first->c && first[n].about.id == first->about.id;) n++;
        status = judge_case(r, first, n, array);
    }
    free(list.items);
    if (status == CIUIC_OK)
        *verdicts = array;
    else
        cJSON_Delete(array);
    return status;
}
