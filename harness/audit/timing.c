/* timing.c - see timing.h. */
#include "harness/audit/timing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/suite/schedule.h"
#include "optimizer/json.h"

/* A sample lasts about this long where the workload is shorter: long against a timer's tick and a scheduler's mischief. */
static const double sample_s = 0.02;
/* Ids of one request: its line stays far below the protocol's limit. */
enum { IDS_MAX = 60000 };

static size_t tokens_of(const timing *t, const timing_side *side)
{
    return side->tokens > 0 ? side->tokens : t->c->order.tokens;
}

static ciuic_status measure(const timing *t, timing_side *side, size_t iterations, double *seconds)
{
    const size_t tokens = tokens_of(t, side), count = (iterations + 1) * tokens;
    int32_t *ids = NULL;
    probe_sample sample;
    if (side->fresh != NULL) {
        ids = malloc(count * sizeof *ids);
        if (ids == NULL) return ciuic_fail_memory("the token ids", count * sizeof *ids);
        inputs_draw(t->subject, side->fresh, iterations + 1, tokens, ids);
    }
    const ciuic_status status = probe_measure(side->probe, iterations, ids, tokens, NULL, &sample);
    *seconds = sample.seconds;
    free(ids);
    return status;
}

static bool same_workload(const timing *t, const timing_side *a, const timing_side *b)
{
    return a->probe == b->probe && tokens_of(t, a) == tokens_of(t, b);
}

/* From two single iterations, the shorter of which counts; sides of one probe are measured alike. */
static ciuic_status plan(timing *t)
{
    double trial[16];
    for (size_t i = 0; i < t->count; i++) {
        double first = NAN, second = NAN;
        CIUIC_TRY(measure(t, &t->sides[i], 1, &first));
        CIUIC_TRY(measure(t, &t->sides[i], 1, &second));
        trial[i] = fmin(first, second);
    }
    for (size_t i = 0; i < t->count; i++) {
        double longest = trial[i];
        for (size_t j = 0; j < t->count; j++)
            if (same_workload(t, &t->sides[i], &t->sides[j])) longest = fmax(longest, trial[j]);
        const double wanted = ceil(sample_s / longest), most = (double)(IDS_MAX / tokens_of(t, &t->sides[i]));
        t->sides[i].iterations = wanted > 1 ? (size_t)fmin(wanted, fmax(most - 1, 1)) : 1;
    }
    return CIUIC_OK;
}

ciuic_status timing_run(timing *t)
{
    size_t order[16];
    if (timing_failed(t)[0] != '\0') return CIUIC_OK;
    CIUIC_TRY(plan(t));
    for (size_t round = 0; round < TIMING_ROUNDS && timing_failed(t)[0] == '\0'; round++) {
        schedule_round(t->count, t->subject->options->seed, round, order);
        for (size_t i = 0; i < t->count; i++) {
            timing_side *side = &t->sides[order[i]];
            CIUIC_TRY(measure(t, side, side->iterations, &side->seconds[round]));
        }
    }
    return CIUIC_OK;
}

const char *timing_failed(const timing *t)
{
    for (size_t i = 0; i < t->count; i++)
        if (t->sides[i].probe->failed[0] != '\0') return t->sides[i].probe->failed;
    return "";
}

static void pair(const timing_side *over, const timing_side *under, double logs[TIMING_ROUNDS])
{
    for (size_t i = 0; i < TIMING_ROUNDS; i++) logs[i] = log(over->seconds[i] / under->seconds[i]);
}

timed_ratio timing_ratio(const timing *t, size_t over, size_t under)
{
    double logs[TIMING_ROUNDS], same[TIMING_ROUNDS];
    pair(&t->sides[over], &t->sides[under], logs);
    pair(&t->sides[t->twins[0]], &t->sides[t->twins[1]], same);
    return (timed_ratio){.value = interval_exp(median_interval(logs, TIMING_ROUNDS, CONFIDENCE)),
                         .floor = noise_floor(same, TIMING_ROUNDS)};
}

cJSON *timed_json(const timed_ratio *ratio)
{
    cJSON *numbers = cJSON_CreateObject();
    json_add_double(numbers, "ratio", ratio->value.median);
    json_add_double(numbers, "low", ratio->value.low);
    json_add_double(numbers, "high", ratio->value.high);
    json_add_double(numbers, "noise_floor", ratio->floor);
    return numbers;
}

double timing_seconds(const timing *t, size_t side)
{
    double seconds[TIMING_ROUNDS];
    memcpy(seconds, t->sides[side].seconds, sizeof seconds);
    return median_interval(seconds, TIMING_ROUNDS, CONFIDENCE).median;
}

double timing_margin(double floor, double band)
{
    return 1 + fmax(band, 2 * (isnan(floor) ? 0 : floor));
}

audit_outcome timing_within(const timed_ratio *ratio, double low, double high)
{
    const interval *v = &ratio->value;
    if (v->high < low || v->low > high) return AUDIT_FAILED;
    return v->low >= low && v->high <= high ? AUDIT_PASSED : AUDIT_INCONCLUSIVE;
}

audit_outcome timing_alike(const timed_ratio *ratio, double band, bool either_way)
{
    const double margin = timing_margin(ratio->floor, band);
    const audit_outcome outcome = timing_within(ratio, either_way ? 1 / margin : 0, margin);
    return outcome == AUDIT_PASSED && margin > TIMING_MARGIN_MOST ? AUDIT_INCONCLUSIVE : outcome;
}
