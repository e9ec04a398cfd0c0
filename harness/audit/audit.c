/* audit.c - see audit.h: every test in its turn, and what they come to. */
#include "harness/audit/audit.h"

#include <stdio.h>
#include <string.h>

#include "harness/audit/checks.h"
#include "harness/commands.h"
#include "harness/progress_line.h"
#include "optimizer/json.h"

typedef ciuic_status case_check(audit_subject *s, const audited_case *c, audit_findings *f);

typedef struct case_test {
    audit_test test;
    case_check *check;
    bool timed;
} case_test;

static const case_test case_tests[] = {
    {AUDIT_OUTPUTS, check_outputs, false},       {AUDIT_ERRORS, check_errors, false},
    {AUDIT_OTHER_DATA, check_other_data, false}, {AUDIT_MEMORY, check_memory, false},
    {AUDIT_WEIGHTS, check_weights, false},       {AUDIT_CACHE, check_cache, true},
    {AUDIT_LENGTH, check_length, true},          {AUDIT_SPEED, check_speed, true},
};

static bool wanted(const audit_subject *s, audit_test test)
{
    const char *only = s->options->only;
    return only == NULL || strcmp(only, audit_test_name(test)) == 0;
}

static ciuic_status check_cases(audit_subject *s, audit_findings *f)
{
    enum { TESTS = sizeof case_tests / sizeof case_tests[0] };
    progress_line line = {.command = "audit"};
    ciuic_status status = CIUIC_OK;
    for (size_t i = 0; i < s->case_count * TESTS && status == CIUIC_OK; i++) {
        const case_test *test = &case_tests[i % TESTS];
        if ((test->timed && s->options->untimed) || !wanted(s, test->test)) continue;
        status = progress_line_tell(&line, audit_test_name(test->test), i, s->case_count * TESTS);
        if (status == CIUIC_OK) status = test->check(s, &s->cases[i / TESTS], f);
    }
    progress_line_end(&line);
    if (command_interrupted()) return ciuic_fail(CIUIC_ERROR_INTERRUPTED, "audit: interrupted; nothing was decided");
    return status;
}

/* What no sample has is said, not passed over. */
static ciuic_status tell_left_out(const audit_subject *s, audit_findings *f)
{
    if (s->left_packed > 0)
        CIUIC_TRY(audit_find(f, AUDIT_OUTPUTS, NULL, AUDIT_IMPOSSIBLE, NULL,
                             "%zu cases were loaded from packed folders, which an audit does not make: left out; the "
                             "same variants unpacked are audited where the results have them",
                             s->left_packed));
    if (s->left_cached > 0)
        CIUIC_TRY(audit_find(f, AUDIT_OUTPUTS, NULL, AUDIT_IMPOSSIBLE, NULL,
                             "%zu cases kept beginnings of prompts, which an audit does not do: left out",
                             s->left_cached));
    return CIUIC_OK;
}

static ciuic_status run_tests(audit_subject *s, audit_findings *f)
{
    if (wanted(s, AUDIT_CONTENT)) CIUIC_TRY(check_content(s, f));
    if (wanted(s, AUDIT_HASHES)) CIUIC_TRY(check_hashes(s, f));
    if (wanted(s, AUDIT_CEILING)) CIUIC_TRY(check_ceilings(s, f));
    CIUIC_TRY(tell_left_out(s, f));
    if (s->case_count == 0)
        return audit_find(f, AUDIT_OUTPUTS, NULL, AUDIT_IMPOSSIBLE, NULL, "no case can be run again here; %s",
                          s->no_case[0] != '\0' ? s->no_case : "none was measured");
    return check_cases(s, f);
}

/* ---- telling ---------------------------------------------------------------------------------------------------- */

static cJSON *report_json(const audit_subject *s, audit_findings *f)
{
    cJSON *report = cJSON_CreateObject(), *cases = NULL;
    cJSON_AddStringToObject(report, "results", s->results.path);
    cJSON_AddStringToObject(report, "program_sha256", s->program.text);
    cJSON_AddBoolToObject(report, "made_the_results", s->same_program);
    json_add_size(report, "seed", (size_t)s->options->seed);
    cJSON_AddBoolToObject(report, "timed", !s->options->untimed);
    cases = cJSON_AddArrayToObject(report, "cases");
    for (size_t i = 0; i < s->case_count; i++) cJSON_AddItemToArray(cases, cJSON_CreateString(s->cases[i].result->id));
    cJSON_AddBoolToObject(report, "passed", f->outcomes[AUDIT_FAILED] == 0);
    cJSON *counts = cJSON_AddObjectToObject(report, "outcomes");
    for (int i = 0; i < AUDIT_OUTCOMES; i++)
        json_add_size(counts, audit_outcome_name((audit_outcome)i), f->outcomes[i]);
    if (!cJSON_AddItemToObject(report, "tests", f->tests)) return report;
    f->tests = NULL;
    return report;
}

static ciuic_status tell(const audit_subject *s, audit_findings *f)
{
    const audit_options *o = s->options;
    if (o->json) {
        cJSON *report = report_json(s, f);
        return command_print_json(report, json_find(report, "tests") != NULL);
    }
    printf("audit of %s, %zu cases run again, seed %llu%s\n", s->results.path, s->case_count,
           (unsigned long long)o->seed, o->untimed ? ", nothing timed" : "");
    audit_findings_print(f);
    printf("%zu passed, %zu failed, %zu inconclusive, %zu not possible here\n", f->outcomes[AUDIT_PASSED],
           f->outcomes[AUDIT_FAILED], f->outcomes[AUDIT_INCONCLUSIVE], f->outcomes[AUDIT_IMPOSSIBLE]);
    return CIUIC_OK;
}

ciuic_status audit_run(const audit_options *options, bool *passed)
{
    audit_subject s;
    audit_findings f = {0};
    ciuic_status status = subject_read(options, &s);
    if (status == CIUIC_OK) status = audit_findings_create(&f);
    if (status == CIUIC_OK) status = run_tests(&s, &f);
    if (status == CIUIC_OK) status = tell(&s, &f);
    *passed = f.outcomes[AUDIT_FAILED] == 0;
    if (status == CIUIC_OK && *passed && s.case_count == 0)
        status = ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "audit: not one case can be run again here: %s",
                            s.no_case[0] != '\0' ? s.no_case : "none was measured");
    audit_findings_free(&f);
    subject_free(&s);
    return status;
}
