/* test_gate.c - the gate: planted regressions are caught, what did not change passes, noise excuses speed and nothing else, and
 * what is recorded can be reviewed. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/gate/record.h"
#include "harness/judge/content_digest.h"
#include "harness/report/schema.h"
#include "harness/tests/gate_fixture.h"
#include "harness/tests/program.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

#define INT8 "prefill128@0/b1/t2/int8+graph+memory+avx512"
#define INT4 "decode64@256/b1/t2/int4+graph+memory+avx512"
#define TUNED "prefill128@0/b1/t2/fp16+graph+memory+avx512"

/* One limit about INT8's KL (0.0004), by the rest of its JSON. */
static char *one_limit(const char *rest)
{
    char *text = NULL;
    if (asprintf(&text, "{\"schema_version\": 1, \"limits\": [{\"id\": \"one\", %s}]}", rest) < 0) text = NULL;
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    return text;
}

static gate_outcome outcome_of(const char *rest, const char *says)
{
    gate_setting s;
    char *text = one_limit(rest);
    gate_setting_judge(gate_results(&fixture_usual), text, &s);
    const gate_finding *f = gate_setting_finding(&s, "one");
    const gate_outcome outcome = f->outcome;
    CHECK(strstr(f->message, says) != NULL, "'%s' is not in: %s", says, f->message);
    gate_setting_free(&s);
    free(text);
    return outcome;
}

/* ---- regressions ------------------------------------------------------------------------------------------------ */

typedef struct regression {
    const char *what, *ending, *outer, *inner;
    double factor, plus; /* new = old * factor + plus */
    const char *limit;   /* one that has to fail */
} regression;

static void planted_regressions_are_caught(void)
{
    static const regression planted[] = {
        {"NLL of one case", INT8, "accuracy", "nll", 1.002, 0, "nll"},
        {"NLL of the baseline", TUNED, "accuracy", "nll", 1.002, 0, "nll"},
        {"a rise that is small beside the NLL", INT8, "accuracy", "nll_rise", 1, 0.0002, "rise"},
        {"perplexity", INT4, "accuracy", "perplexity", 1.01, 0, "perplexity"},
        {"KL by 3%", INT4, "accuracy", "kl", 1.03, 0, "kl"},
        {"KL above an absolute bound", INT8, "accuracy", "kl", 3, 0, "kl-int8"},
        {"the tail of KL only", INT4, "accuracy", "kl_p99", 1.2, 0, "kl-tail"},
        {"other top tokens", INT8, "accuracy", "top1_agreement", 1, -0.002, "top1"},
        {"cosine", INT4, "accuracy", "cosine", 1, -0.0001, "cosine"},
        {"mean error", TUNED, "accuracy", "mean_abs_error", 1.05, 0, "error"},
        {"largest error", INT4, "accuracy", "max_abs_error", 1.3, 0, "largest"},
        {"accounted memory by 2%", INT8, "memory_bytes", "total", 1.02, 0, "total"},
        {"one byte of cache", INT4, "memory_bytes", "kv_cache", 1, 1, "cache"},
        {"the process's peak", INT8, "memory_bytes", "peak_rss", 1.2, 0, "peak"},
        {"more than 4.8 bits", INT4, "bits_per_weight", NULL, 1, 0.5, "bits"},
        {"one byte of weights", INT4, "weight_bytes", NULL, 1, 1, "weights"},
        {"one instruction", INT8, "counters", "instructions", 1, 1, "instructions"},
        {"instructions of the slowest case", "decode64@256/b1/t2/fp16+c", "counters", "instructions", 1.5, 0,
         "instructions"},
        {"cache misses", INT4, "counters", "d1_misses", 1.2, 0, "misses"},
        {"an error where there was none", TUNED, "accuracy", "kl", 1, 1, "none"},
        {"NaN errors", INT8, "accuracy", "kl", NAN, 0, "kl"},
        {"a lost counter", INT8, "counters", "instructions", NAN, 0, "instructions"},
    };
    char *limits = gate_recorded_limits(&fixture_usual);
    for (size_t i = 0; i < sizeof planted / sizeof planted[0]; i++) {
        const regression *p = &planted[i];
        cJSON *results = gate_results(&fixture_usual), *c = fixture_case(results, p->ending);
        CU_ASSERT_PTR_NOT_NULL_FATAL(c);
        cJSON *object = p->inner != NULL ? cJSON_GetObjectItem(c, p->outer) : c;
        const char *key = p->inner != NULL ? p->inner : p->outer;
        const double old = cJSON_GetObjectItem(object, key)->valuedouble;
        const double new = old * p->factor + p->plus; /* bytes and counts stay whole */
        set_member(object, key, json_double(old > 100.0 && floor(old) == old ? floor(new) : new));
        gate_setting s;
        gate_setting_judge(results, limits, &s);
        const gate_finding *f = gate_setting_finding(&s, p->limit);
        if (strcmp(p->limit, "none") == 0) { /* no limit of the file is about it: nothing may fail by chance either */
            CHECK(s.findings.outcomes[GATE_FAILED] == 0, "%s failed", p->what);
        } else {
            CHECK(f->outcome == GATE_FAILED, "%s: not caught: %s", p->what, f->message);
            CHECK(f->case_id != NULL && strstr(f->case_id, p->ending) != NULL && strstr(f->message, p->ending) != NULL,
                  "%s: another case is named: %s", p->what, f->message);
        }
        gate_setting_free(&s);
    }
    cJSON_free(limits);
}

