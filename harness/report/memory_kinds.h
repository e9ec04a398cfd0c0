/* memory_kinds.h - what a case's bytes are for, kind by kind, so that the kinds add up to the accounted total. */
#ifndef CIUIC_MEMORY_KINDS_H
#define CIUIC_MEMORY_KINDS_H

#include "harness/judge/results.h"

enum { MEMORY_KINDS = 7 };

/* "Weights, mapped", ...: in the order in which they are stacked. reports/memory.gnuplot has the same. */
extern const char *const memory_kind_titles[MEMORY_KINDS];

/* bytes[k] of each kind, NaN where results do not say. Weights in the heap are told apart by `packed`: those laid out for
 * the kernels or quantised, and those as they were read; results without `packed` have them all as read. Results from
 * before there was `other` have it as what the total is more than the rest. */
void memory_kinds_of(const result_case *c, double bytes[MEMORY_KINDS]);

#endif
