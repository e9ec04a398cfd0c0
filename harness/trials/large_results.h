/* large_results.h - results of many cases, made of measured ones: each copy is of another workload. For trials of cost; what
 * they say was not measured. */
#ifndef CIUIC_TRIALS_LARGE_RESULTS_H
#define CIUIC_TRIALS_LARGE_RESULTS_H

#include <cjson/cJSON.h>

#include "optimizer/ciuic.h"

/* Copies of the cases and blocks of the results at `path` until there are at least `cases` cases; without what judging adds,
 * and with the digest that belongs to it. *results is to be freed. */
ciuic_status large_results(const char *path, size_t cases, cJSON **results);

#endif
