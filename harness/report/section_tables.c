/* section_tables.c - verdicts, variants and stages: what was judged. */
#include <math.h>
#include <string.h>

#include "harness/judge/claims.h"
#include "harness/judge/verdicts.h"
#include "harness/report/sections.h"
#include "optimizer/json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* ---- verdicts --------------------------------------------------------------------------------------------------- */

static const claim_metric *metric_of(const report_view *v, const char *claim_id, claim *about)
{
    size_t position = 0;
    for (const cJSON *item = json_find(v->r->root, "claims")->child; item != NULL; item = item->next, position++)
        if (strcmp(view_text(item, "id", ""), claim_id) == 0 &&
            claim_parse(item, "claims", position, about) == CIUIC_OK)
            return about->metric;
    return NULL;
}

static void put_verdict_row(page *p, const report_view *v, const cJSON *entry)
{
    claim about;
    const claim_metric *metric = metric_of(v, view_text(entry, "claim", ""), &about);
    const result_case *c = view_case(v, view_text(entry, "case", ""));
    if (metric == NULL || c == NULL) return; /* judged a moment ago: both are there */
    char label[LABEL], value[NUMBER], low[NUMBER], high[NUMBER], ceiling[NUMBER], floor[NUMBER];
    char detail[3 * NUMBER], against[NUMBER];
    view_baseline(v, entry, against, sizeof against);
    group_label(v->r, c->group, label, sizeof label);
    metric_format(metric, view_number(entry, "value"), value, sizeof value);
    metric_format(metric, view_number(entry, "low"), low, sizeof low);
    metric_format(metric, view_number(entry, "high"), high, sizeof high);
    view_plain("%.2fx", view_number(entry, "ceiling_ratio"), ceiling, sizeof ceiling);
    const double noise = view_number(entry, "noise_floor");
    view_plain("%.1f%%", noise > 0.0 ? 100.0 * noise : NAN, floor, sizeof floor);
    page_cell(p, TONE_CODE, "%s", view_text(entry, "claim", ""));
    page_cell(p, TONE_CODE, "%s", case_variant_name(c));
    page_cell(p, TONE_PLAIN, "%s", label);
    page_cell(p, TONE_PLAIN, "%s", against);
    page_cell(p, view_tone(view_text(entry, "verdict", "")), "%s", view_text(entry, "verdict", ""));
    snprintf(detail, sizeof detail, "%s to %s", low, high);
    if (view_number(entry, "low") < view_number(entry, "high"))
        page_cell_detail(p, TONE_PLAIN, value, detail);
    else
        page_cell(p, TONE_PLAIN, "%s", value);
    page_cell(p, TONE_PLAIN, "%s", floor);
    page_cell(p, TONE_PLAIN, "%s", ceiling);
    page_cell(p, TONE_QUIET, "%s", view_text(entry, "reason", ""));
}

static void put_verdicts(page *p, const report_view *v, const char *caption, bool headline)
{
    static const page_column columns[] = {{"Claim", false},      {"Variant", false},      {"Workload", false},
                                          {"Against", false},    {"Verdict", false},      {"Value, 95% interval", true},
                                          {"Noise floor", true}, {"Most possible", true}, {"In words", false}};
    page_table_begin(p, caption, columns, COUNT(columns), false);
    for (const cJSON *entry = json_find(v->r->root, "verdicts")->child; entry != NULL; entry = entry->next)
        if ((bool)cJSON_IsTrue(json_find(entry, "headline")) == headline) put_verdict_row(p, v, entry);
    page_table_end(p);
}

void section_verdicts(page *p, const report_view *v)
{
    if (json_find(v->r->root, "verdicts")->child == NULL) return;
    page_section(p, "verdicts", "Every verdict in words");
    page_text(p, "With interval, noise floor, the most that bytes and operations allow, and the reason.");
    page_fold_begin(p, "Headline verdicts");
    put_verdicts(p, v, "Against tuned, and against the FP16 reference", true);
    page_fold_end(p);
    page_fold_begin(p, "Verdicts against the other baselines");
    put_verdicts(p, v, "Against the other baselines", false);
    page_fold_end(p);
}

/* ---- variants --------------------------------------------------------------------------------------------------- */

enum { QUESTIONS_MAX = 8 };

void section_variants(page *p, const report_view *v)
{
    const cJSON *variants = json_find(json_find(v->r->root, "summary"), "variants");
    page_section(p, "variants", "Does one variant keep all claims at once?");
    page_text(p, "%s", view_text(json_find(v->r->root, "summary"), "joint", ""));
    if (variants->child == NULL) return;
    page_column columns[QUESTIONS_MAX + 2] = {{"Variant", false}};
    size_t n = 1;
    for (const cJSON *q = json_find(variants->child, "questions")->child; q != NULL && n <= QUESTIONS_MAX; q = q->next)
        columns[n++] = (page_column){q->string, false};
    columns[n++] = (page_column){"All at once", false};
    page_table_begin(p, "Answers by variant: yes where every headline verdict on every workload is supported", columns,
                     n, false);
    for (const cJSON *variant = variants->child; variant != NULL; variant = variant->next) {
        page_cell(p, TONE_CODE, "%s", view_text(variant, "variant", ""));
        const cJSON *q = json_find(variant, "questions")->child;
        for (size_t i = 1; i + 1 < n && q != NULL; i++, q = q->next)
            page_cell(p, view_tone(q->valuestring), "%s", q->valuestring);
        page_cell(p, view_tone(view_text(variant, "all", "")), "%s", view_text(variant, "all", ""));
    }
    page_table_end(p);
}

