/* validate.c - the checks that every graph must pass. What each kind of operation takes and gives is a table: of which type
 * its inputs and its output are, which rows they have, and which weights it reads. Behind it come the shapes that depend on
 * the operation's own numbers: how far operands reach, what a weight must measure, which half of which cache it is.
 * Sizes may come from a damaged file: sums that do not fit into size_t are refused, and not wrapped. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "optimizer/error.h"
#include "optimizer/graph/graph.h"

/* ---- what each kind takes --------------------------------------------------------------------------------------- */

enum { F32 = 1u << GRAPH_F32, Q8 = 1u << GRAPH_Q8, ROUTING = 1u << GRAPH_ROUTING, MAY_LACK = 8 };
enum {
    MATRIX = 1u << GRAPH_MATRIX,
    VECTOR = 1u << GRAPH_VECTOR,
    EXPERTS = 1u << GRAPH_EXPERTS,
    FILTERS = 1u << GRAPH_FILTERS,
    NORMALISER = 1u << GRAPH_NORMALISER,
};
/* Rows of an operand: those of the output, or always the same. */
typedef enum rows_rule {
    AS_OUTPUT,
    OF_TOKENS = 1 + GRAPH_TOKENS,
    OF_ROUTED = 1 + GRAPH_ROUTED,
    OF_CONTEXT = 1 + GRAPH_CONTEXT
} rows_rule;

typedef struct operand_rule {
    unsigned holds; /* types; 0: there is none */
    rows_rule rows;
} operand_rule;

typedef struct op_rule {
    operand_rule in[GRAPH_MAX_INPUTS], out;
    unsigned weight;   /* kinds; 0: none */
    bool needs_weight; /* false: may lack it */
    bool of_layer;     /* uses the cache of its layer */
} op_rule;

