/* test_variant_json.c - how a variant quantises, as JSON: what a worker is told and results record is what was asked for. */
#include "harness/variant_json.h"

#include <string.h>

#include "harness/stage_flags.h"
#include "optimizer/tests/runner.h"

static const int groups[] = {0, 32, 64, 128, CIUIC_GROUP_ROW};
static const struct {
    double bits;
    size_t weight_bytes;
} budgets[] = {{0, 0}, {4.8, 0}, {0, 4500000}, {5, 4500000}};

/* 0 and 32 are the same group. */
static int columns(int group)
{
    return group == 0 ? 32 : group;
}

static bool same(const ciuic_options *a, const ciuic_options *b)
{
    return a->quantize == b->quantize && a->quantizer == b->quantizer && columns(a->group) == columns(b->group) &&
           a->asymmetric == b->asymmetric && a->activations == b->activations && a->bits == b->bits &&
           a->weight_bytes == b->weight_bytes;
}

/* Written and read back, options that go together are what they were. Returns whether they go together. */
static bool check_options(const ciuic_options *o)
{
    if (ciuic_options_check(o) != CIUIC_OK) return false;
    char name[VARIANT_NAME_SIZE];
    variant_name(o, name);
    cJSON *object = cJSON_CreateObject();
    ciuic_options back = {.quantize = o->quantize};
    CHECK(variant_json_add(object, o), "%s: out of memory", name);
    CHECK(variant_json_read(object, "here", &back) == CIUIC_OK, "%s: %s", name, ciuic_last_error());
    char *text = cJSON_PrintUnformatted(object);
    CHECK(same(o, &back), "%s came back otherwise; written: %s", name, text);
    cJSON_free(text);
    cJSON_Delete(object);
    return true;
}

static int check_formats(ciuic_options o)
{
    int valid = 0;
    for (o.quantizer = 0; o.quantizer < CIUIC_QUANTIZER_COUNT; o.quantizer++)
        for (o.activations = 0; o.activations < CIUIC_ACTIVATIONS_COUNT; o.activations++)
            for (size_t g = 0; g < sizeof groups / sizeof groups[0]; g++)
                for (int asymmetric = 0; asymmetric < 2; asymmetric++)
                    for (size_t b = 0; b < sizeof budgets / sizeof budgets[0]; b++) {
                        o.group = groups[g];
                        o.asymmetric = asymmetric != 0;
                        o.bits = budgets[b].bits;
                        o.weight_bytes = budgets[b].weight_bytes;
                        valid += check_options(&o);
                    }
    return valid;
}

static void what_is_written_is_read_back(void)
{
    /* Settings that go together: of a format by groups 4 quantizers x 2 activations x 5 groups x 2; of mixed 4 x 2 x 3 budgets;
     * the affine formats have none; of weights as they are, activations alone may be said. */
    for (ciuic_quantize q = 0; q < CIUIC_QUANTIZE_COUNT; q++) {
        const bool affine = q == CIUIC_QUANTIZE_AFFINE8 || q == CIUIC_QUANTIZE_AFFINE4;
        const int expected = affine ? 1 : q == CIUIC_QUANTIZE_NONE ? 2 : q == CIUIC_QUANTIZE_MIXED ? 4 * 2 * 3 : 80;
        const int valid = check_formats((ciuic_options){.quantize = q});
        CHECK(valid == expected, "%s: %d settings go together, expected %d", ciuic_quantize_name(q), valid, expected);
    }
}

/* A reader of results finds the settings of a format by groups in full, and none that say nothing. */
static void what_says_nothing_is_not_written(void)
{
    static const struct {
        ciuic_options options;
        const char *written;
    } rows[] = {
        {{.quantize = CIUIC_QUANTIZE_NONE}, "{}"},
        {{.quantize = CIUIC_QUANTIZE_NONE, .activations = CIUIC_ACTIVATIONS_NONE}, "{\"activations\":\"none\"}"},
        {{.quantize = CIUIC_QUANTIZE_AFFINE4}, "{}"},
        {{.quantize = CIUIC_QUANTIZE_INT6},
         "{\"quantizer\":\"rtn\",\"activations\":\"int8\",\"group\":32,\"asymmetric\":false}"},
        {{.quantize = CIUIC_QUANTIZE_INT5, .group = CIUIC_GROUP_ROW, .quantizer = CIUIC_QUANTIZER_GPTQ},
         "{\"quantizer\":\"gptq\",\"activations\":\"int8\",\"group\":\"row\",\"asymmetric\":false}"},
        {{.quantize = CIUIC_QUANTIZE_MIXED, .bits = 5}, "{\"quantizer\":\"rtn\",\"activations\":\"int8\",\"bits\":5}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *object = cJSON_CreateObject();
        CHECK(variant_json_add(object, &rows[i].options), "row %zu: out of memory", i);
        char *text = cJSON_PrintUnformatted(object);
        CHECK(strcmp(text, rows[i].written) == 0, "row %zu: %s, expected %s", i, text, rows[i].written);
        cJSON_free(text);
        cJSON_Delete(object);
    }
}

static const test_case cases[] = {
    {"what is written is read back", what_is_written_is_read_back},
    {"what says nothing is not written", what_says_nothing_is_not_written},
};
TEST_SUITE(variant_json, cases);
