/* ciuic.h - the public interface: from a checkpoint to tokens, with each of the four optimisations a switch.
 *
 *     ciuic_model *model = NULL, *fast = NULL;
 *     ciuic_options options = { .quantize = CIUIC_QUANTIZE_INT8, .graph = true, .memory = CIUIC_MEMORY_ON };
 *     if (ciuic_model_load("datasets/deepseek-v3-tiny", &model) == CIUIC_OK &&
 *         ciuic_optimize(model, &options, &fast, NULL) == CIUIC_OK) ...
 *     else fprintf(stderr, "%s\n", ciuic_last_error());
 *
 * Every function that can fail returns a ciuic_status; on failure ciuic_last_error() is one line that names what was
 * wrong with what, where, what was expected and what to do, and every output pointer is left as it was. Models are
 * immutable once made and may be shared between threads; a session belongs to one thread at a time. Nothing here
 * prints, exits or reads the environment (except CIUIC_ISA, see kernels/cpu.c). */
#ifndef CIUIC_H
#define CIUIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The values are the exit statuses of the `ciuic` program, so that one meaning has one number. */
typedef enum ciuic_status {
    CIUIC_OK = 0,
    CIUIC_ERROR_LIMIT = 1,       /* the answer is no: error above the limit */
    CIUIC_ERROR_USAGE = 2,       /* the caller asked for something that does not exist */
    CIUIC_ERROR_INPUT = 3,       /* a file is not what it should be */
    CIUIC_ERROR_UNSUPPORTED = 4, /* this machine cannot: no such instruction set, not enough memory */
    CIUIC_ERROR_INTERRUPTED = 5, /* stopped half-way, resumable */
} ciuic_status;

/* The last failure of this thread, one line without newline; "" when there was none. Valid until the next call. */
const char *ciuic_last_error(void);

typedef enum ciuic_quantize {
    CIUIC_QUANTIZE_NONE, /* the checkpoint's own weights of 16 bits or of FP8 (with memory off in FP32); FP32 in FP16.
                            One that ciuic has quantised already takes this setting only, and stays as it is */
    CIUIC_QUANTIZE_AFFINE8, /* the article's formula: per tensor, minimum to maximum in 255 steps */
    CIUIC_QUANTIZE_AFFINE4, /* the same in 15 steps */
    CIUIC_QUANTIZE_INT8,    /* in groups with an FP16 scale each, as `group` says */
    CIUIC_QUANTIZE_INT6,
    CIUIC_QUANTIZE_INT5,
    CIUIC_QUANTIZE_INT4,
    CIUIC_QUANTIZE_INT3,  /* for the curve of bits against error */
    CIUIC_QUANTIZE_MIXED, /* a setting for each matrix, chosen by measured sensitivity under `bits` or `weight_bytes` */
    CIUIC_QUANTIZE_COUNT
} ciuic_quantize;

/* How codes and scales are found; all but the first need calibration ids. */
typedef enum ciuic_quantizer {
    CIUIC_QUANTIZER_RTN,  /* round to nearest: scales from the largest magnitude of the group */
    CIUIC_QUANTIZER_CLIP, /* scales that minimise the squared error, weighted by the input's second moments */
    CIUIC_QUANTIZER_AWQ,  /* activation-aware scaling, folded into the norm before the matrix, then as CLIP */
    CIUIC_QUANTIZER_GPTQ, /* each column's error made up for by the columns after it, by the input's second moments */
    CIUIC_QUANTIZER_COUNT
} ciuic_quantizer;

/* What quantised weights of INT8 to INT3 and MIXED are multiplied by. */
typedef enum ciuic_activations {
    CIUIC_ACTIVATIONS_INT8, /* rounded to int8 for each token and group of the weights, as they come */
    CIUIC_ACTIVATIONS_NONE, /* left in FP32: only weights are quantised. Always so of a checkpoint quantised for it */
    CIUIC_ACTIVATIONS_COUNT
} ciuic_activations;

enum { CIUIC_GROUP_ROW = -1 }; /* one scale for a whole row */

