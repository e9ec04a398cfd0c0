/* cost.c - see cost.h. */
#include "optimizer/graph/cost.h"

#include <math.h>
#include <stdio.h>

static graph_amount constant(double number)
{
    return (graph_amount){.of = {[GRAPH_TERM_1] = number}};
}

void graph_amount_add(graph_amount *sum, const graph_amount *amount, double times)
{
    for (int i = 0; i < GRAPH_TERMS; i++) sum->of[i] += times * amount->of[i];
}

/* One token, and the experts that it goes to: in decode these are numbers. */
static void settle_decode(const graph *g, graph_amount *a)
{
    if (g->phase != GRAPH_DECODE) return;
    a->of[GRAPH_TERM_1] += a->of[GRAPH_TERM_T] + a->of[GRAPH_TERM_X] * (double)g->experts_per_token;
    a->of[GRAPH_TERM_S] += a->of[GRAPH_TERM_P];
    a->of[GRAPH_TERM_T] = a->of[GRAPH_TERM_X] = a->of[GRAPH_TERM_P] = 0;
}

static graph_amount rows_of(const graph *g, graph_rows rows, bool last)
{
    graph_amount a = {{0}};
    if (rows == GRAPH_CONTEXT)
        a.of[GRAPH_TERM_S] = 1;
    else
        a.of[last ? GRAPH_TERM_1 : GRAPH_TERM_T] = rows == GRAPH_ROUTED ? (double)g->experts_per_token : 1;
    return a;
}

/* Rows that the operation runs for: of what it writes, or of what it puts into the cache. */
static graph_amount operation_rows(const graph *g, const graph_op *op)
{
    const graph_value *v = &g->values[op->out.value != GRAPH_NONE ? op->out.value : op->in[0].value];
    return rows_of(g, v->rows, v->last || op->last);
}

/* Pairs of a query row and a position that it attends to. */
static graph_amount attended(const graph_op *op)
{
    graph_amount a = {{0}};
    a.of[op->last ? GRAPH_TERM_S : GRAPH_TERM_P] = 1;
    return a;
}

/* ---- operations ------------------------------------------------------------------------------------------------- */

/* Of each row that the operation runs for; attention is not by rows. */
static double own_row_flops(const graph *g, const graph_op *op)
{
    const double width = (double)op->heads * (double)op->head_width;
    const graph_weight *w = op->weight != GRAPH_NONE ? &g->weights[op->weight] : NULL;
    switch (op->kind) {
    case GRAPH_RMS_NORM:
    case GRAPH_SILU:
        return 4 * width;
    case GRAPH_ADD_NORM:
    case GRAPH_SWIGLU:
        return 5 * width;
    case GRAPH_MATMUL:
    case GRAPH_EXPERT_MATMUL:
        return 2.0 * (double)graph_weight_rows(w) * (double)w->columns;
    case GRAPH_MATMUL_SWIGLU:
    case GRAPH_EXPERT_SWIGLU:
        return 2.0 * (double)graph_weight_rows(w) * (double)w->columns + 5.0 * (double)w->rows[0];
    case GRAPH_ROPE:
        return 3 * width;
    case GRAPH_ABSORB_QUERY:
        return 2 * width * (double)(op->key_width - op->tail_width);
    case GRAPH_ABSORB_VALUE:
        return 2 * width * (double)op->value_width;
    case GRAPH_MUL:
    case GRAPH_ADD:
    case GRAPH_RELU:
        return width;
    case GRAPH_ROUTE:
    case GRAPH_QUANTIZE:
        return 2 * width;
    case GRAPH_COMBINE:
        return 2 * width * (double)g->experts_per_token;
    case GRAPH_CONV2D:
        return 2.0 * (double)graph_image_outputs(&op->image) * (double)w->columns;
    case GRAPH_BATCH_NORM:
        return (w->computed ? 2.0 : 4.0) * (double)graph_image_numbers(&op->image, op->image.reads);
    default:
        return 0;
    }
}

static double row_flops(const graph *g, const graph_op *op)
{
    return own_row_flops(g, op) + 3.0 * (double)op->rotation.heads * (double)op->rotation.width;
}

