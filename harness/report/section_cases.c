/* section_cases.c - speed, memory and error of every case: what was measured. */
#include <math.h>
#include <string.h>

#include "harness/report/memory_kinds.h"
#include "harness/report/sections.h"
#include "optimizer/json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool shown(const page *p, const report_view *v, size_t i, size_t group)
{
    const result_case *c = &v->r->cases[i];
    return c->group == group && !c->twin && case_ok(c) && view_shows(p, v, c);
}

static void put_name(page *p, const result_case *c)
{
    const char *name = case_variant_name(c);
    if (c->baseline != NULL && strcmp(c->baseline, name) != 0)
        page_cell(p, TONE_CODE, "%s (%s)", name, c->baseline);
    else
        page_cell(p, TONE_CODE, "%s", name);
}

/* ---- speed ------------------------------------------------------------------------------------------------------ */

static void put_ratio(page *p, const result_case *c, const char *baseline)
{
    char text[NUMBER];
    const cJSON *ratio = json_find(json_find(c->json, "ratios"), baseline);
    view_ratio(view_number(ratio, "value"), view_number(ratio, "low"), view_number(ratio, "high"), text, sizeof text);
    page_cell(p, TONE_PLAIN, "%s", text);
}

/* Tokens per second that compare across blocks: a case was measured in one block and the baselines in all, and blocks
 * differ in what disturbed them. tuned was in every one; so its own median over all, times the ratio over tuned of the
 * rounds that both were in. Without a ratio there is only the case's own median. */
static double comparable_speed(const report_view *v, const result_case *c)
{
    const result_case *tuned = v->r->groups[c->group].tuned;
    const double ratio = view_number(json_find(json_find(c->json, "ratios"), "tuned"), "value");
    if (!case_ok(tuned) || c == tuned || isnan(ratio)) return case_number(c, "tokens_per_s", NULL);
    return case_number(tuned, "tokens_per_s", NULL) * ratio;
}

static void put_speed_group(page *p, const report_view *v, size_t group)
{
    static const page_column columns[] = {{"Variant", false},    {"Tokens/s", true},          {"Time, ms", true},
                                          {"Over tuned", true},  {"Over naive", true},        {"Over openblas", true},
                                          {"Over onednn", true}, {"Ceiling, tokens/s", true}, {"Of the ceiling", true},
                                          {"Bound by", false}};
    char speed[NUMBER], time[NUMBER], ceiling[NUMBER], share[NUMBER];
    view_group_heading(p, v, group);
    view_plot(p, v, "speedup", group,
              "Times as fast as tuned. Blue: everything on; orange: baselines; grey: other variants. Bars are 95% "
              "intervals, often narrower than the points.");
    page_table_begin(p,
                     "Speed of every variant. tuned: the median of all its rounds. Every other row: that, times its "
                     "ratio over tuned, so that rows compare although not all ran in the same rounds; times follow "
                     "from speeds, and results.json has the raw samples",
                     columns, COUNT(columns), false);
    for (size_t i = 0; i < v->r->case_count; i++) {
        if (!shown(p, v, i, group)) continue;
        const result_case *c = &v->r->cases[i];
        const result_group *of = &v->r->groups[group];
        const double reached = comparable_speed(v, c), most = case_number(c, "ceiling_tokens_per_s", NULL);
        const double low = 1e3 * case_number(c, "latency_s", "low"), high = 1e3 * case_number(c, "latency_s", "high");
        view_plain(reached < 1000.0 ? "%.4g" : "%.0f", reached, speed, sizeof speed);
        view_plain(most < 1000.0 ? "%.4g" : "%.0f", most, ceiling, sizeof ceiling);
        view_plain("%.0f%%", 100.0 * reached / most, share, sizeof share);
        const double milliseconds = 1e3 * (double)of->tokens * (double)of->batch / reached;
        if (isnan(low) || c != of->tuned)
            view_plain("%.4g", milliseconds, time, sizeof time);
        else
            snprintf(time, sizeof time, "%.4g (%.4g to %.4g)", milliseconds, low, high);
        put_name(p, c);
        page_cell(p, TONE_PLAIN, "%s", speed);
        page_cell(p, TONE_PLAIN, "%s", time);
        put_ratio(p, c, "tuned");
        put_ratio(p, c, "naive");
        put_ratio(p, c, "openblas");
        put_ratio(p, c, "onednn");
        page_cell(p, TONE_PLAIN, "%s", ceiling);
        page_cell(p, TONE_PLAIN, "%s", share);
        page_cell(p, TONE_PLAIN, "%s", view_text(json_find(c->json, "ceiling"), "bound", "-"));
    }
    page_table_end(p);
}

