/* test_variants.c - every setting of the stages against the reference on every checkpoint: the lossless ones within the
 * rounding they may add, the lossy ones within the loss that independent implementations of the same formats measured. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernels/kernels.h"
#include "optimizer/tests/golden.h"
#include "optimizer/tests/runner.h"

/* Logits here have a standard deviation of about 1.
 *
 * FP32 cache: graph and kernels re-order sums, as the reference's own tolerance allows (test_reference.c): 5e-4.
 *
 * FP16 cache: a cached value is rounded by u = 2^-11. The output of attention, an average of values, moves by u, and
 * through the softmax by at most 2 u s, with s = max |score| (below 8 here); each of at most 6 layers adds that to a
 * residual stream it is a part of: 6 * (1 + 2 * 8) * 2^-11 = 5e-2 in the worst case of aligned signs. */
static const double reordered = 5e-4, half_cache = 5e-2;

typedef struct setting {
    bool graph;
    ciuic_memory memory;
} setting;
static const setting lossless[] = {
    {false, CIUIC_MEMORY_OFF}, {true, CIUIC_MEMORY_OFF}, {false, CIUIC_MEMORY_ON}, {true, CIUIC_MEMORY_ON}};

/* The rung without the instructions that round activations to bfloat16: what those cost has a test of its own. */
static void check_lossless(const golden *g, const setting *s, kernel_isa isa, bool weights_f32)
{
    kernel_table kernels;
    kernel_table_fill_for(&kernels, isa,
                          cpu_flags() &
                              ~(uint32_t)(CPU_AVX512_BF16 | CPU_AVX512_BF16_FAST | CPU_AMX_BF16 | CPU_NEON_BF16));
    const ciuic_options options = {.graph = s->graph,
                                   .memory = s->memory,
                                   .isa = kernel_isa_name(isa),
                                   .kernels = &kernels,
                                   .weights_f32 = weights_f32};
    const double tolerance = s->memory == CIUIC_MEMORY_ON ? half_cache : reordered;
    golden_session session;
    float *logits = malloc(g->count * g->vocabulary * sizeof *logits);
    if (logits == NULL || !golden_session_open(g->folder, &options, 2, &session)) {
        free(logits);
        return;
    }
    CU_ASSERT_EQUAL(ciuic_prefill(session.session, g->ids, g->count, true, logits), CIUIC_OK);
    double difference = max_abs_difference(logits, g->logits, g->count * g->vocabulary);
    CHECK(difference <= tolerance, "%s graph %d memory %d isa %s: prefill differs by %.3g, tolerance %.3g", g->folder,
          s->graph, s->memory, options.isa, difference, tolerance);

    CU_ASSERT_EQUAL(ciuic_session_truncate(session.session, 0), CIUIC_OK);
    CU_ASSERT_EQUAL(ciuic_prefill(session.session, g->ids, g->count / 2, false, logits), CIUIC_OK);
    difference = max_abs_difference(logits, g->logits + (g->count / 2 - 1) * g->vocabulary, g->vocabulary);
    for (size_t i = g->count / 2; i < g->count; i++) {
        CU_ASSERT_EQUAL(ciuic_decode(session.session, g->ids[i], logits), CIUIC_OK);
        difference = fmax(difference, max_abs_difference(logits, g->logits + i * g->vocabulary, g->vocabulary));
    }
    CHECK(difference <= tolerance, "%s graph %d memory %d isa %s: last row and decode differ by %.3g, tolerance %.3g",
          g->folder, s->graph, s->memory, options.isa, difference, tolerance);
    golden_session_free(&session);
    free(logits);
}

static void test_lossless(void)
{
    for (size_t i = 0; i < golden_folder_count; i++) {
        golden g;
        if (!golden_open(golden_folders[i], &g)) continue;
        for (int isa = KERNEL_ISA_C; isa < KERNEL_ISAS; isa++) {
            if (!kernel_isa_available((kernel_isa)isa)) continue;
            for (size_t j = 0; j < sizeof lossless / sizeof lossless[0]; j++)
                check_lossless(&g, &lossless[j], (kernel_isa)isa, false);
            check_lossless(&g, &lossless[3], (kernel_isa)isa, true);
        }
        golden_close(&g);
    }
}

static double relative_l2(const float *got, const float *want, size_t count)
{
    double difference = 0.0, norm = 0.0;
    for (size_t i = 0; i < count; i++) {
        difference += ((double)got[i] - (double)want[i]) * ((double)got[i] - (double)want[i]);
        norm += (double)want[i] * (double)want[i];
    }
    return sqrt(difference / norm);
}

