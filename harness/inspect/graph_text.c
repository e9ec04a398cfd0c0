/* graph_text.c - a graph as text: what each pass did, what the cost model chose, and the operations that are left. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "harness/inspect/graph_print.h"

enum { OP_WIDTH = 14, FLOW_WIDTH = 45, FLOW_SIZE = 1024, FLOPS_WIDTH = 15, DID_WIDTH = 41 };

static void total_text(const graph_trace *t, const graph_amount *amount, char text[16])
{
    graph_number_text(graph_amount_at(amount, t->g, t->request->tokens, graph_trace_context(t)), text);
}

/* ---- passes ----------------------------------------------------------------------------------------------------- */

/* What fits of a list, whole items; ".." where some are missing. */
static void cut_list(const char *list, char text[DID_WIDTH + 1])
{
    size_t end = strlen(list);
    const bool whole = end <= DID_WIDTH;
    if (!whole)
        for (end = DID_WIDTH - 4; end > 0 && list[end] != ',';) end--;
    snprintf(text, DID_WIDTH + 1, "%.*s%s", (int)(end + (whole ? 0 : 1)), list, whole ? "" : " ..");
}

static void print_step(const graph_trace *t, const graph_step *s)
{
    char did[DID_WIDTH + 1];
    const graph_cost_text cost = graph_trace_cost_text(t, &s->cost);
    cut_list(s->did, did);
    printf("  %-15s", s->name);
    if (!s->ran)
        puts(" not run");
    else if (!s->changed && s != t->steps)
        puts(" finds nothing");
    else
        printf(" %5d %6d %8s %8s %8s  %s\n", s->ops, s->values, cost.flops, cost.weights, cost.others, did);
}

static void print_steps(const graph_trace *t)
{
    printf("\n  %-15s %5s %6s %8s %8s %8s\n", "pass", "ops", "values", "FLOPs", "weight B", "other B");
    for (int i = 0; i <= CIUIC_PASSES; i++) print_step(t, &t->steps[i]);
    if (t->lowered.name != NULL) print_step(t, &t->lowered);
}

static void print_total(const graph_trace *t)
{
    const graph_cost *cost = graph_trace_cost(t);
    const struct {
        const char *name;
        const graph_amount *amount;
    } lines[] = {
        {"FLOPs", &cost->flops}, {"weight bytes", &cost->weight_bytes}, {"other bytes", &cost->activation_bytes}};
    puts("");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char formula[GRAPH_AMOUNT_SIZE], total[16];
        graph_amount_text(lines[i].amount, formula);
        total_text(t, lines[i].amount, total);
        printf("  %-15s %s = %s\n", lines[i].name, formula, total);
    }
}

/* ---- the cost model --------------------------------------------------------------------------------------------- */

static void print_form(const graph_mla *m, graph_mla_form form)
{
    graph_amount flops, bytes;
    char f[GRAPH_AMOUNT_SIZE], b[GRAPH_AMOUNT_SIZE];
    graph_mla_cost(m, form, &flops, &bytes);
    graph_amount_text(&flops, f);
    graph_amount_text(&bytes, b);
    printf("    %-10s %s operations,\n               %s bytes\n",
           form == GRAPH_MLA_ABSORBED ? "absorbed:" : "expanded:", f, b);
}

static void print_choice(const graph_trace *t)
{
    const graph_request *r = t->request;
    if (r->stem != NULL || t->g->cache != GRAPH_CACHE_LATENT) return;
    const graph_mla m = graph_mla_of(r->config);
    const size_t context = graph_trace_context(t), most = r->config->max_position;
    printf("\n  kv_b of a layer's attention, over the latent cache; %d operations count as a byte:\n",
           GRAPH_FLOPS_PER_BYTE);
    print_form(&m, GRAPH_MLA_EXPANDED);
    print_form(&m, GRAPH_MLA_ABSORBED);
    printf("    %s of T = %zu, S = %zu: %s is cheaper", r->decode ? "decode" : "prefill", r->tokens, context,
           graph_mla_choose(&m, r->tokens, context) == GRAPH_MLA_ABSORBED ? "absorbed" : "expanded");
    if (r->decode)
        printf("; all decoding goes by S = %zu: %s", most / 2 + 1,
               graph_mla_choose(&m, 1, most / 2 + 1) == GRAPH_MLA_ABSORBED ? "absorbed" : "expanded");
    printf("\n    absorbed is cheaper from S =");
    const size_t tokens[] = {1, 8, 64, 256};
    for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
        const size_t from = graph_mla_crossover(&m, tokens[i], most);
        char length[24] = "never";
        if (from != SIZE_MAX) snprintf(length, sizeof length, "%zu", from);
        printf("%s %s for T = %zu", i > 0 ? "," : "", length, tokens[i]);
    }
    puts("");
    if (!graph_pass_selected(&r->options, CIUIC_PASS_ABSORB_MLA)) puts("    absorb-mla does not run: expanded always");
}

