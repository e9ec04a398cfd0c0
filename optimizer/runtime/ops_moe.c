/* ops_moe.c - routing tokens to experts, and bringing their results together. */
#include <string.h>

#include "optimizer/runtime/execute.h"

void run_route(const execution *e, const graph_op *op, int thread, int threads)
{
    (void)threads;
    if (thread != 0) return;
    if (e->chosen != NULL) {
        routing_copy(e->route, e->chosen);
        return;
    }
    e->route->grouped = op->grouped;
    const float *bias = op->weight != GRAPH_NONE ? e->p->weights[op->weight].vector : NULL;
    routing_choose(e->route, e->kernels->route, op->last ? 1 : e->tokens, operand_row(e, op, &op->in[0], 0),
                   operand_stride(e, &op->in[0]), bias);
}

void run_gather(const execution *e, const graph_op *op, int thread, int threads)
{
    const share s = share_rows(e, op, thread, threads);
    for (size_t r = s.first; r < s.end; r++)
        memcpy(operand_row(e, op, &op->out, r), operand_row(e, op, &op->in[0], e->route->token[r]),
               op->head_width * sizeof(float));
}

void run_combine(const execution *e, const graph_op *op, int thread, int threads)
{
    const size_t k = e->route->per_token;
    const share s = share_rows(e, op, thread, threads);
    for (size_t t = s.first; t < s.end; t++) {
        float *y = operand_row(e, op, &op->out, t);
        memset(y, 0, op->head_width * sizeof *y);
        for (size_t i = 0; i < k; i++)
            e->kernels->axpy(op->head_width, e->route->weight[t * k + i],
                             operand_row(e, op, &op->in[0], e->route->row[t * k + i]), y);
    }
}
