/* fit.h - one trial of a search for limits: whether a variant runs to the end of a context under a limit of memory.
 *
 * The parent asks by a member "fit" of a "load" request: {context, prompt, whole, limit, plan_only}. A worker that answers has
 * run to the end; one that does not fit says so, or dies. */
#ifndef CIUIC_FIT_H
#define CIUIC_FIT_H

#include <cjson/cJSON.h>

#include "harness/worker/workload.h"

typedef struct fit_request {
    bool asked;
    size_t context; /* positions of the session */
    size_t prompt;  /* most tokens given to a prefill at once */
    size_t limit;   /* bytes, enforced by run_limit_set; 0: none, or somebody else's (a cgroup's) */
    bool whole;     /* all positions are computed; otherwise the first prefill and what the context ends with */
    bool plan_only; /* nothing is loaded: the answer is the plan alone */
} fit_request;

/* The member "fit" of a request; absent, it is not asked for. */
ciuic_status fit_read(const cJSON *request, fit_request *fit);
/* The same as an item, for the parent's side; NULL: out of memory. */
cJSON *fit_json(const fit_request *fit);
/* Fills a session of fit->context positions: prefills of at most `prompt` tokens, and, of a decode, the last token decoded. */
ciuic_status fit_run(ciuic_model *model, const workload_spec *spec, const fit_request *fit);

#endif