typedef enum ciuic_memory {
    CIUIC_MEMORY_OFF, /* weights read into the heap, a buffer for each operation, FP32 cache of expanded heads */
    CIUIC_MEMORY_ON, /* weights used where they are mapped, activations in one planned arena, FP16 cache, latent for MLA */
    CIUIC_MEMORY_AGGRESSIVE, /* as ON, with an INT8 cache, results in the place of what they are made from, the pages of
                                copied weights given back, and prefills in chunks: see ciuic_session_options */
    CIUIC_MEMORY_COUNT
} ciuic_memory;

/* The rewrites of the graph stage, in the order in which they run; optimizer/graph/pass_*.c say why each preserves the
 * function. One finds what it looks for with or without those before it, unless it says so. */
typedef enum ciuic_pass {
    CIUIC_PASS_FOLD_CONSTANTS,  /* weights that change nothing are not applied; constants are computed once */
    CIUIC_PASS_MERGE_EQUAL,     /* what is computed twice is computed once, quantising activations included */
    CIUIC_PASS_FUSE_QKV,        /* q, k and v of grouped-query attention become one matmul */
    CIUIC_PASS_FUSE_LATENT,     /* MLA: q_a (or q) and kv_a become one matmul */
    CIUIC_PASS_FUSE_GATE_UP,    /* gate and up of an MLP, and of all experts, become one matmul */
    CIUIC_PASS_FUSE_SWIGLU,     /* silu(gate) * up in one sweep */
    CIUIC_PASS_SWIGLU_EPILOGUE, /* the matmul of gate and up writes silu(gate) * up; after fuse-gate-up, fuse-swiglu */
    CIUIC_PASS_ABSORB_MLA,      /* MLA attends to the cached latent, kv_b absorbed into query and output */
    CIUIC_PASS_DROP_SLICES,     /* parts of a row are read where they are */
    CIUIC_PASS_ROPE_IN_PLACE,   /* queries and keys are rotated where they are */
    CIUIC_PASS_DROP_CONCATS,  /* parts that stand side by side are not put together; after drop-slices, rope-in-place */
    CIUIC_PASS_GROUP_EXPERTS, /* tokens sorted by expert: one matmul for each expert, not one for each token */
    CIUIC_PASS_FOLD_NORMS,    /* norm weights move into FP32 matrices */
    CIUIC_PASS_LAST_ROW,      /* a prefill computes what the last token's logits need */
    CIUIC_PASS_FUSE_ADD_NORM, /* residual add, in place, and the norm after it in one sweep */
    CIUIC_PASS_ROPE_AT_LOAD,  /* attention and cache rotate what they load */
    CIUIC_PASS_FOLD_BATCHNORM, /* a batch normalisation moves into the convolution before it */
    CIUIC_PASS_DROP_LAYOUT,    /* conversions between channels first and last that change nothing */
    CIUIC_PASS_BLOCK_CHANNELS, /* images between convolutions lie in blocks of channels */
    CIUIC_PASS_DROP_DEAD,      /* operations whose result nobody reads */
    CIUIC_PASSES
} ciuic_pass;

/* How far a long piece of work is, for whoever waits: `done` of `total` parts of `what`. What it returns other than CIUIC_OK
 * ends the work with that status. It may use, make and free other models and sessions: none waits for the one in work. */
typedef ciuic_status ciuic_progress_fn(void *context, const char *what, size_t done, size_t total);

struct kernel_table;

/* One variant: a setting of all four stages. Zero-initialised = everything off, the reference. */
typedef struct ciuic_options {
    ciuic_quantize quantize;
    ciuic_quantizer quantizer;
    int group;        /* INT8 to INT3: 32 (0 means that), 64, 128 or CIUIC_GROUP_ROW */
    bool asymmetric;  /* INT8 to INT3: a minimum for each group beside its scale */
    bool layers_only; /* the embedding and the head stay as they are; not for MIXED, which weighs them itself */
    ciuic_activations activations;
    double bits;         /* MIXED: most bits a weight, over all weights, scales included; 0: no such limit */
    size_t weight_bytes; /* MIXED: most bytes of all weights; 0: no such limit */
    const char
        *calibration; /* FILE.safetensors:NAME of I32 [rows, n]; NULL: the checkpoint's streams.safetensors:calib_ids */
    int threads;      /* of quantising; 0: all cores this process may use */
    ciuic_progress_fn *progress; /* of quantising; NULL: nobody waits */
    void *progress_context;
    bool graph;
    uint32_t passes; /* graph: bits 1 << ciuic_pass of those that run; 0: all but the epilogue of swiglu */
    ciuic_memory memory;
    const char *isa;  /* "c" (NULL means "c"), "avx2", "avx512", "best" */
    bool weights_f32; /* all weights widened to FP32 at load: what the openblas baseline needs; quantize must be NONE */
    const struct kernel_table *kernels; /* NULL: the table of `isa`; otherwise a table of the caller's, copied */
    double
        max_error; /* ciuic_optimize fails when the mean absolute error of the logits exceeds this; 0: do not verify */
} ciuic_options;

