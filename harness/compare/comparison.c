/* comparison.c - which cases of which files stand in one row, and what may be said of them. */
#include "harness/compare/comparison.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/plain_text.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

char comparison_letter(size_t file)
{
    return (char)('A' + file);
}

const char *division_title(division d)
{
    return d == DIVISION_EQUIVALENT ? "equivalent: the same function, computed otherwise"
                                    : "open: another function, with its loss";
}

void comparison_workload(const compared_row *row, const comparison *c, char *text, size_t size)
{
    const result_group *g = &c->files[row->first_file].set.groups[row->first->group];
    snprintf(text, size, "%.40s %.16s%zu@%zu, batch %zu", g->checkpoint, g->phase, g->tokens, g->depth, g->batch);
    plain_text(text);
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static bool has_row(const comparison *c, const result_case *found)
{
    for (size_t r = 0; r < c->row_count; r++)
        for (size_t f = 0; f < c->count; f++)
            if (c->rows[r].cases[f] == found) return true;
    return false;
}

static const result_case *find_same(const result_set *a, const result_case *x, const result_set *b)
{
    const result_group *group = same_workload(b, &a->groups[x->group]);
    for (size_t i = 0; i < b->case_count && group != NULL; i++) {
        const result_case *y = &b->cases[i];
        if (case_ok(y) && &b->groups[y->group] == group && same_variant(a, x, b, y)) return y;
    }
    return NULL;
}

static ciuic_status add_row(comparison *c, size_t file, const result_case *x)
{
    compared_row row = {.first = x, .first_file = file, .division = division_of(x)};
    size_t found = 1;
    row.cases[file] = x;
    for (size_t f = file + 1; f < c->count; f++) {
        row.cases[f] = find_same(&c->files[file].set, x, &c->files[f].set);
        if (row.cases[f] == NULL) continue;
        found++;
        if (division_of(row.cases[f]) == DIVISION_OPEN) row.division = DIVISION_OPEN;
    }
    if (found == 1 && c->count > 1) {
        c->alone++;
        return CIUIC_OK;
    }
    compared_row *grown = reallocarray(c->rows, c->row_count + 1, sizeof *grown);
    if (grown == NULL) return ciuic_fail_memory("a comparison", (c->row_count + 1) * sizeof *grown);
    c->rows = grown;
    c->rows[c->row_count++] = row;
    return CIUIC_OK;
}

/* Stable: the equivalent ones to the front. */
static ciuic_status order_rows(comparison *c)
{
    compared_row *sorted = calloc(c->row_count + 1, sizeof *sorted);
    size_t n = 0;
    if (sorted == NULL) return ciuic_fail_memory("a comparison", (c->row_count + 1) * sizeof *sorted);
    for (int d = DIVISION_EQUIVALENT; d <= DIVISION_OPEN; d++)
        for (size_t r = 0; r < c->row_count; r++)
            if ((int)c->rows[r].division == d) sorted[n++] = c->rows[r];
    free(c->rows);
    c->rows = sorted;
    return CIUIC_OK;
}

ciuic_status comparison_make(const results_file *files, size_t count, comparison *out)
{
    *out = (comparison){.files = files, .count = count};
    CIUIC_TRY(fairness_check(files, count, &out->fairness));
    for (size_t f = 0; f < count; f++)
        for (size_t i = 0; i < files[f].set.case_count; i++) {
            const result_case *x = &files[f].set.cases[i];
            if (case_ok(x) && !x->twin && !has_row(out, x)) CIUIC_TRY(add_row(out, f, x));
        }
    return order_rows(out);
}

void comparison_free(comparison *c)
{
    fairness_free(&c->fairness);
    free(c->rows);
    *c = (comparison){0};
}

/* ---- figures ---------------------------------------------------------------------------------------------------- */

bool comparison_allows(const comparison *c, size_t file, unsigned figures)
{
    for (size_t i = 0; i < c->fairness.count; i++)
        if (c->fairness.list[i].file == file && (c->fairness.list[i].breaks & figures) != 0) return false;
    return true;
}

speed_ratio comparison_speed(const comparison *c, const compared_row *row, size_t file)
{
    speed_ratio ratio = {.value = NAN, .low = NAN, .high = NAN};
    const result_case *x = row->first, *y = row->cases[file];
    if (y == NULL || x == y) return ratio;
    if (!comparison_allows(c, file, FIGURE_SPEED) || !comparison_allows(c, row->first_file, FIGURE_SPEED)) return ratio;
    ratio.value = case_number(x, "latency_s", "median") / case_number(y, "latency_s", "median");
    ratio.low = case_number(x, "latency_s", "low") / case_number(y, "latency_s", "high");
    ratio.high = case_number(x, "latency_s", "high") / case_number(y, "latency_s", "low");
    return ratio;
}