static const op_rule rules[GRAPH_OP_KINDS] = {
    [GRAPH_EMBED] = {.out = {F32, OF_TOKENS}, .weight = MATRIX, .needs_weight = true},
    [GRAPH_INPUT] = {.out = {F32, OF_TOKENS}},
    [GRAPH_RMS_NORM] = {.in = {{F32, AS_OUTPUT}}, .out = {F32, AS_OUTPUT}, .weight = VECTOR},
    [GRAPH_MATMUL] = {.in = {{F32 | Q8, AS_OUTPUT}}, .out = {F32, AS_OUTPUT}, .weight = MATRIX, .needs_weight = true},
    [GRAPH_SLICE] = {.in = {{F32, AS_OUTPUT}}, .out = {F32, AS_OUTPUT}},
    [GRAPH_CONCAT] = {.in = {{F32, AS_OUTPUT}, {F32, AS_OUTPUT}}, .out = {F32, AS_OUTPUT}},
    [GRAPH_ROPE] = {.in = {{F32, AS_OUTPUT}}, .out = {F32, AS_OUTPUT}},
    [GRAPH_CACHE_WRITE] = {.in = {{F32, OF_TOKENS}, {F32, OF_TOKENS}}, .of_layer = true},
    [GRAPH_CACHE_READ] = {.out = {F32, OF_CONTEXT}, .of_layer = true},
    [GRAPH_ATTENTION] = {.in = {{F32, OF_TOKENS}, {F32 | MAY_LACK, OF_CONTEXT}, {F32 | MAY_LACK, OF_CONTEXT}},
                         .out = {F32, OF_TOKENS},
                         .of_layer = true},
    [GRAPH_ABSORB_QUERY] = {.in = {{F32, OF_TOKENS}, {F32, OF_TOKENS}},
                            .out = {F32, OF_TOKENS},
                            .weight = MATRIX,
                            .needs_weight = true},
    [GRAPH_ABSORB_VALUE] = {.in = {{F32 | Q8, OF_TOKENS}},
                            .out = {F32, OF_TOKENS},
                            .weight = MATRIX,
                            .needs_weight = true},
    [GRAPH_SILU] = {.in = {{F32, AS_OUTPUT}}, .out = {F32, AS_OUTPUT}},
    [GRAPH_MUL] = {.in = {{F32, AS_OUTPUT}, {F32, AS_OUTPUT}}, .out = {F32, AS_OUTPUT}},
    [GRAPH_ADD] = {.in = {{F32, AS_OUTPUT}, {F32, AS_OUTPUT}}, .out = {F32, AS_OUTPUT}},
    [GRAPH_SWIGLU] = {.in = {{F32, AS_OUTPUT}, {F32, AS_OUTPUT}}, .out = {F32, AS_OUTPUT}},
    [GRAPH_ADD_NORM] = {.in = {{F32, AS_OUTPUT}, {F32, AS_OUTPUT}}, .out = {F32, AS_OUTPUT}, .weight = VECTOR},
    [GRAPH_ROUTE] = {.in = {{F32, OF_TOKENS}}, .out = {ROUTING, OF_TOKENS}, .weight = VECTOR},
    [GRAPH_GATHER] = {.in = {{F32, OF_TOKENS}, {ROUTING, OF_TOKENS}}, .out = {F32, OF_ROUTED}},
    [GRAPH_EXPERT_MATMUL] = {.in = {{F32 | Q8, OF_ROUTED}, {ROUTING, OF_TOKENS}},
                             .out = {F32, OF_ROUTED},
                             .weight = EXPERTS,
                             .needs_weight = true},
    [GRAPH_MATMUL_SWIGLU] = {.in = {{F32 | Q8, AS_OUTPUT}},
                             .out = {F32, AS_OUTPUT},
                             .weight = MATRIX,
                             .needs_weight = true},
    [GRAPH_EXPERT_SWIGLU] = {.in = {{F32 | Q8, OF_ROUTED}, {ROUTING, OF_TOKENS}},
                             .out = {F32, OF_ROUTED},
                             .weight = EXPERTS,
                             .needs_weight = true},
    [GRAPH_COMBINE] = {.in = {{F32, OF_ROUTED}, {ROUTING, OF_TOKENS}}, .out = {F32, OF_TOKENS}},
    [GRAPH_LAST_ROW] = {.in = {{F32, OF_TOKENS}}, .out = {F32, OF_TOKENS}},
    [GRAPH_CONV2D] = {.in = {{F32, OF_TOKENS}}, .out = {F32, OF_TOKENS}, .weight = FILTERS, .needs_weight = true},
    [GRAPH_BATCH_NORM] = {.in = {{F32, OF_TOKENS}},
                          .out = {F32, OF_TOKENS},
                          .weight = NORMALISER,
                          .needs_weight = true},
    [GRAPH_RELU] = {.in = {{F32, AS_OUTPUT}}, .out = {F32, AS_OUTPUT}},
    [GRAPH_CHANNELS_FIRST] = {.in = {{F32, OF_TOKENS}}, .out = {F32, OF_TOKENS}},
    [GRAPH_CHANNELS_LAST] = {.in = {{F32, OF_TOKENS}}, .out = {F32, OF_TOKENS}},
    [GRAPH_TO_BLOCKS] = {.in = {{F32, OF_TOKENS}}, .out = {F32, OF_TOKENS}},
    [GRAPH_FROM_BLOCKS] = {.in = {{F32, OF_TOKENS}}, .out = {F32, OF_TOKENS}},
    [GRAPH_QUANTIZE] = {.in = {{F32, AS_OUTPUT}}, .out = {Q8, AS_OUTPUT}},
};

/* The rows of a rule that is not AS_OUTPUT. */
static graph_rows always(rows_rule rule)
{
    return (graph_rows)((int)rule - 1);
}

/* How much of a value has been written before an operation. */
typedef enum written { NOTHING, LAST_ROW, ALL_ROWS } written;

typedef struct validation {
    const graph *g;
    int index; /* of the operation */
    const graph_op *op;
    const written *written; /* [value] */
    int routing;            /* the value of the last router before it; GRAPH_NONE: there is none */
} validation;

/* ---- errors ----------------------------------------------------------------------------------------------------- */

__attribute__((format(printf, 2, 3))) static ciuic_status bad_op(const validation *v, const char *format, ...)
{
    const graph_op *op = v->op;
    const bool named = op->out.value >= 0 && op->out.value < v->g->value_count;
    char what[GRAPH_NAME + 192];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(what, sizeof what, format, arguments);
    va_end(arguments);
    return ciuic_fail(CIUIC_ERROR_INPUT, "graph operation %d (%s -> %s): %s", v->index, graph_op_name(op->kind),
                      named ? v->g->values[op->out.value].name : "-", what);
}

static const char *type_name(unsigned holds)
{
    if ((holds & Q8) != 0) return (holds & F32) != 0 ? "F32 or Q8" : "Q8";
    return (holds & ROUTING) != 0 ? "a routing" : "F32";
}

