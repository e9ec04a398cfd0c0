/* kernels.h - the table of numeric primitives: one prototype per kernel type, one entry per weight or cache format.
 *
 * Kernels are single-threaded, allocate nothing, print nothing and know no model. The caller splits work over threads
 * by giving each thread a slice (rows of a weight matrix, heads of an attention), and a stack of 2 MiB at least. Every
 * kernel reads only the elements its comment names, writes only its output, and needs no alignment beyond that of the
 * element type. Buffers of one call do not overlap unless a comment says that they may. A dimension of 0 is allowed
 * everywhere and writes nothing.
 *
 * The table is filled with the portable C reference first; a higher rung of the ladder then overrides what it does
 * better (kernels/avx2/x.c overrides kernels/c/x.c). Two rungs agree up to the order of summation; the tolerance is
 * derived in kernels/tests. */
#ifndef CIUIC_KERNELS_H
#define CIUIC_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- formats ---------------------------------------------------------------------------------------------------- */

/* The smallest group. Rows of weights in groups and of quantised activations are padded to a multiple of it. */
enum { KERNEL_GROUP = 32 };
/* The most columns that one group may have, where a whole row is one: the sum of its activations, each within -127..127, is
 * an int32. The products of a group would outgrow one long before, at most 128 * 127 each: kernels sum at most 65536 of
 * them in int32, cutting longer rows (kernel_matmul_q8_fn). */
enum { KERNEL_GROUP_COLUMNS = INT32_MAX / 127 };
/* Rows and columns of an F8 matrix that share one scale, as DeepSeek-V3 publishes its weights. */
enum { KERNEL_F8_BLOCK = 128 };

/* How the weights of one matrix are stored, row after row. K is the number of columns, Kp is K rounded up to a
 * multiple of KERNEL_GROUP; INT8's padding holds zeros, that of codes (INT3 to INT6) any code: it meets zeros, the
 * activations' padding. codes.h has the places of their bits as one rule. */
typedef enum kernel_format {
    KERNEL_F32,  /* float [K] */
    KERNEL_F16,  /* IEEE binary16 [K] */
    KERNEL_BF16, /* upper half of a float [K] */
    KERNEL_F8,   /* e4m3 [K] (OFP8: bias 7, no infinities, 0x7f and 0xff NaN); w = value * block_scales[block] */
    KERNEL_INT8, /* int8_t [Kp], -127..127; w = q * scale[group], or q * scale[group] + minimum[group] where there are
                       minimums */
    KERNEL_INT4, /* uint8_t [Kp / 2]; byte j of 16 holds value j of 32 in the low, value j + 16 in the high four bits;
                       w = (q - 8) * scale[group], or q * scale[group] + minimum[group] where there are minimums */
    KERNEL_INT3, /* uint8_t [Kp / 32 * 12]; of 32 values, value k has its low two bits in byte k % 8, from bit k / 8 * 2
                       on, its high one in byte 8 + k % 4, at bit k % 8 / 4 * 4 + k / 8; w = (q - 4) * scale[group], or
                       as INT4's where there are minimums */
    KERNEL_INT5, /* uint8_t [Kp / 32 * 20]; of 32 values, value k has its low four bits as INT4's has, in the first 16
                       bytes, its high one in byte 16 + k % 4, at bit k % 16 / 4 * 2 + k / 16; w = (q - 16) *
                       scale[group], or as INT4's where there are minimums */
    KERNEL_INT6, /* uint8_t [Kp / 32 * 24]; likewise, the high two in byte 16 + k % 16 / 8 * 4 + k % 4, from bit
                       k % 8 / 4 * 4 + k / 16 * 2 on; w = (q - 32) * scale[group], or as INT4's where there are
                       minimums */
    KERNEL_AFFINE8, /* uint8_t [K]; w = q * scale + minimum, one pair per matrix (the article's formula) */
    KERNEL_AFFINE4, /* uint8_t [(K + 1) / 2]; value 2j in the low, 2j + 1 in the high four bits; as AFFINE8 */
    KERNEL_FORMATS
} kernel_format;