static void failed_cases_are_regressions(void)
{
    char *limits = gate_recorded_limits(&fixture_usual);
    cJSON *results = gate_results(&fixture_usual), *c = fixture_case(results, INT8);
    cJSON_SetValuestring(cJSON_GetObjectItem(c, "status"), "failed");
    set_member(c, "reason", cJSON_CreateString("killed by SIGILL"));
    gate_setting s;
    gate_setting_judge(results, limits, &s);
    CU_ASSERT_EQUAL(gate_setting_finding(&s, "nll")->outcome, GATE_FAILED);
    CHECK(strstr(gate_setting_finding(&s, "nll")->message, "SIGILL") != NULL, "%s",
          gate_setting_finding(&s, "nll")->message);
    CU_ASSERT_EQUAL(gate_setting_finding(&s, "bits")->outcome, GATE_PASSED); /* about int4 */
    gate_setting_free(&s);
    /* One that is gone altogether. */
    results = gate_results(&fixture_usual);
    cJSON_DetachItemViaPointer(cJSON_GetObjectItem(results, "cases"), c = fixture_case(results, INT8));
    cJSON_Delete(c);
    gate_setting_judge(results, limits, &s);
    CU_ASSERT_EQUAL(gate_setting_finding(&s, "kl")->outcome, GATE_FAILED);
    CHECK(strstr(gate_setting_finding(&s, "kl")->message, "not measured any more") != NULL, "%s",
          gate_setting_finding(&s, "kl")->message);
    gate_setting_free(&s);
    /* Another model under the same name. */
    results = gate_results(&fixture_usual);
    cJSON_SetValuestring(cJSON_GetObjectItem(cJSON_GetObjectItem(results, "checkpoints")->child, "sha256"), "bbbb");
    gate_setting_judge(results, limits, &s);
    CU_ASSERT_EQUAL(gate_setting_finding(&s, "checkpoints")->outcome, GATE_FAILED);
    gate_setting_free(&s);
    cJSON_free(limits);
}

/* Times of one function beside errors of another are no measurement, whatever the status says. */
static void other_outputs_are_failures(void)
{
    char *limits = gate_recorded_limits(&fixture_usual);
    cJSON *results = gate_results(&fixture_usual);
    set_member(fixture_case(results, INT8), "outputs_match", cJSON_CreateFalse());
    gate_setting s;
    gate_setting_judge(results, limits, &s);
    const gate_finding *speed = gate_setting_finding(&s, "speed");
    CHECK(speed->outcome == GATE_FAILED && strstr(speed->message, "ended with other logits") != NULL, "%s",
          speed->message);
    CU_ASSERT_EQUAL(gate_setting_finding(&s, "bits")->outcome, GATE_PASSED); /* about int4 */
    gate_setting_free(&s);
    cJSON_free(limits);
}

static void ids_are_those_of_one_case(void)
{
    cJSON *results = gate_results(&fixture_usual), *cases = cJSON_GetObjectItem(results, "cases");
    results_file file;
    set_member(cJSON_GetArrayItem(cases, 7), "id",
               cJSON_CreateString(cJSON_GetObjectItem(cJSON_GetArrayItem(cases, 3), "id")->valuestring));
    CU_ASSERT_EQUAL(results_file_take(results, "made-up.json", &file), CIUIC_ERROR_INPUT);
    CHECK(strstr(ciuic_last_error(), "cases[7]: id ") != NULL && strstr(ciuic_last_error(), "of cases[3], too") != NULL,
          "%s", ciuic_last_error());
    results_file_free(&file);
}

