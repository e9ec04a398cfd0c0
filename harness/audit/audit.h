/* audit.h - results looked at for what cheating or accident leaves behind: a sample of the cases is run again under other
 * conditions. */
#ifndef CIUIC_AUDIT_H
#define CIUIC_AUDIT_H

#include <stdbool.h>
#include <stdint.h>

#include "optimizer/ciuic.h"

typedef struct audit_options {
    const char *results;    /* results.json, or the folder that holds it */
    const char *binary;     /* the program under audit, whose workers are asked; NULL: this one */
    const char *suite;      /* instead of the suite file that the results name; NULL: that one */
    const char *checkpoint; /* where the checkpoint is now; NULL: where the suite says */
    uint64_t seed;          /* of the sample and of everything that is drawn */
    size_t cases;           /* to run again */
    const char *only;       /* this test alone, by its name; NULL: all */
    bool untimed;           /* leave out what needs a clock */
    bool json;
} audit_options;

/* Prints the findings on stdout. *passed: no test has failed. CIUIC_ERROR_INPUT: the results are none;
 * CIUIC_ERROR_UNSUPPORTED: nothing failed, and not one case could be run again here; CIUIC_ERROR_INTERRUPTED. */
ciuic_status audit_run(const audit_options *options, bool *passed);

#endif
