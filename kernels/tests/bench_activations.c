/* bench_activations.c - the speed of the kernels that are not products of a weight matrix, on sizes of DeepSeek models, one
 * thread. What touches each number a few times is held against the load bandwidth of a buffer as large as what it reads and
 * writes; attention, which makes more of each byte, against the peak of FP32 arithmetic where that is nearer. */
#include "kernels/ceiling.h"
#include "kernels/tests/check.h"

enum { FEWEST = 5, MOST = 51, HIDDEN = 7168, EXPERTS = 256 };
static const double entry_seconds = 0.05;

/* Everything that any of them needs. */
typedef struct inputs {
    const kernel_table *table;
    float *a, *b, *c, *y; /* [HIDDEN] */
    uint16_t *half;       /* [HIDDEN] */
    int8_t *bytes;        /* [HIDDEN] */
    uint32_t *index;      /* [EXPERTS] */
    kernel_q8 q8;
    kernel_attention attention;
    kernel_cache cache;
} inputs;

typedef struct bench_activation {
    const char *kernel, *shape;
    double bytes, operations; /* of one call; operations 0: bytes are what counts */
    void (*run)(inputs *in);
} bench_activation;

#define RUN(name, call)                                                                                                \
    static void run_##name(inputs *in)                                                                                 \
    {                                                                                                                  \
        in->table->call;                                                                                               \
    }
RUN(rms_norm, rms_norm(HIDDEN, in->a, in->b, 1e-6f, in->y))
RUN(layer_norm, layer_norm(HIDDEN, in->a, in->b, in->c, 1e-5f, in->y))
RUN(softmax, softmax(HIDDEN, in->a, in->y))
RUN(rope_halves, rope_halves(128, in->a, in->b, in->c, in->y))
RUN(rope_interleaved, rope_interleaved(64, in->a, in->b, in->c, in->y))
RUN(silu, silu(HIDDEN, in->a, in->y))
RUN(swiglu, swiglu(HIDDEN, in->a, in->b, in->y))
RUN(add, add(HIDDEN, in->a, in->b, in->y))
RUN(mul, mul(HIDDEN, in->a, in->b, in->y))
RUN(axpy, axpy(HIDDEN, 0.5f, in->a, in->y))
RUN(to_f16, to_f16(HIDDEN, in->a, in->half))
RUN(from_f16, from_f16(HIDDEN, in->half, in->y))
RUN(quantize_q8, quantize_q8(1, HIDDEN, 32, in->a, HIDDEN, &in->q8))
RUN(cache_int8, cache_int8(512, in->a, in->bytes, in->half))
RUN(top_k, top_k(HIDDEN, in->a, 8, in->index))
RUN(attention, attention[in->cache](&in->attention))

static void run_route(inputs *in)
{
    const kernel_router v3 = {.experts = EXPERTS,
                              .experts_per_token = 8,
                              .groups = 8,
                              .groups_per_token = 4,
                              .sigmoid = true,
                              .group_by_two = true,
                              .normalize = true,
                              .bias = in->b,
                              .scale = 2.5f};
    in->table->route(&v3, in->a, in->c, in->index, in->y);
}

static const bench_activation activations[] = {
    {"rms_norm", "7168", 12.0 * HIDDEN, 0, run_rms_norm},
    {"layer_norm", "7168", 16.0 * HIDDEN, 0, run_layer_norm},
    {"softmax", "7168", 8.0 * HIDDEN, 0, run_softmax},
    {"rope_halves", "128", 12.0 * 128, 0, run_rope_halves},
    {"rope_interleaved", "64", 12.0 * 64, 0, run_rope_interleaved},
    {"silu", "7168", 8.0 * HIDDEN, 0, run_silu},
    {"swiglu", "7168", 12.0 * HIDDEN, 0, run_swiglu},
    {"add", "7168", 12.0 * HIDDEN, 0, run_add},
    {"mul", "7168", 12.0 * HIDDEN, 0, run_mul},
    {"axpy", "7168", 12.0 * HIDDEN, 0, run_axpy},
    {"to_f16", "7168", 6.0 * HIDDEN, 0, run_to_f16},
    {"from_f16", "7168", 6.0 * HIDDEN, 0, run_from_f16},
    {"quantize_q8", "7168 in 32", 5.25 * HIDDEN, 0, run_quantize_q8},
    {"cache_int8", "512", 5.0 * 512, 0, run_cache_int8},
    {"top_k", "8 of 7168", 4.0 * HIDDEN, 0, run_top_k},
    {"route", "8 of 256 in 8 groups", 8.0 * EXPERTS, 0, run_route},
};

