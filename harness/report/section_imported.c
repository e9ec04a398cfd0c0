/* section_imported.c - timings of other programs, as they declare them: in a table of their own, beside nothing. */
#include <math.h>

#include "harness/report/sections.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void put_count(page *p, size_t value)
{
    if (value > 0)
        page_cell(p, TONE_PLAIN, "%zu", value);
    else
        page_cell(p, TONE_QUIET, "not said");
}

void section_imported(page *p, const report_view *v)
{
    static const page_column columns[] = {
        {"Imported", false}, {"Phase", false},      {"Tokens", true},   {"Depth", true},
        {"Threads", true},   {"Repetitions", true}, {"Time, ms", true}, {"Tokens/s, declared", true}};
    if (v->imported == NULL) return;
    page_section(p, "imported", "Timings of other programs (imported)");
    page_alert(
        p,
        "From %s (%s). Nothing here was measured by this program: no output was checked, no round was shared, and "
        "the machine may be another one. No claim is judged on these figures, and no ratio is made of them.",
        v->imported->path, v->imported->format);
    page_table_begin(p, "As declared; times are of one repetition, medians with 95% intervals where there are enough",
                     columns, COUNT(columns), false);
    for (size_t i = 0; i < v->imported->count; i++) {
        const imported_timing *t = &v->imported->list[i];
        char speed[NUMBER], time[NUMBER], ends[NUMBER];
        view_plain(t->tokens_per_s < 1000.0 ? "%.4g" : "%.0f", t->tokens_per_s, speed, sizeof speed);
        view_plain("%.4g", 1e3 * t->median, time, sizeof time);
        snprintf(ends, sizeof ends, "%.4g to %.4g", 1e3 * t->low, 1e3 * t->high);
        page_cell(p, TONE_CODE, "%s", t->name);
        page_cell(p, TONE_PLAIN, "%s", t->phase != NULL ? t->phase : "not said");
        put_count(p, t->tokens);
        page_cell(p, TONE_PLAIN, "%zu", t->depth);
        put_count(p, t->threads);
        page_cell(p, TONE_PLAIN, "%zu", t->n);
        if (isnan(t->low))
            page_cell(p, TONE_PLAIN, "%s", time);
        else
            page_cell_detail(p, TONE_PLAIN, time, ends);
        page_cell(p, TONE_PLAIN, "%s", speed);
    }
    page_table_end(p);
}
