/* findings.c - holding every case that a limit is about against its bounds; the worst one speaks for it. */
#include "harness/gate/findings.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/plain_text.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

const char *gate_outcome_name(gate_outcome outcome)
{
    static const char *const names[] = {"passed", "warned", "waived", "failed"};
    return names[outcome];
}

/* ---- bounds ----------------------------------------------------------------------------------------------------- */

/* What a reading is held against: the nearer of the absolute and the relative bound, on either side. */
typedef struct allowed_range {
    double low, high; /* infinite where there is none */
} allowed_range;

static allowed_range range_of(const gate_metric *metric, const gate_bounds *bounds, double recorded)
{
    allowed_range range = {.low = isnan(bounds->min) ? -INFINITY : bounds->min,
                           .high = isnan(bounds->max) ? INFINITY : bounds->max};
    if (!bounds->relative) return range;
    const double room = fabs(recorded) * bounds->worse + bounds->worse_by;
    if (metric->small_is_worse)
        range.low = fmax(range.low, recorded - room);
    else
        range.high = fmin(range.high, recorded + room);
    return range;
}

/* How far `value` is outside, as a share of the bound; negative inside: what is left to the nearer bound, which *bound is
 * set to, and *upper to whether it is the upper one. */
static double excess_of(allowed_range range, double value, double *bound, bool *upper)
{
    const double above = isinf(range.high) ? -INFINITY : (value - range.high) / fmax(fabs(range.high), 1e-300);
    const double below = isinf(range.low) ? -INFINITY : (range.low - value) / fmax(fabs(range.low), 1e-300);
    *upper = above >= below;
    *bound = *upper ? range.high : range.low;
    return fmax(above, below);
}

/* ---- one case --------------------------------------------------------------------------------------------------- */

/* What one case says about one limit. */
typedef struct case_view {
    const gate_limit *limit;
    const result_case *c;
    gate_reading reading;
    double recorded, bound, excess;
    gate_outcome outcome;
    gate_remedy remedy; /* of a failure */
    bool upper;         /* `bound` is the most allowed, not the least */
    bool within_noise;  /* beyond a hard bound, by less than can be told from noise */
} case_view;

static void say(gate_finding *f, const char *text)
{
    plain_append(f->message, sizeof f->message, "%s", text);
}

static void judge_bounds(case_view *v)
{
    const gate_metric *metric = &v->limit->metric;
    const gate_bounds *hard = &v->limit->hard, *soft = &v->limit->soft;
    v->outcome = GATE_PASSED;
    v->excess = -INFINITY;
    v->bound = NAN;
    if (hard->given) {
        const allowed_range range = range_of(metric, hard, v->recorded);
        v->excess = excess_of(range, v->reading.value, &v->bound, &v->upper);
        /* The whole widened interval has to lie outside; for all but speed it is the value itself. */
        if (v->reading.high < range.low || v->reading.low > range.high) v->outcome = GATE_FAILED;
        v->within_noise = v->excess > 0.0 && v->outcome == GATE_PASSED;
        if (v->within_noise) v->outcome = GATE_WARNED;
        if (v->outcome == GATE_FAILED)
            v->remedy = !hard->relative || v->reading.value > hard->max || v->reading.value < hard->min
                            ? GATE_REMEDY_BOUND
                            : GATE_REMEDY_RECORD;
    }
    if (soft->given && v->outcome == GATE_PASSED) {
        const allowed_range range = range_of(metric, soft, v->recorded);
        double bound = NAN;
        bool upper = false;
        const double excess = excess_of(range, v->reading.value, &bound, &upper);
        if (v->reading.high < range.low || v->reading.low > range.high) v->outcome = GATE_WARNED;
        if (v->outcome == GATE_WARNED || !hard->given) {
            v->excess = excess;
            v->bound = bound;
            v->upper = upper;
        }
    }
}

static ciuic_status view_case(const gate_limit *limit, const result_set *r, const result_case *c, case_view *v)
{
    *v = (case_view){.limit = limit,
                     .c = c,
                     .recorded = NAN,
                     .bound = NAN,
                     .excess = INFINITY,
                     .outcome = GATE_FAILED,
                     .remedy = GATE_REMEDY_REPAIR};
    CIUIC_TRY(gate_read(limit, r, c, &v->reading));
    if (v->reading.problem[0] != '\0') return CIUIC_OK;
    if (gate_limit_recorded(limit)) {
        const cJSON *recorded = gate_recorded(limit, c->id);
        if (recorded == NULL) {
            plain_append(v->reading.problem, sizeof v->reading.problem,
                         "no value of it was recorded; --update records one");
            v->remedy = GATE_REMEDY_RECORD;
            return CIUIC_OK;
        }
        v->recorded = recorded->valuedouble;
    }
    judge_bounds(v);
    return CIUIC_OK;
}

static bool is_worse(const case_view *a, const case_view *b)
{
    if (a->outcome != b->outcome) return a->outcome > b->outcome;
    if (a->reading.broken != b->reading.broken) return a->reading.broken;
    return a->excess > b->excess;
}

