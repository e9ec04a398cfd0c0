/* eval_report.h - what `ciuic eval` found, told: one JSON object, or a table and a sentence. */
#ifndef CIUIC_EVAL_REPORT_H
#define CIUIC_EVAL_REPORT_H

#include "harness/judge/compare.h"
#include "harness/measure/memory_account.h"
#include "harness/run_limit.h"
#include "harness/stage_flags.h"

typedef struct eval_report {
    const char *checkpoint; /* as it was given */
    const ciuic_options *variant;
    ciuic_model_info info; /* of the variant's model */
    const token_windows *windows;
    const char *reference; /* what ran beside the variant, "fp16+c" or "stored+c"; NULL: nothing did */
    bool self;             /* for the variant is the reference */
    comparison_result run;
    memory_account memory;     /* of the process, and of the variant's session in it */
    size_t run_limit;          /* bytes that it was held to; 0: none */
    run_need need;             /* what was worked out before: under a limit, or where that is asked for */
    ciuic_layer_error *layers; /* [info.layers + 2]; NULL: not measured */
} eval_report;

/* The variant's name; weights that were quantised before are "stored". */
void eval_report_name(const eval_report *r, char name[VARIANT_NAME_SIZE]);
/* On stdout, all of them. */
ciuic_status eval_report_json(const eval_report *r);
void eval_report_print(const eval_report *r);
/* What --needs asks for: nothing has run, and `info` is the checkpoint's. */
ciuic_status eval_report_needs_json(const eval_report *r);

#endif
