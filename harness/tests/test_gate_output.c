/* test_gate_output.c - what the gate writes: names from strangers stay names, XML is XML, and the command has the manners of the
 * others. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/gate/publish.h"
#include "harness/plain_text.h"
#include "harness/tests/gate_fixture.h"
#include "harness/tests/program.h"
#include "optimizer/atomic_file.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

/* ---- strangers -------------------------------------------------------------------------------------------------- */

/* What an attacker would put into a name: tags, a table's end, a shell's words, and what XML and terminals cannot hold. */
#define HOSTILE "</failure><script>alert(1)</script>|`$(id)`'\\\"\\u0001\\u001b[2J\\u009b\\n&amp;\\uffff"

static ciuic_status write_lines(FILE *stream, const gate_subject *subject, const gate_findings *findings)
{
    gate_write_lines(stream, subject, findings);
    return CIUIC_OK;
}

static char *written_by(ciuic_status (*writer)(FILE *, const gate_subject *, const gate_findings *),
                        const gate_setting *s)
{
    char *text = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&text, &length);
    const gate_subject subject = {.results = "a\x1b[31m.json", .baseline = "b.json", .set = &s->results.set};
    CU_ASSERT_EQUAL(writer(stream, &subject, &s->findings), CIUIC_OK);
    fclose(stream);
    return text;
}

static bool has_controls(const char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if (((unsigned char)*c < 0x20 && *c != '\n') || *c == 0x7f ||
            (*c == '\xc2' && (unsigned char)c[1] < 0xa0 && (unsigned char)c[1] >= 0x80))
            return true;
    return false;
}

static void hostile_names_are_escaped(void)
{
    char *limits = NULL;
    CU_ASSERT_FATAL(asprintf(&limits,
                             "{\"schema_version\": 1, \"limits\": [{\"id\": \"" HOSTILE "\", \"reason\": \"WHY" HOSTILE
                             "\", \"cases\": \"*\", \"metric\":"
                             " \"accuracy.kl\", \"hard\": {\"max\": -1}}, {\"id\": \"w\", \"cases\": \"*\", \"metric\":"
                             " \"accuracy.kl\", \"hard\": {\"max\": -1}, \"waiver\": {\"reason\": \"" HOSTILE
                             "\", \"expires\": \"2026-12-31\"}}, {\"id\": \"s\", \"cases\": \"*\", \"metric\":"
                             " \"accuracy.kl\", \"soft\": {\"max\": -1}}]}") > 0);
    cJSON *results = gate_results(&fixture_usual), *name = cJSON_Parse("\"x/b1/t1/" HOSTILE "\"");
    CU_ASSERT_PTR_NOT_NULL_FATAL(name);
    size_t position = 0;
    for (cJSON *c = cJSON_GetObjectItem(results, "cases")->child; c != NULL; c = c->next) {
        char id[160];
        snprintf(id, sizeof id, "%s%zu", name->valuestring, position++);
        set_member(c, "id", cJSON_CreateString(id));
    }
    set_member(results, "suite", cJSON_Duplicate(name, true));
    gate_setting s;
    gate_setting_judge(results, limits, &s);
    CU_ASSERT_EQUAL(s.findings.outcomes[GATE_FAILED], 1);
    char *junit = written_by(gate_write_junit, &s), *markdown = written_by(gate_write_markdown, &s);
    char *lines = written_by(write_lines, &s);
    CHECK(strstr(junit, "<script") == NULL && strstr(junit, "&lt;script&gt;") != NULL, "%s", junit);
    CHECK(!has_controls(junit) && strstr(junit, "\xef\xbf\xbf") == NULL, "control characters: %s", junit);
    CU_ASSERT_PTR_NOT_NULL(strstr(junit, "tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\""));
    CU_ASSERT_PTR_NOT_NULL(strstr(junit, "<system-out>warning: "));
    CHECK(strstr(markdown, "<script") == NULL && strstr(markdown, "\\|\\`\\$") != NULL, "%s", markdown);
    CHECK(!has_controls(markdown), "control characters: %s", markdown);
    CHECK(strstr(markdown, "Its bounds: WHY") != NULL, "no reason: %s", markdown);
    CHECK(!has_controls(lines) && count_lines(lines) == 3, "not three lines: %s", lines);
    free(junit);
    free(markdown);
    free(lines);
    gate_setting_free(&s);
    cJSON_Delete(name);
    free(limits);
}

