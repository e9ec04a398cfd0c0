/* publish.h - findings for others: JUnit XML for a CI server, Markdown for a job's summary, lines for a terminal, JSON. */
#ifndef CIUIC_GATE_PUBLISH_H
#define CIUIC_GATE_PUBLISH_H

#include <stdio.h>

#include "harness/gate/findings.h"

/* What the findings are about, for headings. */
typedef struct gate_subject {
    const char *results, *baseline; /* paths as they were given */
    const result_set *set;
} gate_subject;

/* One testsuite with a testcase for each limit: a failure with its message, skipped where it is waived, system-out where
 * it warns. */
ciuic_status gate_write_junit(FILE *stream, const gate_subject *subject, const gate_findings *findings);
ciuic_status gate_write_markdown(FILE *stream, const gate_subject *subject, const gate_findings *findings);
/* One line for each limit that has not passed, or for all of them. */
void gate_write_list(FILE *stream, const gate_findings *findings, bool all);
/* One line when nothing failed. Otherwise three: how many failed, the worst of them, what to do. */
void gate_write_lines(FILE *stream, const gate_subject *subject, const gate_findings *findings);
/* NULL when out of memory. */
cJSON *gate_json(const gate_subject *subject, const gate_findings *findings);

#endif