/* A weight matrix of `rows` outputs by `columns` inputs; borrowed, never owned.
 *
 * INT8 and codes may be interleaved, which is how dot-product instructions like to read them: the rows stand in
 * panels of `interleave`, the last one filled up with zeros, and a panel holds bytes 0..3 of each of its rows, then
 * bytes 4..7 of each, and so on; its scales likewise, group by group. */
typedef struct kernel_matrix {
    kernel_format format;
    size_t rows;               /* N */
    size_t columns;            /* K */
    size_t group;              /* INT8 and codes: columns that share a scale: kernel_group_supported() */
    size_t interleave;         /* likewise: 0, rows as they lie, or the rows of a panel, see above */
    const void *values;        /* [rows] rows of kernel_row_bytes(format, columns) bytes */
    const uint16_t *scales;    /* binary16 [rows][groups], groups = kernel_row_scales(); INT8 and codes only */
    const uint16_t *minimums;  /* likewise; NULL when it is symmetric */
    const float *block_scales; /* [blocks of rows][ceil(K / KERNEL_F8_BLOCK)]; F8 only, NULL means 1 */
    size_t block_row;          /* F8: place of row 0 within its block of rows */
    float scale, minimum;      /* AFFINE8 and AFFINE4 only */
    const float *bias;         /* [rows], added to the product; NULL when there is none */
} kernel_matrix;

/* Activations quantised to int8, in the groups of the weights they meet. */
typedef struct kernel_q8 {
    int8_t *values; /* [m][Kp], padding zero, within -127..127 */
    float *scales;  /* [m][groups]; x ~ q * scale; 0 for an all-zero group, NaN for one that is not finite */
    int32_t *sums;  /* [m][groups]; the sum of the group's q: what an offset in w contributes, over the scale */
} kernel_q8;

/* Whether weights of the format come in groups that have scales: INT8 and codes, INT3 to INT6. */
bool kernel_is_grouped(kernel_format format);
/* Whether kernels of these formats take rows of `columns` in groups of `group`: 32, 64, 128, or 0, a whole row, of at
 * most KERNEL_GROUP_COLUMNS. They do not ask themselves. */
bool kernel_group_supported(size_t columns, size_t group);
/* Bytes of one row of `columns` values; 0 columns give 0. */
size_t kernel_row_bytes(kernel_format format, size_t columns);
/* Groups of a row of `columns` values: ceil(columns / group), 1 for group 0, 0 for 0 columns. */
size_t kernel_groups(size_t columns, size_t group);
/* Scales of one row: its groups for formats that have them, otherwise 0. */
size_t kernel_row_scales(const kernel_matrix *w);
/* Rows that values and scales have room for: `rows`, rounded up to whole panels. */
size_t kernel_stored_rows(const kernel_matrix *w);
/* The rows [first, first + count) of w as a matrix of their own; bias and scales follow. In an interleaved matrix `first`
 * is a multiple of the interleave, and the slice's last panel may hold more of w's rows than it names. */
kernel_matrix kernel_matrix_rows(const kernel_matrix *w, size_t first, size_t count);
/* Interleaves w (as it lies: interleave 0) by `interleave` rows into values, scales and minimums, which have room for whole
 * panels and do not overlap w's; minimums may be NULL where w's is. */
void kernel_interleave(const kernel_matrix *w, size_t interleave, void *values, uint16_t *scales, uint16_t *minimums);
/* The inverse: the rows of w, interleaved, as they lay, into values, scales and minimums, which have room for w->rows
 * of them and do not overlap w's; minimums may be NULL where w's is. */
void kernel_deinterleave(const kernel_matrix *w, void *values, uint16_t *scales, uint16_t *minimums);
/* "f32", "f16", "bf16", "f8", "int8", "int4", "int3", "int5", "int6", "affine8", "affine4". */
const char *kernel_format_name(kernel_format format);

/* ---- kernel types ----------------------------------------------------------------------------------------------- */

/* y[i][n] = sum over k of x[i][k] * w[n][k] + bias[n]; i < m; x: [m] rows ldx floats apart, y: [m] rows ldy apart.
 * Accumulates in FP32. INT8 and codes are dequantised on the way, interleaved by any number of rows or not: this
 * is their product with activations that are not quantised. With m >= KERNEL_BF16_ROWS, x is rounded to bfloat16 where
 * the table's `rounds_x` says so of the format (BF16 and F8): bfloat16 dot products then, for which subnormals count as
 * zero. With F8 weights the scale of a block may meet x or the block's sum instead of the codes, 2^8 times as large: a
 * scale, or its product with an x, that reaches 2^120 may give an infinity or a NaN where w's own values are finite. */
