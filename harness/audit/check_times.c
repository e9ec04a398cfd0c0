/* check_times.c - what only a clock can tell: whether answers are remembered, whether work grows with the input, and whether
 * speed-ups are what they were said to be. Everything is a ratio of things timed in turn; what the noise hides is
 * inconclusive and never a failure. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/audit/checks.h"
#include "harness/audit/inputs.h"
#include "harness/audit/probe.h"
#include "harness/audit/timing.h"
#include "harness/worker/onednn.h"
#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/json.h"

/* ---- repeated inputs -------------------------------------------------------------------------------------------- */

/* Fresh ids may honestly cost more: other experts, whose weights the caches have to fetch, and branches that were not
 * learnt. A cache of answers, or of the beginnings of inputs, saves at least half of the work. */
static const double cache_band = 0.3;

ciuic_status check_cache(audit_subject *s, const audited_case *c, audit_findings *f)
{
    probe p = {0};
    audit_inputs inputs;
    timing_side sides[3] = {{.probe = &p}, {.probe = &p}, {.probe = &p, .fresh = &inputs}};
    timing t = {.subject = s, .c = c, .sides = sides, .count = 3, .twins = {0, 1}};
    ciuic_status status = inputs_open(c, &inputs);
    if (status == CIUIC_OK) status = probe_load(s, PROBE_AUDITED, &c->order, &c->variant, &p);
    if (status == CIUIC_OK) status = timing_run(&t);
    if (status == CIUIC_OK && timing_failed(&t)[0] != '\0') {
        status = audit_find(f, AUDIT_CACHE, c->result->id, AUDIT_IMPOSSIBLE, NULL, "%s", timing_failed(&t));
    } else if (status == CIUIC_OK) {
        const timed_ratio ratio = timing_ratio(&t, 2, 0);
        const double most = timing_margin(ratio.floor, cache_band);
        status = audit_find(f, AUDIT_CACHE, c->result->id, timing_alike(&ratio, cache_band, false), timed_json(&ratio),
                            "fresh ids take %.3g times as long as repeated ones (%.3g to %.3g; at most %.3g)",
                            ratio.value.median, ratio.value.low, ratio.value.high, most);
    }
    probe_stop(&p);
    inputs_close(&inputs);
    return status;
}

/* ---- longer input ----------------------------------------------------------------------------------------------- */

/* Two lengths of the workload, `factor` apart, that the model's context allows. */
typedef struct lengths {
    size_t shorter, longer;
    double least, most; /* of the ratio of their times */
} lengths;

/* Prefills from 128 tokens on are bound by arithmetic, which grows with them; fewer may be bound by reading the weights
 * once, whatever their number. A quarter of what is proportional is asked for, a tenth of small ones. Decoded tokens come
 * one by one, each at the whole price: half is asked for. No work grows faster than attention, with the square; half as
 * much again is for caches that overflow. */
static bool find_lengths(const audited_case *c, size_t context, lengths *l)
{
    enum { FACTOR = 4, SHORT = 2, USUAL = 128, DECODED = 8 };
    const bool decode = c->order.phase == PHASE_DECODE;
    const bool slow = case_number(c->result, "latency_s", "median") > 1;
    const size_t factor = slow ? SHORT : FACTOR, usual = decode ? DECODED : USUAL;
    const size_t room = context > c->order.depth ? (context - c->order.depth) / factor : 0;
    size_t n = c->order.tokens > usual || slow ? c->order.tokens : usual;
    if (n > room) n = room;
    const double more = (double)factor - 1;
    l->shorter = n;
    l->longer = n * factor;
    l->least = decode ? (double)factor / 2 : 1 + more / (n >= USUAL / 2 ? 4 : 10);
    l->most = 1.5 * (double)(factor * factor);
    return n > 0;
}

static ciuic_status time_lengths(audit_subject *s, const audited_case *c, const lengths *l, audit_findings *f)
{
    probe shorter = {0}, longer = {0};
    load_order order = c->order;
    timing_side sides[3] = {{.probe = &shorter, .tokens = l->shorter},
                            {.probe = &shorter, .tokens = l->shorter},
                            {.probe = &longer, .tokens = l->longer}};
    timing t = {.subject = s, .c = c, .sides = sides, .count = 3, .twins = {0, 1}};
    order.tokens = l->shorter;
    ciuic_status status = probe_load(s, PROBE_AUDITED, &order, &c->variant, &shorter);
    order.tokens = l->longer;
    if (status == CIUIC_OK) status = probe_load(s, PROBE_AUDITED, &order, &c->variant, &longer);
    if (status == CIUIC_OK) status = timing_run(&t);
    if (status == CIUIC_OK && timing_failed(&t)[0] != '\0') {
        status = audit_find(f, AUDIT_LENGTH, c->result->id, AUDIT_IMPOSSIBLE, NULL, "%s", timing_failed(&t));
    } else if (status == CIUIC_OK) {
        const timed_ratio ratio = timing_ratio(&t, 2, 0);
        status =
            audit_find(f, AUDIT_LENGTH, c->result->id, timing_within(&ratio, l->least, l->most), timed_json(&ratio),
                       "%zu tokens take %.3g times as long as %zu (%.3g to %.3g; expected %.3g to %.3g)", l->longer,
                       ratio.value.median, l->shorter, ratio.value.low, ratio.value.high, l->least, l->most);
    }
    probe_stop(&shorter);
    probe_stop(&longer);
    return status;
}

