/* section_attribution.c - whose doing the speed-up and the saving are, and which stages need each other. */
#include <math.h>
#include <string.h>

#include "harness/report/sections.h"
#include "optimizer/json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static bool is_lattice(const cJSON *entry)
{
    return strcmp(view_text(entry, "method", ""), "shapley") == 0;
}

static bool of_group(const report_view *v, const cJSON *entry, size_t group)
{
    const result_case *c = view_case(v, view_text(entry, "all_on", ""));
    return c != NULL && c->group == group;
}

static const char *format_of(const report_view *v, const cJSON *entry)
{
    const result_case *c = view_case(v, view_text(entry, "all_on", ""));
    return c != NULL ? c->quantize : "";
}

static void put_factor(page *p, const cJSON *factor)
{
    char text[NUMBER];
    view_ratio(view_number(factor, "value"), view_number(factor, "low"), view_number(factor, "high"), text,
               sizeof text);
    page_cell(p, TONE_PLAIN, "%s", text);
}

static void put_share(page *p, const cJSON *share)
{
    const double value = view_number(share, "value"), low = view_number(share, "low"),
                 high = view_number(share, "high");
    if (isnan(value))
        page_cell(p, TONE_QUIET, "-");
    else if (isnan(low))
        page_cell(p, TONE_PLAIN, "%.0f%%", 100.0 * value);
    else
        page_cell(p, TONE_PLAIN, "%.0f%% (%.0f to %.0f)", 100.0 * value, 100.0 * low, 100.0 * high);
}

static void put_bytes(page *p, double bytes)
{
    char text[NUMBER];
    view_bytes(fabs(bytes), text, sizeof text);
    page_cell(p, TONE_PLAIN, "%s%s", bytes < 0.0 ? "-" : "", text);
}

/* The kernel counts one peak for a process: a saving only where it is beyond what one program's two peaks are apart. */
static void put_peak(page *p, const cJSON *stage)
{
    char noise[NUMBER];
    view_bytes(view_number(stage, "peak_rss_noise"), noise, sizeof noise);
    if (strcmp(view_text(stage, "peak_rss", ""), "not shown") == 0)
        page_cell(p, TONE_QUIET, "not shown, within %s", noise);
    else
        put_bytes(p, view_number(stage, "peak_rss_saved"));
}

/* ---- shares ----------------------------------------------------------------------------------------------------- */

static void put_shares(page *p, const report_view *v, size_t group)
{
    static const page_column columns[] = {
        {"Format", false},     {"Stage", false},   {"Share, as a factor", true}, {"Of the speed-up", true},
        {"Bytes saved", true}, {"Of those", true}, {"Of the peak, saved", true}};
    const cJSON *entry = NULL, *stage = NULL;
    page_table_begin(p, "Each stage's share; the factors of a format multiply to its speed over all stages off",
                     columns, COUNT(columns), false);
    cJSON_ArrayForEach(entry, json_find(v->r->root, "attribution"))
    {
        if (!of_group(v, entry, group) || !is_lattice(entry)) continue;
        const double all = view_number(entry, "bytes_saved");
        cJSON_ArrayForEach(stage, json_find(entry, "stages"))
        {
            char part[NUMBER];
            const double bytes = view_number(stage, "bytes_saved");
            view_plain("%.0f%%", all > 0.0 ? 100.0 * bytes / all : NAN, part, sizeof part);
            page_cell(p, TONE_PLAIN, "%s", format_of(v, entry));
            page_cell(p, TONE_PLAIN, "%s", view_text(stage, "stage", ""));
            put_factor(p, json_find(stage, "factor"));
            put_share(p, json_find(stage, "share"));
            put_bytes(p, bytes);
            page_cell(p, TONE_PLAIN, "%s", part);
            put_peak(p, stage);
        }
    }
    page_table_end(p);
}

/* ---- pairs ------------------------------------------------------------------------------------------------------ */

