/* section_answer.c - the first screen: the questions, their answers, and the figures that decided them. */
#include <math.h>
#include <string.h>

#include "harness/judge/claims.h"
#include "harness/judge/verdicts.h"
#include "harness/report/sections.h"
#include "optimizer/json.h"

enum { CELLS = 4 };
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* The verdict of a claim for a variant, group and baseline; NULL when there is none. */
static const cJSON *find_verdict(const report_view *v, const char *claim_id, const char *variant, size_t group,
                                 const char *baseline)
{
    const cJSON *verdicts = json_find(v->r->root, "verdicts");
    for (const cJSON *entry = verdicts->child; entry != NULL; entry = entry->next) {
        if (strcmp(view_text(entry, "claim", ""), claim_id) != 0) continue;
        if (strcmp(view_text(entry, "baseline", ""), baseline) != 0) continue;
        const result_case *c = view_case(v, view_text(entry, "case", ""));
        if (c != NULL && c->group == group && strcmp(case_variant_name(c), variant) == 0) return entry;
    }
    return NULL;
}

static void put_verdict(page *p, const claim *about, const cJSON *entry, bool with_interval)
{
    char value[32], low[32], high[32];
    if (entry == NULL || isnan(view_number(entry, "value"))) {
        page_cell(p, TONE_QUIET, "not measured");
        return;
    }
    const double lower = view_number(entry, "low"), upper = view_number(entry, "high");
    metric_format(about->metric, view_number(entry, "value"), value, sizeof value);
    metric_format(about->metric, lower, low, sizeof low);
    metric_format(about->metric, upper, high, sizeof high);
    const page_tone tone = view_tone(view_text(entry, "verdict", ""));
    char detail[NUMBER];
    snprintf(detail, sizeof detail, "%s to %s", low, high);
    if (with_interval && lower < upper)
        page_cell_detail(p, tone, value, detail);
    else
        page_cell(p, tone, "%s", value);
}

/* Does the claim come out the same, to the digit shown, in all groups? Then one row says it. */
static bool same_everywhere(const report_view *v, const claim *about, const char *variant)
{
    const cJSON *first = NULL;
    for (const cJSON *baseline = about->baselines->child; baseline != NULL; baseline = baseline->next) {
        first = NULL;
        for (size_t g = 0; g < v->r->group_count; g++) {
            const cJSON *entry = find_verdict(v, about->id, variant, g, baseline->valuestring);
            if (entry == NULL) continue;
            if (first == NULL) first = entry;
            if (!(view_number(first, "value") == view_number(entry, "value"))) return false;
        }
    }
    return first != NULL;
}

/* Baselines beside tuned against which a card has a value, so that a column of "not measured" takes no room. */
enum { OTHERS = 3 };
static const char *const others[OTHERS] = {"naive", "openblas", "onednn"};

static void find_others(const report_view *v, const char *question, const char *variant, bool *shown)
{
    for (size_t b = 0; b < OTHERS; b++) shown[b] = false;
    for (const cJSON *item = json_find(v->r->root, "claims")->child; item != NULL; item = item->next) {
        if (strcmp(view_text(item, "question", ""), question) != 0) continue;
        const char *id = view_text(item, "id", "");
        for (const cJSON *entry = json_find(v->r->root, "verdicts")->child; entry != NULL; entry = entry->next) {
            if (strcmp(view_text(entry, "claim", ""), id) != 0 || isnan(view_number(entry, "value"))) continue;
            const result_case *c = view_case(v, view_text(entry, "case", ""));
            if (c == NULL || strcmp(case_variant_name(c), variant) != 0) continue;
            for (size_t b = 0; b < OTHERS; b++)
                shown[b] = shown[b] || strcmp(view_text(entry, "baseline", ""), others[b]) == 0;
        }
    }
}

static void put_row(page *p, const report_view *v, const claim *about, const char *variant, size_t group,
                    const char *label, const bool *shown)
{
    page_cell(p, TONE_PLAIN, "%s", label);
    if (about->metric->kind == METRIC_ERROR) {
        char bound[32];
        metric_format(about->metric, isnan(about->max) ? about->min : about->max, bound, sizeof bound);
        put_verdict(p, about, find_verdict(v, about->id, variant, group, "reference"), true);
        page_cell(p, TONE_QUIET, "%s %s", isnan(about->max) ? "at least" : "at most", bound);
        return;
    }
    put_verdict(p, about, find_verdict(v, about->id, variant, group, "tuned"), true);
    for (size_t b = 0; b < OTHERS; b++)
        if (shown[b]) put_verdict(p, about, find_verdict(v, about->id, variant, group, others[b]), false);
}