/* ---- sentences -------------------------------------------------------------------------------------------------- */

static void say_bound(gate_finding *f, const case_view *v)
{
    const gate_metric *metric = &v->limit->metric;
    char bound[40], recorded[40];
    gate_format(metric, v->bound, bound, sizeof bound);
    gate_format(metric, v->recorded, recorded, sizeof recorded);
    plain_append(f->message, sizeof f->message, ", %s %s", v->upper ? "at most" : "at least", bound);
    if (!isnan(v->recorded)) plain_append(f->message, sizeof f->message, " (recorded %s)", recorded);
    if (isnan(v->reading.noise_floor) || !(v->excess > 0.0)) return;
    char low[40], high[40];
    gate_format(metric, v->reading.low, low, sizeof low);
    gate_format(metric, v->reading.high, high, sizeof high);
    plain_append(f->message, sizeof f->message, "; %s to %s with the noise floor of %.1f%%%s", low, high,
                 100.0 * v->reading.noise_floor, v->within_noise ? ", so that nothing is decided" : "");
}

/* The worst case in words; the id last, since it is the longest. */
static void describe(gate_finding *f, const case_view *v)
{
    char value[40];
    if (v->reading.problem[0] != '\0') {
        say(f, v->reading.problem);
    } else {
        gate_format(&v->limit->metric, v->reading.value, value, sizeof value);
        plain_append(f->message, sizeof f->message, "%s is %s", f->metric, value);
        if (v->limit->baseline != NULL) plain_append(f->message, sizeof f->message, " over %s", v->limit->baseline);
        say_bound(f, v);
    }
    plain_append(f->message, sizeof f->message, ": %.200s", v->c->id);
    if (f->bad_cases > 1) plain_append(f->message, sizeof f->message, ", and %zu more", f->bad_cases - 1);
}

static void take(gate_finding *f, const case_view *v)
{
    f->case_id = v->c->id;
    f->outcome = v->outcome;
    f->broken = v->reading.broken;
    f->value = v->reading.value;
    f->low = v->reading.low;
    f->high = v->reading.high;
    f->noise_floor = v->reading.noise_floor;
    f->allowed = v->bound;
    f->recorded = v->recorded;
    f->excess = v->excess;
}

/* ---- one limit -------------------------------------------------------------------------------------------------- */

/* Something was recorded of a case that is no longer measured: what is not looked at cannot be seen to get worse. */
static const char *lost_key(const gate_limit *limit, const result_set *r)
{
    for (const cJSON *item = limit->recorded != NULL ? limit->recorded->child : NULL; item != NULL; item = item->next) {
        bool found = false;
        for (size_t i = 0; i < r->case_count && !found; i++) {
            const result_case *c = &r->cases[i];
            found = strcmp(c->status, "skipped") != 0 && gate_covers(limit, c) && gate_recorded(limit, c->id) == item;
        }
        if (!found) return item->string;
    }
    return NULL;
}

static void apply_waiver(const gate_limit *limit, const char *today, gate_finding *f)
{
    if (limit->waiver_expires == NULL) return;
    const bool expired = strcmp(today, limit->waiver_expires) > 0;
    char before[SENTENCE];
    memcpy(before, f->message, sizeof before);
    f->message[0] = '\0';
    if (f->outcome == GATE_WARNED) { /* beyond a soft bound or undecided: the next run may need it */
        if (expired) plain_append(f->message, sizeof f->message, "its waiver expired on %s: ", limit->waiver_expires);
        plain_append(f->message, sizeof f->message, "%.500s", before);
        return;
    }
    if (f->outcome == GATE_FAILED) {
        plain_append(f->message, sizeof f->message, "%s %s (%.160s): %.400s",
                     expired ? "its waiver expired on" : "waived until", limit->waiver_expires, limit->waiver_reason,
                     before);
        if (!expired) f->outcome = GATE_WAIVED;
        return;
    }
    if (expired) f->outcome = GATE_WARNED;
    plain_append(f->message, sizeof f->message, "the waiver (%s) is not needed, remove it: %.500s",
                 expired ? "expired" : "still running", before);
}

/* Another compiler makes other instructions: how many there were of one's says nothing about another's. */
static bool other_compiler(const gate_file *file, const gate_limit *limit, const result_set *r, gate_finding *f)
{
    const char *compiler = cJSON_GetStringValue(json_find(json_find(r->root, "program"), "compiler"));
    if (file->compiler == NULL || limit->metric.kind != GATE_COUNTER || strcmp(limit->source, "simulated") != 0)
        return false;
    if (!gate_limit_recorded(limit) || (compiler != NULL && strcmp(compiler, file->compiler) == 0)) return false;
    f->outcome = GATE_WARNED;
    plain_append(
        f->message, sizeof f->message,
        "not held: recorded of what %.40s makes, and this program was made by %.40s; --update records its counts",
        file->compiler, compiler != NULL ? compiler : "an unknown compiler");
    return true;
}

