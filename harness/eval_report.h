/* eval_report.h - what `ciuic eval` found, told: one JSON object, or a table and a sentence. */
#ifndef CIUIC_EVAL_REPORT_H
#define CIUIC_EVAL_REPORT_H

#include "harness/judge/compare.h"

typedef struct eval_report {
    const char *checkpoint; /* as it was given */
    const ciuic_options *variant;
    ciuic_model_info info; /* of the variant's model */
    const token_windows *windows;
    const char *reference; /* what ran beside the variant, "fp16+c" or "stored+c"; NULL: nothing did */
    bool self;             /* for the variant is the reference */
    comparison_result run;
    ciuic_layer_error *layers; /* [info.layers + 2]; NULL: not measured */
} eval_report;

ciuic_status eval_report_json(const eval_report *r); /* prints it */
void eval_report_print(const eval_report *r);

#endif
