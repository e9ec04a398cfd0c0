/* copied_graph.c - see copied_graph.h. */
#include "optimizer/tests/copied_graph.h"

#include <stdlib.h>
#include <string.h>

#include "optimizer/tests/runner.h"

graph *copy_graph(const graph *g)
{
    graph *copy = malloc(sizeof *copy);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    *copy = *g;
    copy->values = malloc((size_t)g->value_count * sizeof *g->values);
    copy->ops = malloc((size_t)g->op_count * sizeof *g->ops);
    copy->weights = malloc((size_t)(g->weight_count + 1) * sizeof *g->weights);
    CU_ASSERT_FATAL(copy->values && copy->ops && copy->weights);
    memcpy(copy->values, g->values, (size_t)g->value_count * sizeof *g->values);
    memcpy(copy->ops, g->ops, (size_t)g->op_count * sizeof *g->ops);
    memcpy(copy->weights, g->weights, (size_t)g->weight_count * sizeof *g->weights);
    copy->value_capacity = g->value_count;
    copy->op_capacity = g->op_count;
    copy->weight_capacity = g->weight_count;
    return copy;
}
