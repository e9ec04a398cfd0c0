/* subject.h - what is audited: results, the suite and the checkpoints that they name as they are found here, and the sample
 * of cases that is run again. Nothing in the file is executed, and no path in it is written to. */
#ifndef CIUIC_AUDIT_SUBJECT_H
#define CIUIC_AUDIT_SUBJECT_H

#include "harness/audit/audit.h"
#include "harness/audit/findings.h"
#include "harness/results_file.h"
#include "harness/suite/suite.h"
#include "harness/worker/load_order.h"

enum { AUDIT_PATH = 4096, AUDIT_REASON = 512 };

typedef struct audited_checkpoint {
    const char *name;      /* as the results call it */
    char path[AUDIT_PATH]; /* "" when it was not found */
    bool same;             /* its digest is the one in the results */
    char why[AUDIT_REASON];
} audited_checkpoint;

/* One case that is run again. */
typedef struct audited_case {
    const result_case *result;
    const result_group *group;
    bench_variant variant;
    load_order order; /* as the bench gave it */
    const audited_checkpoint *checkpoint;
} audited_case;

typedef struct audit_subject {
    const audit_options *options;
    results_file results; /* judged again */
    cJSON *written;       /* as the file has it */
    suite *suite;         /* NULL: `no_suite` says why */
    char no_suite[AUDIT_REASON];
    audited_checkpoint *checkpoints;
    size_t checkpoint_count;
    size_t windows, window_tokens; /* what errors are measured on; 0 tokens: not known */
    sha256_hex program;            /* of the program under audit */
    bool same_program;             /* it made the results */
    bool same_cpu;                 /* on a machine like this one */
    audited_case *cases;           /* the sample */
    size_t case_count;
    size_t left_packed, left_cached; /* cases of packed folders, and of caches of prefixes: not in the sample */
    char no_case[AUDIT_REASON];      /* why a case could not be taken, the last one */
    char *folder;                    /* temporary */
    uint64_t random;                 /* state of the seeded draws */
} audit_subject;

/* Reads everything; CIUIC_ERROR_INPUT only for results that are none. Free with subject_free, also after a failure. */
ciuic_status subject_read(const audit_options *options, audit_subject *s);
/* Removes the temporary folder. */
void subject_free(audit_subject *s);

/* What errors are measured against: every stage off, kernels in portable C. */
extern const bench_variant audit_reference;

/* The next of the seeded draws, below n. */
size_t subject_draw(audit_subject *s, size_t n);
/* The settings of a case as bench_variant; CIUIC_ERROR_INPUT when they are none, or are not those that its id says. */
ciuic_status subject_variant(const audit_subject *s, const result_case *c, bench_variant *v);
/* folder/name into `path`. */
void subject_path(const audit_subject *s, const char *name, char path[AUDIT_PATH]);

#endif
