/* assemble.h - results.json from what the record holds; the fields are described by reports/results.schema.json. */
#ifndef CIUIC_ASSEMBLE_H
#define CIUIC_ASSEMBLE_H

#include "harness/suite/record.h"

/* Everything but what the judge derives. `claims` is copied. NULL when out of memory. */
cJSON *assemble_results(const bench_record *r, const cJSON *claims, bool complete);

/* The time now as RFC 3339 in UTC. */
void format_time(char text[32]);

#endif