static const char *rows_name(graph_rows rows)
{
    static const char *const names[] = {[GRAPH_TOKENS] = "T", [GRAPH_ROUTED] = "T k", [GRAPH_CONTEXT] = "S"};
    return (unsigned)rows <= GRAPH_CONTEXT ? names[rows] : "?";
}

/* ---- sizes ------------------------------------------------------------------------------------------------------ */

/* Where `heads` runs of `width` columns end, `stride` apart; false when nobody could count them. */
static bool find_end(const graph_operand *at, size_t heads, size_t width, size_t *end)
{
    size_t between = 0;
    if (heads > 1 && __builtin_mul_overflow(heads - 1, at->stride, &between)) return false;
    return !__builtin_add_overflow(at->offset, between, end) && !__builtin_add_overflow(*end, width, end);
}

/* The heads that input i is read by, and the columns of each. */
static void input_heads(const graph *g, const graph_op *op, int i, size_t *heads, size_t *width)
{
    *heads = op->heads;
    *width = op->head_width;
    switch (op->kind) {
    case GRAPH_MATMUL:
    case GRAPH_EXPERT_MATMUL:
    case GRAPH_MATMUL_SWIGLU:
    case GRAPH_EXPERT_SWIGLU:
        *heads = 1;
        *width = i == 0 ? g->weights[op->weight].columns : 0;
        return;
    case GRAPH_CONCAT:
    case GRAPH_ABSORB_QUERY:
        *width = i == 0 ? op->head_width : op->tail_width;
        return;
    case GRAPH_ATTENTION:
        *heads = i == 0 ? op->heads : op->kv_heads;
        *width = i == 2 ? op->value_width : op->key_width;
        return;
    case GRAPH_CACHE_WRITE:
        *width = g->cache_width[i] / op->heads;
        return;
    case GRAPH_CONV2D:
    case GRAPH_BATCH_NORM:
    case GRAPH_CHANNELS_FIRST:
    case GRAPH_CHANNELS_LAST:
    case GRAPH_TO_BLOCKS:
    case GRAPH_FROM_BLOCKS:
        *width = graph_image_numbers(&op->image, op->image.reads);
        return;
    case GRAPH_GATHER:
    case GRAPH_COMBINE:
        *width = i == 0 ? op->head_width : 0;
        return;
    default:
        return;
    }
}

static void output_heads(const graph *g, const graph_op *op, size_t *heads, size_t *width)
{
    *heads = op->heads;
    *width = op->head_width;
    switch (op->kind) {
    case GRAPH_MATMUL:
    case GRAPH_EXPERT_MATMUL:
    case GRAPH_MATMUL_SWIGLU:
    case GRAPH_EXPERT_SWIGLU:
        *heads = 1;
        *width = graph_matmul_outputs(g, op);
        return;
    case GRAPH_CONCAT:
        *width = op->head_width + op->tail_width;
        return;
    case GRAPH_ATTENTION:
    case GRAPH_ABSORB_VALUE:
        *width = op->value_width;
        return;
    case GRAPH_ABSORB_QUERY:
        *width = op->key_width;
        return;
    case GRAPH_ROUTE:
        *width = 0;
        return;
    case GRAPH_CONV2D:
        *width = graph_image_outputs(&op->image);
        return;
    case GRAPH_BATCH_NORM:
    case GRAPH_CHANNELS_FIRST:
    case GRAPH_CHANNELS_LAST:
    case GRAPH_TO_BLOCKS:
    case GRAPH_FROM_BLOCKS:
        *width = graph_image_numbers(&op->image, op->image.writes);
        return;
    default:
        return;
    }
}

/* ---- weights ---------------------------------------------------------------------------------------------------- */

