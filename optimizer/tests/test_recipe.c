/* test_recipe.c - settings by name and back, and which unit gets which. */
#include <stdio.h>
#include <string.h>

#include "optimizer/quantize/setting.h"
#include "optimizer/tests/runner.h"

static void settings_have_names(void)
{
    static const struct {
        const char *name;
        quantize_setting setting;
    } table[] = {
        {"none", {0}},
        {"int8", {true, KERNEL_INT8, 32, false}},
        {"int4", {true, KERNEL_INT4, 32, false}},
        {"int3", {true, KERNEL_INT3, 32, false}},
        {"int8-row", {true, KERNEL_INT8, 0, false}},
        {"int4-g64", {true, KERNEL_INT4, 64, false}},
        {"int3-g128", {true, KERNEL_INT3, 128, false}},
        {"int4-asym", {true, KERNEL_INT4, 32, true}},
        {"int4-g128-asym", {true, KERNEL_INT4, 128, true}},
        {"int8-row-asym", {true, KERNEL_INT8, 0, true}},
        {"affine8", {true, KERNEL_AFFINE8, 0, false}},
        {"affine4", {true, KERNEL_AFFINE4, 0, false}},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char name[SETTING_NAME];
        quantize_setting s;
        const char *said = quantize_setting_name(&table[i].setting, name);
        CHECK(strcmp(said, table[i].name) == 0, "\"%s\", not \"%s\"", said, table[i].name);
        CHECK(quantize_setting_parse(table[i].name, &s) && quantize_setting_equal(&s, &table[i].setting),
              "%s: not parsed", table[i].name);
    }
}

static void every_setting_survives_its_name(void)
{
    static const kernel_format formats[] = {KERNEL_INT8, KERNEL_INT4, KERNEL_INT3};
    static const size_t groups[] = {0, 32, 64, 128};
    quantize_setting all[24];
    for (size_t i = 0; i < 24; i++) all[i] = (quantize_setting){true, formats[i / 8], groups[i / 2 % 4], i % 2};
    for (size_t i = 0; i < 24; i++) {
        char name[SETTING_NAME];
        quantize_setting s;
        CHECK(quantize_setting_parse(quantize_setting_name(&all[i], name), &s), "%s: not parsed", name);
        for (size_t j = 0; j < 24; j++)
            CHECK(quantize_setting_equal(&s, &all[j]) == (i == j), "%s: is setting %zu", name, j);
    }
}

static void junk_is_no_setting(void)
{
    static const char *const junk[] = {
        "",          "-",           "int",          "int7",           "INT4",
        "int4-",     "int4--g64",   "int4-g",       "int4-g16",       "int4-g640",
        "int4-64",   "int4 g64",    "int4-asym-",   "int4-asym-g64",  "int4-g64-row",
        "int4-rows", "affine8-row", "affine4-asym", "none-row",       "int4-g64-asym-asym",
        "f16",       "int4g64",     "none ",        "int4-g128-asymm"};
    for (size_t i = 0; i < sizeof junk / sizeof junk[0]; i++) {
        quantize_setting s = {.group = 7};
        CHECK(!quantize_setting_parse(junk[i], &s), "\"%s\" was taken", junk[i]);
        CHECK(s.group == 7, "\"%s\": the setting was touched", junk[i]);
    }
}

