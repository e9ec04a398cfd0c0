/* view.h - reading a value where it was copied from: what drop-slices, rope-in-place and drop-concats have in common. */
#ifndef CIUIC_GRAPH_VIEW_H
#define CIUIC_GRAPH_VIEW_H

#include "optimizer/graph/graph.h"

/* Every reader of what operation `index` writes, `heads` segments of `width`, reads its first input instead; false, and
 * nothing changes, when one of them cannot, or when something rewrites either of the two in place later. */
bool graph_view_instead(graph *g, int index, size_t heads, size_t width);

/* Columns offset + h * stride + [0, width) of a value, for each of `heads` heads. */
typedef struct graph_columns {
    graph_operand at;
    size_t heads, width;
} graph_columns;

/* Whether the operation may read one of the columns through input j. Conservative: unequal layouts count as overlapping
 * where their spans do. */
bool graph_reads_columns(const graph *g, const graph_op *op, int j, const graph_columns *columns);

#endif
