/* publish.c - see publish.h. Messages hold no control characters; ids and paths are made safe here. */
#include "harness/gate/publish.h"

#include <math.h>
#include <string.h>

#include "harness/plain_text.h"
#include "harness/report/page.h"
#include "harness/shell_word.h"
#include "optimizer/json.h"

static const char *text_of(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(json_find(object, key));
    return text != NULL ? text : "unknown";
}

enum { NAME = 320 };

static const char *plain_copy(char text[NAME], const char *name)
{
    snprintf(text, NAME, "%s", name);
    plain_text(text);
    return text;
}

static void put_plain(FILE *stream, const char *name)
{
    char text[NAME];
    fputs(plain_copy(text, name), stream);
}

/* A case that has failed stands before every figure, and what could not be judged for another reason behind them. */
static double rank_of(const gate_finding *f)
{
    if (f->broken) return INFINITY;
    return isfinite(f->excess) ? f->excess : -1.0;
}

/* The failure of a case that has failed, or else the one that is farthest beyond its bound; NULL when nothing failed. */
static const gate_finding *worst_failure(const gate_findings *findings)
{
    const gate_finding *worst = NULL;
    for (size_t i = 0; i < findings->count; i++) {
        const gate_finding *f = &findings->list[i];
        if (f->outcome == GATE_FAILED && (worst == NULL || rank_of(f) > rank_of(worst))) worst = f;
    }
    return worst;
}

/* ---- JUnit ------------------------------------------------------------------------------------------------------ */

static void put_attribute(FILE *stream, const char *name, const char *value)
{
    fprintf(stream, " %s=\"", name);
    xml_text(stream, value);
    fputc('"', stream);
}

static void write_testcase(FILE *stream, const gate_finding *f)
{
    char group[80];
    snprintf(group, sizeof group, "ciuic.gate.%.*s", (int)strcspn(f->metric, "."), f->metric);
    fputs("    <testcase", stream);
    put_attribute(stream, "classname", group);
    put_attribute(stream, "name", f->id);
    fputs(" time=\"0\"", stream);
    if (f->outcome == GATE_PASSED) {
        fputs("/>\n", stream);
        return;
    }
    fputs(">\n      ", stream);
    if (f->outcome == GATE_WARNED) {
        fputs("<system-out>warning: ", stream);
        xml_text(stream, f->message);
        fputs("</system-out>", stream);
    } else {
        const bool failed = f->outcome == GATE_FAILED;
        fputs(failed ? "<failure" : "<skipped", stream);
        put_attribute(stream, "message", f->message);
        if (failed) {
            put_attribute(stream, "type", f->metric);
            fputc('>', stream);
            xml_text(stream, f->message);
            fputs("</failure>", stream);
        } else {
            fputs("/>", stream);
        }
    }
    fputs("\n    </testcase>\n", stream);
}

ciuic_status gate_write_junit(FILE *stream, const gate_subject *subject, const gate_findings *findings)
{
    const size_t failed = findings->outcomes[GATE_FAILED], waived = findings->outcomes[GATE_WAIVED];
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n", stream);
    fprintf(stream,
            "<testsuites tests=\"%zu\" failures=\"%zu\" errors=\"0\" time=\"0\">\n  <testsuite name=\"ciuic gate: ",
            findings->count, failed);
    xml_text(stream, text_of(subject->set->root, "suite"));
    fprintf(stream, "\" tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\" time=\"0\"", findings->count,
            failed, waived);
    put_attribute(stream, "timestamp", text_of(subject->set->root, "started"));
    fputs(">\n", stream);
    for (size_t i = 0; i < findings->count; i++) write_testcase(stream, &findings->list[i]);
    fputs("  </testsuite>\n</testsuites>\n", stream);
    return CIUIC_OK; /* it asks for no memory */
}

/* ---- Markdown --------------------------------------------------------------------------------------------------- */

