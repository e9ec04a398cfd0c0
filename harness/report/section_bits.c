/* section_bits.c - what a bit buys: every way of quantising by its bits per weight and its KL. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/report/bits_plot.h"
#include "harness/report/sections.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void put_group(page *p, const report_view *v, size_t group)
{
    static const page_column columns[] = {{"Weights", false},       {"Bits per weight", true},
                                          {"KL, nats", true},       {"NLL rise, nats", true},
                                          {"Same next word", true}, {"Bytes of weights", true}};
    bits_point *points = NULL;
    size_t n = 0;
    char label[LABEL], bytes[NUMBER], agreement[NUMBER], rise[NUMBER];
    if (bits_points(v->r, group, &points, &n) != CIUIC_OK) return; /* out of memory: the accuracy tables have it all */
    group_label(v->r, group, label, sizeof label);
    page_heading(p, "%s", label);
    page_table_begin(p, "By bits per weight; \xc2\xb1 is one standard error", columns, COUNT(columns), false);
    for (size_t i = 0; i < n; i++) {
        const result_case *c = points[i].c;
        const double error = case_number(c, "accuracy", "kl_error");
        view_bytes(case_number(c, "weight_bytes", NULL), bytes, sizeof bytes);
        view_plain("%.1f%%", 100.0 * case_number(c, "accuracy", "top1_agreement"), agreement, sizeof agreement);
        view_plain("%.3g", case_number(c, "accuracy", "nll_rise"), rise, sizeof rise);
        page_cell(p, TONE_CODE, "%.*s", (int)c->weights_length, c->weights);
        page_cell(p, TONE_PLAIN, "%.2f", points[i].bits);
        if (isfinite(error))
            page_cell(p, TONE_PLAIN, "%.3g \xc2\xb1 %.1g", points[i].kl, error);
        else
            page_cell(p, TONE_PLAIN, "%.3g", points[i].kl);
        page_cell(p, TONE_PLAIN, "%s", rise);
        page_cell(p, TONE_PLAIN, "%s", agreement);
        page_cell(p, TONE_PLAIN, "%s", bytes);
    }
    page_table_end(p);
    free(points);
}

void section_bits(page *p, const report_view *v)
{
    size_t n = 0, *groups = calloc(v->r->group_count + 1, sizeof *groups);
    if (groups != NULL && bits_groups(v->r, groups, &n) == CIUIC_OK && n > 0) {
        page_section(p, "bits", "What a bit buys");
        page_text(p, "Every way of quantising the weights, with every other stage on where that was measured. Bits per "
                     "weight count all weights: scales, minimums, embeddings and head. A name without a method is "
                     "rounded to nearest (rtn); a32 means that activations stay in FP32.");
        view_plot(
            p, v, "bits", 0,
            "Bits per weight against KL from the FP16 reference. Nothing lies below the dashed line: it joins the "
            "best of every size. Bars are 95% intervals as if positions were independent; all variants read the "
            "same texts, so that neighbours differ by less noise than their bars. A point without room for its "
            "name is in the table.");
        for (size_t i = 0; i < n; i++) put_group(p, v, groups[i]);
    }
    free(groups);
}
