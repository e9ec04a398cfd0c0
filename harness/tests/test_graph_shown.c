/* test_graph_shown.c - the graph that `ciuic inspect --graph` shows of a checkpoint is the one that runs. */
#include <string.h>

#include "harness/inspect/graph_print.h"
#include "optimizer/runtime/model.h"
#include "optimizer/tests/changed_checkpoint.h"
#include "optimizer/tests/quantized_folder.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

/* The first operation that differs, or how many there are of them; -1 when the graphs are the same. */
static int first_difference(const graph *a, const graph *b)
{
    const int count = a->op_count < b->op_count ? a->op_count : b->op_count;
    for (int i = 0; i < count; i++) {
        const graph_op *x = &a->ops[i], *y = &b->ops[i];
        bool same = x->kind == y->kind && x->layer == y->layer && x->last == y->last && x->group == y->group &&
                    x->grouped == y->grouped && x->rotation.heads == y->rotation.heads &&
                    (x->weight == GRAPH_NONE) == (y->weight == GRAPH_NONE);
        for (int j = -1; j < GRAPH_MAX_INPUTS; j++) {
            const graph_operand *p = j < 0 ? &x->out : &x->in[j], *q = j < 0 ? &y->out : &y->in[j];
            same = same && p->value == q->value && p->offset == q->offset && p->stride == q->stride;
            if (same && p->value != GRAPH_NONE)
                same = strcmp(a->values[p->value].name, b->values[q->value].name) == 0 &&
                       a->values[p->value].dtype == b->values[q->value].dtype;
        }
        for (int j = 0; same && x->weight != GRAPH_NONE && j < a->weights[x->weight].parts; j++)
            same = strcmp(a->weights[x->weight].name[j], b->weights[y->weight].name[j]) == 0;
        if (!same) return i;
    }
    return a->op_count == b->op_count ? -1 : count;
}

/* The graph that inspect shows of the folder, and the one that a model makes its plan of. */
static void check_shown(const char *what, const char *folder, ciuic_memory memory, bool decode, int quantized)
{
    graph_request request = {
        .name = folder, .options = {.graph = true, .memory = memory, .isa = "c"}, .decode = decode, .weight_bytes = 2};
    request.tokens = decode ? 1 : 16;
    request.depth = decode ? 32 : 0;
    graph_trace trace = {0};
    checkpoint *c = NULL;
    ciuic_model *model = NULL, *fast = NULL;
    if (checkpoint_open(folder, &c) != CIUIC_OK) {
        CHECK(false, "%s: %s", what, ciuic_last_error());
        return;
    }
    request.checkpoint = c;
    request.config = checkpoint_config(c);
    CHECK(graph_trace_make(&request, &trace) == CIUIC_OK, "%s: %s", what, ciuic_last_error());
    CU_ASSERT_EQUAL_FATAL(ciuic_model_load(folder, &model), CIUIC_OK);
    CHECK(ciuic_optimize(model, &request.options, &fast, NULL) == CIUIC_OK, "%s: %s", what, ciuic_last_error());
    if (trace.g != NULL && fast != NULL) {
        const graph_phase prefill = model_prefill_phase(fast, false, request.tokens, graph_trace_context(&trace));
        const graph *runs = fast->plans[decode ? GRAPH_DECODE : prefill].g;
        const int at = first_difference(trace.g, runs);
        CHECK(at < 0, "%s, memory %s, %s: operation %d is %s, and %s runs", what, ciuic_memory_name(memory),
              graph_request_phase(&request), at,
              at < trace.g->op_count ? graph_op_name(trace.g->ops[at].kind) : "not there",
              at < runs->op_count ? graph_op_name(runs->ops[at].kind) : "none");
        int shown = 0;
        for (int i = 0; i < trace.g->op_count; i++) shown += trace.g->ops[i].kind == GRAPH_QUANTIZE ? 1 : 0;
        CHECK((shown > 0) == (quantized > 0) && (trace.lowered.name != NULL) == (quantized >= 0),
              "%s: %d operations quantise", what, shown);
    }
    graph_trace_free(&trace);
    ciuic_model_free(fast);
    ciuic_model_free(model);
    checkpoint_release(c);
}

static void check_all_shown(const char *what, const char *folder, int quantized)
{
    for (int memory = CIUIC_MEMORY_OFF; memory < CIUIC_MEMORY_COUNT; memory++)
        for (int decode = 0; decode < 2; decode++)
            check_shown(what, folder, (ciuic_memory)memory, decode != 0, quantized);
}

/* Of checkpoints as they come; with weights that change nothing; quantised alike; and quantised so that some matrices of one
 * input cannot be fused. */
static void what_is_shown_runs(void)
{
    static const char v3[] = "datasets/golden/deepseek-v3", qwen[] = "datasets/golden/r1-0528-qwen3";
    static const checkpoint_change constants[] = {
        {FILL, "model.layers.1.mlp.gate.e_score_correction_bias", "0"},
        {FILL, "model.layers.0.input_layernorm.weight", "1"},
    };
    static const struct {
        const char *what, *source;
        quantized_rule rules[QUANTIZED_RULES];
    } table[] = {
        {"int8", v3, {{"", "int8", 0}}},
        {"q of other groups than k", qwen, {{"q_proj", "int8-g64", 0}, {"gate_proj", "none", 0}, {"", "int4", 0}}},
        {"gates and latents of their own",
         v3,
         {{"shared_experts.gate", "none", 0}, {"kv_a_proj", "int4-g64", 0}, {"", "int4", 0}}},
    };
    check_all_shown(v3, v3, -1);
    check_all_shown(qwen, qwen, -1);
    temporary_folder folder;
    temporary_folder_create(&folder);
    changed_checkpoint_write(v3, constants, sizeof constants / sizeof constants[0], folder.path);
    check_all_shown("constants", folder.path, -1);
    temporary_folder_remove(&folder);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        quantized_folder made;
        temporary_folder_create(&folder);
        quantized_folder_make(table[i].source, table[i].rules, &made);
        quantized_folder_write(&made, folder.path);
        check_all_shown(table[i].what, folder.path, 1);
        quantized_folder_free(&made);
        temporary_folder_remove(&folder);
    }
}

static const test_case cases[] = {
    {"what_is_shown_runs", what_is_shown_runs},
};
TEST_SUITE(graph_shown, cases);
