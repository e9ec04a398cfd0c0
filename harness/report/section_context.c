/* section_context.c - failures, the machine, the method and how to do it again. */
#include <math.h>
#include <string.h>

#include "harness/judge/ratios.h"
#include "harness/judge/statistics.h"
#include "harness/report/sections.h"
#include "optimizer/json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* A value of any kind on one line. */
static void put_value(page *p, const cJSON *value)
{
    if (value == NULL || cJSON_IsNull(value))
        page_cell(p, TONE_QUIET, "unknown");
    else if (cJSON_IsString(value))
        page_cell(p, TONE_PLAIN, "%s", value->valuestring);
    else if (json_is_number(value) && fabs(value->valuedouble) < 1e15 &&
             value->valuedouble == trunc(value->valuedouble))
        page_cell(p, TONE_PLAIN, "%.0f", value->valuedouble); /* a count, to its last digit */
    else if (json_is_number(value))
        page_cell(p, TONE_PLAIN, "%.6g", value->valuedouble);
    else if (cJSON_IsBool(value))
        page_cell(p, TONE_PLAIN, "%s", cJSON_IsTrue(value) ? "yes" : "no");
    else {
        char *text = cJSON_PrintUnformatted(value);
        page_cell(p, TONE_PLAIN, "%s", text != NULL ? text : "");
        cJSON_free(text);
    }
}

/* ---- failures --------------------------------------------------------------------------------------------------- */

void section_failures(page *p, const report_view *v)
{
    static const page_column columns[] = {{"Case", false}, {"Status", false}, {"Reason", false}};
    bool open = false;
    page_section(p, "failures", "Failed and skipped cases");
    for (size_t i = 0; i < v->r->case_count; i++) {
        const result_case *c = &v->r->cases[i];
        if (case_ok(c)) continue;
        if (!open) page_table_begin(p, "Cases without a measurement", columns, COUNT(columns), false);
        open = true;
        page_cell(p, TONE_CODE, "%s", c->id);
        page_cell(p, strcmp(c->status, "failed") == 0 ? TONE_NO : TONE_QUIET, "%s", c->status);
        page_cell(p, TONE_PLAIN, "%s", c->reason[0] != '\0' ? c->reason : "no reason was recorded");
    }
    if (open)
        page_table_end(p);
    else
        page_text(p, v->r->case_count > 0 ? "None: every case was measured." : "There were no cases.");
}

/* ---- machine ---------------------------------------------------------------------------------------------------- */

static void put_by_threads(page *p, const char *label, const cJSON *by_threads, double unit, const char *unit_name)
{
    for (const cJSON *entry = cJSON_IsObject(by_threads) ? by_threads->child : NULL; entry != NULL;
         entry = entry->next) {
        if (!json_is_number(entry) || !view_is_threads(entry->string)) continue;
        page_cell(p, TONE_PLAIN, "%s, %s thread%s", label, entry->string, strcmp(entry->string, "1") == 0 ? "" : "s");
        page_cell(p, TONE_PLAIN, "%.4g %s", entry->valuedouble / unit, unit_name);
    }
}

static void put_ceilings(page *p, const cJSON *machine)
{
    static const page_column columns[] = {{"What", false}, {"Measured", true}};
    static const struct {
        const char *key, *label, *unit_name;
    } peaks[] = {{"peak_flops_per_s", "FP32 multiply-add", "GFLOP/s"},
                 {"peak_bf16_ops_per_s", "bfloat16 dot product", "GFLOP/s"},
                 {"peak_int8_ops_per_s", "int8 dot product", "GOP/s"}};
    page_table_begin(p, "Ceilings of this machine, measured just before the run", columns, COUNT(columns), false);
    put_by_threads(p, "Memory, reading", json_find(machine, "bandwidth_bytes_per_s"), 1e9, "GB/s");
    for (size_t k = 0; k < COUNT(peaks); k++) {
        const cJSON *by_isa = json_find(machine, peaks[k].key);
        for (const cJSON *isa = cJSON_IsObject(by_isa) ? by_isa->child : NULL; isa != NULL; isa = isa->next) {
            char label[LABEL];
            snprintf(label, sizeof label, "%s, %.40s", peaks[k].label, isa->string);
            put_by_threads(p, label, isa, 1e9, peaks[k].unit_name);
        }
    }
    page_table_end(p);
}