/* Fifty runs of one tree: other noise each time, and nothing red. */
static void unchanged_trees_are_green(void)
{
    char *limits = gate_recorded_limits(&fixture_usual);
    for (int run = 0; run < 50; run++) {
        fixture_machine machine = fixture_usual;
        machine.noise = 0.005 + 0.001 * run; /* the generator's seed is fixed: other amplitudes make other samples */
        machine.drift = 0.002 * (run % 7);
        gate_setting s;
        gate_setting_judge(gate_results(&machine), limits, &s);
        CHECK(s.findings.outcomes[GATE_FAILED] == 0, "run %d: %zu failed", run, s.findings.outcomes[GATE_FAILED]);
        gate_setting_free(&s);
    }
    cJSON_free(limits);
}

/* ---- speed ------------------------------------------------------------------------------------------------------ */

static gate_outcome outcome_with(const fixture_machine *machine, const char *limits, const char *id, const char *says)
{
    gate_setting s;
    gate_setting_judge(gate_results(machine), limits, &s);
    const gate_finding *f = gate_setting_finding(&s, id);
    const gate_outcome outcome = f->outcome;
    CHECK(strstr(f->message, says) != NULL, "'%s' is not in: %s", says, f->message);
    gate_setting_free(&s);
    return outcome;
}

static void speed_fails_beyond_the_noise_only(void)
{
    char *limits = gate_recorded_limits(&fixture_usual);
    fixture_machine machine = fixture_usual;
    machine.int4_gain = 1.2; /* was 1.7, and 10% are allowed */
    CU_ASSERT_EQUAL(outcome_with(&machine, limits, "speed-recorded", "recorded 1."), GATE_FAILED);
    machine.noise = 0.5; /* the same loss where a thing is half as fast as itself now and then */
    CU_ASSERT_EQUAL(outcome_with(&machine, limits, "speed-recorded", "nothing is decided"), GATE_WARNED);
    /* An accuracy change has no such excuse. */
    machine.int8_rise = 0.002;
    CU_ASSERT_EQUAL(outcome_with(&machine, limits, "kl-int8", "at most 0.001"), GATE_FAILED);
    machine = fixture_usual;
    machine.int8_gain = 1.05; /* below 1.1 by less than 5%: beyond a noise of 1% */
    CU_ASSERT_EQUAL(outcome_with(&machine, limits, "speed", "at least 1.10x"), GATE_FAILED);
    machine.noise = 0.08;
    CU_ASSERT_EQUAL(outcome_with(&machine, limits, "speed", "noise floor"), GATE_WARNED);
    machine = fixture_usual;
    machine.rounds = 3;
    CU_ASSERT_EQUAL(outcome_with(&machine, limits, "speed", "3 paired rounds"), GATE_FAILED);
    cJSON_free(limits);
}

/* ---- limits ----------------------------------------------------------------------------------------------------- */

#define KL "\"cases\": \"" INT8 "\", \"metric\": \"accuracy.kl\""
#define WAIVER(date) ", \"waiver\": {\"reason\": \"issue 12\", \"expires\": \"" date "\"}"

