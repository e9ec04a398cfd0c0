/* ops_matmul.c - matrix products: whole, stacked from parts, by expert, with an epilogue, and the two that absorb MLA's
 * kv_b.
 *
 * The epilogue of gate and up: a thread takes some columns at a time. Those of gate it computes where the result goes, the
 * same ones of up in its workspace, and then puts silu(gate) * up over the gate. Both are small enough to be still in its
 * own cache, and what lies between, twice as wide as the result, has no memory of its own. */
#include <string.h>

#include "optimizer/runtime/execute.h"

/* Outputs are shared out in runs of this many: whole register tiles of every rung. */
enum { OUTPUT_UNIT = 16 };

/* How much an epilogue takes at a time. 256 KiB of up, and as much of gate, leave a level-2 cache of 1 MiB room for weights
 * and x. 512 rows, of which kernels for many rows take no more at a time either, leave 128 columns: the kernel makes x ready
 * for each run of columns anew, one conversion in 256 products then. */
enum {
    EPILOGUE_FLOATS = 1 << 16,
    EPILOGUE_ROWS = 512,
    EPILOGUE_UNIT = 64 /* columns, where there are more: whole tiles of kernels for many rows */
};
_Static_assert(EPILOGUE_UNIT % OUTPUT_UNIT == 0 && EPILOGUE_ROWS * EPILOGUE_UNIT <= EPILOGUE_FLOATS,
               "a block has room");

/* Where the rows of a matmul's input are. */
typedef struct matmul_input {
    const float *x; /* NULL when quantised */
    size_t stride;
    kernel_q8 q8;
} matmul_input;

static bool is_q8(const execution *e, const graph_operand *operand)
{
    return e->p->g->values[operand->value].dtype == GRAPH_Q8;
}

/* Row r on of the input of weights like `w`. */
static matmul_input input_from(const execution *e, const graph_op *op, size_t r, const kernel_matrix *w)
{
    const graph_operand *in = &op->in[0];
    if (!is_q8(e, in)) return (matmul_input){.x = operand_row(e, op, in, r), .stride = operand_stride(e, in)};
    const size_t groups = kernel_groups(w->columns, w->group);
    const kernel_q8 *all = &e->q8[in->value];
    return (matmul_input){.q8 = {.values = all->values + r * kernel_row_bytes(KERNEL_INT8, w->columns),
                                 .scales = all->scales + r * groups,
                                 .sums = all->sums + r * groups}};
}

static void multiply(const execution *e, const kernel_matrix *w, size_t m, const matmul_input *in, float *y, size_t ldy)
{
    if (in->x != NULL)
        e->kernels->matmul[w->format](w, m, in->x, in->stride, y, ldy);
    else
        e->kernels->matmul_q8[w->format](w, m, &in->q8, y, ldy);
}

static size_t units_of(size_t outputs)
{
    return outputs / OUTPUT_UNIT + (outputs % OUTPUT_UNIT != 0);
}

/* The thread's share of a stack of matrices: runs of units, which begin anew in every matrix, so that a slice begins where
 * the kernels' panels do. */
static void multiply_parts(const execution *e, const kernel_matrix *parts, int count, share units, size_t m,
                           const matmul_input *in, float *y, size_t ldy)
{
    size_t base = 0, output = 0; /* first unit and first output of the part */
    for (int i = 0; i < count; i++) {
        const size_t end = base + units_of(parts[i].rows);
        const size_t first = units.first > base ? units.first : base, last = units.end < end ? units.end : end;
        if (first < last) {
            const size_t from = (first - base) * OUTPUT_UNIT, to = (last - base) * OUTPUT_UNIT;
            const size_t rows = (to < parts[i].rows ? to : parts[i].rows) - from;
            const kernel_matrix slice = kernel_matrix_rows(&parts[i], from, rows);
            multiply(e, &slice, m, in, y + output + from, ldy);
        }
        base = end;
        output += parts[i].rows;
    }
}