static void put_claim(page *p, const report_view *v, const claim *about, const char *variant, bool several,
                      const bool *shown)
{
    char label[LABEL], row[2 * LABEL];
    const bool once = same_everywhere(v, about, variant);
    for (size_t g = 0; g < v->r->group_count; g++) {
        if (find_verdict(v, about->id, variant, g, about->metric->kind == METRIC_ERROR ? "reference" : "tuned") == NULL)
            continue;
        group_label(v->r, g, label, sizeof label);
        snprintf(row, sizeof row, "%s%s%s", several ? about->metric->label : "", several && !once ? ", " : "",
                 once ? "" : label);
        put_row(p, v, about, variant, g, row[0] != '\0' ? row : "all workloads", shown);
        if (once) return;
    }
}

/* What bytes and operations allow for the variant of a speed card, workload by workload. */
static void put_ceiling(page *p, const report_view *v, const claim *about, const char *variant)
{
    char text[1024] = "", label[LABEL];
    double most = 0.0;
    for (size_t g = 0; g < v->r->group_count; g++) {
        const cJSON *entry = find_verdict(v, about->id, variant, g, "tuned");
        const double ceiling = entry != NULL ? view_number(entry, "ceiling_ratio") : NAN;
        const double both = entry != NULL ? view_number(entry, "both_at_ceiling") : NAN;
        const size_t used = strlen(text);
        if (isnan(ceiling) || isnan(both) || used + 256 > sizeof text) continue;
        group_label(v->r, g, label, sizeof label);
        snprintf(text + used, sizeof text - used, "%s%.1fx in %s (%.1fx if tuned were at its own ceiling, too)",
                 used > 0 ? ", " : "", ceiling, label, both);
        most = fmax(most, ceiling);
    }
    if (text[0] == '\0') return;
    page_text(p, "The most that bytes and operations allow over tuned as measured: %s%s.", text,
              most < about->min ? "; the claim is out of reach" : "");
}

static bool has_verdicts(const report_view *v, const char *question)
{
    const cJSON *item = NULL, *entry = NULL;
    cJSON_ArrayForEach(item, json_find(v->r->root, "claims"))
    {
        if (strcmp(view_text(item, "question", ""), question) != 0) continue;
        cJSON_ArrayForEach(entry, json_find(v->r->root, "verdicts"))
        {
            if (strcmp(view_text(entry, "claim", ""), view_text(item, "id", "")) == 0) return true;
        }
    }
    return false;
}

static void put_card(page *p, const report_view *v, const cJSON *answer)
{
    page_column measured[OTHERS + 2] = {{"Against", false}, {"tuned", true}};
    static const page_column referred[] = {{"Metric", false}, {"measured", true}, {"claimed", true}};
    static const struct {
        const char *word, *shown;
    } words[] = {{"yes", "Yes"}, {"no", "No"}, {"partly", "Only in part"}, {"unclear", "Undecided"}};
    const char *word = view_text(answer, "answer", ""), *variant = view_text(answer, "variant", NULL), *shown = word;
    for (size_t i = 0; i < CELLS; i++)
        if (strcmp(words[i].word, word) == 0) shown = words[i].shown;
    page_card_begin(p, view_text(answer, "question", ""), shown, view_tone(word));
    const cJSON *claims = json_find(v->r->root, "claims"), *entries = json_find(answer, "claims");
    bool open = false, error = false, present[OTHERS] = {false};
    size_t columns = 2;
    if (variant != NULL) find_others(v, view_text(answer, "question", ""), variant, present);
    for (size_t b = 0; b < OTHERS; b++)
        if (present[b]) measured[columns++] = (page_column){others[b], true};
    claim about, speed = {.min = NAN};
    size_t position = 0;
    for (const cJSON *item = claims->child; item != NULL && variant != NULL; item = item->next, position++) {
        if (claim_parse(item, "claims", position, &about) != CIUIC_OK) break; /* judged already: cannot fail */
        if (strcmp(about.question, view_text(answer, "question", "")) != 0) continue;
        if (about.metric->kind == METRIC_SPEED) speed = about;
        if (!open) {
            error = about.metric->kind == METRIC_ERROR;
            page_text(p, "%s does best%s:", variant,
                      error ? ", against the FP16 reference" : ". tuned is the fair baseline");
            page_table_begin(p, error ? "Measured and claimed" : "Against each baseline", error ? referred : measured,
                             error ? COUNT(referred) : columns, true);
            open = true;
        }
        put_claim(p, v, &about, variant, cJSON_GetArraySize(entries) > 1, present);
    }
    if (open) page_table_end(p);
    if (!open)
        page_text(p, has_verdicts(v, view_text(answer, "question", ""))
                         ? "No variant with every stage on was measured in a way that answers it; the verdicts below "
                           "say why."
                         : "This run has no case that it could be asked of, so there is no verdict.");
    if (speed.id != NULL) put_ceiling(p, v, &speed, variant);
    page_card_end(p);
}

