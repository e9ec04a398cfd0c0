/* readings.c - one figure of one case for a limit, or why there is none. */
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/gate/findings.h"
#include "harness/suite/matrix.h"
#include "optimizer/json.h"

bool gate_covers(const gate_limit *limit, const result_case *c)
{
    return !c->twin && case_id_matches(c->id, limit->cases);
}

const cJSON *gate_recorded(const gate_limit *limit, const char *id)
{
    const cJSON *exact = limit->recorded != NULL ? json_find(limit->recorded, id) : NULL;
    if (exact != NULL) return exact;
    for (const cJSON *item = limit->recorded != NULL ? limit->recorded->child : NULL; item != NULL; item = item->next)
        if (strpbrk(item->string, "*?[") != NULL && fnmatch(item->string, id, 0) == 0) return item;
    return NULL;
}

void gate_format(const gate_metric *metric, double value, char *text, size_t size)
{
    if (isnan(value))
        snprintf(text, size, "unknown");
    else if (metric->kind == GATE_SPEED)
        snprintf(text, size, fabs(value) < 100.0 ? "%.2fx" : "%.0fx", value);
    else
        snprintf(text, size, metric->whole && fabs(value) < 1e15 ? "%.0f" : "%.6g", value);
}

static ciuic_status read_speed(const gate_limit *limit, const result_set *r, const result_case *c, gate_reading *out)
{
    const result_case *base = group_baseline(&r->groups[c->group], limit->baseline);
    interval speed;
    if (!results_timed(r->root)) {
        snprintf(out->problem, sizeof out->problem,
                 "the suite times nothing (rounds 0), and speed is a ratio of times");
        return CIUIC_OK;
    }
    if (!case_ok(base)) {
        snprintf(out->problem, sizeof out->problem, "the baseline %s %s%.200s", limit->baseline,
                 base == NULL ? "was not part of the run" : "was not measured: ", base == NULL ? "" : base->reason);
        return CIUIC_OK;
    }
    if (!same_prefix_cache(base, c)) {
        snprintf(out->problem, sizeof out->problem,
                 "the case keeps the beginnings of prompts in a cache and the baseline %s does not", limit->baseline);
        return CIUIC_OK;
    }
    CIUIC_TRY(paired_speedup(r, base, c, &speed, &out->noise_floor));
    out->value = speed.median;
    out->low = speed.low / (1.0 + out->noise_floor);
    out->high = speed.high * (1.0 + out->noise_floor);
    if (isnan(speed.low))
        snprintf(out->problem, sizeof out->problem, "%zu paired rounds; an interval needs at least %zu", speed.n,
                 interval_least_values(CONFIDENCE));
    else if (isnan(out->noise_floor))
        snprintf(out->problem, sizeof out->problem, "no A/A pair was measured, so that the noise is unknown");
    return CIUIC_OK;
}

static void read_figure(const gate_limit *limit, const result_case *c, gate_reading *out)
{
    const gate_metric *metric = &limit->metric;
    out->value = case_number(c, metric->outer, metric->inner[0] != '\0' ? metric->inner : NULL);
    out->low = out->high = out->value;
    if (metric->kind == GATE_COUNTER) {
        const char *source = cJSON_GetStringValue(json_find(json_find(c->json, "counters"), "source"));
        if (source == NULL || strcmp(source, limit->source) != 0) {
            snprintf(out->problem, sizeof out->problem, "its counters are from %.40s; the limit is about %s ones",
                     source != NULL ? source : "nowhere", limit->source);
            return;
        }
    }
    if (metric->kind == GATE_ACCURACY && cJSON_IsFalse(json_find(json_find(c->json, "accuracy"), "finite"))) {
        snprintf(out->problem, sizeof out->problem, "its logits hold NaN or infinity");
        out->broken = true;
    } else if (isnan(out->value)) {
        snprintf(out->problem, sizeof out->problem, "%s was not measured", metric->name);
    }
}

ciuic_status gate_read(const gate_limit *limit, const result_set *r, const result_case *c, gate_reading *reading)
{
    *reading = (gate_reading){.value = NAN, .low = NAN, .high = NAN, .noise_floor = NAN};
    if (!case_ok(c)) {
        snprintf(reading->problem, sizeof reading->problem, "the case %.16s: %.200s", c->status,
                 c->reason[0] != '\0' ? c->reason : "no reason was recorded");
        reading->broken = true;
        return CIUIC_OK;
    }
    if (limit->metric.kind == GATE_SPEED) return read_speed(limit, r, c, reading);
    read_figure(limit, c, reading);
    return CIUIC_OK;
}
