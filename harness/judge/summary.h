/* summary.h - the answer in words: for each question that claims ask, and whether one variant answers all of them. */
#ifndef CIUIC_SUMMARY_H
#define CIUIC_SUMMARY_H

#include "harness/judge/results.h"

/* The object `summary` of results.json; root.verdicts and root.stages must be there.
 *
 * A variant's answer to a question is "yes" when all its headline verdicts (against `tuned`, or the reference) on every
 * workload are supported, "unclear" when none is refuted, "partly" when some are supported and some refuted, otherwise
 * "no". The question's answer is that of the variant that does best. */
ciuic_status summary_make(const result_set *r, const cJSON *claims, cJSON **summary);

#endif
