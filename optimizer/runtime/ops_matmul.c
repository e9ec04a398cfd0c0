/* ops_matmul.c - matrix products: whole, stacked from parts, by expert, and the two that absorb MLA's kv_b. */
#include <string.h>

#include "optimizer/runtime/execute.h"

/* Outputs are shared out in runs of this many: whole register tiles of every rung. */
enum { OUTPUT_UNIT = 16 };

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

/* Row r on of the input, for weights of `columns` columns. */
static matmul_input input_from(const execution *e, const graph_op *op, size_t r, size_t columns)
{
    const graph_operand *in = &op->in[0];
    if (!is_q8(e, in)) return (matmul_input){.x = operand_row(e, op, in, r), .stride = operand_stride(e, in)};
    const size_t groups = kernel_row_scales(KERNEL_INT8, columns);
    const kernel_q8 *all = &e->q8[in->value];
    return (matmul_input){.q8 = {.values = all->values + r * groups * KERNEL_GROUP,
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

/* The outputs [s.first, s.end) of a stack of matrices. */
static void multiply_parts(const execution *e, const kernel_matrix *parts, int count, share s, size_t m,
                           const matmul_input *in, float *y, size_t ldy)
{
    size_t base = 0; /* first output of the part */
    for (int i = 0; i < count; i++) {
        const size_t end = base + parts[i].rows;
        const size_t from = s.first > base ? s.first : base, to = s.end < end ? s.end : end;
        if (from < to) {
            const kernel_matrix rows = kernel_matrix_rows(&parts[i], from - base, to - from);
            multiply(e, &rows, m, in, y + from, ldy);
        }
        base = end;
    }
}

static share share_outputs(const execution *e, const graph_op *op, size_t outputs, int thread, int threads)
{
    if (operation_split(e->p->g, op, e->tokens, e->position + e->tokens) == SPLIT_SERIAL)
        return (share){.first = 0, .end = thread == 0 ? outputs : 0};
    return share_of(outputs, OUTPUT_UNIT, thread, threads);
}

void run_matmul(const execution *e, const graph_op *op, int thread, int threads)
{
    const graph_weight *w = &e->p->g->weights[op->weight];
    const share s = share_outputs(e, op, graph_weight_rows(w), thread, threads);
    const matmul_input in = input_from(e, op, 0, w->columns);
    multiply_parts(e, e->p->weights[op->weight].parts, w->parts, s, operation_rows(e, op), &in,
                   operand_row(e, op, &op->out, 0), operand_stride(e, &op->out));
}

void run_expert_matmul(const execution *e, const graph_op *op, int thread, int threads)
{
    const graph_weight *w = &e->p->g->weights[op->weight];
    const share s = share_outputs(e, op, graph_weight_rows(w), thread, threads);
    for (size_t expert = 0; expert < w->experts; expert++) {
        const size_t first = e->route->first[expert], rows = e->route->first[expert + 1] - first;
        if (rows == 0) continue;
        const matmul_input in = input_from(e, op, first, w->columns);
        multiply_parts(e, e->p->weights[op->weight].parts + expert * (size_t)w->parts, w->parts, s, rows, &in,
                       operand_row(e, op, &op->out, first), operand_stride(e, &op->out));
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
                in = input_from(e, op, r * op->heads + h, op->head_width);
            else
                in = (matmul_input){.x = operand_row(e, op, &op->in[0], r) + h * op->in[0].stride};
            multiply(e, &values, 1, &in, y + h * op->out.stride, op->value_width);
        }
    }
}
