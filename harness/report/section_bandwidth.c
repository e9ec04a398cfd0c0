/* section_bandwidth.c - what the loads of each instruction set read from memory; stands beside the machine's other ceilings. */
#include <math.h>
#include <string.h>

#include "harness/report/sections.h"
#include "optimizer/json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* With so many threads, and whose it is; NaN where there is none. */
static double best_of_rungs(const cJSON *by_isa, const char *threads, const char **name)
{
    const cJSON *isa = NULL;
    double best = NAN;
    cJSON_ArrayForEach(isa, by_isa)
    {
        const double value = view_number(isa, threads);
        if (!(value > 0.0) || value <= best) continue;
        best = value;
        *name = isa->string;
    }
    return best;
}

/* Where the portable rung falls behind the most. */
static void put_portable_share(page *p, const cJSON *by_isa)
{
    const cJSON *portable = json_find(by_isa, "c"), *entry = NULL;
    const char *threads = NULL, *best_name = "", *name = "";
    double least = INFINITY;
    if (!cJSON_IsObject(portable)) return;
    cJSON_ArrayForEach(entry, portable)
    {
        if (!view_is_threads(entry->string)) continue;
        const double share = view_number(portable, entry->string) / best_of_rungs(by_isa, entry->string, &name);
        if (!(share > 0.0) || share >= least) continue;
        least = share;
        threads = entry->string;
        best_name = name;
    }
    if (threads == NULL) return;
    if (least >= 1.0)
        page_text(p, "No rung's loads reach more of the memory's bandwidth than the portable rung's.");
    else
        page_text(p,
                  "With %s thread%s, the portable rung's loads reach %.0f%% of the bandwidth that those of %s reach. A "
                  "case's ceiling is what the best of all can read, whichever rung its kernels are of.",
                  threads, strcmp(threads, "1") == 0 ? "" : "s", 100.0 * least, best_name);
}

static void put_rung(page *p, const cJSON *by_isa, const cJSON *isa)
{
    const cJSON *entry = NULL;
    const char *name = "";
    char share[NUMBER];
    if (!cJSON_IsObject(isa)) return;
    cJSON_ArrayForEach(entry, isa)
    {
        if (!json_is_number(entry) || !view_is_threads(entry->string)) continue;
        const double best = best_of_rungs(by_isa, entry->string, &name);
        view_plain("%.0f%%", 100.0 * entry->valuedouble / best, share, sizeof share);
        page_cell(p, TONE_PLAIN, "%s", isa->string);
        page_cell(p, TONE_PLAIN, "%s", entry->string);
        page_cell(p, TONE_PLAIN, "%.4g", entry->valuedouble / 1e9);
        page_cell(p, TONE_PLAIN, "%s", share);
    }
}

void section_bandwidth(page *p, const report_view *v)
{
    static const page_column columns[] = {
        {"Loads of", false}, {"Threads", true}, {"Reads, GB/s", true}, {"Of the best", true}};
    const cJSON *by_isa = json_find(json_find(v->r->root, "machine"), "bandwidth_by_isa_bytes_per_s"), *isa = NULL;
    if (!cJSON_IsObject(by_isa) || by_isa->child == NULL) return; /* results of an earlier version */
    page_table_begin(p, "Bandwidth of memory by instruction set", columns, COUNT(columns), false);
    cJSON_ArrayForEach(isa, by_isa) put_rung(p, by_isa, isa);
    page_table_end(p);
    put_portable_share(p, by_isa);
}