static void limits_say_what_they_mean(void)
{
    static const struct {
        const char *rest;
        gate_outcome outcome;
        const char *says;
    } rows[] = {
        {KL ", \"hard\": {\"max\": 0.0005}", GATE_PASSED, "accuracy.kl is 0.0004, at most 0.0005"},
        {KL ", \"hard\": {\"max\": 0.0003}", GATE_FAILED, "accuracy.kl is 0.0004, at most 0.0003"},
        {KL ", \"hard\": {\"min\": 0.0005}", GATE_FAILED, "at least 0.0005"},
        {KL ", \"soft\": {\"max\": 0.0003}", GATE_WARNED, "at most 0.0003"},
        {KL ", \"soft\": {\"max\": 0.0003}, \"hard\": {\"max\": 0.0005}", GATE_WARNED, "at most 0.0003"},
        {KL ", \"soft\": {\"max\": 0.0002}, \"hard\": {\"max\": 0.0003}", GATE_FAILED, "at most 0.0003"},
        {KL ", \"hard\": {\"max\": 0.0003}" WAIVER("2026-06-15"), GATE_WAIVED, "waived until 2026-06-15 (issue 12)"},
        {KL ", \"hard\": {\"max\": 0.0003}" WAIVER("2026-06-14"), GATE_FAILED, "its waiver expired on 2026-06-14"},
        {KL ", \"hard\": {\"max\": 0.0005}, \"reason\": \"\\u00e9\"", GATE_PASSED, "at most 0.0005"},
        {KL ", \"hard\": {\"max\": 0.0005}" WAIVER("2026-12-31"), GATE_PASSED, "not needed"},
        {KL ", \"hard\": {\"max\": 0.0005}" WAIVER("2026-01-31"), GATE_WARNED, "not needed"},
        {KL ", \"soft\": {\"max\": 0.0003}" WAIVER("2026-12-31"), GATE_WARNED, "accuracy.kl is 0.0004, at most 0.0003"},
        {KL ", \"soft\": {\"max\": 0.0003}" WAIVER("2026-01-31"), GATE_WARNED,
         "its waiver expired on 2026-01-31: accuracy.kl is 0.0004, at most 0.0003"},
        {KL ", \"hard\": {\"worse\": 0.1}", GATE_FAILED, "--update records one"},
        {KL ", \"hard\": {\"worse\": 0.1}, \"recorded\": {\"*\": 0.00039}", GATE_PASSED, "recorded 0.00039"},
        {KL ", \"hard\": {\"worse\": 0.1}, \"recorded\": {\"*\": 0.00036}", GATE_FAILED, "recorded 0.00036"},
        {KL ", \"hard\": {\"worse_by\": 0.0001}, \"recorded\": {\"*\": 0.00031}", GATE_PASSED, "recorded 0.00031"},
        {KL ", \"hard\": {\"worse\": 0.1}, \"recorded\": {\"*\": 0.0004, \"gone\": 1}", GATE_FAILED, "gone"},
        {"\"cases\": \"no-such\", \"metric\": \"accuracy.kl\", \"hard\": {\"max\": 1}", GATE_FAILED,
         "no case matches \"no-such\""},
        {"\"cases\": \"no-such\", \"metric\": \"accuracy.kl\", \"hard\": {\"max\": 1}" WAIVER("2026-12-31"),
         GATE_FAILED, "no case matches"},
        {"\"cases\": \"#again\", \"metric\": \"accuracy.kl\", \"hard\": {\"max\": 1}", GATE_FAILED, "no case matches"},
        {"\"cases\": \"*\", \"metric\": \"counters.instructions\", \"source\": \"likwid\", \"hard\": {\"max\": 1}",
         GATE_FAILED, "counters are from simulated"},
        {"\"cases\": \"*\", \"metric\": \"counters.nothing\", \"hard\": {\"max\": 1}", GATE_FAILED, "was not measured"},
        {"\"cases\": \"int8\", \"metric\": \"speedup\", \"baseline\": \"onednn\", \"hard\": {\"min\": 1}", GATE_FAILED,
         "onednn was not part of the run"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const gate_outcome found = outcome_of(rows[i].rest, rows[i].says);
        CHECK(found == rows[i].outcome, "%s: %s", rows[i].rest, gate_outcome_name(found));
    }
}

/* What warns is not what passes: "remove the waiver" would be the wrong thing to do for it. */
static void waivers_that_may_be_needed_stay(void)
{
    static const struct {
        const char *rest;
        gate_outcome outcome;
    } rows[] = {
        {KL ", \"soft\": {\"max\": 0.0003}" WAIVER("2026-12-31"), GATE_WARNED},
        {"\"cases\": \"" INT8 "\", \"metric\": \"speedup\", \"hard\": {\"min\": 1.4}" WAIVER("2026-12-31"),
         GATE_WARNED},
        {KL ", \"hard\": {\"max\": 0.0005}" WAIVER("2026-12-31"), GATE_PASSED},
    };
    fixture_machine noisy = fixture_usual;
    noisy.noise = 0.5;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        gate_setting s;
        char *text = one_limit(rows[i].rest);
        gate_setting_judge(gate_results(&noisy), text, &s);
        const gate_finding *f = gate_setting_finding(&s, "one");
        CHECK(f->outcome == rows[i].outcome, "row %zu: %s", i, gate_outcome_name(f->outcome));
        CHECK((strstr(f->message, "remove it") != NULL) == (rows[i].outcome == GATE_PASSED), "%s", f->message);
        gate_setting_free(&s);
        free(text);
    }
}

