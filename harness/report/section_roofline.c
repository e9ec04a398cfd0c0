/* section_roofline.c - what bytes and arithmetic allow: every case beside its ceiling, and the best ratio to the tuned FP16 that
 * its bytes and operations leave. */
#include <math.h>

#include "harness/measure/likwid_bench.h"
#include "harness/report/plot_data.h"
#include "harness/report/sections.h"
#include "optimizer/json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool shown(const result_case *c, size_t group)
{
    return c->group == group && !c->twin && case_ok(c) && !isnan(case_number(c, "ceiling_tokens_per_s", NULL));
}

static void put_case(page *p, const result_case *c)
{
    char text[NUMBER];
    const cJSON *over_tuned = json_find(json_find(c->json, "ratios"), "tuned");
    const double most = case_number(c, "ceiling_tokens_per_s", NULL);
    const double reached = roofline_operations_per_s(c), ceiling = most * case_number(c, "ceiling", "flops_per_token");
    page_cell(p, TONE_CODE, "%s", case_variant_name(c));
    view_plain("%.2f", case_number(c, "bits_per_weight", NULL), text, sizeof text);
    page_cell(p, TONE_PLAIN, "%s", text);
    view_plain("%.3g", roofline_intensity(c), text, sizeof text);
    page_cell(p, TONE_PLAIN, "%s", text);
    view_plain("%.4g", reached / 1e9, text, sizeof text);
    page_cell(p, TONE_PLAIN, "%s", text);
    view_plain("%.4g", ceiling / 1e9, text, sizeof text);
    page_cell(p, TONE_PLAIN, "%s", text);
    page_cell(p, TONE_PLAIN, "%s", view_text(json_find(c->json, "ceiling"), "bound", "-"));
    view_plain("%.0f%%", 100.0 * reached / ceiling, text, sizeof text);
    page_cell(p, TONE_PLAIN, "%s", text);
    view_plain("%.2fx", view_number(over_tuned, "value"), text, sizeof text);
    page_cell(p, TONE_PLAIN, "%s", text);
    view_plain("%.2fx", view_number(over_tuned, "both_at_ceiling"), text, sizeof text);
    page_cell(p, TONE_PLAIN, "%s", text);
}

static void put_group(page *p, const report_view *v, size_t group)
{
    static const page_column columns[] = {
        {"Variant", false},       {"Bits a weight", true}, {"Operations a byte", true},
        {"GFLOP/s", true},        {"Ceiling", true},       {"Bound by", false},
        {"Of the ceiling", true}, {"Over tuned", true},    {"Best there is", true}};
    view_group_heading(p, v, group);
    view_plot(
        p, v, "roofline", group,
        "Rising lines: what can be read from memory and, where the cases fit, from the cache that holds them; level "
        "lines: what the arithmetic of an instruction set does. No case can be above its roof.");
    page_table_begin(p, "Every case under its ceiling", columns, COUNT(columns), false);
    for (size_t i = 0; i < v->r->case_count; i++)
        if (shown(&v->r->cases[i], group)) put_case(p, &v->r->cases[i]);
    page_table_end(p);
}

static bool any_shown(const report_view *v, size_t group)
{
    for (size_t i = 0; i < v->r->case_count; i++)
        if (shown(&v->r->cases[i], group)) return true;
    return false;
}

/* Both read alike, in one stream and without huge pages; results of an earlier version have the program's best only. */
static void put_checked(page *p, const char *loads, const cJSON *by_threads)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, by_threads)
    {
        if (!view_is_threads(item->string)) continue;
        char figures[3][NUMBER];
        const double plain = view_number(item, "own_plain");
        const double own = isnan(plain) ? view_number(item, "own") : plain, theirs = view_number(item, "likwid_bench");
        const double apart = theirs >= 1.0 ? own / theirs - 1.0 : NAN; /* a byte a second: nobody was measured */
        view_plain("%.2f", own / 1e9, figures[0], NUMBER);
        view_plain("%.2f", theirs / 1e9, figures[1], NUMBER);
        view_plain("%+.0f%%", 100.0 * apart, figures[2], NUMBER);
        page_cell(p, TONE_PLAIN, "%s", loads);
        page_cell(p, TONE_PLAIN, "%s", item->string);
        page_cell(p, TONE_PLAIN, "%s", figures[0]);
        page_cell(p, TONE_PLAIN, "%s", figures[1]);
        page_cell(p, fabs(apart) > LIKWID_BENCH_APART ? TONE_PARTLY : TONE_PLAIN, "%s", figures[2]);
    }
}

/* How the program's own figures compare with likwid-bench's, where that was run. */
static void put_cross_check(page *p, const cJSON *check)
{
    static const page_column columns[] = {{"Loads", false},
                                          {"Threads", true},
                                          {"This program, GB/s", true},
                                          {"likwid-bench, GB/s", true},
                                          {"Apart by", true}};
    const cJSON *by_threads = json_find(check, "bandwidth"), *narrower = NULL;
    if (check == NULL) return;
    if (by_threads == NULL) {
        page_text(p, "Bandwidth was not cross-checked: %s.", view_text(check, "reason", "no reason was recorded"));
        return;
    }
    page_table_begin(p, "Bandwidth in one stream and without huge pages, cross-checked", columns, COUNT(columns),
                     false);
    put_checked(p, view_text(check, "test", "load"), by_threads);
    cJSON_ArrayForEach(narrower, json_find(check, "narrower_loads"))
        put_checked(p, view_text(narrower, "test", "load"), json_find(narrower, "bandwidth"));
    page_table_end(p);
    cJSON_ArrayForEach(narrower, json_find(check, "narrower_loads")) if (json_find(narrower, "reason") != NULL)
        page_text(p, "The loads of %s were not cross-checked: %s.", narrower->string,
                  view_text(narrower, "reason", ""));
}

void section_roofline(page *p, const report_view *v)
{
    bool any = false;
    for (size_t g = 0; g < v->r->group_count; g++) any = any || any_shown(v, g);
    if (!results_timed(v->r->root) || !any) return;
    page_section(p, "roofline", "What bytes and arithmetic allow");
    page_text(p,
              "\"Best there is\" is the ratio of two ceilings: how many times as fast as tuned FP16 a variant could be "
              "if both "
              "were as good as their bytes, their operations and this machine allow. A claim above it cannot be met by "
              "that variant over an FP16 that is as good.");
    for (size_t g = 0; g < v->r->group_count; g++)
        if (any_shown(v, g)) put_group(p, v, g);
    put_cross_check(p, json_find(json_find(v->r->root, "machine"), "cross_check"));
}