/* ---- stages ----------------------------------------------------------------------------------------------------- */

static void put_effect(page *p, const cJSON *effect)
{
    char ratio[NUMBER], bytes[NUMBER];
    if (effect == NULL || isnan(view_number(effect, "value"))) {
        page_cell(p, TONE_QUIET, "not measured");
        page_cell(p, TONE_QUIET, "-");
        page_cell(p, TONE_QUIET, "-");
        return;
    }
    view_ratio(view_number(effect, "value"), view_number(effect, "low"), view_number(effect, "high"), ratio,
               sizeof ratio);
    view_plain("%.2fx", view_number(effect, "total_bytes_ratio"), bytes, sizeof bytes);
    page_cell(p, TONE_PLAIN, "%s%s", ratio, cJSON_IsFalse(json_find(effect, "paired")) ? " by way of tuned" : "");
    page_cell(p, view_tone(view_text(effect, "verdict", "")), "%s", view_text(effect, "verdict", ""));
    page_cell(p, TONE_PLAIN, "%s", bytes);
}

static bool of_group(const report_view *v, const cJSON *entry, size_t group)
{
    const result_case *c = view_case(v, view_text(entry, "all_on", ""));
    return c != NULL && c->group == group;
}

static void put_stage_group(page *p, const report_view *v, size_t group)
{
    static const page_column columns[] = {{"Format", false},         {"Stage", false},       {"Alone, speed", true},
                                          {"Alone, verdict", false}, {"Alone, bytes", true}, {"Last, speed", true},
                                          {"Last, verdict", false},  {"Last, bytes", true}};
    const cJSON *stages = json_find(v->r->root, "stages");
    bool any = false;
    for (const cJSON *s = stages->child; s != NULL && !any; s = s->next) any = of_group(v, s, group);
    if (!any) return;
    view_group_heading(p, v, group);
    view_plot(p, v, "stages", group,
              "Times as fast with a stage as without it. Right of 1 it pays; bars are 95% intervals.");
    page_table_begin(p, "What each stage earns; bytes: the accounted total with the stage over that without", columns,
                     COUNT(columns), false);
    for (const cJSON *s = stages->child; s != NULL; s = s->next) {
        if (!of_group(v, s, group)) continue;
        /* Without neighbours of its own a format adds nothing to what stages earn alone. */
        if (json_find(s, "last") == NULL && strcmp(view_text(s, "stage", ""), "quantize") != 0) continue;
        page_cell(p, TONE_PLAIN, "%s", view_case(v, view_text(s, "all_on", ""))->quantize);
        page_cell(p, TONE_PLAIN, "%s", view_text(s, "stage", ""));
        put_effect(p, json_find(s, "alone"));
        put_effect(p, json_find(s, "last"));
    }
    page_table_end(p);
}

/* The sentences of one kind, each once: what a stage earns alone is the same measurement for several formats. */
static void put_sentences(page *p, const cJSON *stages, const char *key, const char *heading)
{
    bool open = false;
    for (const cJSON *s = stages->child; s != NULL; s = s->next) {
        const char *sentence = view_text(s, key, NULL);
        bool said = sentence == NULL;
        for (const cJSON *earlier = stages->child; earlier != s && !said; earlier = earlier->next)
            said = strcmp(view_text(earlier, key, ""), sentence) == 0;
        if (said) continue;
        if (!open) {
            page_heading(p, "%s", heading);
            page_list_begin(p);
        }
        open = true;
        page_item(p, "%s", sentence);
    }
    if (open) page_list_end(p);
}

void section_stages(page *p, const report_view *v)
{
    const cJSON *stages = json_find(v->r->root, "stages");
    page_section(p, "stages", "What each stage earns");
    page_text(p, "%s", view_text(json_find(v->r->root, "summary"), "stages", ""));
    if (stages->child == NULL) return;
    page_text(p,
              "Alone: the stage is added to a program with all stages off. Last: it is left out of one with all stages "
              "on, which says what it still earns when the others have done their part.");
    for (size_t g = 0; g < v->r->group_count; g++) put_stage_group(p, v, g);
    put_sentences(p, stages, "sentence", "Where everything on is not faster than everything but one");
    put_sentences(p, stages, "alone_sentence", "Where a stage alone makes the program slower");
}
