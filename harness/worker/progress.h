/* progress.h - how far a bench is and how long it will still take: one line on stderr, rewritten in place, and only when
 * that is a terminal. */
#ifndef CIUIC_PROGRESS_H
#define CIUIC_PROGRESS_H

#include <stddef.h>

#include "optimizer/ciuic.h"

typedef struct progress progress;

progress *progress_create(size_t blocks, double budget_s); /* NULL when out of memory */
void progress_free(progress *p);                           /* ends the line; NULL is allowed */
/* Block `index` begins; `title` names its workload. */
void progress_block(progress *p, size_t index, const char *title);
/* What is being done in it: "loading int4+graph+c". */
void progress_step(progress *p, const char *what, double elapsed_s);
/* `round` of `rounds` begins, each of about `round_s` seconds. */
void progress_round(progress *p, size_t round, size_t rounds, double round_s, double elapsed_s);
/* A line that stays, terminal or not: a case that failed. */
void progress_say(progress *p, const char *text);

#endif
