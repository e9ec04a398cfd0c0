/* ops_rows.c - operations that compute each row from the same row of their inputs. */
#include <string.h>

#include "optimizer/runtime/execute.h"

/* The token of the call that row r of the operation is about. */
static size_t token_of(const execution *e, const graph_op *op, size_t r)
{
    return op->last ? e->tokens - 1 : r;
}

void run_embed(const execution *e, const graph_op *op, int thread, int threads)
{
    const kernel_matrix *table = e->p->weights[op->weight].parts;
    const share s = share_rows(e, op, thread, threads);
    for (size_t r = s.first; r < s.end; r++)
        e->kernels->dequantize_row(table, (size_t)e->ids[token_of(e, op, r)], operand_row(e, op, &op->out, r));
}

void run_input(const execution *e, const graph_op *op, int thread, int threads)
{
    const size_t width = op->head_width;
    const share s = share_rows(e, op, thread, threads);
    for (size_t r = s.first; r < s.end; r++)
        memcpy(operand_row(e, op, &op->out, r), e->input + token_of(e, op, r) * width, width * sizeof *e->input);
}

void run_rms_norm(const execution *e, const graph_op *op, int thread, int threads)
{
    const float *weight = op->weight != GRAPH_NONE ? e->p->weights[op->weight].vector : NULL;
    const share s = share_rows(e, op, thread, threads);
    for (size_t r = s.first; r < s.end; r++) {
        const float *x = operand_row(e, op, &op->in[0], r);
        float *y = operand_row(e, op, &op->out, r);
        for (size_t h = 0; h < op->heads; h++)
            e->kernels->rms_norm(op->head_width, x + h * op->in[0].stride, weight, op->scale, y + h * op->out.stride);
    }
}

size_t row_position(const execution *e, const graph_op *op, size_t r)
{
    return e->position + token_of(e, op, r);
}

void rotate_heads(const execution *e, size_t position, size_t heads, size_t width, const float *x, size_t x_stride,
                  float *y, size_t y_stride)
{
    kernel_rope_fn *rotate =
        model_type_has_mla(e->config->type) ? e->kernels->rope_interleaved : e->kernels->rope_halves;
    const float *cosine = e->rope->cosine + position * (width / 2), *sine = e->rope->sine + position * (width / 2);
    for (size_t h = 0; h < heads; h++) rotate(width, x + h * x_stride, cosine, sine, y + h * y_stride);
}

void run_rope(const execution *e, const graph_op *op, int thread, int threads)
{
    const share s = share_rows(e, op, thread, threads);
    for (size_t r = s.first; r < s.end; r++)
        rotate_heads(e, row_position(e, op, r), op->heads, op->head_width, operand_row(e, op, &op->in[0], r),
                     op->in[0].stride, operand_row(e, op, &op->out, r), op->out.stride);
}

void run_slice(const execution *e, const graph_op *op, int thread, int threads)
{
    const share s = share_rows(e, op, thread, threads);
    for (size_t r = s.first; r < s.end; r++) {
        const float *x = operand_row(e, op, &op->in[0], r);
        float *y = operand_row(e, op, &op->out, r);
        for (size_t h = 0; h < op->heads; h++)
            memcpy(y + h * op->out.stride, x + h * op->in[0].stride, op->head_width * sizeof *y);
    }
}

void run_concat(const execution *e, const graph_op *op, int thread, int threads)
{
    const share s = share_rows(e, op, thread, threads);
    for (size_t r = s.first; r < s.end; r++) {
        const float *a = operand_row(e, op, &op->in[0], r), *b = operand_row(e, op, &op->in[1], r);
        float *y = operand_row(e, op, &op->out, r);
        for (size_t h = 0; h < op->heads; h++) {
            memcpy(y + h * op->out.stride, a + h * op->in[0].stride, op->head_width * sizeof *y);
            memcpy(y + h * op->out.stride + op->head_width, b + h * op->in[1].stride, op->tail_width * sizeof *y);
        }
    }
}

void run_elementwise(const execution *e, const graph_op *op, int thread, int threads)
{
    const share s = share_rows(e, op, thread, threads);
    for (size_t r = s.first; r < s.end; r++) {
        const float *a = operand_row(e, op, &op->in[0], r);
        const float *b = op->in[1].value != GRAPH_NONE ? operand_row(e, op, &op->in[1], r) : NULL;
        float *y = operand_row(e, op, &op->out, r);
        switch (op->kind) {
        case GRAPH_SILU:
            e->kernels->silu(op->head_width, a, y);
            break;
        case GRAPH_MUL:
            e->kernels->mul(op->head_width, a, b, y);
            break;
        case GRAPH_SWIGLU:
            e->kernels->swiglu(op->head_width, a, b, y);
            break;
        default:
            e->kernels->add(op->head_width, a, b, y);
            break;
        }
    }
}

void run_add_norm(const execution *e, const graph_op *op, int thread, int threads)
{
    const float *weight = op->weight != GRAPH_NONE ? e->p->weights[op->weight].vector : NULL;
    const share s = share_rows(e, op, thread, threads);
    for (size_t r = s.first; r < s.end; r++) {
        float *sum = operand_row(e, op, &op->in[0], r);
        e->kernels->add(op->head_width, sum, operand_row(e, op, &op->in[1], r), sum);
        e->kernels->rms_norm(op->head_width, sum, weight, op->scale, operand_row(e, op, &op->out, r));
    }
}

void run_last_row(const execution *e, const graph_op *op, int thread, int threads)
{
    (void)threads;
    if (thread != 0) return;
    const graph_operand *in = &op->in[0];
    memcpy(operand_row(e, op, &op->out, 0), operand_row(e, op, in, e->tokens - 1), op->head_width * sizeof(float));
}

void run_quantize(const execution *e, const graph_op *op, int thread, int threads)
{
    const size_t groups = kernel_groups(op->head_width, op->group);
    const share s = share_rows(e, op, thread, threads);
    for (size_t r = s.first; r < s.end; r++) {
        const float *x = operand_row(e, op, &op->in[0], r);
        const size_t first = r * op->heads;
        const kernel_q8 *all = &e->q8[op->out.value];
        kernel_q8 q = {.values = all->values + first * kernel_row_bytes(KERNEL_INT8, op->head_width),
                       .scales = all->scales + first * groups,
                       .sums = all->sums + first * groups};
        e->kernels->quantize_q8(op->heads, op->head_width, op->group, x, op->in[0].stride, &q);
    }
}
