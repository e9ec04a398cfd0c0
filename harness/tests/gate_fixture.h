/* gate_fixture.h - MADE-UP results with limits on every kind of figure, judged; for the tests of the gate. */
#ifndef CIUIC_TESTS_GATE_FIXTURE_H
#define CIUIC_TESTS_GATE_FIXTURE_H

#include "harness/gate/findings.h"
#include "harness/results_file.h"
#include "harness/tests/results_fixture.h"

/* The date by which the fixture judges. */
#define GATE_TODAY "2026-06-15"

/* As bench leaves them, with simulated instructions that differ by the id's length and nothing else. */
cJSON *gate_results(const fixture_machine *machine);

/* One limit for each kind of figure, as a project would have them; nothing is recorded yet. */
extern const char gate_limits[];

typedef struct gate_setting {
    results_file results;
    gate_file limits;
    gate_findings findings;
} gate_setting;

/* Takes both. The test fails when something is refused. */
void gate_setting_judge(cJSON *results, const char *limits, gate_setting *s);
void gate_setting_free(gate_setting *s);
const gate_finding *gate_setting_finding(const gate_setting *s, const char *id);

/* gate_limits with the values of an unchanged run recorded; free with cJSON_free. */
char *gate_recorded_limits(const fixture_machine *machine);

#endif
