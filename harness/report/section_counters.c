/* section_counters.c - what was counted, by whom, and for which class of operation; section_work.c has what was computed. */
#include <math.h>
#include <string.h>

#include "harness/report/sections.h"
#include "optimizer/json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const cJSON *counters_of(const report_view *v, size_t i)
{
    const result_case *c = &v->r->cases[i];
    return c->twin || !case_ok(c) ? NULL : json_find(c->json, "counters");
}

static bool is_from(const cJSON *counted, bool simulated)
{
    const char *source = view_text(counted, "source", NULL);
    return source != NULL && (strcmp(source, "simulated") == 0) == simulated;
}

static size_t count_from(const report_view *v, bool simulated)
{
    size_t n = 0;
    for (size_t i = 0; i < v->r->case_count; i++) n += is_from(counters_of(v, i), simulated);
    return n;
}

static void put_number(page *p, const char *format, double value)
{
    char text[NUMBER];
    view_plain(format, value, text, sizeof text);
    page_cell(p, TONE_PLAIN, "%s", text);
}

/* ---- hardware --------------------------------------------------------------------------------------------------- */

/* Of likwid's groups, by its own names, and summed up as its own tables do. */
static void put_metrics(page *p, const report_view *v)
{
    static const page_column columns[] = {{"Case", false},   {"Group", false},  {"Metric", false},      {"Sum", true},
                                          {"Minimum", true}, {"Maximum", true}, {"Mean of cores", true}};
    bool open = false;
    for (size_t i = 0; i < v->r->case_count; i++) {
        const cJSON *counted = counters_of(v, i), *metric = NULL;
        if (!is_from(counted, false)) continue;
        cJSON_ArrayForEach(metric, json_find(counted, "metrics"))
        {
            if (!open)
                page_table_begin(p, "likwid's metrics over the cores: times, volumes and energies of one repetition",
                                 columns, COUNT(columns), false);
            open = true;
            page_cell(p, TONE_CODE, "%s", v->r->cases[i].id);
            page_cell(p, TONE_PLAIN, "%s", view_text(counted, "group", ""));
            page_cell(p, TONE_PLAIN, "%s", metric->string);
            put_number(p, "%.4g", view_number(metric, "sum"));
            put_number(p, "%.4g", view_number(metric, "min"));
            put_number(p, "%.4g", view_number(metric, "max"));
            put_number(p, "%.4g", view_number(metric, "mean"));
        }
    }
    if (open) page_table_end(p);
}

static void put_hardware(page *p, const report_view *v)
{
    static const page_column columns[] = {
        {"Case", false}, {"Source", false}, {"Counter", false}, {"Per repetition", true}};
    if (count_from(v, false) == 0) return;
    page_text(p, "Counted by the processor while the cases were timed.");
    page_fold_begin(p, "Counters of every case");
    page_table_begin(p, "Counts of one repetition", columns, COUNT(columns), false);
    for (size_t i = 0; i < v->r->case_count; i++) {
        const cJSON *counted = counters_of(v, i);
        if (!is_from(counted, false)) continue;
        for (const cJSON *counter = counted->child; counter != NULL; counter = counter->next) {
            if (!json_is_number(counter)) continue;
            page_cell(p, TONE_CODE, "%s", v->r->cases[i].id);
            page_cell(p, TONE_PLAIN, "%s", view_text(counted, "source", ""));
            page_cell(p, TONE_PLAIN, "%s", counter->string);
            put_number(p, "%.4g", counter->valuedouble);
        }
    }
    page_table_end(p);
    page_fold_end(p);
    put_metrics(p, v);
}

/* ---- simulated -------------------------------------------------------------------------------------------------- */

static void put_totals(page *p, const report_view *v)
{
    static const page_column columns[] = {{"Case", false},
                                          {"Instructions", true},
                                          {"Data reads", true},
                                          {"Data writes", true},
                                          {"First-level misses", true},
                                          {"Last-level misses", true},
                                          {"Bytes per weight byte", true}};
    page_table_begin(p, "Simulated counts of one repetition", columns, COUNT(columns), false);
    for (size_t i = 0; i < v->r->case_count; i++) {
        const cJSON *counted = counters_of(v, i);
        if (!is_from(counted, true)) continue;
        page_cell(p, TONE_CODE, "%s", v->r->cases[i].id);
        put_number(p, "%.0f", view_number(counted, "instructions"));
        put_number(p, "%.0f", view_number(counted, "data_reads"));
        put_number(p, "%.0f", view_number(counted, "data_writes"));
        put_number(p, "%.0f", view_number(counted, "d1_misses"));
        put_number(p, "%.0f", view_number(counted, "ll_misses"));
        put_number(p, "%.2f", view_number(counted, "bytes_per_weight_byte"));
    }
    page_table_end(p);
}

