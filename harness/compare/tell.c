/* tell.c - a comparison as text, Markdown and JSON. */
#include <math.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/compare/comparison.h"
#include "harness/plain_text.h"
#include "harness/report/page.h"
#include "harness/report/sections.h"
#include "optimizer/json.h"

enum { CELL = 48, PATH_SHOWN = 80 };

static const char *shown(const char *name, char text[PATH_SHOWN])
{
    snprintf(text, PATH_SHOWN, "%s", name);
    plain_text(text);
    return text;
}

/* "deepseek-v3 on X, 2 cores; suite quick; revision 1234; 2026-11-22" */
static void describe_file(const results_file *file, char text[256])
{
    const cJSON *root = file->root, *machine = json_find(root, "machine");
    snprintf(text, 256, "%.60s, %.0f cores; suite %.30s; revision %.20s; %.10s",
             view_text(machine, "cpu", "an unknown CPU"), view_number(machine, "cores"), view_text(root, "suite", "?"),
             view_text(json_find(root, "program"), "git", "unknown"), view_text(root, "started", "?"));
    plain_text(text);
}

/* What one file says in one row, each as text. */
typedef struct row_cells {
    char speed[CELL], against[CELL], over_tuned[CELL], kl[CELL], memory[CELL];
} row_cells;

