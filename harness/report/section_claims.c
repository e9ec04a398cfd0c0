/* section_claims.c - claim by claim: where it holds, where it does not, what it would take, and every figure behind that. */
#include <math.h>
#include <string.h>

#include "harness/judge/claims.h"
#include "harness/judge/verdicts.h"
#include "harness/plain_text.h"
#include "harness/report/sections.h"
#include "optimizer/json.h"

enum { BASELINES = 5 };
static const char *const baselines[BASELINES] = {"tuned", "naive", "openblas", "onednn", "reference"};

/* The verdicts of one claim and case, by baseline; NULL where there is none. */
typedef struct verdict_row {
    const result_case *c;
    const cJSON *by_baseline[BASELINES];
} verdict_row;

/* Those of one claim and case stand one after the other: takes the first of them at *entry, and moves it behind the last. */
static verdict_row take_row(const report_view *v, const char *claim_id, const cJSON **entry)
{
    verdict_row row = {0};
    const char *id = NULL;
    for (; *entry != NULL; *entry = (*entry)->next) {
        const bool mine = strcmp(view_text(*entry, "claim", ""), claim_id) == 0;
        if (id == NULL && !mine) continue;
        if (id != NULL && (!mine || strcmp(view_text(*entry, "case", ""), id) != 0)) return row;
        if (id == NULL) {
            id = view_text(*entry, "case", "");
            row.c = view_case(v, id);
        }
        for (size_t b = 0; b < BASELINES; b++)
            if (strcmp(view_text(*entry, "baseline", ""), baselines[b]) == 0) row.by_baseline[b] = *entry;
    }
    return row;
}

/* A baseline that is another than the column's head says is named in the cell. */
static void put_figure(page *p, const report_view *v, const claim *about, const cJSON *entry)
{
    char value[NUMBER], low[NUMBER], high[NUMBER], against[NUMBER], detail[3 * NUMBER + 16] = "";
    if (entry == NULL) {
        page_cell(p, TONE_QUIET, "-");
        return;
    }
    if (isnan(view_number(entry, "value"))) {
        page_cell(p, TONE_QUIET, "not measured");
        return;
    }
    view_baseline(v, entry, against, sizeof against);
    const bool other = strcmp(against, view_text(entry, "baseline", "")) != 0;
    const page_tone tone = view_tone(view_text(entry, "verdict", ""));
    metric_format(about->metric, view_number(entry, "value"), value, sizeof value);
    metric_format(about->metric, view_number(entry, "low"), low, sizeof low);
    metric_format(about->metric, view_number(entry, "high"), high, sizeof high);
    if (view_number(entry, "low") < view_number(entry, "high"))
        plain_append(detail, sizeof detail, "%s to %s%s", low, high, other ? ", " : "");
    if (other) plain_append(detail, sizeof detail, "over %s", against);
    if (detail[0] != '\0')
        page_cell_detail(p, tone, value, detail);
    else
        page_cell(p, tone, "%s", value);
}

/* Baselines against which this claim has a value somewhere. */
static size_t find_columns(const report_view *v, const char *claim_id, bool *shown)
{
    size_t n = 0;
    for (size_t b = 0; b < BASELINES; b++) shown[b] = false;
    const cJSON *entry = NULL;
    cJSON_ArrayForEach(entry, json_find(v->r->root, "verdicts"))
    {
        if (strcmp(view_text(entry, "claim", ""), claim_id) != 0 || isnan(view_number(entry, "value"))) continue;
        for (size_t b = 0; b < BASELINES; b++)
            shown[b] = shown[b] || strcmp(view_text(entry, "baseline", ""), baselines[b]) == 0;
    }
    for (size_t b = 0; b < BASELINES; b++) n += shown[b];
    return n;
}