static graph_amount weight_bytes(const graph *g, const graph_op *op, const graph_storage *storage)
{
    graph_amount a = {{0}};
    if (op->weight == GRAPH_NONE) return a;
    const graph_weight *w = &g->weights[op->weight];
    const double matrix = (double)graph_weight_rows(w) * (double)w->columns * (w->exact ? 4 : storage->weight);
    const graph_amount rows = operation_rows(g, op);
    bool grouped = false;
    for (int i = 0; i < g->op_count; i++)
        if ((op->kind == GRAPH_EXPERT_MATMUL || op->kind == GRAPH_EXPERT_SWIGLU) &&
            g->ops[i].out.value == op->in[1].value)
            grouped = g->ops[i].grouped;
    switch (op->kind) {
    case GRAPH_EMBED:
        graph_amount_add(&a, &rows, (double)w->columns * storage->weight);
        return a;
    case GRAPH_EXPERT_MATMUL:
    case GRAPH_EXPERT_SWIGLU: /* rows one by one read their expert's matrices each */
        if (grouped && !op->last)
            a.of[GRAPH_TERM_X] = matrix;
        else
            graph_amount_add(&a, &rows, matrix);
        return a;
    case GRAPH_ABSORB_QUERY: /* token by token; each takes its half of kv_b */
    case GRAPH_ABSORB_VALUE: {
        const bool query = op->kind == GRAPH_ABSORB_QUERY;
        const double nope = (double)(query ? op->head_width : op->key_width), value = (double)op->value_width;
        graph_amount_add(&a, &rows, matrix * (query ? nope : value) / (nope + value));
        return a;
    }
    case GRAPH_MATMUL:
    case GRAPH_MATMUL_SWIGLU:
        a.of[GRAPH_TERM_1] = matrix;
        for (int i = 0; i < w->parts; i++) a.of[GRAPH_TERM_1] += w->bias[i] ? 4.0 * (double)w->rows[i] : 0;
        return a;
    case GRAPH_CONV2D:
        return constant(4.0 * (double)(w->columns + 1) *
                        (double)(w->blocked ? kernel_block_channels(w->rows[0]) : w->rows[0]));
    case GRAPH_BATCH_NORM:
        return constant((w->computed ? 8.0 : 16.0) * (double)w->columns);
    default:
        return constant(4.0 * (double)w->columns);
    }
}

/* Columns that input j has of each row. */
static double input_columns(const graph *g, const graph_op *op, int j)
{
    const double heads = op->in[j].stride == 0 && op->heads > 1 ? 1 : (double)op->heads;
    switch (op->kind) {
    case GRAPH_MATMUL:
    case GRAPH_EXPERT_MATMUL:
    case GRAPH_MATMUL_SWIGLU:
    case GRAPH_EXPERT_SWIGLU:
        return j == 0 ? (double)g->weights[op->weight].columns : 0;
    case GRAPH_CONCAT:
    case GRAPH_ABSORB_QUERY:
        return heads * (double)(j == 0 ? op->head_width : op->tail_width);
    case GRAPH_ATTENTION:
        if (j == 0) return heads * (double)op->key_width;
        return (double)op->kv_heads * (double)(j == 1 ? op->key_width : op->value_width);
    case GRAPH_CACHE_WRITE:
        return (double)g->cache_width[j];
    case GRAPH_CONV2D:
    case GRAPH_BATCH_NORM:
    case GRAPH_CHANNELS_FIRST:
    case GRAPH_CHANNELS_LAST:
    case GRAPH_TO_BLOCKS:
    case GRAPH_FROM_BLOCKS:
        return (double)graph_image_numbers(&op->image, op->image.reads);
    case GRAPH_COMBINE:
        return j == 0 ? (double)op->head_width * (double)g->experts_per_token : 0;
    case GRAPH_GATHER:
        return j == 0 ? (double)op->head_width : 0;
    default:
        return heads * (double)op->head_width;
    }
}

static double output_columns(const graph *g, const graph_op *op)
{
    const double heads = (double)op->heads;
    switch (op->kind) {
    case GRAPH_MATMUL:
    case GRAPH_EXPERT_MATMUL:
    case GRAPH_MATMUL_SWIGLU:
    case GRAPH_EXPERT_SWIGLU: /* what lies between stays in a thread's cache */
        return (double)graph_matmul_outputs(g, op);
    case GRAPH_CONCAT:
        return heads * (double)(op->head_width + op->tail_width);
    case GRAPH_ATTENTION:
    case GRAPH_ABSORB_VALUE:
        return heads * (double)op->value_width;
    case GRAPH_ABSORB_QUERY:
        return heads * (double)op->key_width;
    case GRAPH_CONV2D:
        return (double)graph_image_outputs(&op->image);
    case GRAPH_BATCH_NORM:
    case GRAPH_CHANNELS_FIRST:
    case GRAPH_CHANNELS_LAST:
    case GRAPH_TO_BLOCKS:
    case GRAPH_FROM_BLOCKS:
        return (double)graph_image_numbers(&op->image, op->image.writes);
    case GRAPH_CACHE_WRITE:
    case GRAPH_ROUTE:
        return 0;
    default:
        return heads * (double)op->head_width;
    }
}

static double element_bytes(const graph *g, int value)
{
    switch (g->values[value].dtype) {
    case GRAPH_F32:
        return 4;
    case GRAPH_Q8:
        return 1;
    case GRAPH_ROUTING:
        return 0;
    }
    return 0;
}

