/* section_work.c - operations and bytes by class of operation, computed from the plans of the cases; and, where somebody counted
 * bytes as well, how many were counted for each that was expected. */
#include <math.h>
#include <string.h>

#include "harness/measure/computed_work.h"
#include "harness/report/sections.h"
#include "optimizer/json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const cJSON *work_of(const report_view *v, size_t i)
{
    const result_case *c = &v->r->cases[i];
    const cJSON *work = c->twin || !case_ok(c) ? NULL : json_find(c->json, "computed");
    return strcmp(view_text(work, "source", ""), "computed") == 0 ? work : NULL;
}

static void put_bytes(page *p, double bytes)
{
    char text[NUMBER];
    view_bytes(bytes, text, sizeof text);
    page_cell(p, TONE_PLAIN, "%s", text);
}

static void put_number(page *p, const char *format, double value)
{
    char text[NUMBER];
    view_plain(format, value, text, sizeof text);
    page_cell(p, TONE_PLAIN, "%s", text);
}

static double bytes_of(const cJSON *work)
{
    return view_number(work, "read_bytes") + view_number(work, "written_bytes");
}

/* ---- computed --------------------------------------------------------------------------------------------------- */

static void put_totals(page *p, const report_view *v)
{
    static const page_column columns[] = {{"Phase", false},      {"Variant", false},          {"Threads", true},
                                          {"Operations", true},  {"Weights", true},           {"Cache", true},
                                          {"Activations", true}, {"Read a weight byte", true}};
    page_table_begin(p, "Computed bytes of one repetition", columns, COUNT(columns), false);
    for (size_t i = 0; i < v->r->case_count; i++) {
        const result_case *c = &v->r->cases[i];
        const cJSON *work = work_of(v, i), *workload = json_find(c->json, "workload");
        if (work == NULL || !view_shows(p, v, c)) continue;
        page_cell(p, TONE_PLAIN, "%s %.0f at %.0f, %s", view_text(workload, "phase", ""),
                  view_number(workload, "tokens"), view_number(workload, "depth"),
                  view_text(workload, "checkpoint", ""));
        page_cell(p, TONE_CODE, "%s", case_variant_name(c));
        put_number(p, "%.0f", view_number(c->json, "threads"));
        put_number(p, "%.3g", view_number(work, "operations"));
        put_bytes(p, view_number(work, "weight_bytes"));
        put_bytes(p, view_number(work, "cache_bytes"));
        put_bytes(p, view_number(work, "activation_bytes"));
        put_number(p, "%.2f", view_number(work, "bytes_read_per_weight_byte"));
    }
    page_table_end(p);
}

static void put_classes(page *p, const report_view *v)
{
    static const page_column columns[] = {
        {"Case", false}, {"Operations of class", false}, {"Bytes", true},     {"Of all", true}, {"Weights", true},
        {"Cache", true}, {"Activations", true},          {"Operations", true}};
    page_fold_begin(p, "Computed bytes by class of operation");
    page_table_begin(p, "Computed by class of operation, one repetition", columns, COUNT(columns), false);
    for (size_t i = 0; i < v->r->case_count; i++) {
        const cJSON *work = work_of(v, i), *class = NULL;
        cJSON_ArrayForEach(class, json_find(work, "by_class"))
        {
            page_cell(p, TONE_CODE, "%s", v->r->cases[i].id);
            page_cell(p, TONE_PLAIN, "%s", class->string);
            put_bytes(p, bytes_of(class));
            put_number(p, "%.1f%%", 100 * bytes_of(class) / bytes_of(work));
            put_bytes(p, view_number(class, "weight_bytes"));
            put_bytes(p, view_number(class, "cache_bytes"));
            put_bytes(p, view_number(class, "activation_bytes"));
            put_number(p, "%.3g", view_number(class, "operations"));
        }
    }
    page_table_end(p);
    page_fold_end(p);
}

/* ---- counted beside computed ------------------------------------------------------------------------------------ */

static void put_ratio(page *p, const char *id, const char *class_name, const measured_bytes *m, const cJSON *work)
{
    const double expected = view_number(work, "read_bytes");
    page_cell(p, TONE_CODE, "%s", id);
    page_cell(p, TONE_PLAIN, "%s", class_name);
    page_cell(p, TONE_PLAIN, "%s: %s", m->source, m->what);
    put_bytes(p, m->bytes);
    put_bytes(p, expected);
    put_number(p, "%.2f", expected > 0 ? m->bytes / expected : NAN);
}

static void put_ratios(page *p, const report_view *v)
{
    static const page_column columns[] = {{"Case", false},   {"Class", false},   {"Counted by", false},
                                          {"Counted", true}, {"Computed", true}, {"Counted/computed", true}};
    bool open = false;
    for (size_t i = 0; i < v->r->case_count; i++) {
        const cJSON *work = work_of(v, i), *class = NULL;
        const cJSON *counted = work != NULL ? json_find(v->r->cases[i].json, "counters") : NULL;
        const measured_bytes all = measured_bytes_of(counted);
        if (all.source == NULL || !view_shows(p, v, &v->r->cases[i])) continue;
        if (!open)
            page_table_begin(p, "Bytes that were counted for each that was computed to be read", columns,
                             COUNT(columns), false);
        open = true;
        put_ratio(p, v->r->cases[i].id, "all", &all, work);
        /* Under "other" the runtime is counted, and copies of activations are computed: they are not the same. */
        const char *other = operation_class_name(OPERATION_OTHER);
        cJSON_ArrayForEach(class, json_find(work, "by_class"))
        {
            const measured_bytes m = measured_bytes_of_class(counted, class->string);
            if (m.source != NULL && strcmp(class->string, other) != 0)
                put_ratio(p, v->r->cases[i].id, class->string, &m, class);
        }
    }
    if (open) page_table_end(p);
    if (open)
        page_text(
            p,
            "Below 1: caches gave again what had been read before. Above 1: lines were read that nobody had asked for, "
            "or more than once. A processor counts all threads while a case is timed; what is simulated is one "
            "thread.");
}

/* ---- the section ------------------------------------------------------------------------------------------------ */

void section_work(page *p, const report_view *v)
{
    size_t known = 0;
    for (size_t i = 0; i < v->r->case_count; i++) known += work_of(v, i) != NULL;
    page_section(p, "work", "Bytes and operations");
    if (known == 0) {
        page_text(p, "Not available here, because these results are of a program that did not compute them.");
        return;
    }
    page_text(
        p,
        "Computed from each variant's plan, and from how its weights and its cache are stored; nothing here was "
        "counted. "
        "A byte is counted each time that an operation touches it, whatever caches make of it; weights that one call "
        "multiplies with many rows are read once; of experts, as many are read as tokens can choose at most.");
    put_totals(p, v);
    view_note_left_out(p, v);
    put_classes(p, v);
    put_ratios(p, v);
    for (size_t i = 0; i < v->r->case_count; i++) {
        const cJSON *work = work_of(v, i);
        const result_case *c = &v->r->cases[i];
        const double ratio = view_number(work, "bytes_read_per_weight_byte");
        if (isnan(ratio) || !is_all_on(v->r, c)) continue;
        page_text(p, "%s, %s: %.2f bytes read per weight byte (computed).", case_variant_name(c),
                  view_text(json_find(c->json, "workload"), "phase", ""), ratio);
    }
}
