/* test_stem_file.c - `ciuic inspect --graph` of an image stem: its operations before and after passes, and descriptions that are
 * refused by the layer and key that is wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/inspect/stem_file.h"
#include "harness/tests/place_fixture.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static const char published[] = "datasets/stems/resnet-50.json";

static int count_operations(const cJSON *json, const char *kind)
{
    int count = 0;
    const cJSON *item;
    cJSON_ArrayForEach(item, json_find(json, "operations")) count += strcmp(json_text(item, "kind"), kind) == 0;
    return count;
}

/* A 7 x 7 convolution of 3 channels to 64, in steps of 2 over 224 x 224 pixels, is 2 * 64 * 112 * 112 * 3 * 49 operations less
 * those that padding spares, three normalisations go into it and its like, and text fits. */
static void operations_are_shown(void)
{
    static const struct {
        const char *passes;
        int convolutions, normalisations;
    } rows[] = {{"off", 3, 3}, {"fold-batchnorm", 3, 0}, {"on", 3, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        program_run run = program(
            (const char *const[]){"inspect", published, "--graph", "--passes", rows[i].passes, "--json", NULL}, NULL);
        cJSON *json = cJSON_Parse(run.out);
        CHECK(run.status == 0 && json != NULL, "%s: status %d: %s", rows[i].passes, run.status, run.err);
        CHECK(count_operations(json, "conv2d") == rows[i].convolutions &&
                  count_operations(json, "batch_norm") == rows[i].normalisations,
              "%s: %d convolutions, %d normalisations", rows[i].passes, count_operations(json, "conv2d"),
              count_operations(json, "batch_norm"));
        CHECK(strcmp(json_text(json, "phase"), "stem") == 0, "phase %s", json_text(json, "phase"));
        cJSON_Delete(json);
        program_run_free(&run);
    }
    program_run text = program((const char *const[]){"inspect", published, "--graph", "--tokens", "4", NULL}, NULL);
    CHECK(text.status == 0 && strstr(text.out, "a stem, T = 4 images of 3 x 224 x 224") != NULL, "%s%s", text.out,
          text.err);
    CHECK(strstr(text.out, "-3 batch_norm") != NULL && strstr(text.out, "236M T") != NULL, "%s", text.out);
    for (const char *line = text.out; *line != '\0'; line += strcspn(line, "\n") + 1)
        CHECK(strcspn(line, "\n") <= 100, "too long: %.*s", (int)strcspn(line, "\n"), line);
    program_run_free(&text);
}

static const char whole[] =
    "{\"stem\": {\"channels\": 3, \"height\": 8, \"width\": 9, \"channels_last_in\": false, \"channels_last_out\": "
    "true, "
    "\"layers\": [{\"conv\": \"c\", \"norm\": null, \"bias\": true, \"out_channels\": 6, \"groups\": 3, \"kernel\": "
    "[3, 2], "
    "\"stride\": [1, 2], \"padding\": [1, 0], \"dilation\": [1, 1], \"eps\": 0, \"activation\": \"silu\"}]}}";

/* `whole` with the first `from` replaced, as a file. */
static void write_changed(const test_place *place, const char *from, const char *to, char path[PLACE_PATH])
{
    char text[2048];
    snprintf(path, PLACE_PATH, "%s/stem.json", place->folder);
    const char *at = strstr(whole, from);
    CU_ASSERT_PTR_NOT_NULL_FATAL(at);
    const int length = snprintf(text, sizeof text, "%.*s%s%s", (int)(at - whole), whole, to, at + strlen(from));
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    CHECK(fwrite(text, 1, (size_t)length, file) == (size_t)length && fclose(file) == 0, "%s was not written", path);
}

static void what_is_wrong_is_named(void)
{
    static const struct {
        const char *from, *to, *says;
    } rows[] = {
        {"\"channels\": 3", "\"channels\": 0", "stem: key \"channels\""},
        {"\"channels\": 3", "\"channels\": 1e300", "stem: key \"channels\""},
        {"\"height\": 8, ", "", "height"},
        {"\"width\": 9", "\"width\": \"9\"", "width"},
        {"\"layers\": [{", "\"layer\": [{", "layer"},
        {"[{\"conv\": \"c\"", "[7, {\"conv\": \"c\"", "layers[0]"},
        {"\"conv\": \"c\"", "\"conv\": \"\"", "layers[0]: conv has 0 characters"},
        {"[3, 2]", "[3]", "layers[0]: kernel has 1 elements; expected 2"},
        {"[3, 2]", "[3, 0]", "layers[0]: kernel[1]"},
        {"[3, 2]", "[2.5, 2]", "layers[0]: kernel[0]"},
        {"[1, 2]", "[1, -2]", "layers[0]: stride[1]"},
        {"[3, 2]", "[11, 2]", "does not fit into 8 x 9"},
        {"\"groups\": 3", "\"groups\": 4", "4 groups"},
        {"silu", "gelu", "activation \"gelu\"; expected none, relu or silu"},
        {"\"norm\": null", "\"norm\": \"n\", \"normal\": 1", "normal"},
        {"\"eps\": 0, \"activation\"", "\"eps\": 0, \"eps\": 0, \"activation\"", "eps"},
    };
    test_place place = place_open();
    char path[PLACE_PATH];
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_changed(&place, rows[i].from, rows[i].to, path);
        program_run run = program((const char *const[]){"inspect", path, "--graph", NULL}, NULL);
        CHECK(run.status == 3 && strstr(run.err, rows[i].says) != NULL, "row %zu: status %d: %s", i, run.status,
              run.err);
        program_run_free(&run);
    }
    write_changed(&place, "silu", "silu", path);
    program_run run = program((const char *const[]){"inspect", path, "--graph", NULL}, NULL);
    CHECK(run.status == 0, "as it was: status %d: %s", run.status, run.err);
    program_run_free(&run);
    place_close(&place);
}

static void it_has_no_phases(void)
{
    static const char *const rows[][2] = {{"--phase", "decode"}, {"--depth", "3"}};
    for (size_t i = 0; i < 2; i++) {
        program_run run =
            program((const char *const[]){"inspect", published, "--graph", rows[i][0], rows[i][1], NULL}, NULL);
        CHECK(run.status == 2 && strstr(run.err, rows[i][0]) != NULL, "%s: status %d: %s", rows[i][0], run.status,
              run.err);
        program_run_free(&run);
    }
}

static const test_case cases[] = {
    {"operations are shown", operations_are_shown},
    {"what is wrong is named", what_is_wrong_is_named},
    {"it has no phases", it_has_no_phases},
};
TEST_SUITE(stem_file, cases);
