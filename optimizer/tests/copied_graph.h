/* copied_graph.h - a graph of a test's own, to run passes on and compare with the one that it was copied from. */
#ifndef CIUIC_TESTS_COPIED_GRAPH_H
#define CIUIC_TESTS_COPIED_GRAPH_H

#include "optimizer/graph/graph.h"

/* Free with graph_free; out of memory ends the test. */
graph *copy_graph(const graph *g);

#endif
