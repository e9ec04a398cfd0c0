/* print.c - a graph as text: one line an operation, shapes in symbols (T tokens, R routed rows, S cached positions). */
#include "optimizer/graph/graph.h"

static void print_value(const graph *g, const graph_operand *operand, FILE *stream)
{
    const graph_value *value = &g->values[operand->value];
    static const char *const rows[] = {[GRAPH_TOKENS] = "T", [GRAPH_ROUTED] = "R", [GRAPH_CONTEXT] = "S"};
    fprintf(stream, " %s", value->name);
    if (operand->offset != 0) fprintf(stream, "+%zu", operand->offset);
    fprintf(stream, "[%s%s,%zu]", value->last ? "last " : "", rows[value->rows], value->width);
}

void graph_print(const graph *g, FILE *stream)
{
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        fprintf(stream, "%4d %-14s", i, graph_op_name(op->kind));
        for (int j = 0; j < GRAPH_MAX_INPUTS; j++)
            if (op->in[j].value != GRAPH_NONE) print_value(g, &op->in[j], stream);
        if (op->weight != GRAPH_NONE) {
            const graph_weight *w = &g->weights[op->weight];
            for (int j = 0; j < w->parts; j++) fprintf(stream, "%s%s", j == 0 ? " (" : " | ", w->name[j]);
            if (w->fold[0] != '\0') fprintf(stream, " x %s", w->fold);
            fprintf(stream, ")");
        }
        if (op->out.value != GRAPH_NONE) {
            fprintf(stream, " ->");
            print_value(g, &op->out, stream);
        }
        fprintf(stream, "\n");
    }
}