enum { KERNEL_BF16_ROWS = 9 };
typedef void kernel_matmul_fn(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy);

/* As kernel_matmul_fn with x quantised in w's groups (m rows of w->columns values). INT8 and codes, interleaved by
 * the table's `interleave` or not at all (then by portable code). The products inside a group - of a whole row, inside
 * runs of at least 512 columns of it - are summed exactly in int32, then scaled and summed in FP32. */
typedef void kernel_matmul_q8_fn(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy);

/* Round-to-nearest-even int8 of m rows of k floats, in groups as of a matrix with `group`: scale = max|x| / 127. Fills q
 * and its padding. A group that holds a NaN or an infinity gets scale NaN, so that the fault shows in the product instead
 * of vanishing. */
typedef void kernel_quantize_q8_fn(size_t m, size_t k, size_t group, const float *x, size_t ldx, kernel_q8 *q);

/* out[k] = w[row][k] as float, k < w->columns (bias not added). Embedding look-up and absorbed MLA. */
typedef void kernel_dequantize_row_fn(const kernel_matrix *w, size_t row, float *out);

/* y[c] += sum over r of a[r] * w[r][c]; r < w->rows, c < w->columns: the transposed product that absorbed MLA needs
 * (W_UK^T q). Activations stay FP32 in every format. */
typedef void kernel_matvec_transposed_fn(const kernel_matrix *w, const float *a, float *y);

/* y[i] = x[i] / sqrt(mean over i of x[i]^2 + eps) * weight[i]; i < n; weight NULL means 1. y may be x. */
typedef void kernel_rms_norm_fn(size_t n, const float *x, const float *weight, float eps, float *y);
/* y[i] = (x[i] - mean) / sqrt(mean over i of (x[i] - mean)^2 + eps) * weight[i] + bias[i]; i < n; weight NULL means 1, bias
 * NULL means 0. y may be x. */
typedef void kernel_layer_norm_fn(size_t n, const float *x, const float *weight, const float *bias, float eps,
                                  float *y);
/* y[i] = exp(x[i] - max x) / sum over j of exp(x[j] - max x); i < n. y may be x. A NaN in x, or a sum that is none, makes all
 * of y NaN. */
typedef void kernel_softmax_fn(size_t n, const float *x, float *y);
/* The k largest of n values, largest first; among equals the lower index first; NaN counts as smaller than every number.
 * k <= n. k = 1 is argmax. */
typedef void kernel_top_k_fn(size_t n, const float *x, size_t k, uint32_t *index);

/* Rotates `dim` values (even) by the angles whose cos and sin are given, [dim / 2] each. y may be x.
 * halves: pairs (i, i + dim/2), as Llama and Qwen; interleaved: pairs (2i, 2i + 1), as MLA. */
typedef void kernel_rope_fn(size_t dim, const float *x, const float *cos_table, const float *sin_table, float *y);

/* How a mixture-of-experts layer chooses (DeepSeek-V2 section 2.2; DeepSeek-V3 section 2.1.2). */
typedef struct kernel_router {
    size_t experts, experts_per_token;
    size_t groups, groups_per_token; /* groups = 0 or 1: no limit by groups; else experts is a multiple of groups */
    bool sigmoid;                    /* score = sigmoid(logit); else softmax over all experts */
    bool group_by_two;               /* a group counts as the sum of its two best; else as its best */
    bool normalize;                  /* weights over their sum + 1e-20 */
    const float *bias;               /* [experts], added to the scores for choosing only; NULL: none */
    float scale;                     /* of the weights */
} kernel_router;
/* One token's experts and their weights, best first, from the router's logits [experts]. workspace: 2 * experts floats. */
typedef void kernel_route_fn(const kernel_router *r, const float *logits, float *workspace, uint32_t *expert,
                             float *weight);