ciuic_status check_length(audit_subject *s, const audited_case *c, audit_findings *f)
{
    checkpoint *opened = NULL;
    lengths l;
    CIUIC_TRY(checkpoint_open(c->order.checkpoint, &opened));
    const bool found = find_lengths(c, checkpoint_config(opened)->max_position, &l);
    checkpoint_release(opened);
    if (!found)
        return audit_find(f, AUDIT_LENGTH, c->result->id, AUDIT_IMPOSSIBLE, NULL,
                          "the model's context has no room for a longer input");
    return time_lengths(s, c, &l, f);
}

/* ---- speed-ups -------------------------------------------------------------------------------------------------- */

/* Between two runs of one program on one machine lies more than the noise within either: where its memory happened to be,
 * who else was there. Speed-ups that come from fewer bytes and such that come from arithmetic suffer differently. */
static const double run_band = 0.15;
/* A program's baseline against this one's: another build of the same code. */
static const double baseline_band = 0.25;

/* Places in the round. */
enum { CASE, TUNED, TUNED_AGAIN, OTHER, AUDITED_TUNED, SIDES };

typedef struct race {
    audit_subject *subject;
    const audited_case *c;
    const result_case *tuned, *other; /* baselines; other: openblas, naive or onednn */
    probe probes[SIDES];
    timing_side sides[SIDES];
    size_t place[SIDES]; /* index into sides; SIZE_MAX: does not run */
    timing t;
} race;

static bool can_run(const audit_subject *s, const result_case *c, bench_variant *v)
{
    return case_ok(c) && subject_variant(s, c, v) == CIUIC_OK && kernel_isa_available(v->isa) &&
           (v->baseline != BASELINE_ONEDNN || onednn_available());
}

static ciuic_status enter(race *r, size_t who, probe_program program, const bench_variant *v)
{
    CIUIC_TRY(probe_load(r->subject, program, &r->c->order, v, &r->probes[who]));
    r->place[who] = r->t.count;
    r->sides[r->t.count++].probe = &r->probes[who];
    return CIUIC_OK;
}

/* One of the other baselines that can run here, which one the seed says. */
static void choose_other(race *r, bench_variant *other)
{
    const result_group *g = r->c->group;
    const result_case *all[] = {g->openblas, g->naive, g->onednn};
    const size_t first = subject_draw(r->subject, 3);
    for (size_t i = 0; i < 3 && r->other == NULL; i++)
        if (can_run(r->subject, all[(first + i) % 3], other)) r->other = all[(first + i) % 3];
}

static ciuic_status line_up(race *r)
{
    bench_variant tuned, other;
    const result_group *g = r->c->group;
    r->t = (timing){.subject = r->subject, .c = r->c, .sides = r->sides};
    for (size_t i = 0; i < SIDES; i++) r->place[i] = SIZE_MAX;
    if (!can_run(r->subject, g->tuned, &tuned)) return CIUIC_OK;
    r->tuned = g->tuned;
    CIUIC_TRY(enter(r, CASE, PROBE_AUDITED, &r->c->variant));
    CIUIC_TRY(enter(r, TUNED, PROBE_OWN, &tuned));
    r->place[TUNED_AGAIN] = r->t.count;
    r->sides[r->t.count++].probe = &r->probes[TUNED];
    r->t.twins[0] = r->place[TUNED];
    r->t.twins[1] = r->place[TUNED_AGAIN];
    choose_other(r, &other);
    if (r->other != NULL) CIUIC_TRY(enter(r, OTHER, PROBE_OWN, &other));
    return r->subject->options->binary != NULL ? enter(r, AUDITED_TUNED, PROBE_AUDITED, &tuned) : CIUIC_OK;
}