static void put_classes(page *p, const report_view *v)
{
    static const page_column columns[] = {{"Case", false},  {"Operations", false},        {"Instructions", true},
                                          {"Of all", true}, {"First-level misses", true}, {"Last-level misses", true}};
    page_fold_begin(p, "By class of operation");
    page_table_begin(p, "Simulated counts by class of operation", columns, COUNT(columns), false);
    for (size_t i = 0; i < v->r->case_count; i++) {
        const cJSON *counted = counters_of(v, i), *class = NULL;
        if (!is_from(counted, true)) continue;
        cJSON_ArrayForEach(class, json_find(counted, "by_class"))
        {
            const double instructions = view_number(class, "instructions");
            page_cell(p, TONE_CODE, "%s", v->r->cases[i].id);
            page_cell(p, TONE_PLAIN, "%s", class->string);
            put_number(p, "%.0f", instructions);
            put_number(p, "%.1f%%", 100.0 * instructions / view_number(counted, "instructions"));
            put_number(p, "%.0f", view_number(class, "d1_read_misses") + view_number(class, "d1_write_misses"));
            put_number(p, "%.0f", view_number(class, "ll_read_misses") + view_number(class, "ll_write_misses"));
        }
    }
    page_table_end(p);
    page_fold_end(p);
}

static void put_simulated(page *p, const report_view *v)
{
    if (count_from(v, true) == 0) return;
    const cJSON *first = NULL;
    for (size_t i = 0; i < v->r->case_count && first == NULL; i++)
        if (is_from(counters_of(v, i), true)) first = counters_of(v, i);
    const cJSON *caches = json_find(first, "caches");
    page_text(
        p,
        "Simulated by %s: one thread, one repetition after one to warm up, caches of %.0f KiB and %.0f MiB without "
        "prefetching. The figures are the same in every run; they are those of no real processor.",
        view_text(first, "tool", "cachegrind"), view_number(caches, "d1_bytes") / 1024.0,
        view_number(caches, "ll_bytes") / 1048576.0);
    put_totals(p, v);
    put_classes(p, v);
    for (size_t i = 0; i < v->r->case_count; i++) {
        const double bytes = view_number(counters_of(v, i), "bytes_per_weight_byte");
        if (isnan(bytes) || !is_all_on(v->r, &v->r->cases[i])) continue;
        page_text(
            p, "%s, decode: matmuls bring in %.2f bytes from beyond the first-level cache for every byte of weights.",
            case_variant_name(&v->r->cases[i]), bytes);
    }
}

/* ---- energy ------------------------------------------------------------------------------------------------------ */

static void put_energy(page *p, const report_view *v)
{
    static const page_column columns[] = {{"Case", false}, {"Joules a repetition", true}, {"Joules a token", true}};
    bool open = false;
    for (size_t i = 0; i < v->r->case_count; i++) {
        const cJSON *energy = json_find(counters_of(v, i), "energy");
        if (isnan(view_number(energy, "joules"))) continue;
        if (!open)
            page_table_begin(p, "Energy of the processor's packages (powercap), the whole machine's", columns,
                             COUNT(columns), false);
        open = true;
        page_cell(p, TONE_CODE, "%s", v->r->cases[i].id);
        put_number(p, "%.4g", view_number(energy, "joules"));
        put_number(p, "%.4g", view_number(energy, "joules_per_token"));
    }
    if (open) page_table_end(p);
}

/* ---- migrations ------------------------------------------------------------------------------------------------- */

/* Cases whose threads stayed where they were need no row. */
static void put_migrations(page *p, const report_view *v)
{
    static const page_column columns[] = {
        {"Case", false}, {"Source", false}, {"Moves a repetition", true}, {"A second of CPU time", true}};
    size_t known = 0, moved = 0;
    for (size_t i = 0; i < v->r->case_count; i++) {
        const cJSON *moves = json_find(json_find(counters_of(v, i), "software"), "migrations");
        if (isnan(view_number(moves, "moves"))) continue;
        known++;
        if (!(view_number(moves, "moves") > 0)) continue;
        if (moved++ == 0)
            page_table_begin(p, "Threads that were moved to another core while they were timed", columns,
                             COUNT(columns), false);
        page_cell(p, TONE_CODE, "%s", v->r->cases[i].id);
        page_cell(p, TONE_PLAIN, "%s%s", view_text(moves, "source", ""),
                  cJSON_IsTrue(json_find(moves, "lower_bound")) ? ", at least" : "");
        put_number(p, "%.3g", view_number(moves, "per_repetition"));
        put_number(p, "%.3g", view_number(moves, "per_cpu_second"));
    }
    if (moved > 0) page_table_end(p);
    if (known > 0 && moved == 0)
        page_text(p, "No thread was moved to another core while it was timed, in any of %zu cases.", known);
}

/* ---- the section ------------------------------------------------------------------------------------------------ */

void section_counters(page *p, const report_view *v)
{
    const char *reason = NULL;
    page_section(p, "counters", "Counters");
    put_hardware(p, v);
    put_simulated(p, v);
    put_energy(p, v);
    put_migrations(p, v);
    for (size_t i = 0; i < v->r->case_count && reason == NULL; i++) {
        const cJSON *counted = counters_of(v, i);
        if (counted != NULL && json_find(counted, "source") == NULL) reason = view_text(counted, "reason", NULL);
    }
    const bool any = count_from(v, true) + count_from(v, false) > 0;
    if (reason != NULL)
        page_text(p, "%s%s%s", any ? "Other cases: " : "",
                  strncmp(reason, "not ", 4) == 0 ? "" : "not available here, because ", reason);
    else if (!any)
        page_text(p, "Not available here, because no case recorded any.");
}
