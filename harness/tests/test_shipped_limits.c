/* test_shipped_limits.c - every bound of every limit in the gates that ship is able to fail: a figure planted just beyond it is
 * caught, on each case that it is about, and one just within is let through. Bounds are read from the files, so that a limit that
 * is added is tested, too.
 *
 * Errors, bytes and counters stand in MADE-UP results of the recorded case ids; speed in a published run whose samples are made
 * slower. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/gate/findings.h"
#include "harness/results_file.h"
#include "harness/tests/gate_fixture.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static const char published[] = "reports/published/quick-zen4-2-cores/results.json";

/* ---- figures ---------------------------------------------------------------------------------------------------- */

static cJSON *case_json(cJSON *root, const result_set *r, const result_case *c)
{
    return cJSON_GetArrayItem(cJSON_GetObjectItem(root, "cases"), (int)(c - r->cases));
}

static void set_figure(cJSON *item, const gate_metric *metric, double value)
{
    cJSON *object = metric->inner[0] != '\0' ? cJSON_GetObjectItem(item, metric->outer) : item;
    CU_ASSERT_TRUE(set_member(object, metric->inner[0] != '\0' ? metric->inner : metric->outer, json_double(value)));
}

/* All seconds of the case times `factor`. */
static void slow_down(cJSON *root, const char *id, double factor)
{
    for (cJSON *block = cJSON_GetObjectItem(root, "blocks")->child; block != NULL; block = block->next) {
        cJSON *samples = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItem(block, "samples"), id);
        for (cJSON *s = samples != NULL ? samples->child : NULL; s != NULL; s = s->next) s->valuedouble *= factor;
    }
}

/* ---- bounds ----------------------------------------------------------------------------------------------------- */

/* A number and the side of it on which a figure is beyond. */
typedef struct bound {
    double at;
    bool most; /* beyond is above */
} bound;

/* The bounds that the limit's rule has for the case, as README.md has them: worse than r by |r| * worse + worse_by. */
static size_t bounds_of(const gate_limit *limit, const gate_bounds *rule, const char *id, bound out[3])
{
    size_t n = 0;
    if (!isnan(rule->max)) out[n++] = (bound){rule->max, true};
    if (!isnan(rule->min)) out[n++] = (bound){rule->min, false};
    if (!rule->relative) return n;
    const cJSON *recorded = gate_recorded(limit, id);
    CU_ASSERT_PTR_NOT_NULL_FATAL(recorded);
    const double r = recorded->valuedouble, room = fabs(r) * rule->worse + rule->worse_by;
    out[n++] = limit->metric.small_is_worse ? (bound){r - room, false} : (bound){r + room, true};
    return n;
}

/* The figure next to the bound, a step beyond it or within. */
static double beside(const gate_metric *metric, bound b, bool beyond)
{
    const double step = metric->whole ? 1.0 : fmax(fabs(b.at) * 1e-6, 1e-12);
    const double whole = b.most ? floor(b.at) : ceil(b.at), edge = metric->whole ? whole : b.at;
    return edge + (beyond == b.most ? step : -step);
}

/* ---- one file --------------------------------------------------------------------------------------------------- */

typedef struct shipped {
    const char *path;
    gate_file limits;
    cJSON *root;
    const result_set *set;
    size_t planted;
} shipped;

static gate_outcome outcome_of(const shipped *s, const gate_limit *limit)
{
    gate_findings findings;
    gate_outcome outcome = GATE_FAILED;
    CU_ASSERT_EQUAL_FATAL(gate_judge(&s->limits, s->set, GATE_TODAY, &findings), CIUIC_OK);
    for (size_t i = 0; i < findings.count; i++)
        if (strcmp(findings.list[i].id, limit->id) == 0) outcome = findings.list[i].outcome;
    gate_findings_free(&findings);
    return outcome;
}

/* Speed fails by its whole interval with the noise around it, and passes by its median. */
static void plant_speed(const shipped *s, const gate_limit *limit, const result_case *c, bound b, bool beyond,
                        double *factor)
{
    gate_reading reading;
    CU_ASSERT_EQUAL_FATAL(gate_read(limit, s->set, c, &reading), CIUIC_OK);
    *factor = beyond ? reading.high / (b.at * 0.999) : reading.value / (b.at * 1.001);
    slow_down(s->root, c->id, *factor);
}

static void try_bound(shipped *s, const gate_limit *limit, const result_case *c, bound b, bool hard)
{
    const gate_metric *metric = &limit->metric;
    const double before = case_number(c, metric->outer, metric->inner[0] != '\0' ? metric->inner : NULL);
    for (int beyond = 0; beyond < 2; beyond++) {
        double factor = 1.0;
        if (metric->kind == GATE_SPEED)
            plant_speed(s, limit, c, b, beyond != 0, &factor);
        else
            set_figure(case_json(s->root, s->set, c), metric, beside(metric, b, beyond != 0));
        const gate_outcome outcome = outcome_of(s, limit);
        const bool caught = hard ? outcome == GATE_FAILED : outcome != GATE_PASSED;
        CHECK(caught == (beyond != 0), "%s: %s: %s: a figure just %s %.17g: %s", s->path, limit->id, c->id,
              beyond != 0 ? "beyond" : "within", b.at, gate_outcome_name(outcome));
        if (metric->kind == GATE_SPEED)
            slow_down(s->root, c->id, 1.0 / factor);
        else
            set_figure(case_json(s->root, s->set, c), metric, before);
        s->planted++;
    }
}