/* The weight is one that the operation reads, and its rows can be counted. */
static ciuic_status validate_weight(const validation *v)
{
    const graph_op *op = v->op;
    const op_rule *rule = &rules[op->kind];
    if (op->weight == GRAPH_NONE) return rule->needs_weight ? bad_op(v, "it needs a weight and has none") : CIUIC_OK;
    if (op->weight < 0 || op->weight >= v->g->weight_count)
        return bad_op(v, "its weight %d does not exist; expected one below %d", op->weight, v->g->weight_count);
    const graph_weight *w = &v->g->weights[op->weight];
    if (w->parts < 1 || w->parts > GRAPH_MAX_PARTS)
        return bad_op(v, "its weight has %d parts; expected 1 to %d", w->parts, GRAPH_MAX_PARTS);
    if ((unsigned)w->kind > GRAPH_NORMALISER || (rule->weight & 1u << w->kind) == 0)
        return bad_op(v, "it reads no weight like %.*s", GRAPH_NAME, w->name[0]);
    size_t rows = 0;
    for (int i = 0; i < w->parts; i++)
        if (__builtin_add_overflow(rows, w->rows[i], &rows))
            return bad_op(v, "the rows of its weight %.*s are more than can be counted", GRAPH_NAME, w->name[0]);
    if (graph_has_epilogue(op->kind) && (w->parts != 2 || w->rows[0] != w->rows[1]))
        return bad_op(v, "its weight is not a gate and an up of one size");
    return CIUIC_OK;
}

/* Whether the weight measures that. */
static ciuic_status expect_weight(const validation *v, size_t rows, size_t columns)
{
    const graph_weight *w = &v->g->weights[v->op->weight];
    if (graph_weight_rows(w) == rows && w->columns == columns) return CIUIC_OK;
    return bad_op(v, "its weight %.*s is [%zu, %zu]; expected [%zu, %zu]", GRAPH_NAME, w->name[0], graph_weight_rows(w),
                  w->columns, rows, columns);
}

/* kv_b: of each head the rows of its keys and of its values, over the latent. */
static ciuic_status validate_absorbed(const validation *v, size_t nope, size_t latent)
{
    size_t rows;
    if (__builtin_add_overflow(nope, v->op->value_width, &rows) || __builtin_mul_overflow(rows, v->op->heads, &rows))
        return bad_op(v, "its heads have more columns than can be counted");
    return expect_weight(v, rows, latent);
}

/* Experts are those that the router chose from. */
static ciuic_status validate_experts(const validation *v)
{
    const graph_weight *w = &v->g->weights[v->op->weight];
    const int route = graph_producer(v->g, v->op->in[1].value);
    const size_t chosen_from = route != GRAPH_NONE ? v->g->ops[route].head_width : 0;
    if (w->experts == chosen_from) return CIUIC_OK;
    return bad_op(v, "its weight %.*s is of %zu experts; expected %zu, which its routing chooses from", GRAPH_NAME,
                  w->name[0], w->experts, chosen_from);
}

/* Whether a convolution's channels, groups, kernel and filters meet. */
static ciuic_status validate_conv(const validation *v)
{
    const graph_image *m = &v->op->image;
    const graph_weight *w = &v->g->weights[v->op->weight];
    if (m->groups == 0 || m->channels % m->groups != 0 || m->out_channels % m->groups != 0)
        return bad_op(v, "its channels are no multiple of its groups");
    if (graph_image_outputs(m) == 0)
        return bad_op(v, "its kernel does not fit into the image, or gives more numbers than can be counted");
    const size_t columns = graph_filter_columns(m);
    if (columns == 0) return bad_op(v, "its kernel has no numbers, or more than can be counted");
    if (w->rows[0] != m->out_channels || w->columns != columns)
        return bad_op(v,
                      "its filters do not have the shape of its kernel and channels: [%zu, %zu]; expected [%zu, %zu]",
                      w->rows[0], w->columns, m->out_channels, columns);
    const kernel_conv2d conv = graph_conv2d(m);
    const bool blocked = m->writes == KERNEL_CHANNELS_BLOCKED;
    if (blocked ? !kernel_conv2d_blockable(&conv, m->reads) : m->reads != KERNEL_CHANNELS_FIRST)
        return bad_op(v, "no kernel takes its groups from that layout into that one");
    if (w->blocked != blocked || m->writes == KERNEL_CHANNELS_LAST)
        return bad_op(v, "its filters do not lie as its outputs do");
    return CIUIC_OK;
}

/* ---- an operation's own numbers --------------------------------------------------------------------------------- */