/* ---- operations ------------------------------------------------------------------------------------------------- */

/* "a, b -> c [T, 64]"; of what is too long the names of what is read are cut. */
static void flow_text(const graph *g, const graph_op *op, char text[FLOW_SIZE])
{
    char reads[512] = "", writes[GRAPH_SHORT_SIZE + GRAPH_SHAPE_SIZE + 8] = "", name[GRAPH_SHORT_SIZE],
         shape[GRAPH_SHAPE_SIZE];
    size_t used = 0;
    for (int j = 0; j < GRAPH_MAX_INPUTS; j++) {
        bool again = op->in[j].value == GRAPH_NONE;
        for (int i = 0; i < j; i++) again = again || op->in[i].value == op->in[j].value;
        if (again) continue;
        graph_short_name(g, op, op->in[j].value, name);
        const bool rotated = op->rotation.heads > 0 && op->in[op->rotation.input].value == op->in[j].value;
        used += (size_t)snprintf(reads + used, sizeof reads - used, rotated ? "%srope(%.60s)" : "%s%.60s",
                                 used > 0 ? ", " : "", name);
    }
    if (op->out.value != GRAPH_NONE) {
        graph_short_name(g, op, op->out.value, name);
        graph_shape_text(g, op->out.value, shape);
        snprintf(writes, sizeof writes, "%s%.60s %s", used > 0 ? " -> " : "", name, shape);
    }
    const size_t taken = strlen(writes), room = taken < FLOW_WIDTH ? FLOW_WIDTH - taken : 0;
    if (used <= room)
        snprintf(text, FLOW_SIZE, "%s%s", reads, writes);
    else
        snprintf(text, FLOW_SIZE, "%.*s..%s", (int)(room > 2 ? room - 2 : 0), reads, writes);
}

static void print_op(const graph_trace *t, const graph_op *op)
{
    char flow[FLOW_SIZE], flops[GRAPH_AMOUNT_SIZE], bytes[GRAPH_AMOUNT_SIZE];
    flow_text(t->g, op, flow);
    graph_cost cost = graph_op_cost(t->g, op, &t->storage);
    graph_amount_text(&cost.flops, flops);
    graph_amount_add(&cost.activation_bytes, &cost.weight_bytes, 1);
    graph_amount_text(&cost.activation_bytes, bytes);
    printf("    %-*s %-*.*s %-*s %s\n", OP_WIDTH, graph_op_name(op->kind), FLOW_WIDTH, FLOW_WIDTH, flow, FLOPS_WIDTH,
           flops, bytes);
}

/* Operations [first, end) in order that are of one layer, or of none. */
typedef struct run {
    int layer, first, end;
} run;

static run run_at(const graph *g, int first)
{
    run r = {.layer = g->ops[first].layer, .first = first, .end = first};
    while (r.end < g->op_count && g->ops[r.end].layer == r.layer) r.end++;
    return r;
}

/* A value's name with the layers in it counted from `layer`: alike in layers that are. */
static void relative_name(const graph *g, int value, int layer, char *text, size_t size)
{
    size_t used = 0;
    text[0] = '\0';
    if (value == GRAPH_NONE) return;
    for (const char *c = g->values[value].name; *c != '\0' && used + 16 < size; c++) {
        int number = 0, digits = 0;
        const bool begins = c == g->values[value].name || c[-1] == '|';
        if (begins && sscanf(c, "%d.%n", &number, &digits) == 1 && digits > 0) {
            used += (size_t)snprintf(text + used, size - used, "%+d.", number - layer);
            c += digits - 1;
        } else {
            text[used++] = *c;
            text[used] = '\0';
        }
    }
}

