/* run_limit.h - running a variant under a limit of memory: what it needs is worked out first and refused by name where it is
 * more, and then the kernel holds the process to it.
 *
 * The limit is of addresses (RLIMIT_AS), counted from what the program has before it loads anything: its code, libraries
 * and the stacks of its threads do not count, a mapped checkpoint does, with all of its files. */
#ifndef CIUIC_RUN_LIMIT_H
#define CIUIC_RUN_LIMIT_H

#include <cjson/cJSON.h>

#include "optimizer/ciuic.h"

/* What a run needs, worked out before it. */
typedef struct run_need {
    ciuic_memory_use use;
    size_t caller;          /* buffers of the program that runs the session */
    size_t allowance;       /* for what malloc rounds up to pages, and small things of the program's own */
    size_t total;           /* all of it, at the worst moment */
    size_t longest_context; /* that keeps within the limit, or without one within the machine's memory */
    size_t refused;         /* the limit, in bytes, that run_limit_check refused it under; 0: it has not */
} run_need;

/* Starts the threads, gives the first one the stack that kernels may use, and notes what the process has: call it before a checkpoint is opened. */
void run_limit_begin(int threads);

/* limit 0: none. `plain`: the checkpoint, as ciuic_model_load gave it. `caller`: bytes of the program's own buffers, work->position_bytes
 * for each position of session->context among them. */
ciuic_status run_limit_plan(const ciuic_model *plain, const ciuic_options *options,
                            const ciuic_session_options *session, const ciuic_work *work, size_t caller, size_t limit,
                            run_need *need);
/* CIUIC_ERROR_UNSUPPORTED where the need is more than the limit: `who` needs how much of what; need->refused is then set. */
ciuic_status run_limit_check(const char *who, run_need *need, size_t limit);
/* {needed_bytes, limit_bytes} of a need that was refused; NULL: it was not, or out of memory. */
cJSON *run_refusal_json(const run_need *need);
/* Holds the process to the limit from now on. CIUIC_ERROR_UNSUPPORTED: the kernel does not do it. */
ciuic_status run_limit_set(size_t limit);
/* The run is over: what comes now is not the variant's. */
void run_limit_lift(void);

/* Checks that the variant of the checkpoint keeps within the limit, and sets it. */
ciuic_status run_limit_hold(const char *checkpoint, const char *variant, run_need *need, size_t limit);
/* Only whether it does: since that was the question, CIUIC_ERROR_LIMIT where not. */
ciuic_status run_limit_answer(const char *checkpoint, const char *variant, const run_need *need, size_t limit);

/* {weights, ..., total, caller, allowance, needed, longest_context}; false: out of memory. */
bool run_need_json(cJSON *object, const run_need *need);
/* The same for people, on stdout. */
void run_need_print(const run_need *need, size_t limit);

#endif