static void experts_share_a_unit(void)
{
    static const char *const table[][2] = {
        {"lm_head", "lm_head"},
        {"model.layers.3.mlp.up_proj", "model.layers.3.mlp.up_proj"},
        {"model.layers.3.mlp.experts.7.up_proj", "model.layers.3.mlp.experts.*.up_proj"},
        {"model.layers.13.mlp.experts.255.down_proj", "model.layers.13.mlp.experts.*.down_proj"},
        {"model.layers.3.mlp.experts.*.up_proj", "model.layers.3.mlp.experts.*.up_proj"},
        {"model.layers.3.mlp.shared_experts.up_proj", "model.layers.3.mlp.shared_experts.up_proj"},
        {"a.experts.", "a.experts."},
        {"", ""},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char unit[QUANTIZE_UNIT_NAME];
        quantize_unit_name(table[i][0], unit);
        CHECK(strcmp(unit, table[i][1]) == 0, "%s became %s", table[i][0], unit);
    }
    char longest[2 * QUANTIZE_UNIT_NAME], unit[QUANTIZE_UNIT_NAME];
    memset(longest, 'x', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    quantize_unit_name(longest, unit);
    CHECK(strlen(unit) == QUANTIZE_UNIT_NAME - 1, "a name of %zu characters", strlen(unit));
}

static void recipes_find_what_was_set(void)
{
    enum { N = 40 };
    const quantize_setting int4 = {true, KERNEL_INT4, 64, false}, none = {0};
    recipe r = {.otherwise = {true, KERNEL_INT8, 32, false}}, copy = {0};
    char name[QUANTIZE_UNIT_NAME];
    for (size_t i = 0; i < N; i++) { /* 7 and 40 have no common divisor: every number once, in no order */
        snprintf(name, sizeof name, "model.layers.%zu.mlp.experts.%zu.up_proj", i * 7 % N, i);
        CHECK(recipe_set(&r, name, i * 7 % N % 2 ? int4 : none) == CIUIC_OK, "%s", ciuic_last_error());
    }
    CHECK(r.count == N, "%zu entries", r.count);
    CHECK(recipe_set(&r, "model.layers.3.mlp.experts.*.up_proj", none) == CIUIC_OK && r.count == N,
          "replacing made %zu entries", r.count);
    for (size_t i = 1; i < r.count; i++)
        CHECK(strcmp(r.entries[i - 1].unit, r.entries[i].unit) < 0, "%s is not sorted", r.entries[i].unit);
    CHECK(recipe_copy(&r, &copy) == CIUIC_OK, "%s", ciuic_last_error());
    recipe_free(&r);
    CHECK(r.entries == NULL && r.count == 0 && !r.otherwise.quantised, "something is left");
    for (size_t i = 0; i < N; i++) {
        snprintf(name, sizeof name, "model.layers.%zu.mlp.experts.123.up_proj", i);
        const quantize_setting s = recipe_find(&copy, name);
        CHECK(quantize_setting_equal(&s, i % 2 && i != 3 ? &int4 : &none), "%s has another setting", name);
    }
    const quantize_setting other = recipe_find(&copy, "lm_head");
    CHECK(quantize_setting_equal(&other, &copy.otherwise) && other.format == KERNEL_INT8, "otherwise");
    recipe_free(&copy);
    const recipe nothing = {.count = 0};
    CHECK(recipe_copy(&nothing, &copy) == CIUIC_OK && !recipe_find(&copy, "lm_head").quantised, "an empty recipe");
    recipe_free(&copy);
}

static void bytes_are_codes_and_scales(void)
{
    static const struct {
        const char *name;
        size_t rows, columns, bytes;
    } table[] = {
        {"int8", 3, 64, 3 * (64 + 2 * 2)},
        {"int8", 3, 65, 3 * (96 + 3 * 2)},
        {"int4-g64", 2, 100, 2 * (64 + 2 * 2)},
        {"int4-g64-asym", 2, 100, 2 * (64 + 2 * 4)},
        {"int3-row", 5, 128, 5 * (48 + 2)},
        {"affine8", 3, 33, 3 * 33},
        {"affine4", 3, 33, 3 * 17},
        {"int3-g128-asym", 1, 256, 96 + 2 * 4},
        {"int4", 0, 64, 0},
        {"int4", 64, 0, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        quantize_setting s;
        CHECK(quantize_setting_parse(table[i].name, &s), "%s", table[i].name);
        const size_t bytes = quantize_setting_bytes(&s, table[i].rows, table[i].columns);
        CHECK(bytes == table[i].bytes, "%s %zu x %zu: %zu bytes, not %zu", table[i].name, table[i].rows,
              table[i].columns, bytes, table[i].bytes);
    }
}

static void layers_only_leaves_embedding_and_head(void)
{
    const ciuic_options all = {.quantize = CIUIC_QUANTIZE_INT4, .group = 64},
                        layers = {.quantize = CIUIC_QUANTIZE_INT4, .group = 64, .layers_only = true};
    recipe a = {0}, b = {0};
    CHECK(recipe_of_options(&all, &a) == CIUIC_OK && recipe_of_options(&layers, &b) == CIUIC_OK, "%s",
          ciuic_last_error());
    for (int outside = 0; outside < 2; outside++) {
        const char *unit = outside == 0 ? "model.embed_tokens" : "lm_head";
        CHECK(recipe_find(&a, unit).quantised && !recipe_find(&b, unit).quantised, "%s", unit);
    }
    const quantize_setting s = recipe_find(&b, "model.layers.0.self_attn.o_proj");
    CHECK(s.quantised && s.format == KERNEL_INT4 && s.group == 64, "a layer's: group %zu", s.group);
    recipe_free(&a);
    recipe_free(&b);
}

static const test_case cases[] = {
    {"settings have names", settings_have_names},
    {"every setting survives its name", every_setting_survives_its_name},
    {"junk is no setting", junk_is_no_setting},
    {"experts share a unit", experts_share_a_unit},
    {"recipes find what was set", recipes_find_what_was_set},
    {"layers only leaves embedding and head", layers_only_leaves_embedding_and_head},
    {"bytes are codes and scales", bytes_are_codes_and_scales},
};
TEST_SUITE(recipe, cases);