static ciuic_status judge_limit(const gate_file *file, const gate_limit *limit, const result_set *r, const char *today,
                                gate_finding *f)
{
    case_view worst = {.outcome = GATE_PASSED}, v;
    bool any = false;
    size_t skipped = 0;
    if (other_compiler(file, limit, r, f)) return CIUIC_OK;
    for (size_t i = 0; i < r->case_count; i++) {
        const result_case *c = &r->cases[i];
        if (!gate_covers(limit, c)) continue;
        if (strcmp(c->status, "skipped") == 0) {
            skipped++;
            continue;
        }
        CIUIC_TRY(view_case(limit, r, c, &v));
        f->cases++;
        if (v.outcome != GATE_PASSED) f->bad_cases++;
        if (v.outcome == GATE_FAILED && v.remedy > f->remedy) f->remedy = v.remedy;
        if (!any || is_worse(&v, &worst)) worst = v;
        any = true;
    }
    f->outcome = GATE_FAILED;
    const char *lost = lost_key(limit, r);
    if (!any) { /* no waiver for that: the limit itself is broken */
        plain_append(f->message, sizeof f->message, "no case matches \"%.120s\"", limit->cases);
        if (skipped > 0) plain_append(f->message, sizeof f->message, " but %zu that were skipped", skipped);
        f->remedy = GATE_REMEDY_REPAIR;
        say(f, "; a limit that looks at nothing cannot fail: correct or remove it");
        return CIUIC_OK;
    }
    take(f, &worst);
    describe(f, &worst);
    if (lost != NULL && f->outcome != GATE_FAILED) {
        f->outcome = GATE_FAILED;
        f->message[0] = '\0';
        plain_append(f->message, sizeof f->message,
                     "recorded, and not measured any more: %.200s; if that is meant, --update forgets it", lost);
    }
    apply_waiver(limit, today, f);
    return CIUIC_OK;
}

/* ---- checkpoints ------------------------------------------------------------------------------------------------ */

static const char *digest_of(const result_set *r, const char *name)
{
    const cJSON *list = json_find(r->root, "checkpoints");
    for (const cJSON *item = cJSON_IsArray(list) ? list->child : NULL; item != NULL; item = item->next) {
        const char *found = cJSON_GetStringValue(json_find(item, "name"));
        if (found != NULL && strcmp(found, name) == 0) return cJSON_GetStringValue(json_find(item, "sha256"));
    }
    return NULL;
}

/* Figures of another checkpoint, or of other token ids, are not those that were recorded, whatever they are. */
static void judge_checkpoints(const gate_file *file, const result_set *r, gate_finding *f)
{
    f->outcome = GATE_PASSED;
    for (const cJSON *item = file->checkpoints->child; item != NULL; item = item->next) {
        const char *digest = digest_of(r, item->string);
        if (digest != NULL && strcmp(digest, item->valuestring) == 0) continue;
        f->outcome = GATE_FAILED;
        plain_append(f->message, sizeof f->message,
                     digest == NULL ? "%.80s: recorded as %.12s, and not part of these results"
                                    : "%.80s: recorded as %.12s, measured as %.12s: another model or other token ids",
                     item->string, item->valuestring, digest != NULL ? digest : "");
        return;
    }
    say(f, "the checkpoints are those that were recorded");
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

static gate_finding *next_finding(gate_findings *all, const char *id, const char *metric)
{
    gate_finding *f = &all->list[all->count++];
    *f = (gate_finding){.id = id,
                        .metric = metric,
                        .value = NAN,
                        .low = NAN,
                        .high = NAN,
                        .noise_floor = NAN,
                        .allowed = NAN,
                        .recorded = NAN,
                        .excess = NAN};
    return f;
}

ciuic_status gate_judge(const gate_file *file, const result_set *r, const char *today, gate_findings *findings)
{
    *findings = (gate_findings){.list = calloc(file->count + 1, sizeof *findings->list)};
    if (findings->list == NULL) return ciuic_fail_memory("findings", (file->count + 1) * sizeof *findings->list);
    for (size_t i = 0; i < r->case_count; i++) findings->cases += r->cases[i].twin ? 0 : 1;
    if (file->checkpoints != NULL) judge_checkpoints(file, r, next_finding(findings, "checkpoints", "checkpoints"));
    for (size_t i = 0; i < file->count; i++) {
        const gate_limit *limit = &file->limits[i];
        gate_finding *finding = next_finding(findings, limit->id, limit->metric.name);
        finding->reason = limit->reason;
        CIUIC_TRY(judge_limit(file, limit, r, today, finding));
    }
    for (size_t i = 0; i < findings->count; i++) {
        plain_text(findings->list[i].message);
        findings->outcomes[findings->list[i].outcome]++;
    }
    return CIUIC_OK;
}

void gate_findings_free(gate_findings *findings)
{
    free(findings->list);
    *findings = (gate_findings){0};
}
