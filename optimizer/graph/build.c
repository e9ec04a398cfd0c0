/* build.c - the decoder that every architecture shares: embedding, layers of attention and feed-forward with residuals,
 * final norm and head; and the builder's vocabulary. */
#include "optimizer/graph/build.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"

static const graph_op blank = {
    .in = {{.value = GRAPH_NONE}, {.value = GRAPH_NONE}, {.value = GRAPH_NONE}},
    .out = {.value = GRAPH_NONE},
    .weight = GRAPH_NONE,
    .layer = GRAPH_NONE,
    .heads = 1,
};

static int append(builder *b, const graph_op *op, int out)
{
    if (out == GRAPH_NONE || graph_add_op(b->g, op) == GRAPH_NONE) b->failed = true;
    return out;
}

int build_op(builder *b, graph_op op, int like, size_t width, const char *name)
{
    if (b->failed) return GRAPH_NONE;
    const graph_rows rows = b->g->values[like].rows;
    const bool last = b->g->values[like].last;
    char layer[16] = "";
    if (b->layer != GRAPH_NONE) snprintf(layer, sizeof layer, "%d.", b->layer);
    const int out = graph_add_value(b->g, GRAPH_F32, rows, width, "%s%s", layer, name);
    if (out != GRAPH_NONE) b->g->values[out].last = last;
    op.layer = b->layer;
    op.out.value = out;
    return append(b, &op, out);
}

static void full_name(const builder *b, const char *name, char out[GRAPH_NAME])
{
    if (b->layer == GRAPH_NONE)
        snprintf(out, GRAPH_NAME, "%s", name);
    else
        snprintf(out, GRAPH_NAME, "model.layers.%d.%s", b->layer, name);
}

static int add_weight(builder *b, const graph_weight *weight)
{
    const int index = graph_add_weight(b->g, weight);
    if (index == GRAPH_NONE) b->failed = true;
    return index;
}

int build_matrix(builder *b, const char *name, size_t rows, size_t columns, bool bias)
{
    graph_weight weight = {.kind = GRAPH_MATRIX, .parts = 1, .rows = {rows}, .columns = columns, .bias = {bias}};
    full_name(b, name, weight.name[0]);
    return add_weight(b, &weight);
}

int build_vector(builder *b, const char *name, size_t width)
{
    graph_weight weight = {.kind = GRAPH_VECTOR, .parts = 1, .rows = {1}, .columns = width};
    full_name(b, name, weight.name[0]);
    return add_weight(b, &weight);
}

int build_matmul(builder *b, int x, int weight, const char *name)
{
    if (b->failed) return GRAPH_NONE;
    graph_op op = blank;
    op.kind = GRAPH_MATMUL;
    op.in[0] = graph_whole(x);
    op.weight = weight;
    return build_op(b, op, x, graph_weight_rows(&b->g->weights[weight]), name);
}

int build_rms_norm(builder *b, int x, size_t heads, size_t head_width, const char *weight, double eps, const char *name)
{
    if (b->failed) return GRAPH_NONE;
    graph_op op = blank;
    op.kind = GRAPH_RMS_NORM;
    op.in[0] = (graph_operand){.value = x, .stride = head_width};
    op.out.stride = head_width;
    op.heads = heads;
    op.head_width = head_width;
    op.scale = (float)eps;
    op.weight = build_vector(b, weight, head_width);
    return build_op(b, op, x, heads * head_width, name);
}

int build_slice(builder *b, int x, size_t heads, size_t stride, size_t offset, size_t head_width, const char *name)
{
    if (b->failed) return GRAPH_NONE;
    graph_op op = blank;
    op.kind = GRAPH_SLICE;
    op.in[0] = (graph_operand){.value = x, .offset = offset, .stride = stride};
    op.out.stride = head_width;
    op.heads = heads;
    op.head_width = head_width;
    return build_op(b, op, x, heads * head_width, name);
}