/* Best kernels of this machine on BF16 checkpoints: a prefill may round every matmul's input to bfloat16, uniformly within
 * 2^-8 of itself at most, which is 2^-8 / sqrt(3) in the mean square, and a sum of such terms errs no more, relative to its
 * own size, while terms do not cancel; allow twice that for those that do. A residual stream collects the independent
 * errors of four matmuls in sequence a layer (q k v, output, gate and up, down), 4 L in all. Where a rounded router logit
 * sends a token to another expert nothing is bounded: so it is the median over positions. */
static void test_bfloat16_rounding(void)
{
    for (size_t i = 0; i < golden_folder_count; i++) {
        golden g;
        if (!golden_open(golden_folders[i], &g)) continue;
        const ciuic_options options = {.graph = true, .isa = "best"};
        golden_session session;
        float *logits = malloc(g.count * g.vocabulary * sizeof *logits);
        double *errors = malloc(g.count * sizeof *errors);
        if (logits != NULL && errors != NULL && golden_session_open(g.folder, &options, 2, &session)) {
            ciuic_model_info info;
            ciuic_model_describe(session.model, &info);
            CU_ASSERT_EQUAL(ciuic_prefill(session.session, g.ids, g.count, true, logits), CIUIC_OK);
            for (size_t r = 0; r < g.count; r++)
                errors[r] = relative_l2(logits + r * g.vocabulary, g.logits + r * g.vocabulary, g.vocabulary);
            const double median = sorted_median(errors, g.count);
            const double bound = 2 * 0x1p-8 / sqrt(3.0) * sqrt(4.0 * (double)info.layers);
            CHECK(median <= bound, "%s: relative error %.3g, at most %.3g", g.folder, median, bound);
            /* Token by token nothing is rounded, whatever the machine has. */
            double difference = 0.0;
            CU_ASSERT_EQUAL(ciuic_session_truncate(session.session, 0), CIUIC_OK);
            for (size_t r = 0; r < g.count; r++) {
                CU_ASSERT_EQUAL(ciuic_decode(session.session, g.ids[r], logits), CIUIC_OK);
                difference = fmax(difference, max_abs_difference(logits, g.logits + r * g.vocabulary, g.vocabulary));
            }
            CHECK(difference <= reordered, "%s: decode differs by %.3g, tolerance %.3g", g.folder, difference,
                  reordered);
            golden_session_free(&session);
        }
        free(errors);
        free(logits);
        golden_close(&g);
    }
}

/* Mean over rows of KL(p || q) in nats, p and q the softmax of reference and variant. */
static double mean_kl(const float *reference, const float *variant, size_t rows, size_t width)
{
    double total = 0.0;
    for (size_t r = 0; r < rows; r++, reference += width, variant += width) {
        double max_p = -INFINITY, max_q = -INFINITY, sum_p = 0.0, sum_q = 0.0, kl = 0.0;
        for (size_t i = 0; i < width; i++) {
            max_p = fmax(max_p, reference[i]);
            max_q = fmax(max_q, variant[i]);
        }
        for (size_t i = 0; i < width; i++) {
            sum_p += exp(reference[i] - max_p);
            sum_q += exp(variant[i] - max_q);
        }
        for (size_t i = 0; i < width; i++) {
            const double log_p = reference[i] - max_p - log(sum_p), log_q = variant[i] - max_q - log(sum_q);
            kl += exp(log_p) * (log_p - log_q);
        }
        total += kl;
    }
    return total / (double)rows;
}

/* KL of deepseek-v3-tiny on its eval streams, all matrices but the router, weights quantised by independent recipes in
 * another framework: affine8 0.0036, int8 g32 0.0011, int4 g32 0.0748. affine4 was only measured without embedding and
 * head, 0.386; with them it must be worse than that. Activations are quantised here as well, which may add as
 * much as int8 weights do. The sample is 128 ids of one stream of 64, so a factor of 2 is allowed for its spread. A model
 * that knows nothing loses ln(3072) - 2.25 = 5.8 (2.25: the entropy of the streams); affine4 must lose less than half of
 * that. Its codes are checked exactly in test_quantize.c, its products in check-kernels. */
typedef struct loss {
    ciuic_quantize quantize;
    double low, high;
} loss;
static const loss losses[] = {
    {CIUIC_QUANTIZE_AFFINE8, 0.0036 / 2, 2 * 0.0036},
    {CIUIC_QUANTIZE_AFFINE4, 0.386, 5.8 / 2},
    {CIUIC_QUANTIZE_INT8, 0.0011 / 2, 2 * (0.0011 + 0.0011)},
    {CIUIC_QUANTIZE_INT4, 0.0748 / 2, 2 * (0.0748 + 0.0011)},
};