/* ---- around the cards ------------------------------------------------------------------------------------------- */

static void explain_workloads(page *p, const report_view *v)
{
    char text[1024] = "";
    size_t used = 0;
    for (size_t g = 0; g < v->r->group_count && used < sizeof text - 160; g++) {
        const result_group *group = &v->r->groups[g];
        bool known = false;
        for (size_t h = 0; h < g; h++)
            known = known || (strcmp(v->r->groups[h].phase, group->phase) == 0 &&
                              v->r->groups[h].tokens == group->tokens && v->r->groups[h].depth == group->depth);
        if (known) continue;
        if (strcmp(group->phase, "decode") == 0)
            used += (size_t)snprintf(text + used, sizeof text - used, "decode%zu@%zu is writing %zu tokens after %zu. ",
                                     group->tokens, group->depth, group->tokens, group->depth);
        else
            used += (size_t)snprintf(text + used, sizeof text - used, "prefill%zu is reading a prompt of %zu tokens. ",
                                     group->tokens, group->tokens);
    }
    page_text(p,
              "tuned is this same program with the checkpoint's own weights and every other stage on: what a careful "
              "engineer already has. naive has everything off; openblas leaves the matrices to OpenBLAS in FP32, "
              "onednn to oneDNN "
              "in bfloat16 where the CPU multiplies that. %s"
              "Ranges are 95%% intervals. \xe2\x9c\x93 the claim holds, \xe2\x9c\x97 it does not, ? too close to "
              "tell.",
              text);
}

static size_t count_status(const report_view *v, const char *status)
{
    size_t n = 0;
    for (size_t i = 0; i < v->r->case_count; i++) n += strcmp(v->r->cases[i].status, status) == 0;
    return n;
}

static void put_alerts(page *p, const report_view *v)
{
    const size_t failed = count_status(v, "failed"), ok = count_status(v, "ok");
    if (v->content == CONTENT_UNKNOWN)
        page_alert(p, "These results " CONTENT_UNKNOWN_WORDS ". Earlier versions of ciuic wrote none.");
    if (v->content == CONTENT_EDITED)
        page_alert(p,
                   "These results are not as ciuic bench wrote them: the digest that they carry of themselves is that "
                   "of other content. What follows is judged from what the file says now.");
    if (v->r->case_count == 0)
        page_alert(p, "These results hold no case at all: nothing was measured, so nothing can be said.");
    else if (ok == 0)
        page_alert(p, "Every one of the %zu cases failed or was skipped: nothing was measured. The reasons are below.",
                   v->r->case_count);
    else if (failed > 0)
        page_alert(p, "%zu of %zu cases failed; their reasons are below.", failed, v->r->case_count);
    if (!cJSON_IsTrue(json_find(v->r->root, "complete")))
        page_alert(p, "This run did not finish: ciuic bench --resume continues it. What follows is what there is.");
    const cJSON *override = json_find(v->r->root, "isa_override");
    if (cJSON_IsString(override))
        page_alert(p, "CIUIC_ISA=%s was set: best means the best rung up to that one.", override->valuestring);
    size_t mismatched = 0;
    for (size_t i = 0; i < v->r->case_count; i++)
        mismatched += cJSON_IsFalse(json_find(v->r->cases[i].json, "outputs_match")) ? 1 : 0;
    if (mismatched > 0)
        page_alert(p,
                   "In %zu cases the outputs of the timed run differ from those whose accuracy was measured: their "
                   "errors do not belong to their times, and they count as failed.",
                   mismatched);
}

void section_answer(page *p, const report_view *v)
{
    const cJSON *summary = json_find(v->r->root, "summary"), *answers = json_find(summary, "answers");
    page_section(p, "answer", "The answer");
    put_alerts(p, v);
    page_cards_begin(p);
    for (const cJSON *answer = answers->child; answer != NULL; answer = answer->next) put_card(p, v, answer);
    page_cards_end(p);
    page_lead(p, "%s", view_text(summary, "joint", ""));
    page_lead(p, "%s", view_text(summary, "stages", ""));
    explain_workloads(p, v);
    const cJSON *warnings = json_find(json_find(v->r->root, "machine"), "warnings");
    for (const cJSON *warning = cJSON_IsArray(warnings) ? warnings->child : NULL; warning != NULL;
         warning = warning->next)
        if (cJSON_IsString(warning)) page_alert(p, "%s", warning->valuestring);
    if (v->plots->problem[0] != '\0')
        page_alert(p, "Some plots are missing: %s. The tables hold the same numbers.", v->plots->problem);
}