/* Activations and the cache: all of it, and of that the cache's and what is written. */
static void add_traffic(const graph *g, const graph_op *op, const graph_storage *storage, graph_cost *cost)
{
    const graph_amount rows = operation_rows(g, op), all = {.of = {[GRAPH_TERM_S] = 1}};
    graph_amount read = {{0}}, written = {{0}}, cached = {{0}};
    for (int j = 0; j < GRAPH_MAX_INPUTS; j++) {
        const int value = op->in[j].value;
        if (value == GRAPH_NONE) continue;
        /* Attention reads keys and values of all positions, other operations the rows that they run for. */
        const bool of_context = op->kind == GRAPH_ATTENTION && j > 0;
        graph_amount_add(&read, of_context ? &all : &rows, input_columns(g, op, j) * element_bytes(g, value));
    }
    if (op->out.value != GRAPH_NONE)
        graph_amount_add(&written, &rows, output_columns(g, op) * element_bytes(g, op->out.value));
    if (op->kind == GRAPH_ADD_NORM) graph_amount_add(&written, &rows, 4.0 * (double)op->head_width);
    if (op->kind == GRAPH_CACHE_READ) graph_amount_add(&cached, &all, storage->cache * (double)op->head_width);
    if (op->kind == GRAPH_ATTENTION && op->in[1].value == GRAPH_NONE) {
        const double values = g->cache == GRAPH_CACHE_LATENT ? 0 : (double)op->value_width;
        graph_amount_add(&cached, &all, storage->cache * (double)op->kv_heads * ((double)op->key_width + values));
    }
    graph_amount_add(&read, &cached, 1);
    if (op->kind == GRAPH_CACHE_WRITE) {
        graph_amount_add(&cached, &rows, storage->cache * (double)(g->cache_width[0] + g->cache_width[1]));
        graph_amount_add(&written, &cached, 1);
    }
    cost->cache_bytes = cached;
    cost->written_bytes = written;
    cost->activation_bytes = read;
    graph_amount_add(&cost->activation_bytes, &written, 1);
}

graph_cost graph_op_cost(const graph *g, const graph_op *op, const graph_storage *storage)
{
    graph_cost cost = {.weight_bytes = weight_bytes(g, op, storage)};
    const graph_amount rows = operation_rows(g, op), pairs = attended(op);
    add_traffic(g, op, storage, &cost);
    graph_amount_add(&cost.flops, &rows, row_flops(g, op));
    if (op->kind == GRAPH_ATTENTION)
        graph_amount_add(&cost.flops, &pairs, 2.0 * (double)op->heads * (double)(op->key_width + op->value_width));
    settle_decode(g, &cost.flops);
    settle_decode(g, &cost.weight_bytes);
    settle_decode(g, &cost.activation_bytes);
    settle_decode(g, &cost.cache_bytes);
    settle_decode(g, &cost.written_bytes);
    return cost;
}

void graph_cost_add(graph_cost *sum, const graph_cost *cost)
{
    graph_amount_add(&sum->flops, &cost->flops, 1);
    graph_amount_add(&sum->weight_bytes, &cost->weight_bytes, 1);
    graph_amount_add(&sum->activation_bytes, &cost->activation_bytes, 1);
    graph_amount_add(&sum->cache_bytes, &cost->cache_bytes, 1);
    graph_amount_add(&sum->written_bytes, &cost->written_bytes, 1);
}

graph_cost graph_total_cost(const graph *g, const graph_storage *storage)
{
    graph_cost total = {0};
    for (int i = 0; i < g->op_count; i++) {
        const graph_cost cost = graph_op_cost(g, &g->ops[i], storage);
        graph_cost_add(&total, &cost);
    }
    return total;
}

static double evaluate(const graph_amount *a, double tokens, double context, double experts)
{
    const double pairs = tokens * context - tokens * (tokens - 1) / 2;
    return a->of[GRAPH_TERM_1] + a->of[GRAPH_TERM_T] * tokens + a->of[GRAPH_TERM_S] * context +
           a->of[GRAPH_TERM_X] * experts + a->of[GRAPH_TERM_P] * pairs;
}

double graph_amount_at(const graph_amount *amount, const graph *g, size_t tokens, size_t context)
{
    size_t experts = 0;
    for (int i = 0; i < g->weight_count; i++)
        if (g->weights[i].kind == GRAPH_EXPERTS) experts = g->weights[i].experts;
    const double chosen = (double)tokens * (double)g->experts_per_token;
    return evaluate(amount, (double)tokens, (double)context, chosen < (double)experts ? chosen : (double)experts);
}

/* ---- text ------------------------------------------------------------------------------------------------------- */

