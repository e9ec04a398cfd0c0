/* graph.h - the intermediate representation of one forward pass: a list of operations in execution order over values.
 *
 * A value is a matrix in FP32 (unless its dtype says otherwise) of `width` columns; its rows are the tokens of this call,
 * the routed rows (tokens x experts per token), or all positions of the cache. In the stem of an image model a row is an
 * image, [channels][height][width] (or channels last, or in blocks of channels), and T counts images. An operation reads operands - a column range
 * of a value, cut into heads - and writes one. Every value is written by one operation, except that rope and rms_norm may
 * rewrite columns of their own input in place, and add_norm rewrites its first input beside what it writes. Builders emit one operation per operation of
 * the model's own modules (graph = off); passes rewrite the list (graph = on). Shapes in comments: T tokens of this call,
 * S positions in the cache after it, k experts per token. */
#ifndef CIUIC_GRAPH_H
#define CIUIC_GRAPH_H

#include "kernels/kernels.h"
#include "optimizer/checkpoint/config.h"
#include "optimizer/ciuic.h"

enum { GRAPH_NONE = -1, GRAPH_MAX_INPUTS = 3, GRAPH_MAX_PARTS = 3, GRAPH_NAME = 96 };

typedef enum graph_rows { GRAPH_TOKENS, GRAPH_ROUTED, GRAPH_CONTEXT } graph_rows;

typedef enum graph_dtype {
    GRAPH_F32,
    GRAPH_Q8,     /* kernel_q8: int8 values, a scale and a sum for each group */
    GRAPH_ROUTING /* which rows go to which expert, with which weight */
} graph_dtype;

typedef struct graph_value {
    char name[GRAPH_NAME];
    graph_dtype dtype;
    graph_rows rows;
    bool last;    /* only the last token's row(s) exist */
    size_t width; /* columns */
} graph_value;

/* Columns offset + h * stride + [0, width of a head) of a value, for each head h of the operation. */
typedef struct graph_operand {
    int value; /* GRAPH_NONE: absent */
    size_t offset, stride;
} graph_operand;

typedef enum graph_weight_kind {
    GRAPH_MATRIX,
    GRAPH_VECTOR,
    GRAPH_EXPERTS,
    GRAPH_FILTERS, /* of a convolution: rows [out channels], columns in channels / groups * kernel; bound as the vector
                         of all filters, then of the biases of all channels; with `blocked`, as kernel_block_weight lays
                         them, and as many biases as channels of whole blocks */
    GRAPH_NORMALISER, /* of a batch normalisation: columns [channels]; bound as scale, shift, mean, variance, or, with
                         `computed`, as the factor and the term that they come down to */
} graph_weight_kind;

/* Weights by the names of their tensors. The parts of a matrix are stacked: outputs of part 0 first. */
typedef struct graph_weight {
    graph_weight_kind kind;
    int parts;
    char name[GRAPH_MAX_PARTS]
             [GRAPH_NAME];      /* tensor name without ".weight"; of experts, with '*' for the expert's number */
    bool bias[GRAPH_MAX_PARTS]; /* there is a name.bias */
    size_t rows[GRAPH_MAX_PARTS], columns; /* of a vector: columns */
    size_t experts;                        /* of GRAPH_EXPERTS */
    bool exact;                            /* FP32 and never quantised: the router */
    size_t slice;                          /* operations also read runs of this many rows; 0: only all of them */
    char fold[GRAPH_NAME];                 /* norm whose weight is multiplied into the columns; "" for none. Of
                                              GRAPH_FILTERS: the normaliser that is worked into filters and biases */
    double eps;                            /* of a normaliser, or of the one that is folded in */
    bool computed;                         /* GRAPH_NORMALISER */
    bool blocked;                          /* GRAPH_FILTERS */
} graph_weight;