/* A row of the record, or one for each member of an object; what could not be read has its reason. */
static void put_member(page *p, const cJSON *unread, const cJSON *entry, const char *of)
{
    const char *why = view_text(unread, entry->string, NULL);
    if (cJSON_IsObject(entry) && of == NULL) {
        for (const cJSON *item = entry->child; item != NULL; item = item->next)
            put_member(p, unread, item, entry->string);
        return;
    }
    page_cell(p, TONE_PLAIN, "%s%s%s", of != NULL ? of : "", of != NULL ? ", " : "", entry->string);
    if (cJSON_IsNull(entry) && why != NULL)
        page_cell(p, TONE_QUIET, "unknown: %s", why);
    else
        put_value(p, entry);
}

void section_machine(page *p, const report_view *v)
{
    static const page_column columns[] = {{"What", false}, {"This machine", false}};
    const cJSON *machine = json_find(v->r->root, "machine");
    page_section(p, "machine", "The machine and its ceilings");
    put_ceilings(p, machine);
    section_bandwidth(p, v);
    page_table_begin(p, "Machine record", columns, COUNT(columns), false);
    for (const cJSON *entry = machine->child; entry != NULL; entry = entry->next) {
        static const char *const elsewhere[] = {"warnings",
                                                "counters",
                                                "bandwidth_bytes_per_s",
                                                "bandwidth_by_isa_bytes_per_s",
                                                "peak_flops_per_s",
                                                "peak_bf16_ops_per_s",
                                                "peak_int8_ops_per_s",
                                                "unread",
                                                "cross_check"};
        bool skip = false;
        for (size_t k = 0; k < COUNT(elsewhere); k++) skip = skip || strcmp(entry->string, elsewhere[k]) == 0;
        if (!skip) put_member(p, json_find(machine, "unread"), entry, NULL);
    }
    page_table_end(p);
}

/* ---- method ----------------------------------------------------------------------------------------------------- */

static void put_noise(page *p, const report_view *v)
{
    static const page_column columns[] = {
        {"Case", false}, {"Block", true}, {"Rounds", true}, {"Ratio to itself", true}, {"Noise floor", true}};
    char ratio[NUMBER], floor[NUMBER];
    const cJSON *floors = json_find(v->r->root, "noise_floor");
    if (floors->child == NULL) return;
    page_table_begin(p, "tuned against itself (A/A)", columns, COUNT(columns), false);
    for (const cJSON *entry = floors->child; entry != NULL; entry = entry->next) {
        view_ratio(view_number(entry, "ratio"), view_number(entry, "low"), view_number(entry, "high"), ratio,
                   sizeof ratio);
        view_plain("%.2f%%", 100.0 * view_number(entry, "floor"), floor, sizeof floor);
        page_cell(p, TONE_CODE, "%s", view_text(entry, "case", ""));
        page_cell(p, TONE_PLAIN, "%.0f", view_number(entry, "block"));
        page_cell(p, TONE_PLAIN, "%.0f", view_number(entry, "rounds"));
        page_cell(p, TONE_PLAIN, "%s", ratio);
        page_cell(p, TONE_PLAIN, "%s", floor);
    }
    page_table_end(p);
}