static void write_table(page *p, const gate_findings *findings, bool passed)
{
    static const page_column columns[] = {{"limit", false}, {"outcome", false}, {"why", false}};
    char name[NAME];
    bool any = false;
    for (size_t i = 0; i < findings->count; i++) any = any || (findings->list[i].outcome == GATE_PASSED) == passed;
    if (!any) return;
    if (passed) page_fold_begin(p, "Passed");
    page_table_begin(p, passed ? "limits that passed" : "limits that did not pass", columns, 3, false);
    for (int outcome = GATE_FAILED; outcome >= GATE_PASSED; outcome--)
        for (size_t i = 0; i < findings->count; i++) {
            const gate_finding *f = &findings->list[i];
            if ((int)f->outcome != outcome || (outcome == GATE_PASSED) != passed) continue;
            page_cell(p, TONE_PLAIN, "%s", plain_copy(name, f->id));
            page_cell(p, outcome == GATE_FAILED ? TONE_NO : TONE_PLAIN, "%s", gate_outcome_name(f->outcome));
            char reason[SENTENCE] = "";
            if (f->reason != NULL && !passed) plain_append(reason, sizeof reason, ". Its bounds: %s", f->reason);
            plain_text(reason);
            page_cell(p, TONE_PLAIN, "%s%s", f->message, reason);
        }
    page_table_end(p);
    if (passed) page_fold_end(p);
}

ciuic_status gate_write_markdown(FILE *stream, const gate_subject *subject, const gate_findings *findings)
{
    const cJSON *root = subject->set->root, *machine = json_find(root, "machine");
    const size_t *n = findings->outcomes;
    char name[NAME], cpu[NAME];
    page p = page_begin(stream, PAGE_MARKDOWN);
    p.rest = "a line each by 'ciuic gate RESULTS --list'";
    fprintf(stream, "## Gate: %s\n\n", n[GATE_FAILED] > 0 ? "failed" : "passed");
    page_text(&p, "%zu limits on %zu cases of suite %s: %zu passed, %zu warned, %zu waived, %zu failed.",
              findings->count, findings->cases, plain_copy(name, text_of(root, "suite")), n[GATE_PASSED],
              n[GATE_WARNED], n[GATE_WAIVED], n[GATE_FAILED]);
    const gate_finding *worst = worst_failure(findings);
    if (worst != NULL) page_alert(&p, "%s: %s", plain_copy(name, worst->id), worst->message);
    write_table(&p, findings, false);
    write_table(&p, findings, true);
    page_text(&p, "Measured on %s with revision %s, %s; limits from %s.", plain_copy(cpu, text_of(machine, "cpu")),
              text_of(json_find(root, "program"), "git"), text_of(root, "started"),
              plain_copy(name, subject->baseline));
    return page_end(&p);
}

/* ---- a terminal ------------------------------------------------------------------------------------------------- */

void gate_write_list(FILE *stream, const gate_findings *findings, bool all)
{
    for (int outcome = GATE_FAILED; outcome >= GATE_PASSED; outcome--)
        for (size_t i = 0; i < findings->count; i++) {
            const gate_finding *f = &findings->list[i];
            if ((int)f->outcome != outcome || (outcome == GATE_PASSED && !all)) continue;
            fprintf(stream, "%-6s  ", gate_outcome_name(f->outcome));
            put_plain(stream, f->id);
            fprintf(stream, ": %s\n", f->message);
        }
}

/* What to do, by what the failures need; the command at the end, where it can be copied. */
static void put_remedies(FILE *stream, const gate_subject *subject, const gate_findings *findings)
{
    size_t needed[GATE_REMEDY_REPAIR + 1] = {0};
    const size_t failed = findings->outcomes[GATE_FAILED];
    char line[6 * SENTENCE] = "", results[2 * SENTENCE] = "", baseline[2 * SENTENCE] = "";
    for (size_t i = 0; i < findings->count; i++)
        if (findings->list[i].outcome == GATE_FAILED) needed[findings->list[i].remedy]++;
    if (failed > 1) plain_append(line, sizeof line, "--list shows all; ");
    if (needed[GATE_REMEDY_REPAIR] > 0)
        plain_append(line, sizeof line, "%zu could not be judged: correct that, no bound helps; ",
                     needed[GATE_REMEDY_REPAIR]);
    if (needed[GATE_REMEDY_BOUND] > 0)
        plain_append(line, sizeof line,
                     "%zu beyond an absolute bound, which --update does not move: if that is meant, edit it or waive "
                     "it for a while; ",
                     needed[GATE_REMEDY_BOUND]);
    if (!shell_word(results, sizeof results, subject->results)) plain_append(results, sizeof results, "...");
    if (!shell_word(baseline, sizeof baseline, subject->baseline)) plain_append(baseline, sizeof baseline, "...");
    if (needed[GATE_REMEDY_RECORD] > 0)
        plain_append(line, sizeof line,
                     "%zu beyond what was recorded: if that is meant, commit what this changes: ciuic gate %s "
                     "--baseline %s --update; ",
                     needed[GATE_REMEDY_RECORD], results, baseline);
    line[strlen(line) - 2] = '\0'; /* something failed, so that something was said */
    fprintf(stream, "%s\n", line);
}