static void put_table(page *p, const report_view *v, const claim *about)
{
    static const char *const titles[BASELINES] = {"Against tuned", "Against naive", "Against openblas",
                                                  "Against onednn", "Against the reference"};
    bool shown[BASELINES];
    page_column columns[BASELINES + 2] = {{"Variant", false}, {"Workload", false}};
    size_t n = 2;
    if (find_columns(v, about->id, shown) == 0) {
        page_text(p, "Nothing was measured that could decide it; the verdicts in words say why.");
        return;
    }
    for (size_t b = 0; b < BASELINES; b++)
        if (shown[b]) columns[n++] = (page_column){titles[b], true};
    char bound[2][32], caption[200];
    metric_format(about->metric, about->min, bound[0], sizeof bound[0]);
    metric_format(about->metric, about->max, bound[1], sizeof bound[1]);
    snprintf(caption, sizeof caption, "%.60s; claimed: %s%s%s%s%s", about->metric->label,
             isnan(about->min) ? "" : "at least ", isnan(about->min) ? "" : bound[0],
             isnan(about->min) || isnan(about->max) ? "" : ", ", isnan(about->max) ? "" : "at most ",
             isnan(about->max) ? "" : bound[1]);
    page_table_begin(p, caption, columns, n, false);
    const cJSON *entry = json_find(v->r->root, "verdicts")->child;
    while (entry != NULL) {
        char label[LABEL];
        const verdict_row row = take_row(v, about->id, &entry);
        if (row.c == NULL) continue;
        group_label(v->r, row.c->group, label, sizeof label);
        page_cell(p, TONE_CODE, "%s", case_variant_name(row.c));
        page_cell(p, TONE_PLAIN, "%s", label);
        for (size_t b = 0; b < BASELINES; b++)
            if (shown[b]) put_figure(p, v, about, row.by_baseline[b]);
    }
    page_table_end(p);
}

static const cJSON *summed_up(const report_view *v, const char *claim_id)
{
    const cJSON *entry = NULL;
    cJSON_ArrayForEach(entry, json_find(json_find(v->r->root, "summary"), "claims"))
    {
        if (strcmp(view_text(entry, "claim", ""), claim_id) == 0) return entry;
    }
    return NULL;
}

static void put_sum(page *p, const cJSON *sum)
{
    static const struct {
        const char *key, *count, *words;
    } lists[] = {
        {"holds", "supported", "Holds"}, {"fails", "refuted", "Does not hold"}, {"open", "inconclusive", "Undecided"}};
    page_list_begin(p);
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        const char *text = view_text(sum, lists[i].key, NULL);
        if (text != NULL) page_item(p, "%s (%.0f): %s.", lists[i].words, view_number(sum, lists[i].count), text);
    }
    if (view_text(sum, "others", NULL) != NULL) page_item(p, "%s", view_text(sum, "others", ""));
    const cJSON *takes = NULL;
    cJSON_ArrayForEach(takes, json_find(sum, "takes"))
    {
        if (cJSON_IsString(takes)) page_item(p, "What it takes: %s.", takes->valuestring);
    }
    page_list_end(p);
}

void section_claims(page *p, const report_view *v)
{
    size_t position = 0;
    page_section(p, "claims", "Claim by claim");
    if (v->claims_name != NULL)
        page_alert(p, "These results are judged by the claims of %s, not by those that they came with.",
                   v->claims_name);
    if (json_find(v->r->root, "verdicts")->child == NULL) {
        page_text(p, "No case of this run is one that a claim is about, so there is no verdict.");
        return;
    }
    for (const cJSON *item = json_find(v->r->root, "claims")->child; item != NULL; item = item->next, position++) {
        claim about;
        if (claim_parse(item, "claims", position, &about) != CIUIC_OK) return; /* judged already: cannot fail */
        const cJSON *sum = summed_up(v, about.id);
        page_heading(p, "%s", about.sentence);
        if (sum == NULL) {
            page_text(p, "Not judged here: %s (%s; %s).",
                      about.metric->kind == METRIC_LIMIT ? "this run had no limit of memory"
                                                         : "no case of this run is one that it is about",
                      about.id, about.source);
            continue;
        }
        page_text(p, "%s: %s.", about.id, about.source);
        put_sum(p, sum);
        put_table(p, v, &about);
    }
}