/* "none", "affine8", ...; "off", "on". NULL for a value out of range. Parsers return false for an unknown name. */
const char *ciuic_quantize_name(ciuic_quantize quantize);
const char *ciuic_quantizer_name(ciuic_quantizer quantizer);
const char *ciuic_activations_name(ciuic_activations activations);
const char *ciuic_memory_name(ciuic_memory memory);
const char *ciuic_pass_name(ciuic_pass pass); /* "fuse-qkv", ... */
bool ciuic_quantize_parse(const char *name, ciuic_quantize *quantize);
bool ciuic_quantizer_parse(const char *name, ciuic_quantizer *quantizer);
bool ciuic_activations_parse(const char *name, ciuic_activations *activations);
bool ciuic_memory_parse(const char *name, ciuic_memory *memory);
bool ciuic_pass_parse(const char *name, ciuic_pass *pass);

/* Whether the settings exist and go together; CIUIC_ERROR_USAGE says which do not. ciuic_optimize asks itself. */
ciuic_status ciuic_options_check(const ciuic_options *options);
/* Whether quantising so needs calibration ids. */
bool ciuic_options_calibrate(const ciuic_options *options);

/* ---- models ----------------------------------------------------------------------------------------------------- */

typedef struct ciuic_model ciuic_model;

/* Opens the checkpoint folder `path` and checks config.json and every tensor against each other. The model runs as the
 * reference (all stages off) until it is optimised. Free with ciuic_model_free. */
ciuic_status ciuic_model_load(const char *path, ciuic_model **model);

/* What ciuic_optimize found when it verified. */
typedef struct ciuic_report {
    bool verified;
    size_t tokens; /* positions compared */
    double mean_abs_error, max_abs_error;
} ciuic_report;

/* Makes a model that computes the same function in the way `options` say. `model` is not changed and may be freed
 * before or after. With max_error > 0 the logits are compared with the reference's on the first window of the
 * checkpoint's own streams.safetensors:eval_ids, or on 64 seeded random ids where there is none; above the limit the
 * status is CIUIC_ERROR_LIMIT and `optimized` is left as it was. `report` may be NULL. */
ciuic_status ciuic_optimize(const ciuic_model *model, const ciuic_options *options, ciuic_model **optimized,
                            ciuic_report *report);
void ciuic_model_free(ciuic_model *model); /* NULL is allowed */

typedef struct ciuic_model_info {
    const char *path;         /* owned by the model */
    const char *architecture; /* model_type of config.json */
    const char *isa;          /* the rung in use */
    bool quantised;           /* the checkpoint holds quantised weights */
    bool synthetic;           /* random weights, made by `ciuic synth`: errors say nothing of a trained model */
    size_t layers, hidden_size, vocabulary, max_context;
    size_t parameters;      /* weights of all tensors the architecture uses */
    size_t weight_bytes;    /* what this model reads them from: values, scales, embeddings and head */
    size_t mapped_bytes;    /* the part of weight_bytes that is used in place from the mapped file */
    size_t decode_bytes;    /* weight bytes read for one decoded token (embeddings are one row, top_k experts) */
    double bits_per_weight; /* 8 * weight_bytes / parameters */
    double decode_flops;    /* floating-point operations of the matmuls for one token, attention not counted */
} ciuic_model_info;
void ciuic_model_describe(const ciuic_model *model, ciuic_model_info *info);

/* How many weights ciuic_check_weights held against the checkpoint, and how many it could not: what calibration made. */
typedef struct ciuic_weight_check {
    size_t checked, unchecked;
} ciuic_weight_check;