static void xml_holds_what_xml_can(void)
{
    static const struct {
        const char *in, *out;
    } rows[] = {{"a<b>&\"'", "a&lt;b&gt;&amp;&quot;&apos;"},
                {"\x01\x1f\x7f", "???"},
                {"a\nb\tc", "a b c"},
                {"\xc3\xa9", "\xc3\xa9"},
                {"\xff\xc3", "??"},
                {"\xef\xbf\xbe", "?"},
                {"\xed\xa0\x80", "???"},
                {"\xc2\x9b", "??"},
                {"a\xe2\x80\xae b\xe2\x81\xa9\xd8\x9c", "a??? b?????"},
                {"\xe2\x80\xad\xe2\x80\xaf\xe2\x81\xaa", "???\xe2\x80\xaf\xe2\x81\xaa"},
                {"", ""}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = NULL;
        size_t length = 0;
        FILE *stream = open_memstream(&text, &length);
        xml_text(stream, rows[i].in);
        fclose(stream);
        CHECK(strcmp(text, rows[i].out) == 0, "row %zu: '%s'", i, text);
        free(text);
    }
}

/* ---- advice ----------------------------------------------------------------------------------------------------- */

#define LIMIT(id, metric, rest)                                                                                        \
    "{\"id\": \"" id "\", \"cases\": \"int8\", \"metric\": \"accuracy." metric "\", " rest "}"
#define ABSOLUTE LIMIT("absolute", "kl", "\"hard\": {\"max\": 0.0001}")
#define RECORDED LIMIT("recorded", "kl", "\"hard\": {\"worse\": 0.1}, \"recorded\": {\"*\": 0.0001}")
#define BOTH LIMIT("both", "kl", "\"hard\": {\"max\": 0.0001, \"worse\": 0.1}, \"recorded\": {\"*\": 0.0001}")
#define PASSES LIMIT("passes", "kl", "\"hard\": {\"max\": 1}")
#define UPDATE "ciuic gate 'a?[31m.json' --baseline b.json --update\n"

typedef enum planted { NOTHING, A_CRASH, NAN_LOGITS } planted;

static void plant(cJSON *results, planted what)
{
    cJSON *c = fixture_case(results, "decode64@256/b1/t2/int8+c");
    if (what == A_CRASH) set_member(c, "status", cJSON_CreateString("failed"));
    if (what == NAN_LOGITS) set_member(cJSON_GetObjectItem(c, "accuracy"), "finite", cJSON_CreateFalse());
}

