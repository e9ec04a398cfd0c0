/* boundary.h - the last value that works, found by trying: the longest context, the smallest limit.
 *
 * What works is taken to go on working when it becomes easier. The search starts at a guess, goes away from it in steps that
 * double until it has seen a value that works and one that does not, and halves what lies between; so a good guess costs few
 * trials. */
#ifndef CIUIC_BOUNDARY_H
#define CIUIC_BOUNDARY_H

#include "optimizer/ciuic.h"

typedef struct boundary {
    size_t least, most; /* values that may be tried */
    bool upwards;       /* larger values are harder: a context. Otherwise smaller ones are: a limit */
    size_t start;       /* the guess; moved between least and most */
    size_t granularity; /* at least 1: how close the value found and the nearest that fails are to come */
} boundary;

typedef struct boundary_found {
    bool worked, failed;       /* any trial did */
    size_t found, nearest_bad; /* the hardest that worked, the easiest that did not */
    size_t trials;
} boundary_found;

/* Anything but CIUIC_OK ends the search with that status. */
typedef ciuic_status boundary_trial(void *context, size_t value, bool *works);

ciuic_status boundary_search(const boundary *b, boundary_trial *trial, void *context, boundary_found *found);

#endif
