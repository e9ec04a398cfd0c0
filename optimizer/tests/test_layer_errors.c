/* test_layer_errors.c - errors by layer against sessions, against each other, and where they must be nothing. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/row_errors.h"
#include "optimizer/runtime/model.h"
#include "optimizer/tests/golden.h"
#include "optimizer/tests/quantized_folder.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

enum { PARTS = 16, LAYER_1 = 2 }; /* room; the embedding comes first */

static const char v3[] = "datasets/golden/deepseek-v3";

/* A checkpoint's handle and a variant of it; NULL: the handle's own. */
typedef struct pair {
    golden g;
    ciuic_model *reference, *model;
    size_t layers;
} pair;

static pair open_pair(const char *folder, const ciuic_options *options)
{
    pair p = {0};
    ciuic_model_info info;
    CU_ASSERT_FATAL(golden_open(folder, &p.g));
    CU_ASSERT_FATAL(ciuic_model_load(folder, &p.reference) == CIUIC_OK);
    if (options != NULL) CU_ASSERT_FATAL(ciuic_optimize(p.reference, options, &p.model, NULL) == CIUIC_OK);
    ciuic_model_describe(p.reference, &info);
    p.layers = info.layers;
    CU_ASSERT_FATAL(p.layers + 2 <= PARTS);
    return p;
}

static void close_pair(pair *p)
{
    ciuic_model_free(p->model);
    ciuic_model_free(p->reference);
    golden_close(&p->g);
}

/* All ids of the golden file as one window. */
static bool measure(const pair *p, ciuic_model *model, ciuic_layer_error errors[PARTS])
{
    const ciuic_window window = {p->g.ids, p->g.count};
    const ciuic_layer_errors_options options = {.threads = 2};
    const ciuic_status status = ciuic_layer_errors(model, p->reference, &window, 1, &options, errors);
    CHECK(status == CIUIC_OK, "%s: %s", p->g.folder, ciuic_last_error());
    return status == CIUIC_OK;
}

static float *logits_of(ciuic_model *model, const golden *g)
{
    const ciuic_session_options options = {.threads = 2, .context = g->count};
    ciuic_session *session = NULL;
    float *logits = malloc(g->count * g->vocabulary * sizeof *logits);
    CU_ASSERT_FATAL(logits != NULL && ciuic_session_create(model, &options, &session) == CIUIC_OK &&
                    ciuic_prefill(session, g->ids, g->count, true, logits) == CIUIC_OK);
    ciuic_session_free(session);
    return logits;
}

/* With weights of affine8, activations stay FP32 in a session, too: its logits are as far from the reference's as the
 * last part's. The two sum in another order, which moves a logit by 5e-4 (test_reference.c) of a deviation of 1 on
 * either side: |error| / |reference| by 1e-3. */
static void all_layers_together_are_the_model(void)
{
    for (size_t i = 0; i < golden_folder_count; i++) {
        const ciuic_options options = {.quantize = CIUIC_QUANTIZE_AFFINE8, .memory = CIUIC_MEMORY_ON, .graph = true};
        ciuic_layer_error errors[PARTS];
        pair p = open_pair(golden_folders[i], &options);
        if (measure(&p, p.model, errors)) {
            float *variant = logits_of(p.model, &p.g), *reference = logits_of(p.reference, &p.g);
            row_errors rows = {0};
            ciuic_distance expected;
            for (size_t row = 0; row < p.g.count; row++)
                row_errors_add(&rows, p.g.vocabulary, variant + row * p.g.vocabulary, reference + row * p.g.vocabulary);
            row_errors_finish(&rows, &expected);
            const ciuic_distance *d = &errors[p.layers + 1].accumulated;
            CHECK(fabs(d->relative_l2 - expected.relative_l2) < 1e-3, "%s: relative L2 %g, of the session %g",
                  p.g.folder, d->relative_l2, expected.relative_l2);
            CHECK(fabs(d->mean_abs_error - expected.mean_abs_error) < 1e-3, "%s: mean error %g, of the session %g",
                  p.g.folder, d->mean_abs_error, expected.mean_abs_error);
            CHECK(d->relative_l2 > 0 && d->relative_l2_error > 0 && d->cosine < 1, "%s: %g +- %g, cosine %g",
                  p.g.folder, d->relative_l2, d->relative_l2_error, d->cosine);
            free(variant);
            free(reference);
        }
        close_pair(&p);
    }
}

static void what_is_not_quantised_has_no_error(void)
{
    for (size_t i = 0; i < golden_folder_count; i++) {
        const ciuic_options options = {.memory = CIUIC_MEMORY_ON, .graph = true, .isa = "best"};
        ciuic_layer_error errors[PARTS];
        pair p = open_pair(golden_folders[i], &options);
        for (int itself = 0; itself < 2; itself++) {
            if (!measure(&p, itself ? p.reference : p.model, errors)) continue;
            for (size_t part = 0; part < p.layers + 2; part++)
                CHECK(errors[part].own.relative_l2 == 0 && errors[part].accumulated.relative_l2 == 0 &&
                          errors[part].own.mean_abs_error == 0 && errors[part].own.relative_l2_error == 0,
                      "%s: part %zu: %g", p.g.folder, part, errors[part].own.relative_l2);
        }
        close_pair(&p);
    }
}

