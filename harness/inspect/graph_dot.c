/* graph_dot.c - a graph in Graphviz's language. */
#include <stdio.h>

#include "harness/inspect/graph_print.h"

/* Quotes, backslashes and what does not print would end or change a label. */
static void put_escaped(FILE *out, const char *text)
{
    for (; *text != '\0'; text++) {
        if (*text == '"' || *text == '\\') fputc('\\', out);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, out);
    }
}

static void put_node(const graph_trace *t, int index, FILE *out)
{
    const graph_op *op = &t->g->ops[index];
    const graph_cost cost = graph_op_cost(t->g, op, &t->storage);
    char flops[GRAPH_AMOUNT_SIZE];
    graph_amount_text(&cost.flops, flops);
    fprintf(out, "    op%d [label=\"%s%s", index, op->rotation.heads > 0 ? "rope in " : "", graph_op_name(op->kind));
    if (op->weight != GRAPH_NONE) {
        fputs("\\n", out);
        put_escaped(out, t->g->weights[op->weight].name[0]);
        if (t->g->weights[op->weight].parts > 1) fprintf(out, " and %d more", t->g->weights[op->weight].parts - 1);
    }
    fprintf(out, "\\n%s FLOPs\"];\n", flops);
}

/* The operation that last wrote the value before `reader`. */
static int last_writer(const graph *g, int value, int reader)
{
    for (int i = reader - 1; i >= 0; i--)
        if (graph_writes(&g->ops[i], value)) return i;
    return GRAPH_NONE;
}

static void put_edge(const graph *g, int from, const char *to, int value, FILE *out)
{
    char shape[GRAPH_SHAPE_SIZE];
    graph_shape_text(g, value, shape);
    fprintf(out, "  op%d -> %s [label=\"", from, to);
    put_escaped(out, g->values[value].name);
    fprintf(out, "\\n%s\"];\n", shape);
}

void graph_print_dot(const graph_trace *t, FILE *out)
{
    const graph *g = t->g;
    char to[24];
    fputs("digraph \"", out);
    put_escaped(out, t->request->name);
    fprintf(out,
            " %s\" {\n  node [shape=box, fontname=\"sans-serif\"];\n  edge [fontname=\"sans-serif\", fontsize=10];\n",
            graph_request_phase(t->request));
    for (int i = 0; i < g->op_count;) {
        const int layer = g->ops[i].layer;
        if (layer != GRAPH_NONE) fprintf(out, "  subgraph cluster_%d {\n    label=\"layer %d\";\n", layer, layer);
        for (; i < g->op_count && g->ops[i].layer == layer; i++) put_node(t, i, out);
        if (layer != GRAPH_NONE) fputs("  }\n", out);
    }
    for (int i = 0; i < g->op_count; i++)
        for (int j = 0; j < GRAPH_MAX_INPUTS; j++) {
            const int value = g->ops[i].in[j].value, from = value != GRAPH_NONE ? last_writer(g, value, i) : GRAPH_NONE;
            snprintf(to, sizeof to, "op%d", i);
            if (from != GRAPH_NONE) put_edge(g, from, to, value, out);
        }
    fputs("  output [shape=plaintext];\n", out);
    put_edge(g, last_writer(g, g->output, g->op_count), "output", g->output, out);
    fputs("}\n", out);
}