/* heads * tokens queries against `keys` keys, the last of which each token sees one more of. */
static const struct attention_shape {
    const char *name;
    size_t heads, tokens, keys, key_width, value_width;
    bool latent; /* values are the first part of the keys */
} attentions[] = {
    {"R1-Qwen-1.5B decode, 6 heads", 6, 1, 4096, 128, 128, false},
    {"R1-Qwen-1.5B prefill, 64 tokens", 6, 64, 512, 128, 128, false},
    {"V2-Lite decode, absorbed", 16, 1, 4096, 576, 512, true},
};

static double median_seconds(const bench_activation *b, inputs *in)
{
    double times[MOST];
    size_t rounds = 0, calls = 1;
    b->run(in);
    for (;;) { /* a call may be shorter than the clock can tell */
        const double start = bench_seconds(true);
        for (size_t i = 0; i < calls; i++) b->run(in);
        if (bench_seconds(true) - start > 1e-4) break;
        calls *= 2;
    }
    for (double spent = 0; rounds < FEWEST || (rounds < MOST && spent < entry_seconds); spent += times[rounds++]) {
        const double start = bench_seconds(true);
        for (size_t i = 0; i < calls; i++) b->run(in);
        times[rounds] = bench_seconds(true) - start;
    }
    return bench_median(times, rounds) / (double)calls;
}

static void bench_one(const bench_activation *b, inputs *in, double peak, bool json)
{
    const double seconds = median_seconds(b, in), bandwidth = ceiling_load_bandwidth(1, (size_t)b->bytes, 0.02);
    const double of_bandwidth = b->bytes / seconds / bandwidth;
    const double of_arithmetic = b->operations > 0 && peak > 0 ? b->operations / seconds / peak : 0;
    const bool bytes = of_bandwidth >= of_arithmetic;
    if (json)
        printf(",\n    {\"kernel\": \"%s\", \"isa\": \"%s\", \"shape\": \"%s\", \"median_s\": %.6g, \"bytes_per_s\": "
               "%.6g, "
               "\"operations_per_s\": %.6g, \"share_of_bandwidth\": %.4f, \"share_of_arithmetic\": %.4f}",
               b->kernel, kernel_isa_name(in->table->isa), b->shape, seconds, b->bytes / seconds,
               b->operations / seconds, of_bandwidth, of_arithmetic);
    else
        printf("%-16s %-7s %-32s %9.2f us %6.1f GB/s %6.1f Gop/s %3.0f%% of %-10s checked above\n", b->kernel,
               kernel_isa_name(in->table->isa), b->shape, seconds * 1e6, b->bytes / seconds * 1e-9,
               b->operations / seconds * 1e-9, 100 * (bytes ? of_bandwidth : of_arithmetic),
               bytes ? "bandwidth" : "arithmetic");
    fflush(stdout);
}

