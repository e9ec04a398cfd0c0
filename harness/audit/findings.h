/* findings.h - what an audit has found so far: a line for each test of each case, with its evidence. */
#ifndef CIUIC_AUDIT_FINDINGS_H
#define CIUIC_AUDIT_FINDINGS_H

#include <cjson/cJSON.h>
#include <stdio.h>

#include "optimizer/error.h"

typedef enum audit_outcome {
    AUDIT_PASSED,
    AUDIT_FAILED,
    AUDIT_INCONCLUSIVE, /* looked at, and too noisy to tell */
    AUDIT_IMPOSSIBLE,   /* cannot be looked at here; the evidence says why */
    AUDIT_OUTCOMES
} audit_outcome;

/* The tests, in the order in which they are told. */
typedef enum audit_test {
    AUDIT_CONTENT,    /* the file is as bench wrote it, and says what its samples say */
    AUDIT_HASHES,     /* suite, checkpoints and program are those that the file names */
    AUDIT_CEILING,    /* nothing is faster than bytes and operations allow */
    AUDIT_OUTPUTS,    /* what was timed is what was scored, and is right on ids that nobody has seen */
    AUDIT_ERRORS,     /* errors reproduce from the evaluation ids */
    AUDIT_OTHER_DATA, /* and are alike on others */
    AUDIT_MEMORY,     /* bytes reproduce */
    AUDIT_WEIGHTS,    /* every layer's weights matter, and cost the same whatever they hold */
    AUDIT_CACHE,      /* repeated inputs are no faster than fresh ones */
    AUDIT_LENGTH,     /* longer input costs more */
    AUDIT_SPEED,      /* speed-ups reproduce, and no baseline was slowed */
    AUDIT_TESTS
} audit_test;

typedef struct audit_findings {
    cJSON *tests; /* array of {test, case, outcome, evidence, numbers} */
    size_t outcomes[AUDIT_OUTCOMES];
} audit_findings;

const char *audit_test_name(audit_test test);
const char *audit_test_question(audit_test test);
bool audit_test_parse(const char *name, audit_test *test);
const char *audit_outcome_name(audit_outcome outcome); /* "pass", "fail", "inconclusive", "not possible" */

ciuic_status audit_findings_create(audit_findings *f);
void audit_findings_free(audit_findings *f);
/* Adds a finding about the case `id` (NULL: about the file). Takes `numbers` (NULL: none) in any case. */
ciuic_status audit_find(audit_findings *f, audit_test test, const char *id, audit_outcome outcome, cJSON *numbers,
                        const char *evidence, ...) CIUIC_PRINTF(6, 7);
/* For people: each question, and under it a line for each finding, in the terminal's 80 columns. */
void audit_findings_print(const audit_findings *f);

#endif