static void empty_results_fail(void)
{
    cJSON *results = gate_results(&fixture_usual);
    set_member(results, "cases", cJSON_CreateArray());
    set_member(results, "blocks", cJSON_CreateArray());
    gate_setting s;
    gate_setting_judge(results, gate_limits, &s);
    CU_ASSERT_EQUAL(s.findings.cases, 0);
    CU_ASSERT_EQUAL(s.findings.outcomes[GATE_FAILED], s.findings.count - 1); /* the checkpoint is still the same */
    gate_setting_free(&s);
}

static cJSON *gate_schema(void)
{
    cJSON *schema = NULL;
    CU_ASSERT_EQUAL_FATAL(json_read_file("reports/gate.schema.json", 1 << 20, &schema), CIUIC_OK);
    return schema;
}

static void malformed_limits_are_refused(void)
{
    static const struct {
        const char *rest, *says;
        bool schema; /* the schema refuses it as well */
    } rows[] = {
        {"\"cases\": \"*\", \"metric\": \"accuracy.kl\"", "neither hard nor soft", false},
        {KL ", \"hard\": {}", "limits[0].hard: no bound", false},
        {KL ", \"hard\": {\"max\": 1}, \"reason\": \" \"", "reason is empty", false},
        {KL ", \"hard\": {\"maxi\": 1}", "did you mean \"max\"?", true},
        {KL ", \"hard\": {\"max\": \"1\"}", "limits[0].hard: key \"max\" is \"1\"", true},
        {KL ", \"hard\": {\"worse\": -1}", "from 0", true},
        {KL ", \"hard\": {\"max\": 1, \"min\": 2}", "nothing could pass", false},
        {KL ", \"hard\": 3", "expected an object", true},
        {KL ", \"hrad\": {\"max\": 1}", "did you mean \"hard\"?", true},
        {"\"cases\": \"\", \"metric\": \"accuracy.kl\", \"hard\": {\"max\": 1}", "cases is empty", true},
        {"\"cases\": \"*\", \"metric\": \"latency_s.median\", \"hard\": {\"max\": 1}", "an absolute time", false},
        {"\"cases\": \"*\", \"metric\": \"tokens_per_s\", \"hard\": {\"min\": 1}", "an absolute time", false},
        {"\"cases\": \"*\", \"metric\": \"accuracy.KL\", \"hard\": {\"min\": 1}", "unknown metric", false},
        {"\"cases\": \"*\", \"metric\": \"counters.\", \"hard\": {\"min\": 1}", "unknown metric", false},
        {"\"metric\": \"accuracy.kl\", \"hard\": {\"min\": 1}", "key \"cases\" is missing", true},
        {KL ", \"baseline\": \"tuned\", \"hard\": {\"min\": 1}", "baseline says nothing", false},
        {KL ", \"source\": \"likwid\", \"hard\": {\"min\": 1}", "source says nothing", false},
        {"\"cases\": \"*\", \"metric\": \"speedup\", \"baseline\": \"best\", \"hard\": {\"min\": 1}",
         "expected one of naive, tuned", true},
        {KL ", \"hard\": {\"max\": 1}, \"recorded\": {\"*\": 1}", "no bound of the limit looks at", false},
        {KL ", \"hard\": {\"worse\": 1}, \"recorded\": {\"*\": \"x\"}", "\"*\" is not a number", true},
        {KL ", \"hard\": {\"max\": 1}, \"waiver\": {\"reason\": \"r\", \"expires\": \"2026-02-29\"}", "is no date",
         false},
        {KL ", \"hard\": {\"max\": 1}, \"waiver\": {\"reason\": \"r\", \"expires\": \"soon\"}", "is no date", true},
        {KL ", \"hard\": {\"max\": 1}, \"waiver\": {\"reason\": \" \", \"expires\": \"2026-02-28\"}", "reason is empty",
         false},
        {KL ", \"hard\": {\"max\": 1}, \"waiver\": {\"reason\": "
            "\"\\t\\n\\u0001\\u007f\\u0085\\u00a0\\u200b\\u3000\\ufeff \", "
            "\"expires\": \"2026-02-28\"}",
         "reason is empty", false},
        {KL ", \"hard\": {\"max\": 1}, \"reason\": \"\\n\\u2003\"", "reason is empty", false},
        {KL ", \"hard\": {\"max\": 1}, \"reason\": \"\"", "reason is empty", true},
        {KL ", \"hard\": {\"max\": 1}, \"waiver\": {\"reason\": \"r\"}", "\"expires\" is missing", true},
        {KL ", \"hard\": {\"max\": 1}}, {\"id\": \"one\", " KL ", \"hard\": {\"max\": 1}", "limits[1]: id \"one\"",
         false},
    };
    cJSON *schema = gate_schema();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = one_limit(rows[i].rest);
        cJSON *root = NULL;
        gate_file file;
        CU_ASSERT_EQUAL_FATAL(json_parse(text, strlen(text), "bad.json", &root), CIUIC_OK);
        const bool refused = schema_check(root, schema, "bad.json") != CIUIC_OK;
        CHECK(refused == rows[i].schema, "the schema %s %s", refused ? "refuses" : "takes", rows[i].rest);
        const ciuic_status status = gate_file_take(root, "bad.json", &file);
        CHECK(status == CIUIC_ERROR_INPUT, "%s: taken", rows[i].rest);
        CHECK(strstr(ciuic_last_error(), rows[i].says) != NULL &&
                  strstr(ciuic_last_error(), "bad.json: limits[") != NULL,
              "'%s' is not in: %s", rows[i].says, ciuic_last_error());
        gate_file_free(&file);
        free(text);
    }
    cJSON_Delete(schema);
}