/* A convolution of one image, channels first. out = floor((in + 2 * padding - dilation * (kernel - 1) - 1) / stride) + 1. */
typedef struct kernel_conv2d {
    size_t in_channels, out_channels, groups; /* both channels are multiples of groups */
    size_t height, width;                     /* of the input */
    /* Vertical, horizontal. Padding is of zeros, which may be left out: a weight that is not finite need not show there. */
    size_t kernel[2], stride[2], padding[2], dilation[2];
    const float *weight; /* [out_channels][in_channels / groups][kernel[0]][kernel[1]] */
    const float *bias;   /* [out_channels]; NULL: none */
} kernel_conv2d;
/* Rows and columns of the output; 0 where the kernel does not fit. */
void kernel_conv2d_size(const kernel_conv2d *c, size_t *height, size_t *width);
/* y [out_channels][out height][out width] of x [in_channels][height][width]; the output channels [first, first + count). */
typedef void kernel_conv2d_fn(const kernel_conv2d *c, const float *x, size_t first, size_t count, float *y);

/* How the channels of an image lie. A block is as many channels on every rung; those that the last one lacks hold zeros
 * where the image was computed from finite numbers, and nobody's sums read them. */
enum { KERNEL_BLOCK = 16 };
typedef enum kernel_layout {
    KERNEL_CHANNELS_FIRST,   /* [channels][height][width] */
    KERNEL_CHANNELS_LAST,    /* [height][width][channels] */
    KERNEL_CHANNELS_BLOCKED, /* [ceil(channels / KERNEL_BLOCK)][height][width][KERNEL_BLOCK] */
} kernel_layout;
/* `channels`, rounded up to whole blocks. */
size_t kernel_block_channels(size_t channels);
/* Where a blocked convolution's weights have tap `tap` of `taps` (in_channels / groups * kernel[0] * kernel[1]) of output
 * channel `channel`: [out blocks][taps][KERNEL_BLOCK]; those that the last block lacks are zeros. */
size_t kernel_block_weight(size_t taps, size_t channel, size_t tap);
/* Every channel by itself: as many groups as channels in and out, more than one. */
bool kernel_conv2d_depthwise(const kernel_conv2d *c);
/* Whether a blocked convolution takes such groups from an image in that layout: one group, or groups that are whole blocks
 * in and out, from any; one group for each channel from blocks. */
bool kernel_conv2d_blockable(const kernel_conv2d *c, kernel_layout layout);
/* Rows [row, row + rows) of the blocks [block, block + blocks) of an output. */
typedef struct kernel_conv2d_part {
    size_t block, blocks, row, rows;
} kernel_conv2d_part;
/* y, blocked, of x in that layout, which is blockable; the weights of c lie as kernel_block_weight says, its biases are as
 * many as kernel_block_channels(out_channels), its dilation is 1 at least. */
typedef void kernel_conv2d_blocked_fn(const kernel_conv2d *c, kernel_layout layout, const float *x,
                                      const kernel_conv2d_part *part, float *y);

/* y[i] = x[i] * sigmoid(x[i]). y may be x. */
typedef void kernel_silu_fn(size_t n, const float *x, float *y);
/* y[i] = silu(gate[i]) * up[i]. y may be gate or up. */
typedef void kernel_swiglu_fn(size_t n, const float *gate, const float *up, float *y);
/* y[i] = a[i] + b[i]; y may be a or b. */
typedef void kernel_add_fn(size_t n, const float *a, const float *b, float *y);
/* y[i] = a[i] * b[i]; y may be a or b. */
typedef void kernel_mul_fn(size_t n, const float *a, const float *b, float *y);
/* y[i] += a * x[i]: adds one expert's output with its weight. */
typedef void kernel_axpy_fn(size_t n, float a, const float *x, float *y);
/* y[i] = x[i] in binary16, round to nearest even; overflow gives infinity. */
typedef void kernel_to_f16_fn(size_t n, const float *x, uint16_t *y);
/* y[i] = x[i] as float. */
typedef void kernel_from_f16_fn(size_t n, const uint16_t *x, float *y);

