/* kernels.h - the table of numeric primitives: one prototype per kernel type, one entry per weight or cache format.
 *
 * Kernels are single-threaded, allocate nothing, print nothing and know no model. The caller splits work over threads
 * by giving each thread a slice (rows of a weight matrix, heads of an attention). Every kernel reads only the elements
 * its comment names, writes only its output, and needs no alignment beyond that of the element type. Buffers of one
 * call do not overlap unless a comment says that they may. A dimension of 0 is allowed everywhere and writes nothing.
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

/* Values that share one scale in KERNEL_INT8, KERNEL_INT4 and in quantised activations. */
enum { KERNEL_GROUP = 32 };

/* How the weights of one matrix are stored, row after row. K is the number of columns, Kp is K rounded up to a
 * multiple of KERNEL_GROUP; the padding holds zeros (the code of zero for INT4). */
typedef enum kernel_format {
    KERNEL_F32,     /* float [K] */
    KERNEL_F16,     /* IEEE binary16 [K] */
    KERNEL_BF16,    /* upper half of a float [K] */
    KERNEL_INT8,    /* int8_t [Kp]; w = q * scale[group] */
    KERNEL_INT4,    /* uint8_t [Kp / 2]; byte j of a group: value j in the low, value j + 16 in the high four bits;
                       w = (q - 8) * scale[group] */
    KERNEL_AFFINE8, /* uint8_t [K]; w = q * scale + minimum, one pair per matrix (the article's formula) */
    KERNEL_AFFINE4, /* uint8_t [(K + 1) / 2]; value 2j in the low, 2j + 1 in the high four bits; as AFFINE8 */
    KERNEL_FORMATS
} kernel_format;

/* A weight matrix of `rows` outputs by `columns` inputs; borrowed, never owned. */
typedef struct kernel_matrix {
    kernel_format format;
    size_t rows;            /* N */
    size_t columns;         /* K */
    const void *values;     /* [rows] rows of kernel_row_bytes(format, columns) bytes */
    const uint16_t *scales; /* binary16 [rows][Kp / KERNEL_GROUP]; INT8 and INT4 only */
    float scale, minimum;   /* AFFINE8 and AFFINE4 only */
    const float *bias;      /* [rows], added to the product; NULL when there is none */
} kernel_matrix;

/* Activations quantised to int8 in groups of KERNEL_GROUP, as INT8 and INT4 matmuls read them. */
typedef struct kernel_q8 {
    int8_t *values; /* [m][Kp], padding zero, within -127..127 */
    float *scales;  /* [m][Kp / KERNEL_GROUP]; x ~ q * scale; 0 for an all-zero group */
    float *sums;    /* [m][Kp / KERNEL_GROUP]; scale * (sum of the group's q): what an offset in w contributes */
} kernel_q8;

/* Bytes of one row of `columns` values; 0 columns give 0. */
size_t kernel_row_bytes(kernel_format format, size_t columns);
/* Scales of one row: Kp / KERNEL_GROUP for INT8 and INT4, otherwise 0. */
size_t kernel_row_scales(kernel_format format, size_t columns);
/* The rows [first, first + count) of w as a matrix of their own; bias and scales follow. */
kernel_matrix kernel_matrix_rows(const kernel_matrix *w, size_t first, size_t count);
/* "f32", "f16", "bf16", "int8", "int4", "affine8", "affine4". */
const char *kernel_format_name(kernel_format format);

/* ---- kernel types ----------------------------------------------------------------------------------------------- */

/* y[i][n] = sum over k of x[i][k] * w[n][k] + bias[n]; i < m; x: [m] rows ldx floats apart, y: [m] rows ldy apart.
 * Accumulates in FP32. For every format but INT8 and INT4. */
typedef void kernel_matmul_fn(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy);

/* As kernel_matmul_fn with x quantised (m rows of w->columns values). INT8 and INT4. The products inside a group are
 * summed exactly in int32, then scaled and summed in FP32. */
typedef void kernel_matmul_q8_fn(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy);

/* Round-to-nearest-even int8 of m rows of k floats, per group: scale = max|x| / 127. Fills q and its padding.
 * A group that holds a NaN or an infinity gets scale NaN, so that the fault shows in the product instead of vanishing. */
typedef void kernel_quantize_q8_fn(size_t m, size_t k, const float *x, size_t ldx, kernel_q8 *q);

/* out[k] = w[row][k] as float, k < w->columns (bias not added). Embedding look-up and absorbed MLA. */
typedef void kernel_dequantize_row_fn(const kernel_matrix *w, size_t row, float *out);

/* y[c] += sum over r of a[r] * w[r][c]; r < w->rows, c < w->columns: the transposed product that absorbed MLA needs
 * (W_UK^T q). Activations stay FP32 in every format. */
typedef void kernel_matvec_transposed_fn(const kernel_matrix *w, const float *a, float *y);

/* y[i] = x[i] / sqrt(mean over i of x[i]^2 + eps) * weight[i]; i < n; weight NULL means 1. y may be x. */
typedef void kernel_rms_norm_fn(size_t n, const float *x, const float *weight, float eps, float *y);

/* Rotates `dim` values (even) by the angles whose cos and sin are given, [dim / 2] each. y may be x.
 * halves: pairs (i, i + dim/2), as Llama and Qwen; interleaved: pairs (2i, 2i + 1), as MLA. */