void graph_number_text(double number, char text[16])
{
    static const char letters[] = {' ', 'k', 'M', 'G', 'T', 'P'};
    int scale = 0;
    double shown = fabs(number);
    while (shown >= 999.5 && scale < (int)sizeof letters - 1) {
        shown /= 1000;
        scale++;
    }
    const bool whole = scale == 0 && shown == floor(shown);
    const int digits = whole || shown >= 99.95 ? 0 : shown >= 9.995 ? 1 : 2;
    snprintf(text, 16, scale > 0 ? "%s%.*f%c" : "%s%.*f", number < 0 ? "-" : "", digits, shown, letters[scale]);
}

void graph_amount_text(const graph_amount *amount, char text[GRAPH_AMOUNT_SIZE])
{
    static const char *const names[GRAPH_TERMS] = {"", " T", " S", " X", " P"};
    size_t used = 0;
    snprintf(text, GRAPH_AMOUNT_SIZE, "0");
    for (int i = 0; i < GRAPH_TERMS; i++) {
        char number[16];
        const double of = amount->of[i];
        if (of == 0 || used >= GRAPH_AMOUNT_SIZE) continue;
        graph_number_text(used > 0 ? fabs(of) : of, number);
        used += (size_t)snprintf(text + used, GRAPH_AMOUNT_SIZE - used, "%s%s%s",
                                 used == 0 ? ""
                                 : of < 0  ? " - "
                                           : " + ",
                                 number, names[i]);
    }
}

/* ---- MLA -------------------------------------------------------------------------------------------------------- */

/* FP32 activations, and weights and cache of 16 bits. A value that is written and read again counts twice.
 *
 * Expanded: kv_b multiplies all S positions, rank * (nope + v) each and head; the latent is converted, keys and values
 * written and read, keys once more where k_pe is put beside them; then attention over keys of nope + pe and values of v.
 * Absorbed: kv_b multiplies T rows, one at a time; attention is over rank + pe and rank, of a cache read once. */
void graph_mla_cost(const graph_mla *m, graph_mla_form form, graph_amount *flops, graph_amount *bytes)
{
    const double heads = (double)m->heads, rank = (double)m->rank, pe = (double)m->pe;
    const double nope = (double)m->nope, value = (double)m->value, matrix = heads * rank * (nope + value);
    const graph_op every = {.last = false};
    const graph_amount pairs = attended(&every);
    *flops = *bytes = (graph_amount){{0}};
    bytes->of[GRAPH_TERM_S] = 2 * (rank + pe);
    if (form == GRAPH_MLA_EXPANDED) {
        flops->of[GRAPH_TERM_S] = 2 * matrix;
        graph_amount_add(flops, &pairs, 2 * heads * (nope + pe + value));
        bytes->of[GRAPH_TERM_1] = 2 * matrix;
        bytes->of[GRAPH_TERM_S] += 8 * (rank + pe + heads * (nope + value) + heads * (nope + pe));
        bytes->of[GRAPH_TERM_T] = 8 * heads * (nope + pe + value);
    } else {
        flops->of[GRAPH_TERM_T] = 2 * matrix;
        graph_amount_add(flops, &pairs, 2 * heads * (2 * rank + pe));
        bytes->of[GRAPH_TERM_T] = 2 * matrix + 8 * heads * (2 * rank + pe + value);
    }
}

static double weigh(const graph_mla *m, graph_mla_form form, double tokens, double context)
{
    graph_amount flops, bytes;
    graph_mla_cost(m, form, &flops, &bytes);
    return evaluate(&bytes, tokens, context, 0) + evaluate(&flops, tokens, context, 0) / GRAPH_FLOPS_PER_BYTE;
}

graph_mla_form graph_mla_choose(const graph_mla *m, size_t tokens, size_t context)
{
    const double t = (double)tokens, s = (double)context;
    const bool absorbed = weigh(m, GRAPH_MLA_ABSORBED, t, s) < weigh(m, GRAPH_MLA_EXPANDED, t, s);
    return m->heads > 0 && absorbed ? GRAPH_MLA_ABSORBED : GRAPH_MLA_EXPANDED;
}

/* For a number of tokens both costs are straight lines in S: what is absorbed at one length may change once. */
size_t graph_mla_crossover(const graph_mla *m, size_t tokens, size_t most)
{
    size_t low = tokens, high = most;
    if (most < tokens || graph_mla_choose(m, tokens, most) != GRAPH_MLA_ABSORBED) return SIZE_MAX;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if (graph_mla_choose(m, tokens, middle) == GRAPH_MLA_ABSORBED)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

graph_mla graph_mla_of(const model_config *c)
{
    if (!model_type_has_mla(c->type)) return (graph_mla){0};
    return (graph_mla){.heads = c->heads,
                       .rank = c->kv_lora_rank,
                       .nope = c->qk_nope_head_dim,
                       .pe = c->qk_rope_head_dim,
                       .value = c->v_head_dim};
}