/* How the key/value cache is stored. */
typedef enum kernel_cache {
    KERNEL_CACHE_F32,
    KERNEL_CACHE_F16,
    KERNEL_CACHE_INT8, /* int8_t, -127..127, each KERNEL_CACHE_GROUP of a key or value times a binary16 scale */
    KERNEL_CACHES
} kernel_cache;
enum { KERNEL_CACHE_GROUP = 64 };

/* One key or value of `width` floats to int8, in groups of KERNEL_CACHE_GROUP, the last one shorter: scale = max|x| / 127
 * in binary16, rounded up so that no q leaves -127..127. A group that is not finite, or too large, gets scale NaN. */
typedef void kernel_cache_int8_fn(size_t width, const float *x, int8_t *values, uint16_t *scales);

/* Causal attention of `tokens` consecutive queries for `heads` query heads that share one key/value head.
 *   score[j] = scale * sum over d < key_width of query[d] * key[j][d]
 *   out      = sum over j of softmax(score)[j] * value[j][0..value_width)
 * The first query sees the keys [0, keys); each later one sees one key more. Strides count elements.
 * Multi-head, grouped-query and absorbed MLA (value = key, one head shared by all) are all this. */
typedef struct kernel_attention {
    size_t heads, tokens, keys, key_width, value_width;
    const float *query; /* token t, head h: query + t * query_token_stride + h * query_head_stride */
    size_t query_token_stride, query_head_stride;
    const void *key, *value; /* float, binary16 or int8_t, by cache format; position j: + j * stride */
    size_t key_stride, value_stride;
    const uint16_t *key_scales, *value_scales; /* INT8 only; position j: + j * stride */
    size_t key_scale_stride, value_scale_stride;
    float scale;
    float *out; /* token t, head h: out + t * out_token_stride + h * out_head_stride */
    size_t out_token_stride, out_head_stride;
    /* NULL, or [tokens][heads][2]: then `out` is sum over j of exp(score[j] - largest) * value[j], not divided by anything,
     * and this receives largest and sum of exponentials, so that parts of one cache can be put together. */
    float *partial;
    float *workspace; /* kernel_attention_workspace(heads, tokens, keys) floats, contents irrelevant */
} kernel_attention;

/* Floats of workspace that any rung needs for such a call: heads * (keys + tokens) + 64 covers all of them. */
size_t kernel_attention_workspace(size_t heads, size_t tokens, size_t keys);

typedef void kernel_attention_fn(const kernel_attention *a);

/* Puts together what `parts` calls with `partial` found over consecutive parts of a cache, for one query row:
 * y[i] = sum over p of exp(largest[p] - L) * out[p][i] / sum over p of exp(largest[p] - L) * sum[p], L the largest of all.
 * out: [parts] rows out_stride floats apart; partial: [parts] pairs partial_stride floats apart. y is none of out. */
typedef void kernel_attention_merge_fn(size_t parts, size_t width, const float *out, size_t out_stride,
                                       const float *partial, size_t partial_stride, float *y);

/* ---- the table -------------------------------------------------------------------------------------------------- */

/* Rungs, lowest first. A rung exists on every build; whether this machine can run it, cpu_flags() says. */
typedef enum kernel_isa {
    KERNEL_ISA_C,
    KERNEL_ISA_NEON,
    KERNEL_ISA_AVX2,
    KERNEL_ISA_AVX512,
    KERNEL_ISA_AMX,
    KERNEL_ISAS
} kernel_isa;

typedef struct kernel_table {
    kernel_isa isa;                /* the rung the table was filled up to */
    bool rounds_x[KERNEL_FORMATS]; /* whether matmul[format] rounds many rows of x, see kernel_matmul_fn */
    size_t interleave;             /* how matrices in groups are best interleaved for this table; 0: not at all */
    kernel_matmul_fn *matmul[KERNEL_FORMATS];       /* any format */
    kernel_matmul_q8_fn *matmul_q8[KERNEL_FORMATS]; /* INT8 and codes only */
    kernel_dequantize_row_fn *dequantize_row;       /* any format */
    kernel_matvec_transposed_fn *matvec_transposed; /* any format */
    kernel_quantize_q8_fn *quantize_q8;
    kernel_rms_norm_fn *rms_norm;
    kernel_layer_norm_fn *layer_norm;
    kernel_softmax_fn *softmax;
    kernel_top_k_fn *top_k;
    kernel_route_fn *route;
    kernel_conv2d_fn *conv2d;
    kernel_conv2d_blocked_fn *conv2d_blocked;
    kernel_rope_fn *rope_halves, *rope_interleaved;
    kernel_silu_fn *silu;
    kernel_swiglu_fn *swiglu;
    kernel_add_fn *add;
    kernel_mul_fn *mul;
    kernel_axpy_fn *axpy;
    kernel_to_f16_fn *to_f16;
    kernel_from_f16_fn *from_f16;
    kernel_cache_int8_fn *cache_int8;
    kernel_attention_fn *attention[KERNEL_CACHES];
    kernel_attention_merge_fn *attention_merge;
} kernel_table;

