/* timing.h - several things timed in turn, round after round, and the ratio of two of them with its interval and the noise
 * floor that was measured beside it. */
#ifndef CIUIC_AUDIT_TIMING_H
#define CIUIC_AUDIT_TIMING_H

#include "harness/audit/findings.h"
#include "harness/audit/inputs.h"
#include "harness/audit/probe.h"
#include "harness/judge/statistics.h"

/* Ten pairs give an interval from the second smallest to the second largest: one disturbed round on either side changes
 * nothing. */
enum { TIMING_ROUNDS = 10 };

/* One thing that is timed. Two sides may share a probe: the same again, or on other inputs. */
typedef struct timing_side {
    probe *probe;
    const audit_inputs *fresh; /* not NULL: token ids drawn anew for every repetition */
    size_t tokens;             /* of the probe's workload; 0: the case's */
    size_t iterations;         /* of one sample; set by timing_run */
    double seconds[TIMING_ROUNDS];
} timing_side;

typedef struct timing {
    audit_subject *subject;
    const audited_case *c;
    timing_side *sides;
    size_t count;
    size_t twins[2]; /* two sides that are the same: what they differ by is noise */
} timing;

/* Interleaved, in the seeded order of a bench. A probe that fails ends it; timing_failed() then says how. */
ciuic_status timing_run(timing *t);
const char *timing_failed(const timing *t); /* "" when all went well */

typedef struct timed_ratio {
    interval value; /* of seconds of one over seconds of the other, paired within rounds */
    double floor;   /* how far a thing was from itself, relatively */
} timed_ratio;

/* Side `over` over side `under`. */
timed_ratio timing_ratio(const timing *t, size_t over, size_t under);
cJSON *timed_json(const timed_ratio *ratio);

/* Median of a side's seconds. */
double timing_seconds(const timing *t, size_t side);

/* Passed: the interval lies within [low, high]; failed: beyond one of them; inconclusive: it straddles one. */
audit_outcome timing_within(const timed_ratio *ratio, double low, double high);

/* The factor within which two alike things may lie apart: 1 + band, or two noise floors where that is more. A thing differs
 * from itself by one of them seldom enough (statistics.h); the second is for what the twins share and others do not: one
 * process, with its pages where they are. */
double timing_margin(double floor, double band);
/* A pass means something only where the margin is no more than this: a doubling would have been seen. */
#define TIMING_MARGIN_MOST 2.0
/* Whether two alike things take alike long: timing_within of the margin, or of [0, margin] where a ratio below 1 is no
 * matter; a pass by more than TIMING_MARGIN_MOST is inconclusive. */
audit_outcome timing_alike(const timed_ratio *ratio, double band, bool either_way);

#endif
