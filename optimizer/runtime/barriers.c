/* barriers.c - where threads must meet. Two operations between meetings may run at the same time on different threads, so
 * none of them may touch memory that another of them writes - unless the same thread does both: serial operations all run
 * on thread 0, and operations split by the same rows touch the same rows of a value they share. */
#include "optimizer/runtime/execute.h"

typedef struct memory_use {
    const graph *g;
    const char *const *begin, *const *end;
    size_t tokens, context;
} memory_use;

static bool overlap(const memory_use *m, int a, int b)
{
    return a == b || (m->begin[a] < m->end[b] && m->begin[b] < m->end[a]);
}

/* Whether each thread that touches part of a value in `a` touches the same part in `b`. */
static bool same_rows(const memory_use *m, const graph_op *a, const graph_op *b)
{
    if (operation_split(m->g, a, m->tokens, m->context) != SPLIT_ROWS ||
        operation_split(m->g, b, m->tokens, m->context) != SPLIT_ROWS || a->last != b->last)
        return false;
    const int va = a->out.value != GRAPH_NONE ? a->out.value : a->in[0].value;
    const int vb = b->out.value != GRAPH_NONE ? b->out.value : b->in[0].value;
    return m->g->values[va].rows == m->g->values[vb].rows;
}

static bool reads_cache(const graph_op *op)
{
    return op->kind == GRAPH_CACHE_READ || (op->kind == GRAPH_ATTENTION && op->in[1].value == GRAPH_NONE);
}

/* gather and combine read rows of other threads through the routing, even where their own rows match. */
static bool reads_any_row(const graph_op *op)
{
    return op->kind == GRAPH_GATHER || op->kind == GRAPH_COMBINE || op->kind == GRAPH_LAST_ROW;
}

/* Whether values x (touched by op a) and y (touched by op b), one of them written, keep a and b apart. */
static bool clash(const memory_use *m, const graph_op *a, int x, const graph_op *b, int y)
{
    if (x == GRAPH_NONE || y == GRAPH_NONE || !overlap(m, x, y)) return false;
    /* Different values in the same memory lie differently in it: then rows do not help. */
    return !(x == y && same_rows(m, a, b) && !reads_any_row(a) && !reads_any_row(b));
}

static bool conflict(const memory_use *m, const graph_op *a, const graph_op *b)
{
    if (operation_split(m->g, a, m->tokens, m->context) == SPLIT_SERIAL &&
        operation_split(m->g, b, m->tokens, m->context) == SPLIT_SERIAL)
        return false;
    if (a->layer == b->layer &&
        ((a->kind == GRAPH_CACHE_WRITE && reads_cache(b)) || (b->kind == GRAPH_CACHE_WRITE && reads_cache(a))))
        return true;
    for (int i = -1; i < GRAPH_MAX_INPUTS; i++) {
        const int x = i < 0 ? a->out.value : a->in[i].value, y = i < 0 ? b->out.value : b->in[i].value;
        if (clash(m, a, a->out.value, b, y) || clash(m, a, x, b, b->out.value)) return true;
        /* add_norm writes its first input, too. */
        if (a->kind == GRAPH_ADD_NORM && clash(m, a, a->in[0].value, b, y)) return true;
        if (b->kind == GRAPH_ADD_NORM && clash(m, a, x, b, b->in[0].value)) return true;
    }
    return false;
}

void plan_barriers(const graph *g, const char *const *begin, const char *const *end, size_t tokens, size_t context,
                   bool *barrier)
{
    const memory_use m = {.g = g, .begin = begin, .end = end, .tokens = tokens, .context = context};
    int met = 0; /* the first operation since the last meeting */
    for (int i = 0; i < g->op_count; i++) {
        barrier[i] = false;
        for (int j = met; j < i && !barrier[i]; j++) barrier[i] = conflict(&m, &g->ops[j], &g->ops[i]);
        if (barrier[i]) met = i;
    }
}