static void own_limits_are_valid(void)
{
    static const char *const files[] = {"ci/gate.json", "ci/gate-quick.json", "ci/gate-counters.json"};
    cJSON *schema = gate_schema();
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        gate_file file;
        const ciuic_status status = gate_file_read(files[i], &file);
        CHECK(status == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(file.count > 1 && schema_check(file.root, schema, files[i]) == CIUIC_OK, "%s", ciuic_last_error());
        for (size_t k = 0; k < file.count; k++)
            CHECK(file.limits[k].reason != NULL, "%s: %s: nobody says where its bounds come from", files[i],
                  file.limits[k].id);
        gate_file_free(&file);
    }
    cJSON_Delete(schema);
    /* The published run of the quick suite passes; so does what it becomes when it is judged again. */
    static const char *const arguments[] = {"gate", "reports/published/quick-emerald-rapids-16-cores", "--baseline",
                                            "ci/gate-quick.json", NULL};
    program_run run = program(arguments, NULL);
    CHECK(run.status == 0, "status %d: %s%s", run.status, run.out, run.err);
    program_run_free(&run);
}

static const gate_limit *limit_of(const gate_file *file, const char *id)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->limits[i].id, id) == 0) return &file->limits[i];
    CU_FAIL_FATAL("no such limit");
    return NULL;
}

/* What bounds of errors on any rung are derived from: the most that was recorded of this format in portable C. */
static double worst_recorded(const gate_file *file, const char *format)
{
    static const char *const ids[] = {"c-kl-dense", "c-kl-experts"};
    char part[16];
    double worst = 0;
    snprintf(part, sizeof part, "/%s+", format);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        for (const cJSON *v = limit_of(file, ids[i])->recorded->child; v != NULL; v = v->next)
            if (strstr(v->string, part) != NULL) worst = fmax(worst, v->valuedouble);
    return worst;
}

/* The formula that the file gives as their reason, rounded up to two digits: who records other values sets other bounds. */
static void bounds_of_errors_follow_from_what_is_recorded(void)
{
    static const char *const formats[] = {"int8", "int6", "int5", "int4", "int3", "affine8", "affine4"};
    gate_file file, quick;
    CU_ASSERT_EQUAL_FATAL(gate_file_read("ci/gate.json", &file), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(gate_file_read("ci/gate-quick.json", &quick), CIUIC_OK);
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        char id[24];
        snprintf(id, sizeof id, "%s-kl", formats[i]);
        const double worst = worst_recorded(&file, formats[i]), hard = 1.25 * worst + 0.001, soft = 1.1 * worst + 0.001;
        const gate_limit *limit = limit_of(&file, id);
        CHECK(worst > 0 && limit->hard.max >= hard && limit->hard.max < 1.1 * hard, "%s: hard %g, expected %g", id,
              limit->hard.max, hard);
        CHECK(limit->soft.max >= soft && limit->soft.max < 1.1 * soft, "%s: soft %g, expected %g", id, limit->soft.max,
              soft);
    }
    static const char *const shared[] = {"int8-kl", "int4-kl", "affine8-kl", "int8-top1", "int4-top1"};
    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++) {
        const gate_bounds *a = &limit_of(&file, shared[i])->hard, *b = &limit_of(&quick, shared[i])->hard;
        CHECK(isnan(a->max) ? a->min == b->min : a->max == b->max, "%s differs in the two files", shared[i]);
    }
    gate_file_free(&file);
    gate_file_free(&quick);
}