/* Keys and values are of the heads and widths that the cache holds; over a latent all heads share its one row. */
static ciuic_status validate_attention(const validation *v)
{
    const graph_op *op = v->op;
    const size_t *cache = v->g->cache_width;
    if (op->kv_heads == 0 || op->heads % op->kv_heads != 0)
        return bad_op(v, "its %zu query heads are no multiple of its %zu key heads", op->heads, op->kv_heads);
    const bool cached = op->in[1].value == GRAPH_NONE;
    if (cached != (op->in[2].value == GRAPH_NONE)) return bad_op(v, "it has keys or values, but not both");
    if (!cached) return CIUIC_OK;
    const bool latent = v->g->cache == GRAPH_CACHE_LATENT;
    size_t keys, values, held = cache[0];
    if (__builtin_mul_overflow(op->kv_heads, op->key_width, &keys) ||
        __builtin_mul_overflow(op->kv_heads, op->value_width, &values) ||
        (latent && __builtin_add_overflow(cache[0], cache[1], &held)))
        return bad_op(v, "its heads have more columns than can be counted");
    if (keys == held && values == cache[latent ? 0 : 1] && (!latent || op->kv_heads == 1)) return CIUIC_OK;
    return bad_op(v, "%zu key heads of %zu columns, values of %zu; expected all of a cache of %zu and %zu",
                  op->kv_heads, op->key_width, op->value_width, cache[0], cache[1]);
}

static ciuic_status validate_cache(const validation *v)
{
    const graph_op *op = v->op;
    const size_t *cache = v->g->cache_width;
    if (op->kind == GRAPH_CACHE_WRITE) {
        if (op->last) return bad_op(v, "it writes the last token's row only; expected all rows");
        if (cache[0] % op->heads != 0 || cache[1] % op->heads != 0)
            return bad_op(v, "%zu heads; expected a divisor of the cache's %zu and %zu columns", op->heads, cache[0],
                          cache[1]);
        return CIUIC_OK;
    }
    if (op->half != 0 && op->half != 1) return bad_op(v, "it reads half %d of the cache; expected 0 or 1", op->half);
    if (op->heads != 1 || op->head_width != cache[op->half])
        return bad_op(v, "it reads %zu columns of half %d; expected all %zu", op->head_width, op->half,
                      cache[op->half]);
    return CIUIC_OK;
}

static ciuic_status validate_image(const validation *v)
{
    const graph_op *op = v->op;
    const graph_image *m = &op->image;
    if (graph_image_numbers(m, m->reads) == 0 || (op->kind != GRAPH_CONV2D && graph_image_numbers(m, m->writes) == 0))
        return bad_op(v, "an image of %zu x %zu x %zu has no numbers, or more than can be counted", m->channels,
                      m->height, m->width);
    if (op->kind == GRAPH_CONV2D) return validate_conv(v);
    if (op->kind == GRAPH_BATCH_NORM)
        return m->reads == m->writes ? expect_weight(v, 1, m->channels)
                                     : bad_op(v, "it does not write the layout that it reads");
    const bool to = op->kind == GRAPH_TO_BLOCKS, from = op->kind == GRAPH_FROM_BLOCKS;
    const kernel_layout inside = to ? m->writes : m->reads;
    if ((to || from) && (inside != KERNEL_CHANNELS_BLOCKED || (to ? m->reads : m->writes) == KERNEL_CHANNELS_BLOCKED))
        return bad_op(v, "it does not convert between blocks and another layout");
    return CIUIC_OK;
}

/* What is peculiar to the kind. */
static ciuic_status validate_kind(const validation *v)
{
    const graph_op *op = v->op;
    size_t both;
    switch (op->kind) {
    case GRAPH_EMBED:
        return expect_weight(v, graph_weight_rows(&v->g->weights[op->weight]), op->head_width);
    case GRAPH_RMS_NORM:
    case GRAPH_ADD_NORM:
    case GRAPH_ROUTE: /* a selection bias */
        return op->weight == GRAPH_NONE ? CIUIC_OK : expect_weight(v, 1, op->head_width);
    case GRAPH_CONCAT:
        if (__builtin_add_overflow(op->head_width, op->tail_width, &both))
            return bad_op(v, "its two parts have more columns than can be counted");
        return CIUIC_OK;
    case GRAPH_ROPE:
        return op->head_width % 2 == 0
                   ? CIUIC_OK
                   : bad_op(v, "it rotates pairs, and its heads are of odd width %zu", op->head_width);
    case GRAPH_CACHE_WRITE:
    case GRAPH_CACHE_READ:
        return validate_cache(v);
    case GRAPH_ATTENTION:
        return validate_attention(v);
    case GRAPH_ABSORB_QUERY:
        if (op->key_width < op->tail_width)
            return bad_op(v, "it writes %zu columns a head; expected more than its %zu of q_pe", op->key_width,
                          op->tail_width);
        return validate_absorbed(v, op->head_width, op->key_width - op->tail_width);
    case GRAPH_ABSORB_VALUE:
        return validate_absorbed(v, op->key_width, op->head_width);
    case GRAPH_CONV2D:
    case GRAPH_BATCH_NORM:
    case GRAPH_CHANNELS_FIRST:
    case GRAPH_CHANNELS_LAST:
    case GRAPH_TO_BLOCKS:
    case GRAPH_FROM_BLOCKS:
        return validate_image(v);
    default:
        return CIUIC_OK;
    }
}