static void fill_cells(const comparison *c, const compared_row *row, size_t file, row_cells *cells)
{
    const result_case *x = row->cases[file];
    const cJSON *tuned = json_find(json_find(x->json, "ratios"), "tuned");
    const speed_ratio ratio = comparison_speed(c, row, file);
    view_plain("%.0f", case_number(x, "tokens_per_s", NULL), cells->speed, sizeof cells->speed);
    view_ratio(ratio.value, ratio.low, ratio.high, cells->against, sizeof cells->against);
    view_ratio(view_number(tuned, "value"), view_number(tuned, "low"), view_number(tuned, "high"), cells->over_tuned,
               sizeof cells->over_tuned);
    view_plain("%.3g", case_number(x, "accuracy", "kl"), cells->kl, sizeof cells->kl);
    view_bytes(case_number(x, "memory_bytes", "total"), cells->memory, sizeof cells->memory);
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

static void print_differences(const comparison *c)
{
    const fairness *f = &c->fairness;
    printf("\n%s", fairness_verdict(f));
    if (f->broken != 0) printf(": %s", figure_names(f->broken));
    puts("");
    for (size_t i = 0; i < f->count; i++) {
        const difference *d = &f->list[i];
        printf("\n  %c  %s%s%s\n", comparison_letter(d->file), d->aspect, d->breaks != 0 ? " - not comparable: " : "",
               d->breaks != 0 ? figure_names(d->breaks) : "");
        char title[] = "     ?: ";
        command_print_wrapped("     A: ", d->first);
        title[5] = comparison_letter(d->file);
        command_print_wrapped(title, d->other);
        command_print_wrapped("     ", d->effect);
    }
}

static void print_row(const comparison *c, const compared_row *row)
{
    char workload[128], title[256];
    const char *reason = division_reason(row->first);
    comparison_workload(row, c, workload, sizeof workload);
    snprintf(title, sizeof title, "%.100s: %.90s%s%s", workload, case_variant_name(row->first),
             reason[0] != '\0' ? ": " : "", reason);
    plain_text(title);
    putchar('\n');
    command_print_wrapped("  ", title);
    for (size_t f = 0; f < c->count; f++) {
        if (row->cases[f] == NULL) continue;
        row_cells cells;
        fill_cells(c, row, f, &cells);
        printf("  %c %2zut %10s  %-22s  %-22s %10s %11s\n", comparison_letter(f),
               c->files[f].set.groups[row->cases[f]->group].threads, cells.speed, cells.against, cells.over_tuned,
               cells.kl, cells.memory);
    }
}

void comparison_print(const comparison *c)
{
    char text[256], path[PATH_SHOWN];
    for (size_t f = 0; f < c->count; f++) {
        describe_file(&c->files[f], text);
        printf("%c  %s\n", comparison_letter(f), shown(c->files[f].path, path));
        command_print_wrapped("   ", text);
    }
    if (c->count > 1) print_differences(c);
    for (int d = DIVISION_EQUIVALENT; d <= DIVISION_OPEN; d++) {
        bool begun = false;
        for (size_t r = 0; r < c->row_count; r++) {
            if ((int)c->rows[r].division != d) continue;
            if (!begun)
                printf("\n%s\n  %5s %9s  %-22s  %-22s %10s %11s\n", division_title((division)d), "", "tokens/s",
                       "against the first", "over tuned", "KL", "memory");
            begun = true;
            print_row(c, &c->rows[r]);
        }
    }
    if (c->alone > 0) printf("\n%zu measured cases are in one file only, and left out.\n", c->alone);
}

/* ---- Markdown --------------------------------------------------------------------------------------------------- */

static void markdown_differences(page *p, const comparison *c)
{
    static const page_column columns[] = {
        {"file", false}, {"what", false}, {"A", false}, {"there", false}, {"what it could do", false}};
    const fairness *f = &c->fairness;
    if (f->broken != 0)
        page_alert(p, "Not comparable: %s.", figure_names(f->broken));
    else
        page_lead(p, "%s.", f->count > 0 ? "Comparable, with the differences below" : "Comparable");
    if (f->count == 0) return;
    page_table_begin(p, "differences", columns, 5, false);
    for (size_t i = 0; i < f->count; i++) {
        const difference *d = &f->list[i];
        page_cell(p, TONE_PLAIN, "%c", comparison_letter(d->file));
        page_cell(p, d->breaks != 0 ? TONE_NO : TONE_PLAIN, "%s", d->aspect);
        page_cell(p, TONE_PLAIN, "%s", d->first);
        page_cell(p, TONE_PLAIN, "%s", d->other);
        page_cell(p, TONE_PLAIN, "%s", d->effect);
    }
    page_table_end(p);
}

static void markdown_division(page *p, const comparison *c, division d)
{
    static const page_column columns[] = {{"workload", false},  {"variant", false}, {"file", false},
                                          {"threads", true},    {"tokens/s", true}, {"against the first", true},
                                          {"over tuned", true}, {"KL", true},       {"memory", true}};
    size_t rows = 0;
    for (size_t r = 0; r < c->row_count; r++) rows += c->rows[r].division == d ? 1 : 0;
    if (rows == 0) return;
    page_heading(p, "%s", division_title(d));
    page_table_begin(p, "cases side by side", columns, sizeof columns / sizeof columns[0], false);
    for (size_t r = 0; r < c->row_count; r++) {
        const compared_row *row = &c->rows[r];
        for (size_t f = 0; f < c->count; f++) {
            char workload[128];
            row_cells cells;
            if (row->division != d || row->cases[f] == NULL) continue;
            comparison_workload(row, c, workload, sizeof workload);
            fill_cells(c, row, f, &cells);
            page_cell(p, TONE_PLAIN, "%s", workload);
            page_cell(p, TONE_PLAIN, "%s", case_variant_name(row->cases[f]));
            page_cell(p, TONE_PLAIN, "%c", comparison_letter(f));
            page_cell(p, TONE_PLAIN, "%zu", c->files[f].set.groups[row->cases[f]->group].threads);
            page_cell(p, TONE_PLAIN, "%s", cells.speed);
            page_cell(p, TONE_PLAIN, "%s", cells.against);
            page_cell(p, TONE_PLAIN, "%s", cells.over_tuned);
            page_cell(p, TONE_PLAIN, "%s", cells.kl);
            page_cell(p, TONE_PLAIN, "%s", cells.memory);
        }
    }
    page_table_end(p);
}

ciuic_status comparison_markdown(FILE *stream, const comparison *c)
{
    char text[256];
    page p = page_begin(stream, PAGE_MARKDOWN);
    page_section(&p, "comparison", "Comparison");
    page_list_begin(&p);
    for (size_t f = 0; f < c->count; f++) {
        describe_file(&c->files[f], text);
        page_item(&p, "%c: %s: %s", comparison_letter(f), c->files[f].path, text);
    }
    page_list_end(&p);
    fputc('\n', stream);
    if (c->count > 1) markdown_differences(&p, c);
    markdown_division(&p, c, DIVISION_EQUIVALENT);
    markdown_division(&p, c, DIVISION_OPEN);
    if (c->alone > 0) page_text(&p, "%zu measured cases are in one file only, and left out.", c->alone);
    return page_end(&p);
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static cJSON *append_object(cJSON *list)
{
    cJSON *o = cJSON_CreateObject();
    if (o != NULL && cJSON_AddItemToArray(list, o)) return o;
    cJSON_Delete(o);
    return NULL;
}

static bool add_figures(cJSON *object, const char *key, unsigned figures)
{
    cJSON *o = cJSON_AddObjectToObject(object, key);
    return o != NULL && cJSON_AddBoolToObject(o, "speed", (figures & FIGURE_SPEED) != 0) != NULL &&
           cJSON_AddBoolToObject(o, "error", (figures & FIGURE_ERROR) != 0) != NULL &&
           cJSON_AddBoolToObject(o, "memory", (figures & FIGURE_MEMORY) != 0) != NULL;
}

static bool add_difference(cJSON *list, const difference *d)
{
    cJSON *o = append_object(list);
    return o != NULL && json_add_size(o, "file", d->file) && cJSON_AddStringToObject(o, "aspect", d->aspect) != NULL &&
           set_member(o, "first", sentence_json(d->first)) && set_member(o, "other", sentence_json(d->other)) &&
           cJSON_AddStringToObject(o, "effect", d->effect) != NULL && add_figures(o, "breaks", d->breaks);
}

static bool add_entry(cJSON *list, const comparison *c, const compared_row *row, size_t file)
{
    const result_case *x = row->cases[file];
    const speed_ratio ratio = comparison_speed(c, row, file);
    const cJSON *tuned = json_find(json_find(x->json, "ratios"), "tuned");
    cJSON *o = append_object(list);
    bool ok = o != NULL && json_add_size(o, "file", file) && cJSON_AddStringToObject(o, "case", x->id) != NULL;
    ok = ok && cJSON_AddStringToObject(o, "source", "measured") != NULL;
    ok = ok && json_add_double(o, "tokens_per_s", case_number(x, "tokens_per_s", NULL));
    ok = ok && json_add_double(o, "against_first", ratio.value) && json_add_double(o, "against_first_low", ratio.low);
    ok = ok && json_add_double(o, "against_first_high", ratio.high);
    ok = ok && json_add_double(o, "over_tuned", view_number(tuned, "value"));
    ok = ok && json_add_double(o, "over_tuned_low", view_number(tuned, "low"));
    ok = ok && json_add_double(o, "over_tuned_high", view_number(tuned, "high"));
    ok = ok && json_add_double(o, "kl", case_number(x, "accuracy", "kl"));
    ok = ok && json_add_double(o, "nll_rise", case_number(x, "accuracy", "nll_rise"));
    return ok && json_add_double(o, "memory_total", case_number(x, "memory_bytes", "total"));
}

static bool add_row_json(cJSON *list, const comparison *c, const compared_row *row)
{
    const result_group *group = &c->files[row->first_file].set.groups[row->first->group];
    cJSON *o = append_object(list), *entries = NULL;
    bool ok = o != NULL && set_member(o, "workload", cJSON_Duplicate(group->workload, true));
    ok = ok && cJSON_AddStringToObject(o, "variant", case_variant_name(row->first)) != NULL;
    ok = ok &&
         cJSON_AddStringToObject(o, "division", row->division == DIVISION_EQUIVALENT ? "equivalent" : "open") != NULL;
    ok = ok && (entries = cJSON_AddArrayToObject(o, "entries")) != NULL;
    for (size_t f = 0; f < c->count && ok; f++)
        if (row->cases[f] != NULL) ok = add_entry(entries, c, row, f);
    return ok;
}

cJSON *comparison_json(const comparison *c)
{
    cJSON *o = cJSON_CreateObject();
    cJSON *files = o != NULL ? cJSON_AddArrayToObject(o, "files") : NULL;
    bool ok = files != NULL;
    for (size_t f = 0; f < c->count && ok; f++) {
        cJSON *file = append_object(files);
        ok = file != NULL && cJSON_AddStringToObject(file, "path", c->files[f].path) != NULL &&
             set_member(file, "machine", cJSON_Duplicate(json_find(c->files[f].root, "machine"), true)) &&
             set_member(file, "program", cJSON_Duplicate(json_find(c->files[f].root, "program"), true)) &&
             json_exact_numbers(file);
    }
    ok = ok && cJSON_AddBoolToObject(o, "comparable", c->fairness.broken == 0) != NULL;
    ok = ok && add_figures(o, "broken", c->fairness.broken);
    cJSON *differences = ok ? cJSON_AddArrayToObject(o, "differences") : NULL;
    ok = differences != NULL;
    for (size_t i = 0; i < c->fairness.count && ok; i++) ok = add_difference(differences, &c->fairness.list[i]);
    cJSON *rows = ok ? cJSON_AddArrayToObject(o, "cases") : NULL;
    ok = rows != NULL;
    for (size_t r = 0; r < c->row_count && ok; r++) ok = add_row_json(rows, c, &c->rows[r]);
    ok = ok && json_add_size(o, "left_out", c->alone);
    if (ok) return o;
    cJSON_Delete(o);
    return NULL;
}