static float *window_logits(const char *folder, const ciuic_options *options, const int32_t *ids, size_t count,
                            size_t width)
{
    golden_session s;
    float *logits = malloc(count * width * sizeof *logits);
    if (logits == NULL || !golden_session_open(folder, options, 2, &s)) {
        free(logits);
        return NULL;
    }
    CU_ASSERT_EQUAL(ciuic_prefill(s.session, ids, count, true, logits), CIUIC_OK);
    golden_session_free(&s);
    return logits;
}

static void test_lossy(void)
{
    const char *folder = "datasets/deepseek-v3-tiny";
    const size_t count = 128, width = 3072;
    safetensors *streams = NULL;
    const tensor *ids = NULL;
    CU_ASSERT_EQUAL_FATAL(safetensors_open("datasets/deepseek-v3-tiny/streams.safetensors", &streams), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(safetensors_require(streams, "eval_ids", TENSOR_I32, 2, (const size_t[]){64, 512}, &ids),
                          CIUIC_OK);
    const ciuic_options lossless_best = {.graph = true, .memory = CIUIC_MEMORY_OFF, .isa = "best"};
    float *reference = window_logits(folder, &lossless_best, ids->data, count, width);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reference);
    printf("\n");
    for (size_t i = 0; i < sizeof losses / sizeof losses[0]; i++)
        for (size_t j = 0; j < sizeof lossless / sizeof lossless[0]; j++)
            for (int isa = KERNEL_ISA_C; isa < KERNEL_ISAS; isa++) {
                /* The portable rung is slow, and its settings differ as the others' do: the extremes are enough. */
                if (!kernel_isa_available((kernel_isa)isa) || (isa == KERNEL_ISA_C && j % 3 != 0)) continue;
                const ciuic_options options = {.quantize = losses[i].quantize,
                                               .graph = lossless[j].graph,
                                               .memory = lossless[j].memory,
                                               .isa = kernel_isa_name((kernel_isa)isa)};
                float *logits = window_logits(folder, &options, ids->data, count, width);
                if (logits == NULL) continue;
                const double kl = mean_kl(reference, logits, count, width);
                if (j % 3 == 0)
                    printf("    %-8s graph %d memory %d %-6s KL %.5f\n", ciuic_quantize_name(options.quantize),
                           options.graph, options.memory, options.isa, kl);
                CHECK(kl >= losses[i].low && kl <= losses[i].high,
                      "%s graph %d memory %d isa %s: KL %.5f, expected %.5f to %.5f",
                      ciuic_quantize_name(options.quantize), options.graph, options.memory, options.isa, kl,
                      losses[i].low, losses[i].high);
                free(logits);
            }
    free(reference);
    safetensors_close(streams);
}

/* Prefill of the first half and decode of the rest, logits of every call's last row; false when a call failed. */
static bool run_both(const golden *g, ciuic_session *session, float *logits)
{
    bool ok = ciuic_session_truncate(session, 0) == CIUIC_OK &&
              ciuic_prefill(session, g->ids, g->count / 2, false, logits) == CIUIC_OK;
    for (size_t i = g->count / 2; i < g->count && ok; i++)
        ok = ciuic_decode(session, g->ids[i], logits + (i - g->count / 2 + 1) * g->vocabulary) == CIUIC_OK;
    CHECK(ok, "%s: %s", g->folder, ciuic_last_error());
    return ok;
}

/* One variant on one to five threads: two runs on the same number give the same bits, whoever came first. On another
 * number the cuts differ, and with them the order of some sums: with FP32 weights and cache the logits stay within what
 * re-ordering explains. */
static void check_threads(const golden *g, const ciuic_options *options)
{
    const size_t values = (g->count - g->count / 2 + 1) * g->vocabulary;
    float *one = malloc(values * sizeof *one), *first = malloc(values * sizeof *first),
          *again = malloc(values * sizeof *again);
    const bool exact = options->quantize == CIUIC_QUANTIZE_NONE && options->memory == CIUIC_MEMORY_OFF;
    for (int threads = 1; threads <= 5 && one && first && again; threads++) {
        golden_session s;
        if (!golden_session_open(g->folder, options, threads, &s)) continue;
        if (run_both(g, s.session, first) && run_both(g, s.session, again)) {
            CHECK(memcmp(first, again, values * sizeof *first) == 0,
                  "%s graph %d memory %d: two runs on %d threads differ", ciuic_quantize_name(options->quantize),
                  options->graph, options->memory, threads);
            if (threads == 1) memcpy(one, first, values * sizeof *one);
            const double difference = max_abs_difference(one, first, values);
            CHECK(!exact || difference <= reordered, "graph %d: %d threads differ from one by %.3g", options->graph,
                  threads, difference);
        }
        golden_session_free(&s);
    }
    free(one);
    free(first);
    free(again);
}