/* The columns that are rotated lie within the heads of an input that its operation rotates as it reads. */
static ciuic_status validate_rotation(const validation *v)
{
    const graph_op *op = v->op;
    const graph_rotation *r = &op->rotation;
    size_t width = 0, heads = op->heads;
    if (r->heads == 0) return CIUIC_OK;
    if (op->kind == GRAPH_ATTENTION && r->input == 0)
        width = op->key_width;
    else if (op->kind == GRAPH_ABSORB_QUERY && r->input == 1)
        width = op->tail_width;
    else if (op->kind == GRAPH_CACHE_WRITE && (r->input == 0 || r->input == 1)) {
        heads = r->heads;
        width = v->g->cache_width[r->input] / heads;
    } else
        return bad_op(v, "it cannot rotate what it reads");
    if (r->heads != heads || r->width % 2 != 0 || r->first > width || r->width > width - r->first)
        return bad_op(v, "what it rotates is not within its heads, in pairs");
    return CIUIC_OK;
}

static ciuic_status validate_layer(const validation *v)
{
    const graph_op *op = v->op;
    if (op->layer == GRAPH_NONE && !rules[op->kind].of_layer) return CIUIC_OK;
    if (op->layer == GRAPH_NONE) return bad_op(v, "it uses a layer's cache, and is of no layer");
    if (op->layer < 0 || (size_t)op->layer >= v->g->layers)
        return bad_op(v, "it is of layer %d; expected one below %zu", op->layer, v->g->layers);
    return CIUIC_OK;
}

/* ---- operands --------------------------------------------------------------------------------------------------- */

/* Type, rows and columns of what input i reads. */
static ciuic_status validate_input(const validation *v, int i)
{
    const graph_op *op = v->op;
    const graph_operand *in = &op->in[i];
    const operand_rule *rule = &rules[op->kind].in[i];
    size_t heads, width, end;
    if (in->value == GRAPH_NONE) {
        if (rule->holds == 0 || (rule->holds & MAY_LACK) != 0) return CIUIC_OK;
        return bad_op(v, "its input %d is absent; expected %s", i, type_name(rule->holds));
    }
    if (in->value < 0 || in->value >= v->g->value_count) return bad_op(v, "an input is no value");
    const graph_value *value = &v->g->values[in->value];
    if (rule->holds == 0) return bad_op(v, "its input %d is %s; expected none", i, value->name);
    if (v->written[in->value] == NOTHING) return bad_op(v, "its input %s is read before it is written", value->name);
    if ((unsigned)value->dtype > GRAPH_ROUTING || (rule->holds & 1u << value->dtype) == 0)
        return bad_op(v, "its input %s is %s; expected %s", value->name, type_name(1u << value->dtype),
                      type_name(rule->holds));
    const bool as_output = rule->rows == AS_OUTPUT;
    const graph_rows rows = as_output ? v->g->values[op->out.value].rows : always(rule->rows);
    if (value->rows != rows)
        return bad_op(v, "its input %s has %s rows; expected %s%s", value->name, rows_name(value->rows),
                      rows_name(rows), as_output ? ", as its output has" : "");
    if (v->written[in->value] == LAST_ROW && !op->last)
        return bad_op(v, "its input %s has the last token's row only; expected all rows", value->name);
    /* The last of routed rows is found only where there are no others. */
    if (op->last && !value->last && value->rows == GRAPH_ROUTED)
        return bad_op(v, "its input %s has all routed rows; expected the last token's", value->name);
    if (value->dtype == GRAPH_ROUTING) /* all of them are one object, of the last router */
        return in->value == v->routing
                   ? CIUIC_OK
                   : bad_op(v, "its input %s was replaced by %s", value->name, v->g->values[v->routing].name);
    input_heads(v->g, op, i, &heads, &width);
    if (!find_end(in, heads, width, &end))
        return bad_op(v, "its input %s is read from column %zu on, further than can be counted", value->name,
                      in->offset);
    if (end > value->width)
        return bad_op(v, "its input %s ends before the columns that are read: it has %zu, and %zu are expected",
                      value->name, value->width, end);
    return CIUIC_OK;
}

