/* section_limits.c - the longest context and the smallest limit of every variant: found by running workers, and planned. */
#include <math.h>

#include "harness/report/sections.h"
#include "optimizer/json.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Found, planned, how far apart they are, and the nearest that failed: four cells. */
static void put_pair(page *p, const cJSON *found, bool bytes)
{
    static const char *const keys[] = {"found", "planned", "difference", "failed_at"};
    for (size_t i = 0; i < COUNT(keys); i++) {
        char text[NUMBER];
        const double value = view_number(found, keys[i]);
        if (i == 2)
            view_plain("%+.1f%%", 100 * value, text, sizeof text);
        else if (bytes)
            view_bytes(value, text, sizeof text);
        else
            view_plain("%.0f", value, text, sizeof text);
        if (i == 0 && isnan(value) && found != NULL) snprintf(text, sizeof text, "none");
        page_cell(p, i == 0 ? TONE_PLAIN : TONE_QUIET, "%s", text);
    }
}

static void put_rows(page *p, const report_view *v, size_t group, const char *key, bool bytes)
{
    for (size_t i = 0; i < v->r->case_count; i++) {
        const result_case *c = &v->r->cases[i];
        const cJSON *limits = json_find(c->json, "limits"), *found = json_find(limits, key);
        const char *undone = view_text(limits, "undone", NULL);
        if (c->group != group || limits == NULL || (found == NULL && undone == NULL)) continue;
        page_cell(p, TONE_CODE, "%s", case_variant_name(c));
        put_pair(p, found, bytes);
        page_cell(p, TONE_QUIET, "%s", found != NULL ? view_text(found, "reason", "nothing failed") : undone);
    }
}

static const cJSON *first_search(const report_view *v, size_t group)
{
    for (size_t i = 0; i < v->r->case_count; i++)
        if (v->r->cases[i].group == group && json_find(v->r->cases[i].json, "limits") != NULL)
            return json_find(v->r->cases[i].json, "limits");
    return NULL;
}

static void put_group(page *p, const report_view *v, size_t group)
{
    static const page_column contexts[] = {
        {"Variant", false},   {"Longest context", true},       {"Planned", true},
        {"Difference", true}, {"Shortest that did not", true}, {"How that ended", false}};
    static const page_column limits[] = {{"Variant", false},
                                         {"Smallest limit", true},
                                         {"Planned need", true},
                                         {"Difference", true},
                                         {"Largest that was too small", true},
                                         {"How that ended", false}};
    const cJSON *search = first_search(v, group);
    char bytes[NUMBER], caption[LABEL + 2 * NUMBER];
    if (search == NULL) return;
    view_group_heading(p, v, group);
    view_bytes(view_number(search, "limit_bytes"), bytes, sizeof bytes);
    snprintf(caption, sizeof caption, "Longest context under a limit of %s, in positions", bytes);
    page_table_begin(p, caption, contexts, COUNT(contexts), false);
    put_rows(p, v, group, "longest_context", false);
    page_table_end(p);
    snprintf(caption, sizeof caption, "Smallest limit under which a context of %.0f positions runs to its end",
             view_number(search, "context"));
    page_table_begin(p, caption, limits, COUNT(limits), false);
    put_rows(p, v, group, "smallest_limit", true);
    page_table_end(p);
}

void section_limits(page *p, const report_view *v)
{
    const cJSON *search = NULL;
    for (size_t g = 0; g < v->r->group_count && search == NULL; g++) search = first_search(v, g);
    if (search == NULL) return; /* most suites search for none */
    const char *why = view_text(search, "how_reason", NULL);
    page_section(p, "limits", "What still runs under a limit of memory");
    page_text(
        p,
        "Found by running a process for each trial, and halving what lies between one that ran to its end and one "
        "that did not; planned is what was worked out before anything was loaded. The limit is %s%s%s.",
        view_text(search, "how", "rlimit")[0] == 'c' ? "of pages, by a cgroup"
                                                     : "of addresses, by RLIMIT_AS, mapped weights included",
        why != NULL ? ": " : "", why != NULL ? why : "");
    page_text(
        p, "%s",
        view_text(search, "computed", "")[0] == 'w'
            ? "Every position of a context was computed."
            : "Of a context, the first prompt and the end were computed; positions between them took their memory "
              "and no time.");
    for (size_t g = 0; g < v->r->group_count; g++) put_group(p, v, g);
}
