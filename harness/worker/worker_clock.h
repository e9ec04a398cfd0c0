/* worker_clock.h - whether the times that a worker reports can be true, by two clocks that are not the one it read: this
 * process's own between request and answer, and the processor time that the kernel counts for the worker's threads, which
 * the worker reports as well: a clock that is wrong is found, and no worker that means to deceive. */
#ifndef CIUIC_WORKER_CLOCK_H
#define CIUIC_WORKER_CLOCK_H

#include <stddef.h>

#include "harness/suite/record.h"

enum { CLOCK_PROBLEM_MAX = 128 };

/* One sample: a whole measurement, not one iteration of it. */
typedef struct sample_time {
    double seconds, cpu_s; /* as the worker reports them */
    double busy_s;         /* the same, with the repetition before them that is not timed */
    double elapsed_s;      /* from the request to the answer, here */
} sample_time;

/* `problem` says what is wrong with one sample's time, "" when nothing is. */
void worker_clock_judge(const sample_time *t, int threads, char problem[CLOCK_PROBLEM_MAX]);

/* The same of all samples that a slot has so far: what each of them could be excused for adds up. */
void worker_clock_judge_all(const slot_record *slot, size_t rounds, int threads, char problem[CLOCK_PROBLEM_MAX]);

#endif