/* Makes every weight once more, from the checkpoint and in portable C, and compares it bit for bit with the one that the
 * model runs on, wherever that lies and however it is packed. One weight among millions moves no error of logits that one
 * could see, and one that the ids at hand never meet moves none at all. CIUIC_ERROR_LIMIT names the first that differs.
 * Reads all weights and holds a few rows of one; a model that was not loaded yet is. */
ciuic_status ciuic_check_weights(ciuic_model *model, ciuic_weight_check *found);

/* ---- where a variant's error enters ----------------------------------------------------------------------------- */

/* How far values are from the reference's, over all positions, and the standard error of each figure over positions
 * (which counts them as independent; NaN for one alone). All are NaN where a value is NaN or infinite. */
typedef struct ciuic_distance {
    double relative_l2, relative_l2_error; /* |values - reference| / |reference|, over all positions together */
    double cosine, cosine_error;           /* of the two vectors of a position, mean */
    double mean_abs_error, mean_abs_error_error;
} ciuic_distance;

/* Of what one part of a model puts out. */
typedef struct ciuic_layer_error {
    ciuic_distance own;         /* the part is the variant's, its input the reference's */
    ciuic_distance accumulated; /* the part and all before it are the variant's */
} ciuic_layer_error;

/* Ids that are run from an empty cache. Borrowed. */
typedef struct ciuic_window {
    const int32_t *ids; /* [n] */
    size_t n;           /* at least 1, at most the model's max_context */
} ciuic_window;

typedef struct ciuic_layer_errors_options {
    int threads;                 /* 0: all cores this process may use */
    ciuic_progress_fn *progress; /* NULL: nobody waits */
    void *progress_context;
} ciuic_layer_errors_options;

/* Runs the windows through `model` and through the checkpoint of `reference` (the handle that ciuic_model_load gave,
 * say), part by part, and writes how far they are apart to errors, [layers + 2]: the embedding, every layer, and the
 * final norm with the head (logits). Weights are those that the model runs on; activations stay FP32 in both, and
 * nothing is fused: what rounding them does shows in the logits of a session only. Holds hidden states of some windows,
 * 256 MiB or one window's, and two parts' weights besides the model's. CIUIC_ERROR_USAGE: two models of different shape,
 * a model with weights_f32, a reference that is quantised; CIUIC_ERROR_INPUT: an id outside the vocabulary. `options` may
 * be NULL; on failure `errors` is as it was. */
ciuic_status ciuic_layer_errors(ciuic_model *model, const ciuic_model *reference, const ciuic_window *windows,
                                size_t count, const ciuic_layer_errors_options *options, ciuic_layer_error *errors);

/* ---- sessions --------------------------------------------------------------------------------------------------- */

typedef struct ciuic_session ciuic_session;

/* Tokens of a chunk. Activations grow with it; speed no more, since each weight that is read is then used for so many
 * tokens: 256 operations for each byte of 16-bit weights, 1024 of 4-bit ones. A mixture of experts spreads them over its experts, of which each sees a few dozen. */
enum { CIUIC_CHUNK = 256 };

/* Keys and values of the beginnings of earlier prompts, for sessions of one model on any thread. A prompt given to an empty
 * session computes only what follows the longest beginning that is known, its last token always; its logits are the same
 * up to the order of summation (the same bits with portable C kernels, unless MLA is absorbed for the rest and not for the
 * whole). Not used where logits of all tokens are wanted. */
typedef struct ciuic_prefix_cache ciuic_prefix_cache;

typedef struct ciuic_prefix_use {
    size_t capacity, bytes, entries;
    size_t lookups, hits, tokens; /* tokens that were not computed again */
} ciuic_prefix_use;

/* Keeps at most `bytes` bytes; the least recently used goes first, after the prompt that it makes room for was copied. Where
 * there is no memory for a copy, the cache stays as it is. */
ciuic_status ciuic_prefix_cache_create(ciuic_model *model, size_t bytes, ciuic_prefix_cache **cache);
/* Its sessions go on with it, and the last of them frees what it holds. NULL is allowed. */
void ciuic_prefix_cache_free(ciuic_prefix_cache *cache);
void ciuic_prefix_cache_describe(ciuic_prefix_cache *cache, ciuic_prefix_use *use);