/* With an epilogue, of the columns that all parts have. */
static share share_units(const execution *e, const graph_op *op, const kernel_matrix *parts, int count, int thread,
                         int threads)
{
    size_t units = 0;
    if (graph_has_epilogue(op->kind)) count = 1;
    for (int i = 0; i < count; i++) units += units_of(parts[i].rows);
    if (operation_split(e->p->g, op, e->tokens, e->position + e->tokens) == SPLIT_SERIAL)
        return (share){.first = 0, .end = thread == 0 ? units : 0};
    return share_of(units, 1, thread, threads);
}

/* Columns of a thread's share of an output of `width` columns, at most. */
static size_t widest_share(size_t width, size_t threads)
{
    return (units_of(width) + threads - 1) / threads * OUTPUT_UNIT;
}

/* Rows at a time of what has `rows`: no fewer than half of EPILOGUE_ROWS where there are more than those, since some kernels
 * round x where it has many rows and not where it has few. */
static size_t epilogue_rows(size_t rows)
{
    const size_t times = (rows + EPILOGUE_ROWS - 1) / EPILOGUE_ROWS;
    return times > 1 ? (rows + times - 1) / times : rows;
}

size_t epilogue_scratch(const graph *g, size_t tokens, int threads)
{
    size_t most = 0;
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        if (!graph_has_epilogue(op->kind)) continue;
        const size_t all = op->last ? 1 : tokens, rows = all < EPILOGUE_ROWS ? all : EPILOGUE_ROWS;
        const size_t floats = rows * widest_share(graph_matmul_outputs(g, op), (size_t)threads);
        if (floats > most) most = floats;
    }
    return most < EPILOGUE_FLOATS ? most : EPILOGUE_FLOATS;
}

/* silu of gate's outputs [from, from + width) times up's, of rows [first, first + rows). */
static void multiply_block(const execution *e, const graph_op *op, const kernel_matrix *parts, size_t first,
                           size_t rows, size_t from, size_t width, float *up)
{
    const matmul_input in = input_from(e, op, first, parts);
    const kernel_matrix gate_rows = kernel_matrix_rows(&parts[0], from, width);
    const kernel_matrix up_rows = kernel_matrix_rows(&parts[1], from, width);
    const size_t stride = operand_stride(e, &op->out);
    float *y = operand_row(e, op, &op->out, first) + from;
    multiply(e, &gate_rows, rows, &in, y, stride);
    multiply(e, &up_rows, rows, &in, up, width);
    for (size_t r = 0; r < rows; r++) e->kernels->swiglu(width, y + r * stride, up + r * width, y + r * stride);
}

/* The thread's share of rows [first, first + rows) of an operation with an epilogue. Weights come from memory once: all rows
 * pass by some columns before the next ones. */
static void multiply_gated(const execution *e, const graph_op *op, const kernel_matrix *parts, share units,
                           size_t first, size_t rows, int thread)
{
    const size_t at_once = epilogue_rows(rows), room = EPILOGUE_FLOATS / at_once / EPILOGUE_UNIT * EPILOGUE_UNIT;
    const size_t widest = widest_share(parts[0].rows, (size_t)e->threads), columns = room < widest ? room : widest;
    const size_t last = units.end * OUTPUT_UNIT, end = last < parts[0].rows ? last : parts[0].rows;
    for (size_t c = units.first * OUTPUT_UNIT; c < end; c += columns) {
        const size_t width = end - c < columns ? end - c : columns;
        for (size_t r = 0; r < rows; r += at_once) {
            const size_t some = rows - r < at_once ? rows - r : at_once;
            multiply_block(e, op, parts, first + r, some, c, width, e->scratch[thread]);
        }
    }
}

void run_matmul(const execution *e, const graph_op *op, int thread, int threads)
{
    const graph_weight *w = &e->p->g->weights[op->weight];
    const kernel_matrix *parts = e->p->weights[op->weight].parts;
    const share units = share_units(e, op, parts, w->parts, thread, threads);
    if (graph_has_epilogue(op->kind)) {
        multiply_gated(e, op, parts, units, 0, operation_rows(e, op), thread);
        return;
    }
    const matmul_input in = input_from(e, op, 0, parts);
    multiply_parts(e, parts, w->parts, units, operation_rows(e, op), &in, operand_row(e, op, &op->out, 0),
                   operand_stride(e, &op->out));
}

