/* judge.h - from raw paired samples and metrics to verdicts. */
#ifndef CIUIC_JUDGE_H
#define CIUIC_JUDGE_H

#include <cjson/cJSON.h>

#include "optimizer/ciuic.h"

/* Adds to a results object (schema under reports/results.schema.json; `cases` and `blocks` present) what can be
 * derived from it: cases[].latency_s.{median,low,high}, tokens_per_s and ratios against each baseline,
 * `noise_floor`, `verdicts`, `stages` (what each stage earns alone and last), `attribution` (whose doing it is) and `summary` (the answer in words).
 * `claims` is the parsed array of a claims file. Running it again on its own output gives the same output. */
ciuic_status judge_results(cJSON *results, const cJSON *claims);

#endif
