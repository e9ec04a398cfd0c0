/* likwid_bench.h - the bandwidth that this program measures, held against likwid-bench's, which others wrote. */
#ifndef CIUIC_LIKWID_BENCH_H
#define CIUIC_LIKWID_BENCH_H

#include <cjson/cJSON.h>

#include "optimizer/ciuic.h"

/* How far apart the two may be, relative to likwid-bench's, before it is said. */
#define LIKWID_BENCH_APART 0.1

/* The "MByte/s:" of what likwid-bench prints, in bytes per second (its megabyte is 10^6 bytes); NaN where there is no such
 * line, or no sound number in it. */
double likwid_bench_parse(const char *output);

typedef enum cross_checked { CROSS_CHECK_WIDEST, CROSS_CHECK_EVERY_RUNG } cross_checked;

/* Adds "cross_check" to the machine record, which has been measured: {"tool", "test", "buffer_bytes", "bandwidth": {"1":
 * {"own", "own_plain", "likwid_bench", "tries"}, ...}, "narrower_loads": {"c": {"test", "bandwidth"}, ...}}, bytes per second; or
 * {"reason"} where it cannot be had, by name, of all or of a rung. The widest loads are measured by turns with likwid-bench's,
 * three times, and the best of each counts: what disturbs one only makes it slower. Those of the narrower rungs, where every rung
 * is asked for, twice. Where the two are apart, a warning says so. likwid-bench takes a second for each time that it is
 * started: six to sixteen in all; half a minute more, should it hang. */
ciuic_status machine_cross_check(cJSON *machine, int threads, cross_checked loads);

#endif