void section_speed(page *p, const report_view *v)
{
    page_section(p, "speed", "Speed of every variant");
    if (!results_timed(v->r->root)) {
        page_text(p, "Nothing was timed: this suite is about errors and bytes, so there is no speed to show.");
        return;
    }
    page_text(
        p, "Ratios are medians of ratios taken within one round. The ceiling is what the bytes read and the "
           "operations done for each token allow, at the bandwidth measured over a buffer as large as what is read "
           "again and again (so a cache's bandwidth where that fits into one) and at this machine's arithmetic peak.");
    view_note_left_out(p, v);
    for (size_t g = 0; g < v->r->group_count; g++) put_speed_group(p, v, g);
}

/* ---- memory ----------------------------------------------------------------------------------------------------- */

static void put_bytes(page *p, double value)
{
    char bytes[NUMBER];
    view_bytes(value, bytes, sizeof bytes);
    page_cell(p, TONE_PLAIN, "%s", bytes);
}

static void put_memory_group(page *p, const report_view *v, size_t group)
{
    enum { COLUMNS = MEMORY_KINDS + 3 };
    page_column columns[COLUMNS] = {{"Variant", false}};
    for (size_t k = 0; k < MEMORY_KINDS; k++) columns[k + 1] = (page_column){memory_kind_titles[k], true};
    columns[COLUMNS - 2] = (page_column){"Accounted total", true};
    columns[COLUMNS - 1] = (page_column){"Peak of the process", true};
    view_group_heading(p, v, group);
    view_plot(
        p, v, "memory", group,
        "Bytes by what they are for. The cross is the process's peak as the kernel saw it: it adds the program and its "
        "libraries, and counts mapped pages only once they are touched.");
    page_table_begin(p, "Memory of every variant: the kinds add up to the total", columns, COLUMNS, false);
    for (size_t i = 0; i < v->r->case_count; i++) {
        double bytes[MEMORY_KINDS];
        if (!shown(p, v, i, group)) continue;
        put_name(p, &v->r->cases[i]);
        memory_kinds_of(&v->r->cases[i], bytes);
        for (size_t k = 0; k < MEMORY_KINDS; k++) put_bytes(p, bytes[k]);
        put_bytes(p, case_number(&v->r->cases[i], "memory_bytes", "total"));
        put_bytes(p, case_number(&v->r->cases[i], "memory_bytes", "peak_rss"));
    }
    page_table_end(p);
}

static bool any_after_load(const page *p, const report_view *v, size_t group)
{
    for (size_t i = 0; i < v->r->case_count; i++)
        if (shown(p, v, i, group) && json_find(json_find(v->r->cases[i].json, "memory_bytes"), "after_load") != NULL)
            return true;
    return false;
}

/* What is there once a variant is loaded, as tagged and as the kernel saw it, beside what the kernel saw after the run. */
static void put_steady_group(page *p, const report_view *v, size_t group)
{
    static const char *const kinds[] = {"weights", "mapped", "kv_cache", "activations", "workspace", "other", "total"};
    static const page_column columns[] = {{"Variant", false},
                                          {"Weights", true},
                                          {"Mapped", true},
                                          {"KV cache", true},
                                          {"Activations", true},
                                          {"Workspace", true},
                                          {"Other", true},
                                          {"Total", true},
                                          {"Resident", true},
                                          {"Resident, of files", true},
                                          {"Resident after the run", true}};
    if (!any_after_load(p, v, group)) return;
    page_fold_begin(p, "Steady memory after loading, and after the run");
    page_table_begin(p,
                     "By kind after loading and one repetition; resident as the kernel saw the process, then and after "
                     "the run",
                     columns, COUNT(columns), false);
    for (size_t i = 0; i < v->r->case_count; i++) {
        const result_case *c = &v->r->cases[i];
        const cJSON *memory = json_find(c->json, "memory_bytes"), *after = json_find(memory, "after_load");
        if (!shown(p, v, i, group) || after == NULL) continue;
        put_name(p, c);
        for (size_t k = 0; k < COUNT(kinds); k++) put_bytes(p, view_number(after, kinds[k]));
        put_bytes(p, view_number(json_find(after, "kernel"), "rss"));
        put_bytes(p, view_number(json_find(after, "kernel"), "file"));
        put_bytes(p, view_number(json_find(memory, "kernel"), "rss"));
    }
    page_table_end(p);
    page_fold_end(p);
}

void section_memory(page *p, const report_view *v)
{
    page_section(p, "memory", "Memory by kind");
    page_text(
        p, "Two figures, because they answer different questions. The accounted total is what the model needs and what "
           "grows with it. The peak is what the kernel counted for a process that did nothing else; for a small model "
           "the program itself weighs in it.");
    for (size_t g = 0; g < v->r->group_count; g++) {
        put_memory_group(p, v, g);
        put_steady_group(p, v, g);
    }
}

/* ---- accuracy --------------------------------------------------------------------------------------------------- */