typedef enum graph_op_kind {
    GRAPH_EMBED,        /* weight row of each id -> out [T, hidden] */
    GRAPH_INPUT,        /* rows of the caller's -> out [T, K]: where a part of a model begins */
    GRAPH_RMS_NORM,     /* in0 per head, weight (vector) or none -> out */
    GRAPH_MATMUL,       /* in0 [rows, K], weight -> out [rows, N] */
    GRAPH_SLICE,        /* in0 per head -> out, contiguous: a copy */
    GRAPH_CONCAT,       /* per head: in0 (head_width), then in1 (tail_width; stride 0: one for all heads) -> out */
    GRAPH_ROPE,         /* in0 per head, by the row's position -> out */
    GRAPH_CACHE_WRITE,  /* in0, in1 -> the two halves of the layer's cache rows (keys and values, or latent and k_pe) */
    GRAPH_CACHE_READ,   /* half `half` of the layer's cache -> out [S, head_width] */
    GRAPH_ATTENTION,    /* in0 queries per head; in1 keys, in2 values [S, ..], or absent: the cache -> out per head */
    GRAPH_ABSORB_QUERY, /* in0 q_nope per head, in1 q_pe per head, weight kv_b -> out per head [W_UK^T q_nope | q_pe] */
    GRAPH_ABSORB_VALUE, /* in0 latent context per head, weight kv_b -> out per head W_UV c */
    GRAPH_SILU,         /* in0 -> out */
    GRAPH_MUL,          /* in0, in1 -> out */
    GRAPH_ADD,          /* in0, in1 -> out */
    GRAPH_SWIGLU,       /* silu(in0) * in1 -> out */
    GRAPH_ADD_NORM,     /* in0 + in1 -> in0, in place; that normalised, by weight (vector) or none -> out */
    GRAPH_ROUTE,        /* in0 router logits [T, experts], weight (selection bias) or none -> out routing */
    GRAPH_GATHER,       /* in0 [T, K], in1 routing -> out [T k, K]: token by token, or, as the routing says, sorted by
                           expert; all that reads them follows the routing */
    GRAPH_EXPERT_MATMUL, /* in0 [T k, K], in1 routing, weight (experts) -> out [T k, N] */
    /* The same with weights of two equal parts, gate and up, [N] each: silu(gate in0) * (up in0) -> out [.., N] */
    GRAPH_MATMUL_SWIGLU,
    GRAPH_EXPERT_SWIGLU,
    GRAPH_COMBINE,        /* in0 [T k, K], in1 routing -> out [T, K]: sum of the token's rows by their weights */
    GRAPH_LAST_ROW,       /* in0 [T, K] -> out [1, K] */
    GRAPH_CONV2D,         /* in0 [T, in channels * height * width], weight (filters) -> out; channels first, or from the
                             layout that its image says into blocks */
    GRAPH_BATCH_NORM,     /* in0 per channel, weight (normaliser) -> out, channels first or in blocks like in0 */
    GRAPH_RELU,           /* max(in0, 0) -> out */
    GRAPH_CHANNELS_FIRST, /* in0 [T, height * width * channels] -> out [T, channels * height * width] */
    GRAPH_CHANNELS_LAST,  /* the other way round */
    GRAPH_TO_BLOCKS,      /* in0, an image in the layout that it says -> out, in blocks of channels */
    GRAPH_FROM_BLOCKS,    /* in0, in blocks of channels -> out, in the layout that the image says */
    GRAPH_QUANTIZE,       /* in0 [rows, K] -> out, quantised: what int8 and int4 matmuls read; put in by lowering */
    GRAPH_OP_KINDS
} graph_op_kind;

/* The image that an operation reads, and of a convolution what it does to it. Pairs are vertical, horizontal. An image in
 * blocks has numbers for the channels that its last block lacks, too. */
typedef struct graph_image {
    size_t channels, height, width;
    size_t out_channels, groups;
    size_t kernel[2], stride[2], padding[2], dilation[2];
    kernel_layout reads, writes; /* channels first, unless a pass says otherwise */
} graph_image;

/* Columns of an input that are rotated, by the row's position, as the operation reads them: [first, first + width) of each
 * of `heads` heads. Attention's queries, q_pe of absorb_query, a half that goes to the cache. */
typedef struct graph_rotation {
    size_t heads; /* 0: nothing is rotated */
    size_t first, width;
    int input;
} graph_rotation;