static bool alike_values(const graph *g, const graph_op *a, int x, const graph_op *b, int y)
{
    char first[2 * GRAPH_NAME], second[2 * GRAPH_NAME];
    relative_name(g, x, a->layer, first, sizeof first);
    relative_name(g, y, b->layer, second, sizeof second);
    if (strcmp(first, second) == 0) return true;
    /* What a layer is given has a name of its own before the first one. */
    return x != GRAPH_NONE && y != GRAPH_NONE && strcmp(first, "embedding") == 0 && strcmp(second, "-1.output") == 0;
}

static bool alike_ops(const graph_trace *t, const graph_op *a, const graph_op *b)
{
    const graph *g = t->g;
    char x[GRAPH_SHAPE_SIZE] = "", y[GRAPH_SHAPE_SIZE] = "";
    if (a->kind != b->kind || a->last != b->last) return false;
    for (int j = 0; j < GRAPH_MAX_INPUTS; j++)
        if (!alike_values(g, a, a->in[j].value, b, b->in[j].value)) return false;
    if (a->out.value != GRAPH_NONE) graph_shape_text(g, a->out.value, x);
    if (b->out.value != GRAPH_NONE) graph_shape_text(g, b->out.value, y);
    const graph_cost p = graph_op_cost(g, a, &t->storage), q = graph_op_cost(g, b, &t->storage);
    return strcmp(x, y) == 0 && memcmp(&p, &q, sizeof p) == 0;
}

static bool alike_runs(const graph_trace *t, run a, run b)
{
    if (a.layer == GRAPH_NONE || b.layer == GRAPH_NONE || a.end - a.first != b.end - b.first) return false;
    for (int i = 0; i < a.end - a.first; i++)
        if (!alike_ops(t, &t->g->ops[a.first + i], &t->g->ops[b.first + i])) return false;
    return true;
}

static void print_operations(const graph_trace *t)
{
    const graph *g = t->g;
    run shown = {.layer = GRAPH_NONE};
    printf("\n    %-*s %-*s %-*s %s\n", OP_WIDTH, "operation", FLOW_WIDTH, "reads -> writes", FLOPS_WIDTH, "FLOPs",
           "bytes");
    for (int i = 0; i < g->op_count;) {
        const run r = run_at(g, i);
        int last = r.layer;
        i = r.end;
        if (alike_runs(t, shown, r)) {
            for (; i < g->op_count && alike_runs(t, shown, run_at(g, i)); i = run_at(g, i).end)
                last = run_at(g, i).layer;
            if (last > r.layer)
                printf("  layers %d-%d: as layer %d\n", r.layer, last, shown.layer);
            else
                printf("  layer %d: as layer %d\n", r.layer, shown.layer);
            continue;
        }
        if (r.layer != GRAPH_NONE) {
            printf("  layer %d\n", r.layer);
            shown = r;
        } else if (t->request->stem == NULL) {
            puts(r.first == 0 ? "  before the layers" : "  behind the layers");
        }
        for (int j = r.first; j < r.end; j++) print_op(t, &g->ops[j]);
    }
}

static void print_stem_heading(const graph_trace *t)
{
    const stem_config *s = t->request->stem;
    printf("%s: a stem, T = %zu images of %zu x %zu x %zu, channels %s\n  filters of %g bytes a value\n",
           t->request->name, t->request->tokens, s->channels, s->height, s->width,
           s->channels_last_in ? "last" : "first", t->storage.weight);
}

static void print_heading(const graph_trace *t)
{
    const graph_request *r = t->request;
    printf("%s: %s, T = %zu tokens, S = %zu positions in the cache\n", r->name, r->decode ? "decode" : "prefill",
           r->tokens, graph_trace_context(t));
    printf("  weights of %.3g bytes a value, a cache of %.4g", t->storage.weight, t->storage.cache);
    if (!r->decode) printf("; P = TS - T(T-1)/2 pairs in attention");
    if (r->config->experts > 0)
        printf("%s X = min(%zu, %zuT) experts", r->decode ? ";" : ",\n ", r->config->experts,
               r->config->experts_per_token);
    puts("");
}

void graph_print_text(const graph_trace *t)
{
    if (t->request->stem != NULL)
        print_stem_heading(t);
    else
        print_heading(t);
    print_steps(t);
    print_total(t);
    print_choice(t);
    print_operations(t);
}
