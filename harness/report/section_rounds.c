/* section_rounds.c - whether the rounds of each slot were alike, so that a reader knows what a median stands for. */
#include <math.h>
#include <string.h>

#include "harness/report/sections.h"
#include "optimizer/json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct flag_counts {
    size_t series, outliers, warm_up, drift;
} flag_counts;

static bool has_flag(const cJSON *series, const char *flag)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, json_find(series, "flags"))
    {
        if (cJSON_IsString(item) && strcmp(item->valuestring, flag) == 0) return true;
    }
    return false;
}

static void count_flags(const cJSON *series, flag_counts *counts)
{
    counts->series++;
    counts->outliers += has_flag(series, "outliers");
    counts->warm_up += has_flag(series, "warm-up");
    counts->drift += has_flag(series, "drift");
}

/* Outliers alone are no news on a shared machine: they are counted, and not listed. */
static bool listed(const cJSON *series)
{
    return has_flag(series, "warm-up") || has_flag(series, "drift");
}

static void put_row(page *p, const char *id, const char *what, const cJSON *series)
{
    char drift[NUMBER], warm_up[NUMBER];
    view_plain("%+.1f%%", has_flag(series, "drift") ? 100.0 * view_number(series, "drift") : NAN, drift, sizeof drift);
    const double rounds = view_number(series, "warm_up_rounds");
    view_plain("%.0f", rounds > 0.0 ? rounds : NAN, warm_up, sizeof warm_up);
    page_cell(p, TONE_CODE, "%s", id);
    page_cell(p, TONE_PLAIN, "%s", what);
    page_cell(p, TONE_PLAIN, "%s", warm_up);
    page_cell(p, TONE_PLAIN, "%s", drift);
    page_cell(p, TONE_PLAIN, "%.0f", view_number(series, "outliers"));
}

static void each_series(const report_view *v, page *p, flag_counts *times, flag_counts *ratios)
{
    for (size_t b = 0; b < v->r->block_count; b++) {
        const cJSON *all = json_find(v->r->blocks[b].json, "series");
        for (const cJSON *series = all != NULL ? all->child : NULL; series != NULL; series = series->next) {
            count_flags(series, times);
            if (p != NULL && listed(series)) put_row(p, series->string, "its time", series);
        }
    }
    for (size_t i = 0; i < v->r->case_count; i++) {
        const cJSON *ratio = json_find(json_find(v->r->cases[i].json, "ratios"), "tuned");
        if (ratio == NULL) continue;
        count_flags(ratio, ratios);
        if (p != NULL && listed(ratio)) put_row(p, v->r->cases[i].id, "its ratio over tuned", ratio);
    }
}

static void put_list(page *p, const report_view *v)
{
    static const page_column columns[] = {{"Case", false},
                                          {"Of", false},
                                          {"Rounds of warm-up", true},
                                          {"Drift, first to last", true},
                                          {"Outliers", true}};
    flag_counts times = {0}, ratios = {0};
    page_fold_begin(p, "Warm-up and drift, one by one");
    page_table_begin(p, "Series with a beginning unlike the rest, or a trend", columns, COUNT(columns), false);
    each_series(v, p, &times, &ratios);
    page_table_end(p);
    page_fold_end(p);
}

/* Which of the two ended the rounds, case by case. */
static void put_precision(page *p, const report_view *v)
{
    static const page_column columns[] = {
        {"Case", false}, {"Known within", true}, {"Rounds", true}, {"Ended by", false}};
    size_t cases = 0, narrow = 0;
    const double asked = view_number(v->r->root, "precision");
    if (isnan(asked)) return;
    for (size_t i = 0; i < v->r->case_count; i++) {
        const cJSON *precision = json_find(v->r->cases[i].json, "precision");
        cases += precision != NULL;
        narrow += strcmp(view_text(precision, "stopped_by", ""), "precision") == 0;
    }
    page_text(p,
              "Rounds were added until the speed of every case over tuned was known within %.3g%% either way, or the "
              "time ended: %zu of %zu cases are known so well.",
              100.0 * asked, narrow, cases);
    if (cases == 0) return;
    page_fold_begin(p, "How well each speed is known");
    page_table_begin(p,
                     "Half the width of each interval, made so wide that it holds 95% of the time although its width "
                     "ended the rounds",
                     columns, COUNT(columns), false);
    for (size_t i = 0; i < v->r->case_count; i++) {
        const result_case *c = &v->r->cases[i];
        const cJSON *precision = json_find(c->json, "precision");
        if (precision == NULL) continue;
        const char *by = view_text(precision, "stopped_by", "interrupted");
        page_cell(p, TONE_CODE, "%s", c->id);
        page_cell(p, TONE_PLAIN, "%.2f%%", 100.0 * view_number(precision, "reached"));
        page_cell(p, TONE_PLAIN, "%.0f", view_number(json_find(json_find(c->json, "ratios"), "tuned"), "rounds"));
        page_cell(p, strcmp(by, "precision") == 0 ? TONE_YES : TONE_UNKNOWN, "%s", by);
    }
    page_table_end(p);
    page_fold_end(p);
}

void section_rounds(page *p, const report_view *v)
{
    flag_counts times = {0}, ratios = {0};
    if (!results_timed(v->r->root)) return;
    each_series(v, NULL, &times, &ratios);
    if (times.series == 0) return;
    page_section(p, "rounds", "Were the rounds alike?");
    page_text(
        p,
        "Of %zu series of times, %zu have outliers (farther from the median than 3.5 scaled MADs), %zu begin with "
        "rounds unlike the rest, %zu drift. Of the %zu ratios over tuned, which verdicts are made from, %zu have "
        "outliers, %zu such a beginning, %zu drift. Every round is kept: a median hardly moves for a few, and "
        "drift that hits all alike cancels in a ratio.",
        times.series, times.outliers, times.warm_up, times.drift, ratios.series, ratios.outliers, ratios.warm_up,
        ratios.drift);
    if (ratios.drift > 0)
        page_alert(p, "%zu ratio%s over tuned changed%s while it was measured: the median stands for no single state.",
                   ratios.drift, ratios.drift == 1 ? "" : "s", ratios.drift == 1 ? "" : ", each");
    put_precision(p, v);
    if (times.warm_up + times.drift + ratios.warm_up + ratios.drift > 0) put_list(p, v);
}
