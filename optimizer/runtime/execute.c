/* execute.c - the loop over operations, and how rows are found and shared. */
#include "optimizer/runtime/execute.h"

#include <omp.h>

static operation_fn *const operations[GRAPH_OP_KINDS] = {
    [GRAPH_EMBED] = run_embed,
    [GRAPH_INPUT] = run_input,
    [GRAPH_RMS_NORM] = run_rms_norm,
    [GRAPH_MATMUL] = run_matmul,
    [GRAPH_SLICE] = run_slice,
    [GRAPH_CONCAT] = run_concat,
    [GRAPH_ROPE] = run_rope,
    [GRAPH_CACHE_WRITE] = run_cache_write,
    [GRAPH_CACHE_READ] = run_cache_read,
    [GRAPH_ATTENTION] = run_attention,
    [GRAPH_ABSORB_QUERY] = run_absorb_query,
    [GRAPH_ABSORB_VALUE] = run_absorb_value,
    [GRAPH_SILU] = run_elementwise,
    [GRAPH_MUL] = run_elementwise,
    [GRAPH_ADD] = run_elementwise,
    [GRAPH_SWIGLU] = run_elementwise,
    [GRAPH_ADD_NORM] = run_add_norm,
    [GRAPH_ROUTE] = run_route,
    [GRAPH_GATHER] = run_gather,
    [GRAPH_EXPERT_MATMUL] = run_expert_matmul,
    [GRAPH_MATMUL_SWIGLU] = run_matmul,
    [GRAPH_EXPERT_SWIGLU] = run_expert_matmul,
    [GRAPH_COMBINE] = run_combine,
    [GRAPH_LAST_ROW] = run_last_row,
    [GRAPH_CONV2D] = run_conv2d,
    [GRAPH_BATCH_NORM] = run_batch_norm,
    [GRAPH_RELU] = run_relu,
    [GRAPH_CHANNELS_FIRST] = run_layout,
    [GRAPH_CHANNELS_LAST] = run_layout,
    [GRAPH_TO_BLOCKS] = run_to_blocks,
    [GRAPH_FROM_BLOCKS] = run_from_blocks,
    [GRAPH_QUANTIZE] = run_quantize,
};

void execute(const execution *call)
{
    meeting place = {0};
    execution e = *call;
    e.place = &place;
#pragma omp parallel num_threads(e.threads)
    {
        const int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        const graph *g = e.p->g;
        for (int i = 0; i < g->op_count; i++) {
            if (e.barrier[i]) meeting_wait(&place, threads);
            operations[g->ops[i].kind](&e, &g->ops[i], thread, threads);
        }
    }
}

share share_of(size_t total, size_t unit, int thread, int threads)
{
    const size_t units = (total + unit - 1) / unit;
    const size_t first = units * (size_t)thread / (size_t)threads * unit;
    const size_t end = units * ((size_t)thread + 1) / (size_t)threads * unit;
    return (share){.first = first < total ? first : total, .end = end < total ? end : total};
}

static size_t rows_of(const graph *g, graph_rows rows, bool last, size_t tokens, size_t context)
{
    if (rows == GRAPH_CONTEXT) return context;
    return (last ? 1 : tokens) * (rows == GRAPH_ROUTED ? g->experts_per_token : 1);
}

/* Rows of an operation before it runs: by what it writes, or reads when it writes the cache. */
static size_t planned_rows(const graph *g, const graph_op *op, size_t tokens, size_t context)
{
    const int value = op->out.value != GRAPH_NONE ? op->out.value : op->in[0].value;
    return rows_of(g, g->values[value].rows, g->values[value].last, tokens, context);
}

size_t operation_rows(const execution *e, const graph_op *op)
{
    return planned_rows(e->p->g, op, e->tokens, e->position + e->tokens);
}

/* Sharing is worth the meeting of threads (about 0.3 us) from this many elements of simple work or multiplications on. */
enum { SERIAL_ELEMENTS = 4096, SERIAL_PRODUCTS = 16384 };

split_class operation_split(const graph *g, const graph_op *op, size_t tokens, size_t context)
{
    const size_t rows = planned_rows(g, op, tokens, context);
    switch (op->kind) {
    case GRAPH_ROUTE:
        return SPLIT_SERIAL;
    case GRAPH_MATMUL:
    case GRAPH_EXPERT_MATMUL:
    case GRAPH_MATMUL_SWIGLU:
    case GRAPH_EXPERT_SWIGLU: {
        const graph_weight *w = &g->weights[op->weight];
        return rows * graph_weight_rows(w) * w->columns < SERIAL_PRODUCTS ? SPLIT_SERIAL : SPLIT_COLUMNS;
    }
    case GRAPH_CONV2D:
    case GRAPH_TO_BLOCKS:
    case GRAPH_FROM_BLOCKS:
    case GRAPH_ATTENTION:
    case GRAPH_ABSORB_QUERY:
    case GRAPH_ABSORB_VALUE:
        return SPLIT_COLUMNS;
    default:
        break;
    }
    const int value = op->out.value != GRAPH_NONE ? op->out.value : op->in[0].value;
    return rows == 1 || rows * g->values[value].width < SERIAL_ELEMENTS ? SPLIT_SERIAL : SPLIT_ROWS;
}

share share_rows(const execution *e, const graph_op *op, int thread, int threads)
{
    const size_t rows = operation_rows(e, op);
    if (operation_split(e->p->g, op, e->tokens, e->position + e->tokens) == SPLIT_SERIAL)
        return (share){.first = 0, .end = thread == 0 ? rows : 0};
    return share_of(rows, 1, thread, threads);
}

size_t operand_stride(const execution *e, const graph_operand *operand)
{
    return e->stride != NULL ? e->stride[operand->value] : e->p->g->values[operand->value].width;
}

float *operand_row(const execution *e, const graph_op *op, const graph_operand *operand, size_t r)
{
    const graph_value *value = &e->p->g->values[operand->value];
    /* An operation for the last token finds its row at the end of a value that holds them all. */
    if (op->last && !value->last && value->rows == GRAPH_TOKENS) r += e->tokens - 1;
    return (float *)e->values[operand->value] + r * operand_stride(e, operand) + operand->offset;
}
