/* operation_class.c - see operation_class.h. */
#include "harness/measure/operation_class.h"

#include <string.h>

const char *operation_class_name(operation_class c)
{
    static const char *const names[OPERATION_CLASSES] = {
        "matmul", "activation quantisation", "attention", "norm and elementwise", "routing", "other"};
    return names[c];
}

/* Beginnings of names; the first that fits counts. What ends in '.' or '_' is not the whole of a word by accident. */
static const struct {
    const char *start;
    operation_class class;
} rules[] = {
    {"matmul", OPERATION_MATMUL},
    {"matvec", OPERATION_MATMUL},
    {"widen_", OPERATION_MATMUL},
    {"tile_", OPERATION_MATMUL},
    {"dequantized_many", OPERATION_MATMUL},
    {"dequantize_", OPERATION_MATMUL},
    {"span_to_float", OPERATION_MATMUL},
    {"multiply", OPERATION_MATMUL},
    {"run_matmul", OPERATION_MATMUL},
    {"run_expert_matmul", OPERATION_MATMUL},
    {"run_absorb_", OPERATION_MATMUL},
    {"share_units", OPERATION_MATMUL},
    {"quantize_q8", OPERATION_QUANTISE},
    {"run_quantize", OPERATION_QUANTISE},
    {"attention_", OPERATION_ATTENTION},
    {"run_attention", OPERATION_ATTENTION},
    {"score", OPERATION_ATTENTION},
    {"weigh_values", OPERATION_ATTENTION},
    {"softmax", OPERATION_ATTENTION},
    {"cache_", OPERATION_ATTENTION},
    {"run_cache_", OPERATION_ATTENTION},
    {"store_half", OPERATION_ATTENTION},
    {"bind_keys", OPERATION_ATTENTION},
    {"from_f16", OPERATION_ATTENTION},
    {"to_f16", OPERATION_ATTENTION},
    {"rms_norm", OPERATION_ELEMENTWISE},
    {"layer_norm", OPERATION_ELEMENTWISE},
    {"run_rms_norm", OPERATION_ELEMENTWISE},
    {"run_add_norm", OPERATION_ELEMENTWISE},
    {"run_elementwise", OPERATION_ELEMENTWISE},
    {"add_", OPERATION_ELEMENTWISE},
    {"mul_", OPERATION_ELEMENTWISE},
    {"axpy_", OPERATION_ELEMENTWISE},
    {"silu_", OPERATION_ELEMENTWISE},
    {"swiglu_", OPERATION_ELEMENTWISE},
    {"rope_", OPERATION_ELEMENTWISE},
    {"run_rope", OPERATION_ELEMENTWISE},
    {"route_", OPERATION_ROUTING},
    {"run_route", OPERATION_ROUTING},
    {"top_k_", OPERATION_ROUTING},
    {"sink", OPERATION_ROUTING},
    {"routing_", OPERATION_ROUTING},
    {"run_gather", OPERATION_ROUTING},
    {"run_combine", OPERATION_ROUTING},
};

operation_class operation_class_of(const char *function)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++)
        if (strncmp(function, rules[i].start, strlen(rules[i].start)) == 0) return rules[i].class;
    return OPERATION_OTHER;
}