/* The speed of `fast` over `slow` now, beside what the samples of the results say. */
static ciuic_status judge_ratio(const race *r, size_t fast, size_t slow, const result_case *fast_case,
                                const result_case *slow_case, audit_findings *f)
{
    interval recorded;
    double floor = NAN;
    const char *id = r->c->result->id;
    CIUIC_TRY(paired_speedup(&r->subject->results.set, slow_case, fast_case, &recorded, &floor));
    const timed_ratio now = timing_ratio(&r->t, r->place[slow], r->place[fast]);
    const double allowance =
        (1 + run_band) * (1 + (isnan(floor) ? 0 : floor)) * (1 + (isnan(now.floor) ? 0 : now.floor));
    cJSON *numbers = timed_json(&now);
    json_add_double(numbers, "recorded", recorded.median);
    json_add_double(numbers, "recorded_low", recorded.low);
    json_add_double(numbers, "recorded_high", recorded.high);
    json_add_double(numbers, "allowance", allowance);
    if (isnan(recorded.low))
        return audit_find(f, AUDIT_SPEED, id, AUDIT_INCONCLUSIVE, numbers,
                          "%.150s: recorded in too few rounds for an interval; now %.3g times as fast as %.150s",
                          case_variant_name(fast_case), now.value.median, case_variant_name(slow_case));
    const double low = recorded.low / allowance, high = recorded.high * allowance;
    /* Both intervals hold the truth, if it is one: apart by more than the allowance, it is not. */
    const bool apart = now.value.high < low || now.value.low > high;
    const bool telling = allowance <= TIMING_MARGIN_MOST;
    const bool meets = telling && now.value.median >= low && now.value.median <= high;
    return audit_find(
        f, AUDIT_SPEED, id,
        apart   ? AUDIT_FAILED
        : meets ? AUDIT_PASSED
                : AUDIT_INCONCLUSIVE,
        numbers,
        "%.100s is %.3g times as fast as %.100s (%.3g to %.3g), recorded %.3g to %.3g, which allows %.3g to "
        "%.3g",
        case_variant_name(fast_case), now.value.median, case_variant_name(slow_case), now.value.low, now.value.high,
        recorded.low, recorded.high, low, high);
}

static ciuic_status judge_baseline(const race *r, audit_findings *f)
{
    if (r->place[AUDITED_TUNED] == SIZE_MAX) return CIUIC_OK;
    const timed_ratio ratio = timing_ratio(&r->t, r->place[AUDITED_TUNED], r->place[TUNED]);
    const double most = timing_margin(ratio.floor, baseline_band);
    return audit_find(f, AUDIT_SPEED, r->c->result->id, timing_alike(&ratio, baseline_band, false), timed_json(&ratio),
                      "its tuned baseline takes %.3g times as long as this program's (%.3g to %.3g; at most %.3g)",
                      ratio.value.median, ratio.value.low, ratio.value.high, most);
}

/* What the program does now against the ceiling in the results. */
static ciuic_status judge_physics(const race *r, audit_findings *f)
{
    const double ceiling = case_number(r->c->result, "ceiling_tokens_per_s", NULL);
    const double speed = (double)r->c->order.tokens / timing_seconds(&r->t, r->place[CASE]);
    if (!(ceiling > 0)) return CIUIC_OK;
    cJSON *numbers = cJSON_CreateObject();
    json_add_double(numbers, "tokens_per_s", speed);
    json_add_double(numbers, "ceiling_tokens_per_s", ceiling);
    return audit_find(f, AUDIT_CEILING, r->c->result->id,
                      speed <= AUDIT_CEILING_SLACK * ceiling ? AUDIT_PASSED : AUDIT_FAILED, numbers,
                      "%.4g tokens/s now, where its bytes and operations allow %.4g", speed, ceiling);
}

static ciuic_status judge_race(const race *r, audit_findings *f)
{
    const result_case *c = r->c->result;
    if (timing_failed(&r->t)[0] != '\0')
        return audit_find(f, AUDIT_SPEED, c->id, AUDIT_IMPOSSIBLE, NULL, "%s", timing_failed(&r->t));
    CIUIC_TRY(judge_baseline(r, f));
    if (!results_timed(r->subject->results.root)) return CIUIC_OK;
    if (!r->subject->same_cpu)
        return audit_find(f, AUDIT_SPEED, c->id, AUDIT_IMPOSSIBLE, NULL,
                          "recorded on another CPU: its speed-ups are not this one's");
    CIUIC_TRY(judge_physics(r, f));
    /* Like with like: both of the program under audit. Whether its baseline was slowed has been asked. */
    const size_t base = r->place[AUDITED_TUNED] != SIZE_MAX ? AUDITED_TUNED : TUNED;
    if (c != r->tuned) CIUIC_TRY(judge_ratio(r, CASE, base, c, r->tuned, f));
    if (r->other == NULL || c == r->other) return CIUIC_OK;
    return judge_ratio(r, TUNED, OTHER, r->tuned, r->other, f);
}

ciuic_status check_speed(audit_subject *s, const audited_case *c, audit_findings *f)
{
    race r = {.subject = s, .c = c};
    if (!results_timed(s->results.root) && s->options->binary == NULL)
        return audit_find(f, AUDIT_SPEED, c->result->id, AUDIT_IMPOSSIBLE, NULL, "the results time nothing");
    ciuic_status status = line_up(&r);
    if (status == CIUIC_OK && r.tuned == NULL)
        status =
            audit_find(f, AUDIT_SPEED, c->result->id, AUDIT_IMPOSSIBLE, NULL, "there is no tuned baseline beside it");
    else if (status == CIUIC_OK)
        status = timing_run(&r.t);
    if (status == CIUIC_OK && r.tuned != NULL) status = judge_race(&r, f);
    for (size_t i = 0; i < SIDES; i++) probe_stop(&r.probes[i]);
    return status;
}