/* The last line advises what can help, and nothing else. */
static void advice_is_by_the_kind_of_failure(void)
{
    static const struct {
        const char *limits;
        planted what;
        const char *worst; /* how the second line begins */
        bool update, bound, repair;
    } rows[] = {
        {RECORDED, NOTHING, "recorded: accuracy.kl is 0.0004", true, false, false},
        {ABSOLUTE, NOTHING, "absolute: accuracy.kl is 0.0004", false, true, false},
        {BOTH, NOTHING, "both: accuracy.kl is 0.0004", false, true, false},
        {ABSOLUTE ", " BOTH, NOTHING, "worst: absolute: ", false, true, false},
        {ABSOLUTE ", " RECORDED, NOTHING, "worst: absolute: ", true, true, false},
        {PASSES, A_CRASH, "passes: the case failed", false, false, true},
        {RECORDED, A_CRASH, "recorded: the case failed", false, false, true},
        {LIMIT("unknown", "kl", "\"hard\": {\"worse\": 1}"), NOTHING, "unknown: no value of it was recorded", true,
         false, false},
        {"{\"id\": \"none\", \"cases\": \"no-such\", \"metric\": \"accuracy.kl\", \"hard\": {\"max\": 1}}", NOTHING,
         "none: no case matches", false, false, true},
        /* A crash and NaN are worse than any figure, wherever their limit stands. */
        {ABSOLUTE ", " RECORDED ", {\"id\": \"last\", \"cases\": \"*\", \"metric\": \"weight_bytes\", \"hard\": "
                  "{\"max\": 1e15}}",
         A_CRASH, "worst: absolute: the case failed", false, false, true},
        {"{\"id\": \"bytes\", \"cases\": \"*\", \"metric\": \"weight_bytes\", \"hard\": {\"max\": 1}}, " PASSES,
         NAN_LOGITS, "worst: passes: its logits hold NaN", false, true, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *limits = NULL;
        cJSON *results = gate_results(&fixture_usual);
        gate_setting s;
        CU_ASSERT_FATAL(asprintf(&limits, "{\"schema_version\": 1, \"limits\": [%s]}", rows[i].limits) > 0);
        plant(results, rows[i].what);
        gate_setting_judge(results, limits, &s);
        char *lines = written_by(write_lines, &s);
        CU_ASSERT_EQUAL_FATAL(count_lines(lines), 3);
        const char *second = lines + strcspn(lines, "\n") + 1;
        CHECK(strncmp(second, rows[i].worst, strlen(rows[i].worst)) == 0, "row %zu: %s", i, lines);
        CHECK((strstr(lines, UPDATE) != NULL) == rows[i].update, "row %zu: %s", i, lines);
        CHECK((strstr(lines, "beyond an absolute bound") != NULL) == rows[i].bound, "row %zu: %s", i, lines);
        CHECK((strstr(lines, "could not be judged") != NULL) == rows[i].repair, "row %zu: %s", i, lines);
        free(lines);
        free(limits);
        gate_setting_free(&s);
    }
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static char *file_in(const char *folder, const char *name, const char *text)
{
    char *path = NULL;
    CU_ASSERT_FATAL(asprintf(&path, "%s/%s", folder, name) > 0);
    if (text != NULL) CU_ASSERT_EQUAL_FATAL(atomic_file_write(path, text, strlen(text)), CIUIC_OK);
    return path;
}

static void run_gate(const char *results, const char *limits, const char *option, const char *argument, int status,
                     const char *says)
{
    const char *const arguments[] = {"gate", results, "--baseline", limits, option, argument, NULL};
    program_run run = program(arguments, NULL);
    CHECK(run.status == status, "status %d, expected %d: %s%s", run.status, status, run.out, run.err);
    CHECK(strstr(run.out, says) != NULL || strstr(run.err, says) != NULL, "'%s' is not in: %s%s", says, run.out,
          run.err);
    program_run_free(&run);
}

static void command_has_the_manners_of_the_others(void)
{
    char *folder = temporary_folder(), *unrecorded = file_in(folder, "gate.json", gate_limits);
    cJSON *made = gate_results(&fixture_usual);
    char *results = file_in(folder, "results.json", NULL), *other = file_in(folder, "other.json", NULL);
    char *partial = file_in(folder, "partial.json", NULL), *bad = file_in(folder, "bad.json", "{\"limits\": [");
    char *soft = file_in(folder, "soft.json",
                         "{\"schema_version\": 1, \"limits\": [{\"id\": \"soft\", \"cases\": \"*\", \"metric\": "
                         "\"accuracy.kl\", \"soft\": {\"max\": -1}, \"reason\": \"to be told\"}]}");
    char *junit = file_in(folder, "junit.xml", NULL), *unsealed = file_in(folder, "unsealed.json", NULL);
    cJSON_DeleteItemFromObjectCaseSensitive(made, CONTENT_DIGEST_KEY);
    json_exact_numbers(made);
    CU_ASSERT_EQUAL_FATAL(json_write_file(unsealed, made), CIUIC_OK);
    fixture_seal(made);
    CU_ASSERT_EQUAL_FATAL(json_write_file(results, made), CIUIC_OK);
    set_member(made, "complete", cJSON_CreateFalse());
    fixture_seal(made);
    CU_ASSERT_EQUAL_FATAL(json_write_file(partial, made), CIUIC_OK);
    set_member(made, "schema_version", json_size(2));
    CU_ASSERT_EQUAL_FATAL(json_write_file(other, made), CIUIC_OK);
    cJSON_Delete(made);
    run_gate(results, unrecorded, "--junit", junit, 1, "gate: FAILED: ");
    char *text = read_text(junit);
    CHECK(text != NULL && strstr(text, "<failure message=") != NULL, "%s", text);
    free(text);
    run_gate(results, unrecorded, "--update", NULL, 0, "changes written");
    run_gate(folder, unrecorded, "--list", NULL, 0, "passed  kl: accuracy.kl is ");
    run_gate(results, soft, NULL, NULL, 0, "warned  soft: accuracy.kl is ");
    run_gate(results, unrecorded, "--json", NULL, 0, "\"passed\":\ttrue");
    run_gate(unsealed, unrecorded, NULL, NULL, 3, "these results carry no digest of themselves");
    run_gate(partial, unrecorded, NULL, NULL, 3, "the bench was interrupted");
    run_gate(other, unrecorded, NULL, NULL, 3, "other.json: schema_version 2; expected 1");
    run_gate(results, bad, NULL, NULL, 3, "bad.json:1:13: not valid JSON");
    run_gate(results, unrecorded, "--today", "2026-02-30", 2, "is no date");
    run_gate(results, "no-such.json", NULL, NULL, 3, "no-such.json");
    run_gate(results, unrecorded, "--junit", "/no/such/folder/x.xml", 3, "/no/such/folder/x.xml");
    static const char *const bare[] = {"gate", "results.json", NULL};
    program_run run = program(bare, NULL);
    CHECK(run.status == 2 && strstr(run.err, "--baseline is missing") != NULL, "%d %s", run.status, run.err);
    program_run_free(&run);
    free(unrecorded);
    free(results);
    free(other);
    free(partial);
    free(bad);
    free(soft);
    free(unsealed);
    free(junit);
    remove_folder(folder);
}

static const test_case cases[] = {
    {"hostile names are escaped", hostile_names_are_escaped},
    {"advice is by the kind of failure", advice_is_by_the_kind_of_failure},
    {"XML holds what XML can", xml_holds_what_xml_can},
    {"the command has the manners of the others", command_has_the_manners_of_the_others},
};
TEST_SUITE(gate_output, cases);
