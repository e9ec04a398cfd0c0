/* tell_imported.c - declared timings beside a comparison: in a table of their own, under their own name, without a verdict. */
#include <math.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/compare/comparison.h"
#include "harness/plain_text.h"
#include "harness/report/page.h"
#include "harness/report/sections.h"
#include "optimizer/json.h"

enum { CELL = 48 };

static const char warning[] =
    "IMPORTED: declared by another program, not measured here. It may be another model, with other weights, "
    "another error and another load of the machine; runs were not interleaved; no claim is judged on it.";

/* The measured speed of file 0's fair baseline on the same phase, tokens and depth; NaN when it has none, or several. */
static double measured_speed(const comparison *c, const imported_timing *t)
{
    const result_set *r = &c->files[0].set;
    double found = NAN;
    size_t matches = 0;
    for (size_t g = 0; g < r->group_count && t->phase != NULL; g++) {
        const result_group *group = &r->groups[g];
        if (strcmp(group->phase, t->phase) != 0 || group->tokens != t->tokens || group->depth != t->depth) continue;
        if (group->batch != 1 || (t->threads > 0 && group->threads != t->threads) || !case_ok(group->tuned)) continue;
        found = case_number(group->tuned, "tokens_per_s", NULL);
        matches++;
    }
    return matches == 1 ? found : NAN;
}

typedef struct timing_cells {
    char workload[CELL], speed[CELL], seconds[CELL], measured[CELL], threads[16];
} timing_cells;

static void fill_cells(const comparison *c, const imported_timing *t, timing_cells *cells)
{
    if (t->phase != NULL)
        snprintf(cells->workload, CELL, "%s%zu@%zu", t->phase, t->tokens, t->depth);
    else if (t->tokens > 0)
        snprintf(cells->workload, CELL, "%zu tokens", t->tokens);
    else
        snprintf(cells->workload, CELL, "-");
    view_plain("%.0f", t->tokens_per_s, cells->speed, CELL);
    view_plain("%.0f", measured_speed(c, t), cells->measured, CELL);
    view_plain("%.0f", t->threads > 0 ? (double)t->threads : NAN, cells->threads, 16);
    if (isnan(t->low))
        snprintf(cells->seconds, CELL, "%.4g (no interval)", t->median);
    else
        snprintf(cells->seconds, CELL, "%.4g (%.4g to %.4g)", t->median, t->low, t->high);
}

void comparison_print_imported(const comparison *c, const imported_set *set)
{
    char title[320];
    snprintf(title, sizeof title, "imported from %.200s (%s)", set->path, set->format);
    plain_text(title);
    putchar('\n');
    command_print_wrapped("", title);
    command_print_wrapped("  ", warning);
    printf("  %-22s %7s %10s  %-34s %14s\n", "", "threads", "tokens/s", "seconds", "tuned of A");
    for (size_t i = 0; i < set->count; i++) {
        timing_cells cells;
        char name[2 * SENTENCE] = ""; /* whole: what is cut may be all that tells it from the next */
        plain_append(name, sizeof name, "%s", set->list[i].name);
        plain_text(name);
        fill_cells(c, &set->list[i], &cells);
        command_print_wrapped("  ", name);
        printf("    %-20.20s %7s %10.10s  %-34.34s %14s\n", cells.workload, cells.threads, cells.speed, cells.seconds,
               cells.measured);
    }
}

ciuic_status comparison_markdown_imported(FILE *stream, const comparison *c, const imported_set *set)
{
    static const page_column columns[] = {{"imported", false}, {"workload", false}, {"threads", true},
                                          {"tokens/s", true},  {"seconds", true},   {"tuned of A, measured", true}};
    page p = page_begin(stream, PAGE_MARKDOWN);
    page_section(&p, "imported", "Imported");
    page_alert(&p, "%s", warning);
    page_text(&p, "From %s (%s).", set->path, set->format);
    page_table_begin(&p, "imported timings", columns, sizeof columns / sizeof columns[0], false);
    for (size_t i = 0; i < set->count; i++) {
        timing_cells cells;
        fill_cells(c, &set->list[i], &cells);
        page_cell(&p, TONE_PLAIN, "%s", set->list[i].name);
        page_cell(&p, TONE_PLAIN, "%s", cells.workload);
        page_cell(&p, TONE_PLAIN, "%s", cells.threads);
        page_cell(&p, TONE_PLAIN, "%s", cells.speed);
        page_cell(&p, TONE_PLAIN, "%s", cells.seconds);
        page_cell(&p, TONE_PLAIN, "%s", cells.measured);
    }
    page_table_end(&p);
    return page_end(&p);
}

static bool add_timing(cJSON *list, const comparison *c, const imported_set *set, const imported_timing *t)
{
    cJSON *o = cJSON_CreateObject();
    if (o == NULL || !cJSON_AddItemToArray(list, o)) {
        cJSON_Delete(o);
        return false;
    }
    bool ok = set_member(o, "name", sentence_json(t->name)) && cJSON_AddStringToObject(o, "source", "imported") != NULL;
    ok = ok && cJSON_AddStringToObject(o, "format", set->format) != NULL;
    ok = ok && (t->phase != NULL ? cJSON_AddStringToObject(o, "phase", t->phase) : cJSON_AddNullToObject(o, "phase"));
    ok = ok && json_add_double(o, "tokens", t->tokens > 0 ? (double)t->tokens : NAN);
    ok = ok && json_add_size(o, "depth", t->depth) && json_add_size(o, "repetitions", t->n);
    ok = ok && json_add_double(o, "threads", t->threads > 0 ? (double)t->threads : NAN);
    ok = ok && json_add_double(o, "seconds", t->median) && json_add_double(o, "seconds_low", t->low);
    ok = ok && json_add_double(o, "seconds_high", t->high) && json_add_double(o, "tokens_per_s", t->tokens_per_s);
    return ok && json_add_double(o, "measured_tuned_tokens_per_s", measured_speed(c, t));
}

bool comparison_json_imported(cJSON *object, const comparison *c, const imported_set *set)
{
    cJSON *list = cJSON_AddArrayToObject(object, "imported");
    bool ok = list != NULL;
    for (size_t i = 0; i < set->count && ok; i++) ok = add_timing(list, c, set, &set->list[i]);
    return ok;
}