typedef void kernel_rope_fn(size_t dim, const float *x, const float *cos_table, const float *sin_table, float *y);

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
typedef enum kernel_cache { KERNEL_CACHE_F32, KERNEL_CACHE_F16, KERNEL_CACHES } kernel_cache;

/* Causal attention of `tokens` consecutive queries for `heads` query heads that share one key/value head.
 *   score[j] = scale * sum over d < key_width of query[d] * key[j][d]
 *   out      = sum over j of softmax(score)[j] * value[j][0..value_width)
 * The first query sees the keys [0, keys); each later one sees one key more. Strides count elements.
 * Multi-head, grouped-query and absorbed MLA (value = key, one head shared by all) are all this. */
typedef struct kernel_attention {
    size_t heads, tokens, keys, key_width, value_width;
    const float *query; /* token t, head h: query + t * query_token_stride + h * query_head_stride */
    size_t query_token_stride, query_head_stride;
    const void *key, *value; /* float or binary16, by cache format; position j: + j * stride */
    size_t key_stride, value_stride;
    float scale;
    float *out; /* token t, head h: out + t * out_token_stride + h * out_head_stride */
    size_t out_token_stride, out_head_stride;
    float *workspace; /* kernel_attention_workspace(heads, tokens, keys) floats, contents irrelevant */
} kernel_attention;

/* Floats of workspace that any rung needs for such a call: heads * (keys + tokens) + 64 covers all of them. */
size_t kernel_attention_workspace(size_t heads, size_t tokens, size_t keys);

typedef void kernel_attention_fn(const kernel_attention *a);

/* ---- the table -------------------------------------------------------------------------------------------------- */

/* Rungs, lowest first. A rung exists on every build; whether this machine can run it, cpu_flags() says. */
typedef enum kernel_isa { KERNEL_ISA_C, KERNEL_ISA_AVX2, KERNEL_ISA_AVX512, KERNEL_ISAS } kernel_isa;

typedef struct kernel_table {
    kernel_isa isa;                                 /* the rung the table was filled up to */
    kernel_matmul_fn *matmul[KERNEL_FORMATS];       /* NULL at INT8 and INT4 */
    kernel_matmul_q8_fn *matmul_q8[KERNEL_FORMATS]; /* INT8 and INT4 only */
    kernel_dequantize_row_fn *dequantize_row;       /* any format */
    kernel_matvec_transposed_fn *matvec_transposed; /* any format */
    kernel_quantize_q8_fn *quantize_q8;
    kernel_rms_norm_fn *rms_norm;
    kernel_rope_fn *rope_halves, *rope_interleaved;
    kernel_silu_fn *silu;
    kernel_swiglu_fn *swiglu;
    kernel_add_fn *add;
    kernel_mul_fn *mul;
    kernel_axpy_fn *axpy;
    kernel_to_f16_fn *to_f16;
    kernel_from_f16_fn *from_f16;
    kernel_attention_fn *attention[KERNEL_CACHES];
} kernel_table;

/* Fills `table` with the best kernels whose rung is `isa` or lower. The caller has asked kernel_isa_available. */
void kernel_table_fill(kernel_table *table, kernel_isa isa);

/* One per rung: override what the rung does better. `cpu` is a mask of CPU_* below. Called by kernel_table_fill. */
void kernel_table_init_c(kernel_table *table);
void kernel_table_init_avx2(kernel_table *table, uint32_t cpu);
void kernel_table_init_avx512(kernel_table *table, uint32_t cpu);

/* ---- what the machine has (cpu.c) ------------------------------------------------------------------------------- */

enum {
    CPU_AVX2 = 1u << 0, /* AVX2, FMA, F16C, and the OS saves ymm */
    CPU_AVX_VNNI = 1u << 1,
    CPU_AVX512 = 1u << 2, /* F, BW, DQ, VL, CPU_AVX2, and the OS saves zmm and masks */
    CPU_AVX512_VNNI = 1u << 3,
    CPU_AVX512_BF16 = 1u << 4,
    CPU_AVX512_VBMI = 1u << 5,
    CPU_AVX512_FP16 = 1u << 6,
    CPU_AMX_TILE = 1u << 7, /* AMX tiles, enabled by the OS */
    CPU_AMX_INT8 = 1u << 8,
    CPU_AMX_BF16 = 1u << 9,
};

/* What CPUID and XGETBV say, before any mask. Computed once, thread-safe. */
uint32_t cpu_flags(void);
/* Whether every instruction of the rung runs here. */
bool kernel_isa_available(kernel_isa isa);
/* The highest available rung, not above CIUIC_ISA when that is set to a rung's name. */
kernel_isa kernel_isa_best(void);
/* "c", "avx2", "avx512". */
const char *kernel_isa_name(kernel_isa isa);
/* The rung of that name ("best" = kernel_isa_best()); false when there is none of that name. */
bool kernel_isa_parse(const char *name, kernel_isa *isa);
/* CIUIC_ISA as found in the environment, NULL when unset; the harness echoes it in every output. */
const char *kernel_isa_override(void);
/* The flag's name ("avx512_vnni"), NULL for a bit without one; for doctor and the machine record. */
const char *cpu_flag_name(uint32_t flag);

#endif