typedef struct graph_op {
    graph_op_kind kind;
    int layer; /* GRAPH_NONE outside the layers */
    graph_operand in[GRAPH_MAX_INPUTS], out;
    int weight;   /* GRAPH_NONE: none */
    bool last;    /* runs for the last token only */
    size_t heads; /* segments of a row; 1 for most */
    size_t head_width, tail_width;
    size_t kv_heads, key_width, value_width; /* attention; the absorb operations: kv_heads unused */
    float scale;                             /* attention: of the scores; rms_norm: eps */
    size_t group;                            /* quantize: values that share a scale, 0: a whole row */
    int half;                                /* cache read */
    graph_rotation rotation;
    bool grouped;      /* route: rows are sorted by expert, and not token by token */
    graph_image image; /* convolution, batch normalisation, layouts */
} graph_op;

/* What the layers' caches hold for each position. */
typedef enum graph_cache {
    GRAPH_CACHE_EXPANDED, /* keys [kv_heads * key_width] and values [kv_heads * value_width] */
    GRAPH_CACHE_LATENT,   /* MLA: normalised latent [kv_lora_rank] and rotated k_pe [qk_rope_head_dim], one row */
} graph_cache;

typedef enum graph_phase {
    GRAPH_PREFILL,     /* n tokens, logits of the last */
    GRAPH_PREFILL_ALL, /* n tokens, logits of all */
    GRAPH_DECODE,      /* one token */
    /* Few tokens over a long latent cache: the two prefills once more, for absorb-mla, which leaves the others as they
     * are. Which one a call takes is the cost model's choice (cost.h). */
    GRAPH_PREFILL_ABSORBED,
    GRAPH_PREFILL_ALL_ABSORBED,
    GRAPH_PHASES
} graph_phase;

typedef struct graph {
    graph_phase phase;
    graph_cache cache;
    size_t cache_width[2]; /* values a position of the two halves of a cache row */
    size_t layers;         /* caches: operations are of layers below, or of none */
    graph_value *values;
    int value_count, value_capacity;
    graph_op *ops;
    int op_count, op_capacity;
    graph_weight *weights;
    int weight_count, weight_capacity;
    int output;     /* the value that holds the logits */
    size_t context; /* positions that the model allows */
    size_t experts_per_token;
} graph;

/* Builds the forward pass of `config` as its authors wrote it. Free with graph_free. */
ciuic_status graph_build(const model_config *config, graph_phase phase, graph_cache cache, graph **out);
/* Builds one layer alone, as its authors wrote it, but with rows sorted by expert: GRAPH_INPUT [T, hidden] -> its output [T, hidden]; with layer =
 * config->layers the final norm and the head -> logits [T, vocabulary]. The cache is expanded and has one layer, 0. */
ciuic_status graph_build_layer(const model_config *config, size_t layer, graph **out);
void graph_free(graph *g); /* NULL is allowed */

/* Appending; the index, or GRAPH_NONE when out of memory (g is then still valid). */
int graph_add_value(graph *g, graph_dtype dtype, graph_rows rows, size_t width, const char *format, ...);
int graph_add_weight(graph *g, const graph_weight *weight);
int graph_add_op(graph *g, const graph_op *op);
graph_operand graph_whole(int value); /* all columns, one head */

size_t graph_weight_rows(const graph_weight *w); /* of all parts */
/* Whether the operation multiplies rows by a matrix, or by experts', with or without an epilogue. */
bool graph_is_matmul(graph_op_kind kind);
bool graph_has_epilogue(graph_op_kind kind); /* matmul_swiglu, expert_swiglu */
/* Columns that a matmul writes: those of all parts, or, with an epilogue, of one. */
size_t graph_matmul_outputs(const graph *g, const graph_op *op);
/* Numbers in the output of a convolution; 0 where the kernel does not fit, a stride is 0, or nobody could count their
 * bytes. */
