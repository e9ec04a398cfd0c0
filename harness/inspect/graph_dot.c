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
    char flops[GRAPH_AMOUNT_SIZE], weights[GRAPH_AMOUNT_SIZE], others[GRAPH_AMOUNT_SIZE];
    graph_amount_text(&cost.flops, flops);
    graph_amount_text(&cost.weight_bytes, weights);
    graph_amount_text(&cost.activation_bytes, others);
    fprintf(out, "    op%d [label=\"%s%s", index, op->rotation.heads > 0 ? "rope in " : "", graph_op_name(op->kind));
    if (op->weight != GRAPH_NONE) {
        fputs("\\n", out);
        put_escaped(out, t->g->weights[op->weight].name[0]);
        if (t->g->weights[op->weight].parts > 1) fprintf(out, " and %d more", t->g->weights[op->weight].parts - 1);
    }
    fprintf(out, "\\n%s FLOPs\\n%s bytes of weights\\n%s other bytes\"];\n", flops, weights, others);
}

/* A row of the table: the graph behind the step; what is not there changed nothing. */
static void put_step(const graph_trace *t, const graph_step *s, FILE *out)
{
    const graph_cost_text cost = graph_trace_cost_text(t, &s->cost);
    fprintf(out, "    <tr><td>%s</td>", s->name);
    if (!s->ran)
        fputs("<td colspan=\"6\">not run</td></tr>\n", out);
    else if (!s->changed && s != t->steps)
        fputs("<td colspan=\"6\">finds nothing</td></tr>\n", out);
    else
        fprintf(out, "<td>%d</td><td>%d</td><td>%s</td><td>%s</td><td>%s</td><td>%s</td></tr>\n", s->ops, s->values,
                cost.flops, cost.weights, cost.others, s->did);
}

/* What each pass did, as graph_text.c has it: the row above is the graph before it. Graphviz takes tables in angle brackets;
 * names of passes and operations have nothing in them that would have to be escaped there. */
static void put_steps(const graph_trace *t, FILE *out)
{
    char context[48] = "";
    if (t->request->stem == NULL) snprintf(context, sizeof context, ", S = %zu", graph_trace_context(t));
    fprintf(out,
            "  passes [shape=plaintext, label=<<table border=\"0\" cellborder=\"1\" cellspacing=\"0\">\n"
            "    <tr><td>T = %zu%s</td><td>ops</td><td>values</td><td>FLOPs</td><td>bytes of weights</td>"
            "<td>other bytes</td><td>change</td></tr>\n",
            t->request->tokens, context);
    for (int i = 0; i <= CIUIC_PASSES; i++)
        if (t->steps[i].name != NULL) put_step(t, &t->steps[i], out);
    if (t->lowered.name != NULL) put_step(t, &t->lowered, out);
    fputs("  </table>>];\n", out);
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
    put_steps(t, out);
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