static void put_pairs(page *p, const report_view *v, size_t group)
{
    static const page_column columns[] = {{"Format", false},      {"Stage", false},      {"With", false},
                                          {"That one off", true}, {"That one on", true}, {"On over off", true},
                                          {"Together", false}};
    const cJSON *entry = NULL, *pair = NULL;
    page_fold_begin(p, "What each stage is worth while another is off and on");
    page_table_begin(p, "Pairs of stages: times as fast by adding the first, averaged over the other two", columns,
                     COUNT(columns), false);
    cJSON_ArrayForEach(entry, json_find(v->r->root, "attribution"))
    {
        if (!of_group(v, entry, group) || !is_lattice(entry)) continue;
        cJSON_ArrayForEach(pair, json_find(entry, "interactions"))
        {
            page_cell(p, TONE_PLAIN, "%s", format_of(v, entry));
            page_cell(p, TONE_PLAIN, "%s", view_text(pair, "first", ""));
            page_cell(p, TONE_PLAIN, "%s", view_text(pair, "second", ""));
            put_factor(p, json_find(pair, "first_while_second_off"));
            put_factor(p, json_find(pair, "first_while_second_on"));
            put_factor(p, json_find(pair, "factor"));
            page_cell(p, TONE_PLAIN, "%s", view_text(pair, "together", ""));
        }
    }
    page_table_end(p);
    page_fold_end(p);
}

/* The pair's sentence; the other stage's side of it where that says "only". */
static void put_pair_sentences(page *p, const cJSON *entry)
{
    const cJSON *pair = NULL;
    bool open = false;
    cJSON_ArrayForEach(pair, json_find(entry, "interactions"))
    {
        const char *sides[] = {view_text(pair, "sentence", NULL), view_text(pair, "sentence_second", NULL)};
        for (size_t side = 0; side < COUNT(sides); side++) {
            if (sides[side] == NULL || (side == 1 && strstr(sides[side], " only ") == NULL)) continue;
            if (!open) page_list_begin(p);
            open = true;
            page_item(p, "%s", sides[side]);
        }
    }
    if (open) page_list_end(p);
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

static void put_group(page *p, const report_view *v, size_t group)
{
    const cJSON *entry = NULL;
    size_t whole = 0, entries = 0;
    cJSON_ArrayForEach(entry, json_find(v->r->root, "attribution"))
    {
        if (!of_group(v, entry, group)) continue;
        entries++;
        whole += is_lattice(entry);
    }
    if (entries == 0) return;
    view_group_heading(p, v, group);
    if (whole > 0) {
        view_plot(
            p, v, "attribution", group,
            "From all stages off to all on: each bar is a stage's share of the way; thin lines are 95% intervals.");
        put_shares(p, v, group);
        cJSON_ArrayForEach(entry, json_find(v->r->root, "attribution"))
        {
            if (of_group(v, entry, group) && is_lattice(entry)) put_pair_sentences(p, entry);
        }
        put_pairs(p, v, group);
    }
    cJSON_ArrayForEach(entry, json_find(v->r->root, "attribution"))
    {
        if (!of_group(v, entry, group) || is_lattice(entry)) continue;
        page_text(
            p,
            "%s: %.0f of its sixteen settings were not measured (%s), so there are no shares: the table of stages "
            "above has each stage alone (isolation) and left out (leave-one-out).",
            case_variant_name(view_case(v, view_text(entry, "all_on", ""))), view_number(entry, "missing"),
            view_text(entry, "reason", "unknown"));
    }
}

void section_attribution(page *p, const report_view *v)
{
    const cJSON *attribution = json_find(v->r->root, "attribution");
    if (attribution == NULL || attribution->child == NULL) return;
    page_section(p, "attribution", "Whose doing is it?");
    page_text(
        p,
        "Where all sixteen settings of the four stages were measured, each stage's share is Shapley's: what adding "
        "it changes, averaged over all orders in which the four can be added. Shares multiply to the whole "
        "speed-up and add to all the bytes. Their intervals resample rounds (bootstrap); bytes of the accounted "
        "total are counted and have none. The kernel's peak is one figure of each process: what lies within the "
        "difference of the peaks of tuned and its A/A twin is not shown. That stages are worth more or less together, "
        "or only one with the other, comes from those intervals one by one: they are not corrected for how many "
        "pairs there are, so that of twenty pairs that are nothing one may be named.");
    for (size_t g = 0; g < v->r->group_count; g++) put_group(p, v, g);
}