/* Fills `table` with the best kernels whose rung is `isa` or lower. The caller has asked kernel_isa_available. */
void kernel_table_fill(kernel_table *table, kernel_isa isa);
/* The same for a machine that has only the instructions of `cpu`, a mask of CPU_*: a Skylake is avx512 without VNNI. */
void kernel_table_fill_for(kernel_table *table, kernel_isa isa, uint32_t cpu);

/* One per rung: override what the rung does better. `cpu` is a mask of CPU_* below. Called by kernel_table_fill. */
void kernel_table_init_c(kernel_table *table);
void kernel_table_init_neon(kernel_table *table, uint32_t cpu);
void kernel_table_init_avx2(kernel_table *table, uint32_t cpu);
void kernel_table_init_avx512(kernel_table *table, uint32_t cpu);
void kernel_table_init_amx(kernel_table *table, uint32_t cpu);

/* ---- what the machine has (cpu.c) ------------------------------------------------------------------------------- */

enum {
    CPU_AVX2 = 1u << 0, /* AVX2, FMA, F16C, and the OS saves ymm */
    CPU_AVX_VNNI = 1u << 1,
    CPU_AVX512 = 1u << 2, /* F, BW, DQ, VL, CPU_AVX2, and the OS saves zmm and masks */
    CPU_AVX512_VNNI = 1u << 3,
    CPU_AVX512_BF16 = 1u << 4,
    CPU_AVX512_BF16_FAST = 1u << 15, /* and makes more of its products a second than FP32 FMAs: AMD's do (Zen 4: twice
                                        as many), Intel's do not (Emerald Rapids: less than half) */
    CPU_AVX512_VBMI = 1u << 5,
    CPU_AVX512_FP16 = 1u << 6,
    CPU_AMX_TILE = 1u << 7, /* AMX tiles, enabled by the OS and permitted to this process */
    CPU_AMX_INT8 = 1u << 8,
    CPU_AMX_BF16 = 1u << 9,
    CPU_NEON = 1u << 10, /* aarch64's Advanced SIMD */
    CPU_NEON_DOTPROD = 1u << 11,
    CPU_NEON_I8MM = 1u << 12,
    CPU_NEON_FP16 = 1u << 13, /* arithmetic on binary16, not only conversion */
    CPU_NEON_BF16 = 1u << 14,
};

/* What CPUID and XGETBV say, before any mask; where they tell of AMX, Linux is asked to permit it. Computed once,
 * thread-safe. */
uint32_t cpu_flags(void);
/* Whether every instruction of the rung runs here. */
bool kernel_isa_available(kernel_isa isa);
/* Those of the CPU_* flags that the rung needs and cpu_flags() lacks. */
uint32_t kernel_isa_missing(kernel_isa isa);
/* The highest available rung, not above CIUIC_ISA when that is set to a rung's name. */
kernel_isa kernel_isa_best(void);
/* "c", "neon", "avx2", "avx512", "amx". */
const char *kernel_isa_name(kernel_isa isa);
/* The rung of that name ("best" = kernel_isa_best()); false when there is none of that name. */
bool kernel_isa_parse(const char *name, kernel_isa *isa);
/* CIUIC_ISA as found in the environment, NULL when unset; the harness echoes it in every output. */
const char *kernel_isa_override(void);
/* The flag's name ("avx512_vnni"), NULL for a bit without one; for doctor and the machine record. */
const char *cpu_flag_name(uint32_t flag);

#endif