/* How the model keeps its weights makes no difference: in panels, fused, or as they lie. */
static void panels_are_read_back(void)
{
    const ciuic_options plain = {.quantize = CIUIC_QUANTIZE_INT4}, panels = {.quantize = CIUIC_QUANTIZE_INT4,
                                                                             .memory = CIUIC_MEMORY_ON,
                                                                             .graph = true,
                                                                             .isa = kernel_isa_name(kernel_isa_best())};
    ciuic_layer_error a[PARTS], b[PARTS];
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    pair p = open_pair(v3, &plain), q = open_pair(v3, &panels);
    CU_ASSERT_TRUE(measure(&p, p.model, a) && measure(&q, q.model, b));
    CU_ASSERT_EQUAL(memcmp(a, b, sizeof a), 0);
    close_pair(&p);
    close_pair(&q);
}

static bool same(const ciuic_distance *a, const ciuic_distance *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

/* Only layer 1 is quantised, on the fly and in a folder: no other part has an error of its own, layer 1's is all there
 * is after it, and what follows carries it on. */
static void one_layer_alone(void)
{
    static const quantized_rule rules[QUANTIZED_RULES] = {{"layers.1.mlp.", "int4", 0}, {"layers.1.", "int8-g64", 0}};
    pair p = open_pair(v3, NULL);
    ciuic_layer_error errors[PARTS], stored[PARTS];
    CU_ASSERT_FATAL(ciuic_model_load(v3, &p.model) == CIUIC_OK);
    quantized_rules_recipe(v3, rules, &p.model->recipe);
    p.model->options.memory = CIUIC_MEMORY_ON;
    CU_ASSERT_FATAL(measure(&p, p.model, errors));
    for (size_t part = 0; part < p.layers + 2; part++) {
        const double own = errors[part].own.relative_l2, all = errors[part].accumulated.relative_l2;
        CHECK(part == LAYER_1 ? own > 0 : own == 0, "part %zu: %g of its own", part, own);
        CHECK(part < LAYER_1 ? all == 0 : all > 0, "part %zu: %g in all", part, all);
    }
    CU_ASSERT_TRUE(same(&errors[LAYER_1].own, &errors[LAYER_1].accumulated));

    quantized_folder f;
    ciuic_model *folder = NULL;
    temporary_folder path;
    temporary_folder_create(&path);
    quantized_folder_make(v3, rules, &f);
    quantized_folder_write(&f, path.path);
    quantized_folder_free(&f);
    CU_ASSERT_FATAL(ciuic_model_load(path.path, &folder) == CIUIC_OK && measure(&p, folder, stored));
    for (size_t part = 0; part < p.layers + 2; part++)
        CU_ASSERT_TRUE(same(&errors[part].own, &stored[part].own) &&
                       same(&errors[part].accumulated, &stored[part].accumulated));
    /* The other way round there is nothing unquantised to compare with. */
    const ciuic_window window = {p.g.ids, p.g.count};
    CU_ASSERT_EQUAL(ciuic_layer_errors(p.model, folder, &window, 1, NULL, errors), CIUIC_ERROR_USAGE);
    ciuic_model_free(folder);
    temporary_folder_remove(&path);
    close_pair(&p);
}

typedef struct watch {
    size_t calls, done, total, stop_at;
} watch;

static ciuic_status watch_progress(void *context, const char *what, size_t done, size_t total)
{
    watch *w = context;
    CHECK(done > w->done && done <= total && what[0] != '\0', "%zu of %zu after %zu", done, total, w->done);
    w->done = done;
    w->total = total;
    return ++w->calls == w->stop_at ? CIUIC_ERROR_INTERRUPTED : CIUIC_OK;
}

/* A window knows of no other: the same ids twice say the same with more certainty. A shorter one is allowed. */
static void windows_stand_alone_and_work_can_be_stopped(void)
{
    const ciuic_options quantised = {.quantize = CIUIC_QUANTIZE_INT8};
    pair p = open_pair(v3, &quantised);
    const ciuic_window windows[] = {{p.g.ids, 16}, {p.g.ids, 16}, {p.g.ids + 20, 1}};
    watch w = {0};
    ciuic_layer_errors_options options = {.threads = 2, .progress = watch_progress, .progress_context = &w};
    ciuic_layer_error once[PARTS], twice[PARTS], all[PARTS], untouched[PARTS];
    CU_ASSERT_EQUAL(ciuic_layer_errors(p.model, p.reference, windows, 3, &options, all), CIUIC_OK);
    CHECK(w.done == w.total && w.total == 33 * (p.layers + 1), "%zu of %zu", w.done, w.total);
    CU_ASSERT_EQUAL(ciuic_layer_errors(p.model, p.reference, windows, 1, NULL, once), CIUIC_OK);
    CU_ASSERT_EQUAL(ciuic_layer_errors(p.model, p.reference, windows, 2, NULL, twice), CIUIC_OK);
    for (size_t part = 0; part < p.layers + 2; part++) {
        const ciuic_distance *a = &once[part].accumulated, *b = &twice[part].accumulated;
        /* Means of the same values in double: 32 roundings. Squared deviations double, over 31 * 32, not 15 * 16. */
        CHECK(fabs(a->relative_l2 - b->relative_l2) <= 1e-14 * a->relative_l2, "part %zu: %.17g and %.17g", part,
              a->relative_l2, b->relative_l2);
        CHECK(fabs(b->mean_abs_error_error / a->mean_abs_error_error - sqrt(15.0 / 31)) < 1e-9,
              "part %zu: +- %g and %g", part, a->mean_abs_error_error, b->mean_abs_error_error);
    }
    w = (watch){.stop_at = 2};
    memset(all, 0x5a, sizeof all);
    memset(untouched, 0x5a, sizeof untouched);
    CU_ASSERT_EQUAL(ciuic_layer_errors(p.model, p.reference, windows, 3, &options, all), CIUIC_ERROR_INTERRUPTED);
    CU_ASSERT_EQUAL(memcmp(all, untouched, sizeof all), 0);
    CU_ASSERT_EQUAL(w.calls, 2);
    close_pair(&p);
}

static void what_is_refused(void)
{
    static const int32_t beyond[] = {1, 512, 2}, fine[] = {1};
    const ciuic_options widened = {.weights_f32 = true};
    pair p = open_pair(v3, &widened);
    ciuic_model *other = NULL;
    ciuic_layer_error errors[PARTS];
    const ciuic_window outside = {beyond, 3}, empty = {fine, 0}, window = {fine, 1};
    CU_ASSERT_FATAL(ciuic_model_load("datasets/golden/deepseek-llm", &other) == CIUIC_OK);
    ciuic_model *const m = p.reference;
    CU_ASSERT_EQUAL(ciuic_layer_errors(m, m, &outside, 1, NULL, errors), CIUIC_ERROR_INPUT);
    CU_ASSERT_PTR_NOT_NULL(strstr(ciuic_last_error(), "512"));
    CU_ASSERT_EQUAL(ciuic_layer_errors(m, m, &empty, 1, NULL, errors), CIUIC_ERROR_USAGE);
    CU_ASSERT_EQUAL(ciuic_layer_errors(m, m, &window, 0, NULL, errors), CIUIC_ERROR_USAGE);
    CU_ASSERT_EQUAL(ciuic_layer_errors(m, other, &window, 1, NULL, errors), CIUIC_ERROR_USAGE);
    CU_ASSERT_EQUAL(ciuic_layer_errors(p.model, m, &window, 1, NULL, errors), CIUIC_ERROR_USAGE);
    CU_ASSERT_EQUAL(ciuic_layer_errors(m, m, &window, 1, NULL, errors), CIUIC_OK);
    CU_ASSERT_TRUE(isnan(errors[0].own.cosine_error)); /* one position has no spread */
    ciuic_model_free(other);
    close_pair(&p);
}

static void a_nan_shows(void)
{
    const float rows[2][2] = {{1, NAN}, {1, 2}}, reference[2] = {1, 2};
    row_errors e = {0};
    ciuic_distance d;
    row_errors_finish(&e, &d);
    CU_ASSERT_TRUE(isnan(d.relative_l2) && isnan(d.cosine) && isnan(d.mean_abs_error));
    for (size_t i = 0; i < 2; i++) row_errors_add(&e, 2, rows[i], reference);
    row_errors_finish(&e, &d);
    CU_ASSERT_TRUE(isnan(d.relative_l2) && isnan(d.cosine) && isnan(d.mean_abs_error));
    CU_ASSERT_TRUE(isnan(d.relative_l2_error) && isnan(d.cosine_error) && isnan(d.mean_abs_error_error));
}

static const test_case cases[] = {
    {"all layers together are the model", all_layers_together_are_the_model},
    {"what is not quantised has no error", what_is_not_quantised_has_no_error},
    {"panels and fused matrices are read back", panels_are_read_back},
    {"one layer alone, on the fly and from a folder", one_layer_alone},
    {"windows stand alone, and work can be stopped", windows_stand_alone_and_work_can_be_stopped},
    {"what is refused", what_is_refused},
    {"a NaN shows", a_nan_shows},
};
TEST_SUITE(layer_errors, cases);
