/* count.h - `ciuic worker --count`: a variant loaded, and its workload repeated once, with nothing else in the process.
 *
 * What counts instructions counts all that a process has done since it began, and says so at its end. So the process that
 * has loaded the variant, and run the workload once to warm up, has four children one after the other, which begin with
 * what it has counted: three end at once, the last runs the workload once more. With what the parent does between two
 * children (L) and one repetition (R) the last three have counted S, S + L and S + 2 L + R: R is the last, less twice the
 * one before, and the one before that, exactly. The first is there to have the parent's way warm. Nothing here depends on
 * time, on numbers of processes or on what others do. */
#ifndef CIUIC_WORKER_COUNT_H
#define CIUIC_WORKER_COUNT_H

#include "optimizer/ciuic.h"

/* Reads a "load" request (process.h) from standard input and prints {"output_sha256":"...", "children":[o, p, q, r]}: the
 * digest of the logits that the workload ended with, and the processes' numbers. Of one thread only: a fork has no
 * others. */
ciuic_status count_repetition(void);

#endif