void section_method(page *p, const report_view *v)
{
    page_section(p, "method", "How these numbers were made");
    page_list_begin(p);
    if (!results_timed(v->r->root)) {
        page_item(p, "Nothing was timed: each variant was loaded in a process of its own, one after the other, and its "
                     "logits compared with the reference's over the same positions of the same texts.");
        page_item(p, "Where codes were found by calibration, that ran on other texts than those that errors are "
                     "measured on; a process's peak of memory includes it.");
        page_item(p, "\xc2\xb1 is one standard error, as if positions were independent; neighbouring ones are not "
                     "quite. Bytes are counted, not sampled.");
        page_list_end(p);
        return;
    }
    page_item(
        p,
        "Every variant ran in a process of its own. The processes of one workload were alive together, asked one at "
        "a time, round after round, in a seeded order in which each follows each other equally often: drift hits all "
        "alike, and ratios are taken within a round.");
    if (json_find(json_find(v->r->root, "machine"), "thread_binding") != NULL)
        page_item(p, "Each of its threads was bound to a core of its own.");
    page_item(
        p,
        "Intervals are of the median, by order statistics (the sign test turned round): they assume no distribution, "
        "and their coverage is exact, at least 95%%. Fewer than %zu rounds allow none, and then nothing is decided.",
        interval_least_values(CONFIDENCE));
    if (results_precise(v->r))
        page_item(
            p,
            "Rounds were added until intervals were narrow, and stopping there costs coverage. Intervals of speed "
            "are therefore made at %.1f%%, and were looked at only when their rounds had doubled: in simulations, of "
            "normal and of Laplace's noise, at least %.0f%% then hold the median. That is simulated, not exact.",
            100.0 * PRECISION_CONFIDENCE, 100.0 * CONFIDENCE);
    page_item(
        p,
        "tuned ran twice in each round. How far its ratio to itself may be from 1 is the noise floor of that block: "
        "every interval is widened by the worst floor of the blocks it is from before it is judged, and a difference "
        "within it is not called one.");
    page_item(
        p,
        "A claim is supported when the widened interval keeps its bound, refuted when all of it lies beyond, and "
        "otherwise inconclusive. Speeds are judged together: by Holm's correction over all cases of the suite and "
        "all their baselines, the chance that even one that sits exactly on its bound is called stays below "
        "%.0f%%, however many there are. It takes more rounds than a single interval does.",
        100.0 * FAMILY_LEVEL);
    page_item(p, "Beside that interval results.json has one by resampling the rounds (bootstrap). It is a little too "
                 "narrow for so few rounds, and decides nothing.");
    page_item(
        p, "The rise in perplexity has a normal interval over paired tokens; neighbouring tokens are not quite "
           "independent, so it is a little narrow. The mean absolute error is a mean over the positions compared and "
           "has no interval here: within 10%% of its bound it decides nothing. Bytes are counted, not sampled.");
    page_item(
        p,
        "Errors belong to the timed program: its outputs while it was timed were compared with those whose error was "
        "measured.");
    page_list_end(p);
    put_noise(p, v);
}

/* ---- again ------------------------------------------------------------------------------------------------------ */

void section_reproduce(page *p, const report_view *v)
{
    static const page_column columns[] = {{"What", false}, {"This run", false}};
    static const char *const keys[] = {"suite",    "suite_file",   "suite_sha256",   "seed",          "started",
                                       "finished", "isa_override", "schema_version", "content_sha256"};
    const cJSON *root = v->r->root, *program = json_find(root, "program");
    char line[4096];
    page_section(p, "reproduce", "How to do it again");
    if (view_command(root, line, sizeof line))
        page_code(p, line);
    else
        page_text(p, "The command was not recorded, or is too long to be shown.");
    page_table_begin(p, "What was run", columns, COUNT(columns), false);
    for (const cJSON *entry = cJSON_IsObject(program) ? program->child : NULL; entry != NULL; entry = entry->next) {
        page_cell(p, TONE_PLAIN, "program, %s", entry->string);
        put_value(p, entry);
    }
    const cJSON *checkpoint = NULL;
    cJSON_ArrayForEach(checkpoint, json_find(root, "checkpoints"))
    {
        page_cell(p, TONE_PLAIN, "checkpoint %s, sha256 of its files", view_text(checkpoint, "name", ""));
        put_value(p, json_find(checkpoint, "sha256"));
    }
    for (size_t k = 0; k < COUNT(keys); k++) {
        page_cell(p, TONE_PLAIN, "%s", keys[k]);
        put_value(p, json_find(root, keys[k]));
    }
    page_table_end(p);
    page_text(p, "results.json beside this page's data holds every sample; ciuic report judges it again from those.");
}
