/* limit_search.h - what a variant really needs: the longest context that runs to its end under the suite's limit, and the
 * smallest limit under which the suite's own workload does, found by running workers and set beside what was planned. */
#ifndef CIUIC_LIMIT_SEARCH_H
#define CIUIC_LIMIT_SEARCH_H

#include "harness/worker/block.h"

/* Searches for case `index`, and notes what was found as an entry "search". A worker that dies by its limit is an answer; a
 * search that cannot be made notes why. Fails only when interrupted, out of memory, or when the journal cannot be written. */
ciuic_status limit_search_run(bench *b, size_t index);

#endif