static void dates_are_days_of_the_calendar(void)
{
    static const struct {
        const char *text;
        bool valid;
    } rows[] = {{"2026-11-30", true},   {"2026-11-31", false}, {"2024-02-29", true},  {"2100-02-29", false},
                {"2000-02-29", true},   {"2026-13-01", false}, {"2026-00-10", false}, {"2026-1-10", false},
                {"2026-01-10x", false}, {"", false},           {"20260110", false},   {"2026/01/10", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        CHECK(gate_date_valid(rows[i].text) == rows[i].valid, "%s", rows[i].text);
}

/* ---- recording -------------------------------------------------------------------------------------------------- */

static void updates_are_reviewable(void)
{
    static const char limits[] =
        "{\"schema_version\": 1, \"limits\": [{\"id\": \"kl\", \"cases\": "
        "\"prefill128@0/b1/t2/int?+graph+memory+avx\", "
        "\"metric\": \"accuracy.kl\", \"hard\": {\"worse\": 0.1}, \"recorded\": {\"*int4*\": 0.01, \"old\": 2}}]}";
    char *folder = temporary_folder(), *path = NULL, *printed = NULL, *written = NULL, *again = NULL;
    size_t length = 0, changes = 0;
    gate_setting s;
    gate_setting_judge(gate_results(&fixture_usual), limits, &s);
    FILE *stream = open_memstream(&printed, &length);
    CU_ASSERT_EQUAL(gate_record(&s.limits, "limits.json", &s.results.set, stream, &changes), CIUIC_OK);
    fclose(stream);
    CU_ASSERT_EQUAL(changes, 4);
    CU_ASSERT_STRING_EQUAL(printed, "checkpoints: made-up-model: nothing -> aaaa\n"
                                    "kl: *int4*: 0.01 -> 0.02\n"
                                    "kl: made-up-model/" INT8 ": nothing -> 0.0004\n"
                                    "kl: old: 2 -> nothing\n");
    CU_ASSERT_FATAL(asprintf(&path, "%s/gate.json", folder) > 0);
    CU_ASSERT_EQUAL(gate_file_write(path, &s.limits), CIUIC_OK);
    written = read_text(path);
    CHECK(strstr(written, "\"recorded\": {\n        \"*int4*\": 0.02,\n") != NULL, "%s", written);
    /* Recorded once more, nothing changes: neither a value nor a byte. */
    gate_file file;
    stream = fopen("/dev/null", "w");
    CU_ASSERT_EQUAL_FATAL(gate_file_read(path, &file), CIUIC_OK);
    CU_ASSERT_EQUAL(gate_record(&file, path, &s.results.set, stream, &changes), CIUIC_OK);
    CU_ASSERT_EQUAL(changes, 0);
    CU_ASSERT_EQUAL(gate_file_write(path, &file), CIUIC_OK);
    again = read_text(path);
    CU_ASSERT_STRING_EQUAL(written, again);
    fclose(stream);
    gate_file_free(&file);
    gate_setting_free(&s);
    free(printed);
    free(written);
    free(again);
    free(path);
    remove_folder(folder);
}

/* A case that failed leaves nothing to record: the old value stays and goes on to fail. */
static void failures_are_not_recorded(void)
{
    char *limits = gate_recorded_limits(&fixture_usual);
    cJSON *results = gate_results(&fixture_usual), *c = fixture_case(results, INT8);
    cJSON_SetValuestring(cJSON_GetObjectItem(c, "status"), "failed");
    gate_setting s;
    size_t changes = 1;
    FILE *nowhere = fopen("/dev/null", "w");
    gate_setting_judge(results, limits, &s);
    CU_ASSERT_EQUAL(gate_record(&s.limits, "limits.json", &s.results.set, nowhere, &changes), CIUIC_OK);
    CU_ASSERT_EQUAL(changes, 0);
    fclose(nowhere);
    gate_findings_free(&s.findings);
    CU_ASSERT_EQUAL(gate_judge(&s.limits, &s.results.set, GATE_TODAY, &s.findings), CIUIC_OK);
    CU_ASSERT_EQUAL(gate_setting_finding(&s, "kl")->outcome, GATE_FAILED);
    gate_setting_free(&s);
    cJSON_free(limits);
}

/* Simulated instructions are those of one compiler's program: another's are not held against them, until they are recorded.
 * Bounds that look at nothing recorded, and other figures, hold whoever compiled it. */
static void other_compilers_have_other_budgets(void)
{
    static const struct {
        const char *compiler, *bound;
        gate_outcome outcome;
        const char *says;
    } rows[] = {
        {"none", "\"hard\": {\"worse\": 0.01}, \"recorded\": {\"*\": 1}", GATE_FAILED, "recorded 1"},
        {"gcc 12.2.0", "\"hard\": {\"worse\": 0.01}, \"recorded\": {\"*\": 1}", GATE_WARNED,
         "recorded of what gcc 12.2.0 makes, and this program was made by none"},
        {"gcc 12.2.0", "\"hard\": {\"max\": 1}", GATE_FAILED, "at most 1"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        gate_setting s;
        char *text = NULL;
        CU_ASSERT_FATAL(
            asprintf(&text,
                     "{\"schema_version\": 1, \"compiler\": \"%s\", \"limits\": [{\"id\": \"one\", \"cases\": "
                     "\"*\", \"metric\": \"counters.instructions\", %s}]}",
                     rows[i].compiler, rows[i].bound) > 0);
        gate_setting_judge(gate_results(&fixture_usual), text, &s);
        const gate_finding *f = gate_setting_finding(&s, "one");
        CHECK(f->outcome == rows[i].outcome && strstr(f->message, rows[i].says) != NULL, "row %zu: %d, %s", i,
              (int)f->outcome, f->message);
        size_t changes = 0;
        FILE *nowhere = fopen("/dev/null", "w");
        CHECK(gate_record(&s.limits, "made-up", &s.results.set, nowhere, &changes) == CIUIC_OK, "%s",
              ciuic_last_error());
        fclose(nowhere);
        const bool recorded = strstr(rows[i].bound, "recorded") != NULL;
        CHECK(strcmp(s.limits.compiler, recorded ? "none" : rows[i].compiler) == 0, "row %zu: recorded of %s", i,
              s.limits.compiler);
        gate_setting_free(&s);
        free(text);
    }
}

/* Green numbers that somebody wrote over red ones decide nothing; without a digest, of an earlier version, nobody can tell. */
static void edited_results_are_refused(void)
{
    for (int edited = 0; edited < 2; edited++) {
        cJSON *results = fixture_bench_results(&fixture_usual);
        results_file file;
        CU_ASSERT_EQUAL_FATAL(content_seal(results), CIUIC_OK);
        cJSON *accuracy = cJSON_GetObjectItemCaseSensitive(fixture_case(results, INT4), "accuracy");
        if (edited) cJSON_SetNumberValue(cJSON_GetObjectItemCaseSensitive(accuracy, "kl"), 1e-9);
        const ciuic_status status = results_file_take(results, "made-up.json", &file);
        CHECK(edited ? status == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), "made-up.json: was edited") != NULL
                     : status == CIUIC_OK,
              "edited %d: status %d, %s", edited, (int)status, ciuic_last_error());
        results_file_free(&file);
    }
}

static const test_case cases[] = {
    {"edited results are refused", edited_results_are_refused},
    {"planted regressions are caught", planted_regressions_are_caught},
    {"failed and lost cases and other models are caught", failed_cases_are_regressions},
    {"other outputs are failures", other_outputs_are_failures},
    {"ids are those of one case", ids_are_those_of_one_case},
    {"unchanged trees are green", unchanged_trees_are_green},
    {"speed fails beyond the noise only", speed_fails_beyond_the_noise_only},
    {"limits say what they mean", limits_say_what_they_mean},
    {"waivers that may be needed stay", waivers_that_may_be_needed_stay},
    {"empty results fail", empty_results_fail},
    {"malformed limits are refused", malformed_limits_are_refused},
    {"the project's own limits are valid", own_limits_are_valid},
    {"bounds of errors follow from what is recorded", bounds_of_errors_follow_from_what_is_recorded},
    {"dates are days of the calendar", dates_are_days_of_the_calendar},
    {"updates are reviewable", updates_are_reviewable},
    {"other compilers have other budgets", other_compilers_have_other_budgets},
    {"failures are not recorded", failures_are_not_recorded},
};
TEST_SUITE(gate, cases);
