/* probe.h - one worker that an audit asks: of the program under audit, or of this one. */
#ifndef CIUIC_AUDIT_PROBE_H
#define CIUIC_AUDIT_PROBE_H

#include "harness/audit/subject.h"
#include "harness/worker/process.h"

typedef enum probe_program { PROBE_AUDITED, PROBE_OWN } probe_program;

/* All calls return a status other than CIUIC_OK only when the audit itself must end: interrupted, or out of memory. What the
 * worker refused, or died of, is `failed`; further calls then do nothing. */
typedef struct probe {
    worker_process *process;
    cJSON *loaded; /* its answer to load */
    char failed[WORKER_REASON_MAX];
} probe;

ciuic_status probe_load(const audit_subject *s, probe_program program, const load_order *order, const bench_variant *v,
                        probe *p);
/* Logits of this probe, which should be the reference, into the file. */
ciuic_status probe_reference(probe *p, const char *file);
/* *answer is {accuracy, output_sha256}; NULL when it failed. */
ciuic_status probe_accuracy(probe *p, const char *file, cJSON **answer);

typedef struct probe_sample {
    double seconds;  /* of one iteration; NaN when it failed */
    char output[65]; /* digest of the logits that the last one ended with */
} probe_sample;

/* `ids`: iterations + 1 rows of the workload's tokens; NULL: its own. `logits`: a file to write, or NULL. */
ciuic_status probe_measure(probe *p, size_t iterations, const int32_t *ids, size_t tokens, const char *logits,
                           probe_sample *sample);
/* *answer is that to finish; NULL when it failed. */
ciuic_status probe_finish(probe *p, cJSON **answer);
bool probe_lives(const probe *p);
void probe_stop(probe *p); /* also of one that was never loaded, or zero */

/* The digest of its first run; "" when it failed. */
const char *probe_output(const probe *p);

#endif