static ciuic_status validate_output(const validation *v)
{
    const graph_op *op = v->op;
    const operand_rule *rule = &rules[op->kind].out;
    const int out = op->out.value;
    size_t heads, width, end;
    if (rule->holds == 0) return out == GRAPH_NONE ? CIUIC_OK : bad_op(v, "it writes no value; expected no output");
    const graph_value *value = &v->g->values[out];
    if ((unsigned)value->dtype > GRAPH_ROUTING || (rule->holds & 1u << value->dtype) == 0)
        return bad_op(v, "its output is %s; expected %s", type_name(1u << value->dtype), type_name(rule->holds));
    if (rule->rows != AS_OUTPUT && value->rows != always(rule->rows))
        return bad_op(v, "its output has %s rows; expected %s", rows_name(value->rows), rows_name(always(rule->rows)));
    const bool last = op->last || op->kind == GRAPH_LAST_ROW;
    if (value->last != last)
        return bad_op(v, "it runs for %s, and its output has %s", last ? "the last token only" : "all rows",
                      value->last ? "the last token's row only" : "all rows");
    output_heads(v->g, op, &heads, &width);
    if (!find_end(&op->out, heads, width, &end) || end > value->width)
        return bad_op(v, "its output reaches beyond its value's columns");
    const bool in_place = (op->kind == GRAPH_ROPE || op->kind == GRAPH_RMS_NORM) && op->in[0].value == out;
    if (v->written[out] != NOTHING && !in_place) return bad_op(v, "its output was written before");
    return CIUIC_OK;
}

static ciuic_status validate_op(const validation *v)
{
    const graph_op *op = v->op;
    if ((unsigned)op->kind >= GRAPH_OP_KINDS) return bad_op(v, "unknown kind");
    CIUIC_TRY(validate_layer(v));
    CIUIC_TRY(validate_weight(v));
    if (op->heads == 0) return bad_op(v, "it has no heads");
    CIUIC_TRY(validate_kind(v));
    CIUIC_TRY(validate_rotation(v));
    if (rules[op->kind].out.holds != 0 && (op->out.value < 0 || op->out.value >= v->g->value_count))
        return bad_op(v, "its output is no value");
    for (int i = 0; i < GRAPH_MAX_INPUTS; i++) CIUIC_TRY(validate_input(v, i));
    CIUIC_TRY(validate_output(v));
    const bool experts = op->kind == GRAPH_EXPERT_MATMUL || op->kind == GRAPH_EXPERT_SWIGLU;
    return experts ? validate_experts(v) : CIUIC_OK;
}

ciuic_status graph_validate(const graph *g)
{
    written *rows = calloc((size_t)g->value_count + 1, sizeof *rows);
    if (rows == NULL) return ciuic_fail_memory("a graph's checks", (size_t)g->value_count);
    ciuic_status status = CIUIC_OK;
    validation v = {.g = g, .written = rows, .routing = GRAPH_NONE};
    for (int i = 0; i < g->op_count && status == CIUIC_OK; i++) {
        const graph_op *op = &g->ops[i];
        v.index = i;
        v.op = op;
        status = validate_op(&v);
        if (op->kind == GRAPH_ROUTE) v.routing = op->out.value;
        const bool last = op->last || op->kind == GRAPH_LAST_ROW;
        if (status == CIUIC_OK && op->out.value != GRAPH_NONE) rows[op->out.value] = last ? LAST_ROW : ALL_ROWS;
        if (status == CIUIC_OK && op->kind == GRAPH_ADD_NORM) rows[op->in[0].value] = last ? LAST_ROW : ALL_ROWS;
    }
    if (status == CIUIC_OK && (g->output < 0 || g->output >= g->value_count || rows[g->output] == NOTHING))
        status = ciuic_fail(CIUIC_ERROR_INPUT, "graph: the logits are not computed");
    free(rows);
    return status;
}