size_t graph_image_outputs(const graph_image *image);
/* Numbers of an image in that layout, and of one filter of a convolution; 0 where nobody could count their bytes. */
size_t graph_image_numbers(const graph_image *image, kernel_layout layout);
size_t graph_filter_columns(const graph_image *image);
/* The convolution as kernels take it, without weights. */
kernel_conv2d graph_conv2d(const graph_image *image);
/* Whether the operation changes `value`: its output, or an input that it rewrites. */
bool graph_writes(const graph_op *op, int value);
/* Whether operation `op` reads `value`. */
bool graph_reads(const graph_op *op, int value);
/* Number of operations that read the value; the graph's output counts as one more. */
int graph_uses(const graph *g, int value);
/* Whether one operation writes the value, and none rewrites it. */
bool graph_written_once(const graph *g, int value);
/* Whether an operation of [first, end) writes the value. */
bool graph_written_between(const graph *g, int value, int first, int end);
/* Index of the operation that first writes the value, GRAPH_NONE when there is none. */
int graph_producer(const graph *g, int value);
/* Removes the operations whose entry in `dead` is true. */
void graph_remove_ops(graph *g, const bool *dead);

/* Removes the operations whose result nobody reads; sets *changed when there was one. */
ciuic_status graph_sweep(graph *g, bool *changed);

/* Every operand bound to a value written before it, of the type and with the rows that the operation takes, inside its
 * columns; weights of the right kind and shape; layers that there are; one output. CIUIC_ERROR_INPUT names operation and
 * operand, what was found and what was expected. Run after building and after every pass. */
ciuic_status graph_validate(const graph *g);

const char *graph_op_name(graph_op_kind kind);

/* ---- passes: each preserves the function; its file says why, and where rounding may differ ---------------------- */

/* Whether a weight's matmuls read quantised activations, and in which groups. */
typedef struct graph_q8_need {
    bool quantised;
    size_t group; /* 0: whole rows */
} graph_q8_need;

typedef struct graph_pass_options {
    /* Weights are rewritten anyway (quantised or widened), so that folding costs no rounding of 16 bits. */
    bool fold_norms;
    /* What the weight of that name will need: only weights of one need can be parts of one matmul. NULL: all alike. */
    graph_q8_need (*need)(const void *context, const char *name);
    /* Whether all of the vector of that name, of so many elements, are `number`. NULL: none is known to be. */
    bool (*all_equal)(const void *context, const char *name, size_t elements, float number);
    bool block_anyway; /* block-channels asks no cost model: for its tests */
    const void *context;
} graph_pass_options;

typedef ciuic_status graph_pass_fn(graph *g, const graph_pass_options *options, bool *changed);

typedef struct graph_pass {
    const char *name;
    graph_pass_fn *run;
    bool only_named; /* does not run unless it is asked for by name */
} graph_pass;

/* All passes in the order in which they run: [ciuic_pass]. A pass removes what it leaves without a reader itself, so that
 * what it is charged for does not depend on drop-dead. */
extern const graph_pass graph_passes[CIUIC_PASSES];

graph_pass_fn graph_pass_fold_constants, graph_pass_merge_equal, graph_pass_group_experts, graph_pass_fuse_add_norm,
    graph_pass_fold_batchnorm, graph_pass_drop_layout, graph_pass_block_channels, graph_pass_fuse_qkv,
    graph_pass_fuse_latent, graph_pass_fuse_gate_up, graph_pass_fuse_swiglu, graph_pass_swiglu_epilogue,
    graph_pass_absorb_mla, graph_pass_drop_slices, graph_pass_rope_in_place, graph_pass_drop_concats,
    graph_pass_fold_norms, graph_pass_last_row, graph_pass_rope_at_load, graph_pass_drop_dead;

/* Whether a stage that is set so runs the pass. */
bool graph_pass_selected(const ciuic_options *options, ciuic_pass pass);
/* Runs the passes whose bits are set, 0 meaning all but swiglu-epilogue, and validates after each. */
ciuic_status graph_optimize(graph *g, const graph_pass_options *options, uint32_t passes);

/* Puts GRAPH_QUANTIZE before every matmul whose weight is stored in a format that needs quantised activations
 * (`needs[weight]`), and refuses groups that no kernel takes; with `share` (merge-equal), matmuls that read the same operand in the same groups read the same quantised value. */
ciuic_status graph_insert_quantize(graph *g, const graph_q8_need *needs, bool share);

#endif