/* "0.0123 +- 0.0004" */
static void put_with_error(page *p, const result_case *c, const char *key, const char *error_key)
{
    const double value = case_number(c, "accuracy", key), error = case_number(c, "accuracy", error_key);
    if (isnan(value))
        page_cell(p, TONE_QUIET, "-");
    else if (isnan(error))
        page_cell(p, TONE_PLAIN, "%.3g", value);
    else
        page_cell(p, TONE_PLAIN, "%.3g \xc2\xb1 %.1g", value, error);
}

static void put_accuracy_group(page *p, const report_view *v, size_t group)
{
    static const page_column columns[] = {
        {"Variant", false},       {"Bits per weight", true}, {"Mean error", true},
        {"Largest error", true},  {"Relative L2", true},     {"KL, nats", true},
        {"NLL rise, nats", true}, {"Perplexity", true},      {"Same next word", true}};
    char text[NUMBER];
    view_group_heading(p, v, group);
    view_plot(p, v, "error", group, "Mean absolute error of the logits against the FP16 reference.");
    page_table_begin(p, "Accuracy of every variant against the FP16 reference", columns, COUNT(columns), false);
    for (size_t i = 0; i < v->r->case_count; i++) {
        if (!shown(p, v, i, group)) continue;
        const result_case *c = &v->r->cases[i];
        put_name(p, c);
        view_plain("%.2f", case_number(c, "bits_per_weight", NULL), text, sizeof text);
        page_cell(p, TONE_PLAIN, "%s", text);
        if (cJSON_IsFalse(json_find(json_find(c->json, "accuracy"), "finite"))) {
            page_cell(p, TONE_NO, "NaN or infinite logits");
            for (size_t rest = 3; rest < COUNT(columns); rest++) page_cell(p, TONE_QUIET, "-");
            continue;
        }
        static const char *const plain[] = {"mean_abs_error", "max_abs_error", "relative_l2"};
        for (size_t k = 0; k < COUNT(plain); k++) put_with_error(p, c, plain[k], "");
        put_with_error(p, c, "kl", "kl_error");
        put_with_error(p, c, "nll_rise", "nll_rise_error");
        view_plain("%.2f", case_number(c, "accuracy", "perplexity"), text, sizeof text);
        page_cell(p, TONE_PLAIN, "%s", text);
        view_plain("%.1f%%", 100.0 * case_number(c, "accuracy", "top1_agreement"), text, sizeof text);
        page_cell(p, TONE_PLAIN, "%s", text);
    }
    page_table_end(p);
}

/* One weight among millions moves no error that one could see; so all are compared. */
static void put_weight_checks(page *p, const report_view *v)
{
    size_t cases = 0;
    double checked = 0.0, unchecked = 0.0, seconds = 0.0;
    for (size_t i = 0; i < v->r->case_count; i++) {
        const cJSON *found = json_find(v->r->cases[i].json, "weight_check");
        if (isnan(view_number(found, "checked")) || isnan(view_number(found, "unchecked"))) continue;
        cases++;
        checked += view_number(found, "checked");
        unchecked += view_number(found, "unchecked");
        if (view_number(found, "seconds") > 0.0) seconds += view_number(found, "seconds");
    }
    if (cases == 0) return;
    page_text(p,
              "In %zu of %zu cases the weights were made once more from the checkpoint and compared, bit for bit, with "
              "those that ran: %.0f weights in all, in %.0f s.%s",
              cases, v->r->case_count, checked, seconds, unchecked > 0.0 ? "" : " None was left out.");
    if (unchecked > 0.0)
        page_text(p, "%.0f weights could not be compared: calibration made them, and it is not run again.", unchecked);
}

void section_accuracy(page *p, const report_view *v)
{
    page_section(p, "accuracy", "Error by variant");
    page_text(
        p, "Errors are of the logits, whose standard deviation is about 1 in a small model. KL is what an observer "
           "could learn from one word about which of the two programs wrote it; the rise in NLL is its estimate from "
           "the words that the reference itself drew. \xc2\xb1 is one standard error.");
    put_weight_checks(p, v);
    for (size_t g = 0; g < v->r->group_count; g++) put_accuracy_group(p, v, g);
}

void section_tradeoff(page *p, const report_view *v)
{
    bool any = false;
    for (size_t g = 0; g < v->r->group_count; g++) any = any || plots_find(v->plots, "tradeoff", g) != NULL;
    if (!any) return;
    page_section(p, "tradeoff", "Speed against error");
    for (size_t g = 0; g < v->r->group_count; g++) {
        view_group_heading(p, v, g);
        view_plot(
            p, v, "tradeoff", g,
            "Every variant; blue: everything on. The claims want the upper left corner that the dashed lines cut off. "
            "The fastest of each format bears the name of that format.");
    }
}
