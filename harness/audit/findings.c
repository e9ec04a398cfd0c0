/* findings.c - see findings.h. */
#include "harness/audit/findings.h"

#include <stdarg.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/judge/results.h"
#include "harness/plain_text.h"
#include "optimizer/json.h"

static const struct {
    const char *name, *question;
} tests[AUDIT_TESTS] = {
    [AUDIT_CONTENT] = {"content", "Is the file as it was written, and do its figures follow from its samples?"},
    [AUDIT_HASHES] = {"hashes", "Are suite, checkpoints and program those that the file names?"},
    [AUDIT_CEILING] = {"ceiling", "Is nothing faster than its bytes and operations allow?"},
    [AUDIT_OUTPUTS] = {"outputs", "Is what was timed what was scored, and right on ids never seen before?"},
    [AUDIT_ERRORS] = {"errors", "Do the errors reproduce from the evaluation ids?"},
    [AUDIT_OTHER_DATA] = {"other-data", "Are errors alike on other ids than those published?"},
    [AUDIT_MEMORY] = {"memory", "Do the bytes reproduce?"},
    [AUDIT_WEIGHTS] = {"weights", "Does every layer matter, and cost the same whatever its weights?"},
    [AUDIT_CACHE] = {"cache", "Are repeated inputs no faster than fresh ones?"},
    [AUDIT_LENGTH] = {"length", "Does longer input cost more?"},
    [AUDIT_SPEED] = {"speed", "Do speed-ups reproduce, against a baseline that was not slowed?"},
};

const char *audit_test_name(audit_test test)
{
    return tests[test].name;
}

const char *audit_test_question(audit_test test)
{
    return tests[test].question;
}

bool audit_test_parse(const char *name, audit_test *test)
{
    for (audit_test t = 0; t < AUDIT_TESTS; t++) {
        if (strcmp(tests[t].name, name) != 0) continue;
        *test = t;
        return true;
    }
    return false;
}

const char *audit_outcome_name(audit_outcome outcome)
{
    static const char *const names[AUDIT_OUTCOMES] = {"pass", "fail", "inconclusive", "not possible"};
    return names[outcome];
}

ciuic_status audit_findings_create(audit_findings *f)
{
    *f = (audit_findings){.tests = cJSON_CreateArray()};
    return f->tests != NULL ? CIUIC_OK : ciuic_fail_memory("the findings", 0);
}

void audit_findings_free(audit_findings *f)
{
    cJSON_Delete(f->tests);
    *f = (audit_findings){0};
}

ciuic_status audit_find(audit_findings *f, audit_test test, const char *id, audit_outcome outcome, cJSON *numbers,
                        const char *evidence, ...)
{
    char text[SENTENCE];
    va_list arguments;
    va_start(arguments, evidence);
    vsnprintf(text, sizeof text, evidence, arguments);
    va_end(arguments);
    cJSON *item = cJSON_CreateObject(), *of = id != NULL ? cJSON_CreateString(id) : cJSON_CreateNull(),
          *said = sentence_json(text), *all = numbers != NULL ? numbers : cJSON_CreateObject();
    const bool whole = item != NULL && of != NULL && said != NULL && all != NULL &&
                       cJSON_AddStringToObject(item, "test", tests[test].name) != NULL;
    if (!whole || !cJSON_AddItemToObject(item, "case", of) ||
        cJSON_AddStringToObject(item, "outcome", audit_outcome_name(outcome)) == NULL ||
        !cJSON_AddItemToObject(item, "evidence", said) || !cJSON_AddItemToObject(item, "numbers", all) ||
        !cJSON_AddItemToArray(f->tests, item))
        return ciuic_fail_memory("a finding", sizeof text); /* the program ends: what hangs loose goes with it */
    f->outcomes[outcome]++;
    return CIUIC_OK;
}

void audit_findings_print(const audit_findings *f)
{
    for (int t = 0; t < AUDIT_TESTS; t++) {
        const cJSON *item = NULL;
        bool asked = false;
        cJSON_ArrayForEach(item, f->tests)
        {
            char line[SENTENCE + 512 + 4], title[32];
            if (strcmp(json_text(item, "test"), tests[t].name) != 0) continue;
            if (!asked) printf("%s\n", tests[t].question);
            asked = true;
            snprintf(title, sizeof title, "  %-12s  ", json_text(item, "outcome"));
            const char *of = json_text(item, "case");
            snprintf(line, sizeof line, "%.500s%s%s", of, of[0] != '\0' ? ": " : "", json_text(item, "evidence"));
            plain_text(line);
            command_print_wrapped(title, line);
        }
    }
}
