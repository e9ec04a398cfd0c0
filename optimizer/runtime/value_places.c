/* value_places.c - see value_places.h. */
#include "optimizer/runtime/value_places.h"

void value_lives(const graph *g, value_life *life)
{
    for (int v = 0; v < g->value_count; v++) life[v].first = life[v].last = GRAPH_NONE;
    for (int i = 0; i < g->op_count; i++) {
        const graph_op *op = &g->ops[i];
        const int touched[] = {op->out.value, op->in[0].value, op->in[1].value, op->in[2].value};
        for (size_t j = 0; j < sizeof touched / sizeof touched[0]; j++) {
            if (touched[j] == GRAPH_NONE) continue;
            if (life[touched[j]].first == GRAPH_NONE) life[touched[j]].first = i;
            life[touched[j]].last = i;
        }
    }
    life[g->output].last = g->op_count;
}

static bool works_by_element(graph_op_kind kind)
{
    return kind == GRAPH_SILU || kind == GRAPH_MUL || kind == GRAPH_ADD || kind == GRAPH_SWIGLU ||
           kind == GRAPH_RMS_NORM || kind == GRAPH_ROPE;
}

/* Whether the columns that the result would take are those of another input, and not just the same ones. */
static bool disturbs_other(const graph *g, const graph_op *op, int k)
{
    const size_t first = op->in[k].offset, end = first + g->values[op->out.value].width;
    for (int j = 0; j < GRAPH_MAX_INPUTS; j++) {
        const graph_operand *in = &op->in[j];
        if (j == k || in->value != op->in[k].value || in->offset == first) continue;
        if (in->offset < end && first < in->offset + (op->heads - 1) * in->stride + op->head_width) return true;
    }
    return false;
}

/* Whether the result of operation i can lie where its input k lay. */
static bool can_replace(const graph *g, int i, int k, const value_life *life)
{
    const graph_op *op = &g->ops[i];
    const graph_operand *in = &op->in[k];
    if (in->value == GRAPH_NONE || in->value == op->out.value) return false;
    const graph_value *from = &g->values[in->value], *to = &g->values[op->out.value];
    const bool same_rows = from->rows == to->rows && from->last == to->last && op->last == to->last;
    const bool floats = from->dtype == GRAPH_F32 && to->dtype == GRAPH_F32;
    const bool fits = op->out.offset == 0 && in->offset + to->width <= from->width;
    const bool same_heads = op->heads == 1 || in->stride == op->out.stride;
    const bool free_after = life[in->value].last == i && life[op->out.value].first == i;
    return same_rows && floats && fits && same_heads && free_after && op->out.value != g->output &&
           !disturbs_other(g, op, k);
}

void value_places(const graph *g, const value_life *life, bool in_place, value_place *place)
{
    for (int v = 0; v < g->value_count; v++) place[v] = (value_place){.root = v, .stride = g->values[v].width};
    for (int i = 0; i < g->op_count && in_place; i++) {
        const graph_op *op = &g->ops[i];
        if (!works_by_element(op->kind)) continue;
        for (int k = 0; k < 2; k++) {
            if (!can_replace(g, i, k, life)) continue;
            const value_place *from = &place[op->in[k].value];
            place[op->out.value] =
                (value_place){.root = from->root, .offset = from->offset + op->in[k].offset, .stride = from->stride};
            break;
        }
    }
}