static void try_limits(shipped *s)
{
    for (size_t l = 0; l < s->limits.count; l++) {
        const gate_limit *limit = &s->limits.limits[l];
        const size_t before = s->planted;
        CHECK(outcome_of(s, limit) == GATE_PASSED, "%s: %s does not pass before anything is planted", s->path,
              limit->id);
        for (size_t i = 0; i < s->set->case_count; i++) {
            const result_case *c = &s->set->cases[i];
            if (!gate_covers(limit, c) || !case_ok(c)) continue;
            for (int hard = 0; hard < 2; hard++) {
                bound bounds[3];
                const gate_bounds *rule = hard != 0 ? &limit->hard : &limit->soft;
                const size_t n = rule->given ? bounds_of(limit, rule, c->id, bounds) : 0;
                for (size_t b = 0; b < n; b++) try_bound(s, limit, c, bounds[b], hard != 0);
            }
        }
        CHECK(s->planted > before, "%s: %s: nothing was planted", s->path, limit->id);
    }
}

/* ---- made-up results -------------------------------------------------------------------------------------------- */

/* What the limits let pass: what was recorded, or well inside the absolute bounds. */
static void fill_in(const gate_file *file, cJSON *item, const result_case *c)
{
    for (int recorded = 0; recorded < 2; recorded++) /* so that recorded values have the last word */
        for (size_t l = 0; l < file->count; l++) {
            const gate_limit *limit = &file->limits[l];
            const cJSON *value = gate_recorded(limit, c->id);
            if (!gate_covers(limit, c) || (value != NULL) != (recorded != 0)) continue;
            const gate_bounds *rule = limit->soft.given ? &limit->soft : &limit->hard;
            set_figure(item, &limit->metric,
                       value != NULL           ? value->valuedouble
                       : !isnan(rule->max)     ? rule->max / 2
                       : limit->hard.min < 1.0 ? (limit->hard.min + 1.0) / 2
                                               : 2 * limit->hard.min);
        }
}

/* A copy of `like` for each id that any limit has recorded. */
static cJSON *recorded_cases(const gate_file *file, const cJSON *like)
{
    cJSON *cases = cJSON_CreateArray();
    for (size_t l = 0; l < file->count; l++) {
        const cJSON *recorded = file->limits[l].recorded;
        for (const cJSON *item = recorded != NULL ? recorded->child : NULL; item != NULL; item = item->next) {
            bool known = false;
            for (const cJSON *c = cases->child; c != NULL && !known; c = c->next)
                known = strcmp(cJSON_GetObjectItem(c, "id")->valuestring, item->string) == 0;
            if (known) continue;
            cJSON *c = cJSON_Duplicate(like, true), *counters = cJSON_CreateObject();
            cJSON_AddStringToObject(counters, "source", "simulated");
            set_member(c, "counters", counters);
            set_member(c, "id", cJSON_CreateString(item->string));
            set_member(cJSON_GetObjectItem(c, "variant"), "baseline", cJSON_CreateNull());
            cJSON_AddItemToArray(cases, c);
        }
    }
    return cases;
}

static cJSON *made_up_results(const gate_file *file)
{
    cJSON *root = fixture_results(&fixture_usual), *checkpoints = cJSON_CreateArray();
    const cJSON *like = cJSON_GetObjectItem(root, "cases")->child;
    for (const cJSON *item = file->checkpoints->child; item != NULL; item = item->next) {
        cJSON *checkpoint = cJSON_CreateObject();
        cJSON_AddStringToObject(checkpoint, "name", item->string);
        cJSON_AddStringToObject(checkpoint, "sha256", item->valuestring);
        cJSON_AddItemToArray(checkpoints, checkpoint);
    }
    set_member(root, "checkpoints", checkpoints);
    set_member(root, "cases", recorded_cases(file, like));
    set_member(root, "blocks", cJSON_CreateArray());
    if (file->compiler != NULL)
        set_member(cJSON_GetObjectItem(root, "program"), "compiler", cJSON_CreateString(file->compiler));
    return root;
}

static void recorded_limits_are_able_to_fail(void)
{
    static const char *const files[] = {"ci/gate.json", "ci/gate-counters.json"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        shipped s = {.path = files[i]};
        result_set set;
        CU_ASSERT_EQUAL_FATAL(gate_file_read(files[i], &s.limits), CIUIC_OK);
        s.root = made_up_results(&s.limits);
        CHECK(results_index(s.root, &set) == CIUIC_OK, "%s", ciuic_last_error());
        s.set = &set;
        for (size_t c = 0; c < set.case_count; c++)
            fill_in(&s.limits, case_json(s.root, &set, &set.cases[c]), &set.cases[c]);
        try_limits(&s);
        results_free(&set);
        cJSON_Delete(s.root);
        gate_file_free(&s.limits);
    }
}

static void limits_of_speed_are_able_to_fail(void)
{
    shipped s = {.path = "ci/gate-quick.json"};
    results_file file;
    CU_ASSERT_EQUAL_FATAL(gate_file_read(s.path, &s.limits), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(results_file_read(published, &file), CIUIC_OK);
    s.root = file.root;
    s.set = &file.set;
    try_limits(&s);
    results_file_free(&file);
    gate_file_free(&s.limits);
}

static const test_case cases[] = {
    {"recorded limits are able to fail", recorded_limits_are_able_to_fail},
    {"limits of speed are able to fail", limits_of_speed_are_able_to_fail},
};
TEST_SUITE(shipped_limits, cases);