int build_rope(builder *b, int x, size_t heads, size_t head_width, const char *name)
{
    if (b->failed) return GRAPH_NONE;
    graph_op op = blank;
    op.kind = GRAPH_ROPE;
    op.in[0] = (graph_operand){.value = x, .stride = head_width};
    op.out.stride = head_width;
    op.heads = heads;
    op.head_width = head_width;
    return build_op(b, op, x, heads * head_width, name);
}

int build_elementwise(builder *b, graph_op_kind kind, int x, int y, const char *name)
{
    if (b->failed) return GRAPH_NONE;
    graph_op op = blank;
    op.kind = kind;
    op.in[0] = graph_whole(x);
    if (y != GRAPH_NONE) op.in[1] = graph_whole(y);
    op.head_width = b->g->values[x].width;
    return build_op(b, op, x, op.head_width, name);
}

int build_mlp(builder *b, int x, const char *prefix, size_t width)
{
    const size_t hidden = b->config->hidden_size;
    const bool bias = b->config->mlp_bias;
    char name[GRAPH_NAME];
    snprintf(name, sizeof name, "%s.gate_proj", prefix);
    const int gate = build_matmul(b, x, build_matrix(b, name, width, hidden, bias), name);
    snprintf(name, sizeof name, "%s.up_proj", prefix);
    const int up = build_matmul(b, x, build_matrix(b, name, width, hidden, bias), name);
    const int silu = build_elementwise(b, GRAPH_SILU, gate, GRAPH_NONE, "silu");
    const int product = build_elementwise(b, GRAPH_MUL, silu, up, "gated");
    snprintf(name, sizeof name, "%s.down_proj", prefix);
    return build_matmul(b, product, build_matrix(b, name, hidden, width, bias), name);
}

float build_attention_scale(const model_config *config, size_t key_width)
{
    double scale = 1.0 / sqrt((double)key_width);
    if (model_type_has_mla(config->type) && config->rope.type == ROPE_YARN && config->rope.mscale_all_dim != 0.0 &&
        config->rope.factor > 1.0) {
        const double m = 0.1 * config->rope.mscale_all_dim * log(config->rope.factor) + 1.0;
        scale *= m * m;
    }
    return (float)scale;
}

static int build_layer(builder *b, int x)
{
    const model_config *c = b->config;
    const size_t hidden = c->hidden_size;
    const int n1 = build_rms_norm(b, x, 1, hidden, "input_layernorm", c->rms_norm_eps, "input_layernorm");
    const int attention = model_type_has_mla(c->type) ? build_attention_mla(b, n1) : build_attention_gqa(b, n1);
    const int x1 = build_elementwise(b, GRAPH_ADD, x, attention, "residual");
    const int n2 =
        build_rms_norm(b, x1, 1, hidden, "post_attention_layernorm", c->rms_norm_eps, "post_attention_layernorm");
    const bool moe = model_config_is_moe(c, (size_t)b->layer);
    const int mlp = moe ? build_moe(b, n2) : build_mlp(b, n2, "mlp", c->intermediate_size);
    return build_elementwise(b, GRAPH_ADD, x1, mlp, "output");
}

static int build_head(builder *b, int x)
{
    const model_config *c = b->config;
    x = build_rms_norm(b, x, 1, c->hidden_size, "model.norm", c->rms_norm_eps, "norm");
    /* A tied head reads the embedding's own matrix; the weight store keeps one copy of equal specifications. */
    const char *head = c->tie_word_embeddings ? "model.embed_tokens" : "lm_head";
    return build_matmul(b, x, build_matrix(b, head, c->vocabulary, c->hidden_size, false), "logits");
}