static void test_threads(void)
{
    golden g;
    if (!golden_open("datasets/deepseek-v3-tiny", &g)) return;
    const ciuic_quantize formats[] = {CIUIC_QUANTIZE_NONE, CIUIC_QUANTIZE_INT8, CIUIC_QUANTIZE_INT4};
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++)
        for (size_t j = 0; j < sizeof lossless / sizeof lossless[0]; j++) {
            const ciuic_options options = {
                .quantize = formats[i], .graph = lossless[j].graph, .memory = lossless[j].memory, .isa = "best"};
            check_threads(&g, &options);
        }
    golden_close(&g);
}

/* Absorbed and expanded attention over the same FP16 latent cache: what the pass re-associates is summed in FP32. Sums
 * re-ordered in the 24th bit make about one cached value in a thousand round the other way, by 2^-10 of itself; a few
 * dozen do in these runs, and a logit is allowed the full weight of four of them at once. */
static const double absorbed_tolerance = 5e-4 + 4.0 / 1024;

static void test_absorption(void)
{
    const char *const folders[] = {"datasets/golden/deepseek-v2-lite", "datasets/golden/deepseek-v2",
                                   "datasets/golden/deepseek-v3", "datasets/deepseek-v3-tiny"};
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        golden g;
        golden_session expanded, absorbed;
        ciuic_options options = {.memory = CIUIC_MEMORY_ON, .isa = "c"};
        if (!golden_open(folders[i], &g)) continue;
        const size_t values = (g.count - g.count / 2 + 1) * g.vocabulary;
        float *a = malloc(values * sizeof *a), *b = malloc(values * sizeof *b);
        const bool open_expanded = golden_session_open(folders[i], &options, 2, &expanded);
        options.graph = true;
        const bool open_absorbed = golden_session_open(folders[i], &options, 2, &absorbed);
        if (a && b && open_expanded && open_absorbed && run_both(&g, expanded.session, a) &&
            run_both(&g, absorbed.session, b)) {
            const double difference = max_abs_difference(a, b, values);
            CHECK(difference <= absorbed_tolerance, "%s: absorbed and expanded differ by %.3g", folders[i], difference);
        }
        golden_session_free(&expanded);
        golden_session_free(&absorbed);
        free(a);
        free(b);
        golden_close(&g);
    }
}

/* FP8 weights where they are mapped, which threads, parts and heads slice at rows within blocks, against the same weights
 * exact in FP32, over the same FP16 cache and without rounding to bfloat16. Sums are scaled and re-ordered, as absorbing
 * re-orders them, and the same of a few cached values round the other way. */
static void test_f8_in_place(void)
{
    golden g;
    if (!golden_open("datasets/golden/deepseek-v3-fp8", &g)) return;
    const size_t values = (g.count - g.count / 2 + 1) * g.vocabulary;
    float *mapped = malloc(values * sizeof *mapped), *exact = malloc(values * sizeof *exact);
    for (int isa = KERNEL_ISA_C; isa < KERNEL_ISAS && mapped && exact; isa++) {
        if (!kernel_isa_available((kernel_isa)isa)) continue;
        kernel_table kernels;
        kernel_table_fill_for(&kernels, (kernel_isa)isa,
                              cpu_flags() &
                                  ~(uint32_t)(CPU_AVX512_BF16 | CPU_AVX512_BF16_FAST | CPU_AMX_BF16 | CPU_NEON_BF16));
        for (int threads = 1; threads <= 5; threads += 2) {
            ciuic_options options = {.graph = threads != 3,
                                     .memory = CIUIC_MEMORY_ON,
                                     .isa = kernel_isa_name((kernel_isa)isa),
                                     .kernels = &kernels};
            golden_session a, b;
            const bool open_a = golden_session_open(g.folder, &options, threads, &a);
            options.weights_f32 = true;
            const bool open_b = golden_session_open(g.folder, &options, threads, &b);
            if (open_a && open_b && run_both(&g, a.session, mapped) && run_both(&g, b.session, exact)) {
                const double difference = max_abs_difference(mapped, exact, values);
                CHECK(difference <= absorbed_tolerance, "isa %s, %d threads: FP8 and FP32 differ by %.3g", options.isa,
                      threads, difference);
            }
            golden_session_free(&a);
            golden_session_free(&b);
        }
    }
    free(mapped);
    free(exact);
    golden_close(&g);
}

