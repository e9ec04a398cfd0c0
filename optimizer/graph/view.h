/* view.h - reading a value where it was copied from: what drop-slices, rope-in-place and drop-concats have in common. */
#ifndef CIUIC_GRAPH_VIEW_H
#define CIUIC_GRAPH_VIEW_H

#include "optimizer/graph/graph.h"

/* Every reader of `copy`, which holds `heads` segments of `width`, reads the original operand instead; false, and nothing
 * changes, when one of them cannot, or when something rewrites the copy in place. */
bool graph_view_instead(graph *g, int copy, graph_operand original, size_t heads, size_t width);

#endif