static void build_model(builder *b)
{
    const model_config *c = b->config;
    graph *g = b->g;
    const int table = build_matrix(b, "model.embed_tokens", c->vocabulary, c->hidden_size, false);
    graph_op embed = blank;
    embed.kind = GRAPH_EMBED;
    embed.weight = table;
    embed.head_width = c->hidden_size;
    embed.out.value = graph_add_value(g, GRAPH_F32, GRAPH_TOKENS, c->hidden_size, "embedding");
    int x = append(b, &embed, embed.out.value);
    for (size_t i = 0; i < c->layers; i++) {
        b->layer = (int)i;
        x = build_layer(b, x);
    }
    b->layer = GRAPH_NONE;
    x = build_head(b, x);
    const bool last_only = g->phase == GRAPH_PREFILL || g->phase == GRAPH_PREFILL_ABSORBED;
    if (last_only && !b->failed) {
        graph_op last = blank;
        last.kind = GRAPH_LAST_ROW;
        last.in[0] = graph_whole(x);
        last.head_width = c->vocabulary;
        x = build_op(b, last, x, c->vocabulary, "last_logits");
        if (!b->failed) g->values[x].last = true;
    }
    g->output = x;
}

/* An empty graph of that phase, with the widths of its cache. */
static graph *create_graph(const model_config *config, graph_phase phase, graph_cache cache)
{
    graph *g = calloc(1, sizeof *g);
    if (g == NULL) return NULL;
    g->phase = phase;
    g->cache = cache;
    g->output = GRAPH_NONE;
    g->context = config->max_position;
    g->layers = config->layers;
    g->experts_per_token = config->experts_per_token;
    if (cache == GRAPH_CACHE_LATENT) {
        g->cache_width[0] = config->kv_lora_rank;
        g->cache_width[1] = config->qk_rope_head_dim;
    } else if (model_type_has_mla(config->type)) {
        g->cache_width[0] = config->heads * (config->qk_nope_head_dim + config->qk_rope_head_dim);
        g->cache_width[1] = config->heads * config->v_head_dim;
    } else {
        g->cache_width[0] = g->cache_width[1] = config->kv_heads * config->head_dim;
    }
    return g;
}

static ciuic_status finish_graph(builder *b, graph **out)
{
    const ciuic_status status = b->failed ? ciuic_fail_memory("a graph", sizeof *b->g) : graph_validate(b->g);
    if (status != CIUIC_OK) {
        graph_free(b->g);
        return status;
    }
    *out = b->g;
    return CIUIC_OK;
}

ciuic_status graph_build(const model_config *config, graph_phase phase, graph_cache cache, graph **out)
{
    builder b = {.config = config, .g = create_graph(config, phase, cache), .layer = GRAPH_NONE};
    if (b.g == NULL) return ciuic_fail_memory("a graph", sizeof *b.g);
    build_model(&b);
    return finish_graph(&b, out);
}

ciuic_status graph_build_layer(const model_config *config, size_t layer, graph **out)
{
    builder b = {.config = config,
                 .g = create_graph(config, GRAPH_PREFILL_ALL, GRAPH_CACHE_EXPANDED),
                 .layer = layer < config->layers ? (int)layer : GRAPH_NONE};
    if (b.g == NULL) return ciuic_fail_memory("a graph", sizeof *b.g);
    b.g->layers = 1;
    graph_op input = blank;
    input.kind = GRAPH_INPUT;
    input.head_width = config->hidden_size;
    input.out.value = graph_add_value(b.g, GRAPH_F32, GRAPH_TOKENS, config->hidden_size, "input");
    const int x = append(&b, &input, input.out.value);
    if (!b.failed) b.g->output = b.layer != GRAPH_NONE ? build_layer(&b, x) : build_head(&b, x);
    for (int i = 0; i < b.g->op_count; i++) {
        graph_op *op = &b.g->ops[i];
        if (op->layer != GRAPH_NONE) op->layer = 0; /* the one layer of its cache */
        op->grouped = op->kind == GRAPH_ROUTE;
    }
    return finish_graph(&b, out);
}
