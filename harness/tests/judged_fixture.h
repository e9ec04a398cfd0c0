/* judged_fixture.h - made-up results (results_fixture.h), judged by the project's claims, and what is asked of them. */
#ifndef CIUIC_TESTS_JUDGED_FIXTURE_H
#define CIUIC_TESTS_JUDGED_FIXTURE_H

#include "harness/tests/results_fixture.h"

/* Ends of ids. */
#define INT4_DECODE "decode64@256/b1/t2/int4+graph+memory+avx512"
#define INT8_DECODE "decode64@256/b1/t2/int8+graph+memory+avx512"
#define INT4_PREFILL "prefill128@0/b1/t2/int4+graph+memory+avx512"
#define INT8_PREFILL "prefill128@0/b1/t2/int8+graph+memory+avx512"

/* Judges them, which must succeed. The claims stay until the next call: results borrow them. */
void judge_again(cJSON *results);
cJSON *judged_results(const fixture_machine *machine);

double judged_number(const cJSON *object, const char *key);    /* NaN where there is none */
const char *judged_text(const cJSON *object, const char *key); /* "(none)" where there is none */

/* Spoils the case with this id's ending as a worker that died does. */
void judged_kill(cJSON *results, const char *ending);

/* What a stage earns for the variant with this id's ending; NULL when there is none. */
const cJSON *judged_stage(const cJSON *results, const char *ending, const char *stage);
double judged_stage_floor(const cJSON *results, const char *ending, const char *stage, const char *side);

#endif