typedef struct ciuic_session_options {
    size_t context; /* positions the session can hold; 0: the model's max_context. More than that is refused */
    int threads;    /* 0: all cores this process may use; each needs a stack of 2 MiB at least (OMP_STACKSIZE) */
    size_t chunk;   /* most tokens run at once in a prefill; 0: all of them, of an AGGRESSIVE model CIUIC_CHUNK */
    ciuic_prefix_cache *prefixes; /* of the same model; NULL: every prompt is computed whole */
    /* What the cache holds is used, and nothing is added: the next prompt finds it as this one did. */
    bool prefixes_kept;
    /* Most bytes of keys and values; 0: no bound. Tokens whose rows would be more are refused by name before anything is
     * computed; with memory off the whole context, when the session is made. */
    size_t cache_limit;
} ciuic_session_options;

/* Bytes by what they are for. */
typedef struct ciuic_memory_use {
    size_t weights;       /* copies in the heap, of which */
    size_t packed;        /* are quantised, or laid out for the kernels in use */
    size_t mapped;        /* weights used in place from the mapped checkpoint */
    size_t kv_cache;      /* of all positions of the context: reserved, with memory off written at once */
    size_t kv_cache_used; /* the part of it whose positions were used */
    size_t activations;   /* arena, or the buffers of all operations */
    size_t workspace;     /* attention scores, epilogues of matmuls, routing, rope tables */
    size_t other;         /* graphs, tables, names */
    size_t files;         /* the checkpoint's mapped files, `mapped` and what is not used in place */
    size_t loading;       /* what loading a weight takes for a while, at most */
} ciuic_memory_use;

/* Weights, cache, activations, workspace and other: what a session takes once it runs. */
size_t ciuic_memory_total(const ciuic_memory_use *use);

/* What a session is to do, as far as its memory depends on that. */
typedef struct ciuic_work {
    size_t prefill;  /* most tokens of a prefill; 0: the whole context at once */
    bool all_logits; /* logits of all of them */
    bool decode;     /* and decoding */
    size_t
        position_bytes; /* the caller's own for each position, its id perhaps: counted by ciuic_longest_context alone */
} ciuic_work;

/* What such a model and session would say of themselves after that work, all positions used, worked out without reading a
 * weight; by mixed precision, what its budget allows (its calibration takes more for a while). `session` may be NULL. */
ciuic_status ciuic_plan_memory(const ciuic_model *model, const ciuic_options *options,
                               const ciuic_session_options *session, const ciuic_work *work, ciuic_memory_use *need);
/* The longest context whose total, with work->position_bytes for each position, keeps within `limit` bytes, at most the model's own; 0: not even one position does. The
 * context of `session` does not matter. */
ciuic_status ciuic_longest_context(const ciuic_model *model, const ciuic_options *options,
                                   const ciuic_session_options *session, const ciuic_work *work, size_t limit,
                                   size_t *context);

ciuic_status ciuic_session_create(ciuic_model *model, const ciuic_session_options *options, ciuic_session **session);
void ciuic_session_free(ciuic_session *session); /* NULL is allowed */
/* Appends n tokens and writes logits for the last one, [vocabulary], or for all of them, [n][vocabulary], when
 * `all_logits`. logits may be NULL. Ids outside the vocabulary, n == 0 and a full context are refused before anything
 * is computed; the session is then as it was. */
ciuic_status ciuic_prefill(ciuic_session *session, const int32_t *ids, size_t n, bool all_logits, float *logits);
/* Appends one token and writes the logits, [vocabulary], that predict the next. Uses the decode graph. */
ciuic_status ciuic_decode(ciuic_session *session, int32_t id, float *logits);
/* Forgets all positions from `length` on; 0 starts afresh. length above the present one is refused. */
ciuic_status ciuic_session_truncate(ciuic_session *session, size_t length);
size_t ciuic_session_length(const ciuic_session *session);
int ciuic_session_threads(const ciuic_session *session);
void ciuic_session_memory(const ciuic_session *session, ciuic_memory_use *use);

#ifdef __cplusplus
}
#endif
#endif
