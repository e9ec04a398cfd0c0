/* sections.h - the parts of a report, in the order in which they are read. */
#ifndef CIUIC_SECTIONS_H
#define CIUIC_SECTIONS_H

#include "harness/import/imported.h"
#include "harness/judge/content_digest.h"
#include "harness/report/page.h"
#include "harness/report/plots.h"

/* What all parts are written from. */
typedef struct report_view {
    const result_set *r;
    const plot_set *plots;
    content_state content;        /* whether the results are as they were written */
    const char *claims_name;      /* whence the claims came, where they are not the results' own; or NULL */
    const imported_set *imported; /* or NULL */
} report_view;

typedef void section_fn(page *p, const report_view *v);
section_fn section_answer, section_claims, section_verdicts, section_variants, section_stages, section_attribution,
    section_speed, section_rounds, section_roofline, section_memory, section_limits, section_prefixes, section_packings,
    section_accuracy, section_bits, section_tradeoff, section_work, section_counters, section_failures,
    section_imported, section_machine, section_bandwidth, section_method, section_reproduce;

/* ---- what parts share ------------------------------------------------------------------------------------------- */

enum { LABEL = 160, NUMBER = 96 };

/* The member's text, or `otherwise`. */
const char *view_text(const cJSON *object, const char *key, const char *otherwise);
double view_number(const cJSON *object, const char *key); /* NaN when absent or null */
/* Whether a key is a number of threads, as bench writes them: a whole number from 1. */
bool view_is_threads(const char *key);
/* "1.70x (1.69 to 1.71)"; "-" for NaN. */
void view_ratio(double value, double low, double high, char *text, size_t size);
/* A number for a table, "-" for NaN; bytes as "15.2 MB". */
void view_plain(const char *format, double value, char *text, size_t size) CIUIC_PRINTF(1, 0);
void view_bytes(double bytes, char *text, size_t size);
/* supported, refuted, inconclusive; yes, no, partly, unclear. */
page_tone view_tone(const char *word);
const result_case *view_case(const report_view *v, const char *id);
/* The command that made the results, to be pasted into a POSIX shell. False, and "": none was recorded, or it does not fit. */
bool view_command(const cJSON *root, char *text, size_t size);
/* What a verdict is against: "naive"; "tuned on c" where that is tuned's settings on the rung of the case. */
void view_baseline(const report_view *v, const cJSON *verdict_json, char *text, size_t size);
/* The plot where there is one. */
void view_plot(page *p, const report_view *v, const char *kind, size_t group, const char *caption);
/* Tables of all cases are for HTML: text and Markdown show of many cases only baselines and what claims are about. */
bool view_shows(const page *p, const report_view *v, const result_case *c);
/* Says so where some are left out. */
void view_note_left_out(page *p, const report_view *v);
/* A level-3 heading with the group's label, where there are several groups. */
void view_group_heading(page *p, const report_view *v, size_t group);

#endif