void gate_write_lines(FILE *stream, const gate_subject *subject, const gate_findings *findings)
{
    const size_t *n = findings->outcomes;
    const gate_finding *worst = worst_failure(findings);
    if (worst == NULL) {
        fprintf(stream, "gate: passed: %zu limits on %zu cases (%zu warned, %zu waived)\n", findings->count,
                findings->cases, n[GATE_WARNED], n[GATE_WAIVED]);
        return;
    }
    fprintf(stream, "gate: FAILED: %zu of %zu limits (%zu warned, %zu waived)\n", n[GATE_FAILED], findings->count,
            n[GATE_WARNED], n[GATE_WAIVED]);
    fprintf(stream, "%s", n[GATE_FAILED] > 1 ? "worst: " : "");
    put_plain(stream, worst->id);
    fprintf(stream, ": %s\n", worst->message);
    put_remedies(stream, subject, findings);
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static bool add_finding(cJSON *list, const gate_finding *f)
{
    cJSON *o = cJSON_CreateObject();
    if (o == NULL || !cJSON_AddItemToArray(list, o)) {
        cJSON_Delete(o);
        return false;
    }
    bool ok = cJSON_AddStringToObject(o, "limit", f->id) != NULL;
    ok = ok && cJSON_AddStringToObject(o, "metric", f->metric) != NULL;
    ok = ok && cJSON_AddStringToObject(o, "outcome", gate_outcome_name(f->outcome)) != NULL;
    ok = ok && json_add_size(o, "cases", f->cases) && json_add_size(o, "bad_cases", f->bad_cases);
    ok = ok && (f->case_id != NULL ? cJSON_AddStringToObject(o, "case", f->case_id) : cJSON_AddNullToObject(o, "case"));
    ok = ok && json_add_double(o, "value", f->value) && json_add_double(o, "low", f->low);
    ok = ok && json_add_double(o, "high", f->high) && json_add_double(o, "noise_floor", f->noise_floor);
    ok = ok && json_add_double(o, "allowed", f->allowed) && json_add_double(o, "recorded", f->recorded);
    ok = ok && set_member(o, "reason", f->reason != NULL ? sentence_json(f->reason) : cJSON_CreateNull());
    return ok && cJSON_AddStringToObject(o, "message", f->message) != NULL;
}

cJSON *gate_json(const gate_subject *subject, const gate_findings *findings)
{
    cJSON *o = cJSON_CreateObject(), *list = NULL;
    bool ok = o != NULL && cJSON_AddStringToObject(o, "results", subject->results) != NULL;
    ok = ok && cJSON_AddStringToObject(o, "baseline", subject->baseline) != NULL;
    ok = ok && cJSON_AddBoolToObject(o, "passed", findings->outcomes[GATE_FAILED] == 0) != NULL;
    ok = ok && json_add_size(o, "cases", findings->cases);
    for (int outcome = GATE_PASSED; outcome <= GATE_FAILED; outcome++)
        ok = ok && json_add_size(o, gate_outcome_name((gate_outcome)outcome), findings->outcomes[outcome]);
    ok = ok && (list = cJSON_AddArrayToObject(o, "limits")) != NULL;
    for (size_t i = 0; i < findings->count && ok; i++) ok = add_finding(list, &findings->list[i]);
    if (ok) return o;
    cJSON_Delete(o);
    return NULL;
}