static void bench_attention(check *c, const struct attention_shape *s, kernel_cache cache, inputs *in, double peak,
                            bool json)
{
    static const char *const names[KERNEL_CACHES] = {"attention_f32", "attention_f16", "attention_int8"};
    static const size_t element[KERNEL_CACHES] = {4, 2, 1};
    const size_t keys = s->keys + s->tokens - 1, rows = s->heads * s->tokens;
    const size_t groups = (s->key_width + KERNEL_CACHE_GROUP - 1) / KERNEL_CACHE_GROUP;
    float *query = check_alloc(c, rows * s->key_width * sizeof *query),
          *row = check_alloc(c, s->key_width * sizeof *row);
    char *key = check_alloc(c, keys * s->key_width * element[cache]);
    char *value = s->latent ? key : check_alloc(c, keys * s->value_width * element[cache]);
    uint16_t *scales = check_alloc(c, keys * groups * sizeof *scales);
    for (size_t i = 0; i < rows * s->key_width; i++) query[i] = check_normal(c);
    for (size_t j = 0; j < keys; j++) {
        for (int part = 0; part < (s->latent ? 1 : 2); part++) {
            const size_t width = part ? s->value_width : s->key_width;
            char *to = (part ? value : key) + j * width * element[cache];
            for (size_t d = 0; d < width; d++) row[d] = check_normal(c);
            if (cache == KERNEL_CACHE_F32) memcpy(to, row, width * sizeof *row);
            if (cache == KERNEL_CACHE_F16) in->table->to_f16(width, row, (uint16_t *)(void *)to);
            if (cache == KERNEL_CACHE_INT8) in->table->cache_int8(width, row, (int8_t *)to, scales + j * groups);
        }
    }
    in->cache = cache;
    in->attention = (kernel_attention){
        .heads = s->heads,
        .tokens = s->tokens,
        .keys = s->keys,
        .key_width = s->key_width,
        .value_width = s->value_width,
        .query = query,
        .query_token_stride = s->heads * s->key_width,
        .query_head_stride = s->key_width,
        .key = key,
        .value = value,
        .key_stride = s->key_width,
        .value_stride = s->latent ? s->key_width : s->value_width,
        .key_scales = scales,
        .value_scales = scales,
        .key_scale_stride = groups,
        .value_scale_stride = groups,
        .scale = 0.1f,
        .out = check_output(c, rows * s->value_width * sizeof(float)),
        .out_token_stride = s->heads * s->value_width,
        .out_head_stride = s->value_width,
        .workspace = check_output(c, kernel_attention_workspace(s->heads, s->tokens, s->keys) * sizeof(float))};
    const double seen = (double)s->tokens * ((double)s->keys + ((double)s->tokens - 1) / 2);
    const size_t width = s->latent ? s->key_width : s->key_width + s->value_width;
    const bench_activation b = {names[cache], s->name, (double)(keys * width * element[cache]),
                                2.0 * (double)s->heads * seen * (double)(s->key_width + s->value_width), run_attention};
    bench_one(&b, in, peak, json);
}

void bench_activations(const kernel_table *table, const char *pattern, bool json)
{
    static const char *const caches[KERNEL_CACHES] = {"attention_f32", "attention_f16", "attention_int8"};
    const double peak = ceiling_fma_peak(table->isa, 1, 0.1);
    if (json) printf(",\n  \"bench_activations_%s\": [{\"fma_peak\": %.6g}", kernel_isa_name(table->isa), peak);
    check c = {.kernel = "bench", .rung = kernel_isa_name(table->isa), .table = table, .random = 1};
    inputs in = {.table = table,
                 .a = check_normals(&c, HIDDEN),
                 .b = check_normals(&c, HIDDEN),
                 .c = check_normals(&c, HIDDEN),
                 .y = check_normals(&c, HIDDEN),
                 .half = check_alloc(&c, HIDDEN * sizeof(uint16_t)),
                 .bytes = check_alloc(&c, HIDDEN),
                 .index = check_alloc(&c, EXPERTS * sizeof(uint32_t)),
                 .q8 = {check_alloc(&c, HIDDEN), check_alloc(&c, HIDDEN / 32 * sizeof(float)),
                        check_alloc(&c, HIDDEN / 32 * sizeof(int32_t))}};
    for (size_t i = 0; i < sizeof activations / sizeof activations[0]; i++)
        if (strstr(activations[i].kernel, pattern)) bench_one(&activations[i], &in, peak, json);
    for (size_t i = 0; i < sizeof attentions / sizeof attentions[0]; i++)
        for (int cache = 0; cache < KERNEL_CACHES; cache++)
            if (strstr(caches[cache], pattern))
                bench_attention(&c, &attentions[i], (kernel_cache)cache, &in, peak, json);
    check_release(&c);
    if (json) printf("]");
}