/* Rows [first, first + rows), all of them the expert's. */
static void multiply_expert(const execution *e, const graph_op *op, size_t expert, size_t first, size_t rows,
                            share units, int thread)
{
    const int count = e->p->g->weights[op->weight].parts;
    const kernel_matrix *parts = e->p->weights[op->weight].parts + expert * (size_t)count;
    if (graph_has_epilogue(op->kind)) {
        multiply_gated(e, op, parts, units, first, rows, thread);
        return;
    }
    const matmul_input in = input_from(e, op, first, parts);
    multiply_parts(e, parts, count, units, rows, &in, operand_row(e, op, &op->out, first), operand_stride(e, &op->out));
}

void run_expert_matmul(const execution *e, const graph_op *op, int thread, int threads)
{
    const graph_weight *w = &e->p->g->weights[op->weight];
    const routing *route = e->route;
    const share units = share_units(e, op, e->p->weights[op->weight].parts, w->parts, thread, threads);
    /* Without a share, this thread has not met the one that routes: what the routing holds is not for it. */
    if (units.first == units.end) return;
    for (size_t row = 0; !route->grouped && row < route->tokens * route->per_token; row++)
        multiply_expert(e, op, route->chosen[row], row, 1, units, thread);
    for (size_t expert = 0; route->grouped && expert < w->experts; expert++) {
        const size_t first = route->first[expert], rows = route->first[expert + 1] - first;
        if (rows > 0) multiply_expert(e, op, expert, first, rows, units, thread);
    }
}

/* Rows of kv_b that belong to a head's keys (first nope) and values (the v after them). */
static kernel_matrix head_rows(const kernel_matrix *kv_b, size_t head, size_t nope, size_t v_dim, bool values)
{
    return kernel_matrix_rows(kv_b, head * (nope + v_dim) + (values ? nope : 0), values ? v_dim : nope);
}

void run_absorb_query(const execution *e, const graph_op *op, int thread, int threads)
{
    const kernel_matrix *kv_b = e->p->weights[op->weight].parts;
    const share s = share_of(op->heads, 1, thread, threads);
    const size_t rows = operation_rows(e, op), rank = op->key_width - op->tail_width;
    for (size_t r = 0; r < rows; r++) {
        const float *nope = operand_row(e, op, &op->in[0], r), *pe = operand_row(e, op, &op->in[1], r);
        float *y = operand_row(e, op, &op->out, r);
        for (size_t h = s.first; h < s.end; h++) {
            float *out = y + h * op->out.stride;
            const kernel_matrix keys = head_rows(kv_b, h, op->head_width, op->value_width, false);
            memset(out, 0, rank * sizeof *out);
            e->kernels->matvec_transposed(&keys, nope + h * op->in[0].stride, out);
            if (op->rotation.heads > 0)
                rotate_heads(e, row_position(e, op, r), 1, op->tail_width, pe + h * op->in[1].stride, 0, out + rank, 0);
            else
                memcpy(out + rank, pe + h * op->in[1].stride, op->tail_width * sizeof *out);
        }
    }
}

void run_absorb_value(const execution *e, const graph_op *op, int thread, int threads)
{
    const kernel_matrix *kv_b = e->p->weights[op->weight].parts;
    const share s = share_of(op->heads, 1, thread, threads);
    const size_t rows = operation_rows(e, op);
    const bool quantised = is_q8(e, &op->in[0]);
    for (size_t r = 0; r < rows; r++) {
        float *y = operand_row(e, op, &op->out, r);
        for (size_t h = s.first; h < s.end; h++) {
            const kernel_matrix values = head_rows(kv_b, h, op->key_width, op->value_width, true);
            matmul_input in;
            if (quantised)
                in = input_from(e, op, r * op->heads + h, &values);
            else
                in = (matmul_input){.x = operand_row(e, op, &op->in[0], r) + h * op->in[0].stride};
            multiply(e, &values, 1, &in, y + h * op->out.stride, op->value_width);
        }
    }
}