/* Calls that cannot be: refused in words, and the session goes on as if they had not been made. */
static void test_refusals(void)
{
    golden g;
    golden_session s;
    if (!golden_open("datasets/golden/deepseek-llm", &g)) return;
    if (!golden_session_open(g.folder, NULL, 1, &s)) return;
    const int32_t beyond[] = {0, 512}, negative[] = {-1};
    float *logits = malloc(g.vocabulary * sizeof *logits);
    CU_ASSERT_EQUAL(ciuic_prefill(s.session, g.ids, 0, false, NULL), CIUIC_ERROR_USAGE);
    CU_ASSERT_EQUAL(ciuic_prefill(s.session, beyond, 2, false, NULL), CIUIC_ERROR_INPUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(ciuic_last_error(), "512"));
    CU_ASSERT_EQUAL(ciuic_decode(s.session, negative[0], logits), CIUIC_ERROR_INPUT);
    CU_ASSERT_EQUAL(ciuic_session_length(s.session), 0);
    CU_ASSERT_EQUAL(ciuic_session_truncate(s.session, 1), CIUIC_ERROR_USAGE);
    CU_ASSERT_EQUAL(ciuic_prefill(s.session, g.ids, g.count, false, logits), CIUIC_OK);
    const double difference = max_abs_difference(logits, g.logits + (g.count - 1) * g.vocabulary, g.vocabulary);
    CHECK(difference <= reordered, "after refusals the logits differ by %.3g", difference);
    const ciuic_session_options long_context = {.context = 513};
    ciuic_session *none = NULL;
    CU_ASSERT_EQUAL(ciuic_session_create(s.model, &long_context, &none), CIUIC_ERROR_USAGE);
    CU_ASSERT_PTR_NULL(none);
    const ciuic_options unknown = {.isa = "sse9"};
    ciuic_model *fast = NULL;
    CU_ASSERT_EQUAL(ciuic_optimize(s.model, &unknown, &fast, NULL), CIUIC_ERROR_USAGE);
    CU_ASSERT_PTR_NULL(fast);
    /* A caller's table that lacks what the format needs: refused before anything runs. */
    kernel_table kernels;
    kernel_table_fill(&kernels, KERNEL_ISA_C);
    kernels.matmul_q8[KERNEL_INT4] = NULL;
    const ciuic_options lacking = {.quantize = CIUIC_QUANTIZE_INT4, .kernels = &kernels};
    CU_ASSERT_EQUAL(ciuic_optimize(s.model, &lacking, &fast, NULL), CIUIC_ERROR_UNSUPPORTED);
    CHECK(strstr(ciuic_last_error(), "the kernels in use (c) have none for weights in int4") != NULL, "%s",
          ciuic_last_error());
    CU_ASSERT_PTR_NULL(fast);
    free(logits);
    golden_session_free(&s);
    golden_close(&g);
}

/* ciuic_optimize verifies: int8 passes a limit that int4 fails, and failing leaves nothing behind. */
static void test_optimize_verifies(void)
{
    ciuic_model *model = NULL, *fast = NULL;
    ciuic_report report;
    CU_ASSERT_EQUAL_FATAL(ciuic_model_load("datasets/qwen2-tiny", &model), CIUIC_OK);
    ciuic_options options = {
        .quantize = CIUIC_QUANTIZE_INT8, .graph = true, .memory = CIUIC_MEMORY_ON, .isa = "best", .max_error = 0.1};
    CU_ASSERT_EQUAL(ciuic_optimize(model, &options, &fast, &report), CIUIC_OK);
    CU_ASSERT_TRUE(report.verified && report.tokens == 512 && report.mean_abs_error > 0.0);
    ciuic_model_free(fast);
    fast = NULL;
    options.quantize = CIUIC_QUANTIZE_INT4;
    CU_ASSERT_EQUAL(ciuic_optimize(model, &options, &fast, &report), CIUIC_ERROR_LIMIT);
    CU_ASSERT_TRUE(report.mean_abs_error > 0.1);
    CU_ASSERT_PTR_NULL(fast);
    ciuic_model_free(model);
}

static const test_case cases[] = {
    {"lossless variants on every checkpoint and rung", test_lossless},
    {"activations rounded to bfloat16", test_bfloat16_rounding},
    {"lossy variants lose what their formats lose", test_lossy},
    {"thread counts", test_threads},
    {"absorbed against expanded attention", test_absorption},
    {"FP8 in place against FP32", test_f8_in_place},
    {"refusals", test_refusals},
    {"optimize verifies", test_optimize_verifies},
};
TEST_SUITE(variants, cases);
