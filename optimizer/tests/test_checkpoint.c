/* test_checkpoint.c - every folder of datasets opens with the right parameters and values; what does no harm is ignored, and
 * no damage to config.json crashes. */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/checkpoint/float_formats.h"
#include "optimizer/tests/changed_checkpoint.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

static const char llama[] = "datasets/golden/deepseek-llm";
static const char v3[] = "datasets/golden/deepseek-v3";
static const char v3_tiny[] = "datasets/deepseek-v3-tiny";
static const char fp8[] = "datasets/golden/deepseek-v3-fp8";

/* Parameters written out as sums of layers, by hand from the shapes in the headers:
 * V = 512, H = 128 unless said otherwise; embeddings and head 2VH, norms (2L + 1)H. */
static void parameters_of_every_dataset(void)
{
    enum { H = 128, ENDS = 2 * 512 * H, NORMS = 7 * H };
    enum {
        /* kv_a [64+16, H], its norm 64, kv_b [4*(32+32), 64], o [H, 4*32]; queries [4*48, H] or through rank 96 */
        MLA = 80 * H + 64 + 256 * 64 + H * 128,
        QUERY = 192 * H,
        QUERY_RANK = 96 * H + 96 + 192 * 96,
        DENSE = 3 * 320 * H,
    };
    static const struct {
        const char *path;
        size_t parameters;
    } table[] = {
        /* q and o [128, H], k and v [kv_heads*32, H] */
        {"datasets/golden/deepseek-llm", ENDS + NORMS + 3 * (2 * 128 * H + 2 * 64 * H + 3 * 352 * H)},
        {"datasets/golden/deepseek-coder", ENDS + NORMS + 3 * (4 * 128 * H + 3 * 352 * H)},
        {"datasets/golden/r1-distill-llama", ENDS + NORMS + 3 * (2 * 128 * H + 2 * 32 * H + 3 * 384 * H)},
        {"datasets/golden/r1-distill-qwen",
         ENDS + NORMS + 3 * (2 * 128 * H + 2 * 32 * H + 3 * 384 * H + 128 + 32 + 32)},
        /* heads of 48: q and o [4*48, H], k and v [2*48, H], and two norms of 48 */
        {"datasets/golden/r1-0528-qwen3", ENDS + NORMS + 3 * (2 * 192 * H + 2 * 96 * H + 2 * 48 + 3 * 384 * H)},
        /* 8 routed experts of 64 and shared ones of 2*64 (V3: 64), the router [8, H] (V3: and its bias 8) */
        {"datasets/golden/deepseek-v2-lite",
         ENDS + NORMS + 3 * (MLA + QUERY) + DENSE + 2 * (8 * 3 * 64 * H + 3 * 128 * H + 8 * H)},
        {"datasets/golden/deepseek-v2",
         ENDS + NORMS + 3 * (MLA + QUERY_RANK) + DENSE + 2 * (8 * 3 * 64 * H + 3 * 128 * H + 8 * H)},
        {"datasets/golden/deepseek-v3",
         ENDS + NORMS + 3 * (MLA + QUERY_RANK) + DENSE + 2 * (8 * 3 * 64 * H + 3 * 64 * H + 8 * H + 8)},
        /* H = 256, 2 layers, 4 experts of 160 and one shared; block scales are not parameters */
        {"datasets/golden/deepseek-v3-fp8", 2 * 512 * 256 + 5 * 256 +
                                                2 * (80 * 256 + 64 + 256 * 64 + 256 * 128 + 96 * 256 + 96 + 192 * 96) +
                                                3 * 320 * 256 + (4 + 1) * 3 * 160 * 256 + 4 * 256 + 4},
        /* V = 3072, H = 256, 6 layers; 8 heads of 32+16 and 32, ranks 96 and 64; 8 experts of 128 and one shared */
        {"datasets/deepseek-v3-tiny", 2 * 3072 * 256 + 13 * 256 +
                                          6 * (80 * 256 + 64 + 512 * 64 + 256 * 256 + 96 * 256 + 96 + 384 * 96) +
                                          3 * 704 * 256 + 5 * ((8 + 1) * 3 * 128 * 256 + 8 * 256 + 8)},
        /* 8 heads and 2 key/value heads of 32, biases on q, k and v */
        {"datasets/qwen2-tiny",
         2 * 3072 * 256 + 13 * 256 + 6 * (2 * 256 * 256 + 2 * 64 * 256 + 256 + 64 + 64 + 3 * 768 * 256)},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        checkpoint *c = NULL;
        CHECK(checkpoint_open(table[i].path, &c) == CIUIC_OK, "%s", ciuic_last_error());
        if (c == NULL) continue;
        CHECK(checkpoint_parameters(c) == table[i].parameters, "%s: %zu parameters; expected %zu", table[i].path,
              checkpoint_parameters(c), table[i].parameters);
        CHECK(strcmp(checkpoint_path(c), table[i].path) == 0, "path %s", checkpoint_path(c));
        for (size_t j = 0; j < checkpoint_count(c); j++) {
            const tensor *t = checkpoint_at(c, j);
            if (checkpoint_find(c, t->name) != t) CHECK(false, "%s is not found by its name", t->name);
        }
        checkpoint_release(c);
    }
}

/* w[r][k] = e4m3(q) * scale[r / 128][k / 128] by the plainest loop, over a matrix with partial blocks both ways. */
static void fp8_blocks_are_scaled(void)
{
    static const char name[] = "model.layers.1.mlp.experts.2.down_proj.weight"; /* [256, 160]: 2 x 2 blocks, 32 wide */
    checkpoint *c = NULL;
    CU_ASSERT_FATAL(checkpoint_open(fp8, &c) == CIUIC_OK);
    const tensor *codes = checkpoint_find(c, name);
    const tensor *scales = checkpoint_find(c, "model.layers.1.mlp.experts.2.down_proj.weight_scale_inv");
    CU_ASSERT_FATAL(codes != NULL && scales != NULL && codes->shape[1] == 160);
    static float rows[256 * 160];
    CHECK(checkpoint_read_f32(c, name, 0, 256, rows) == CIUIC_OK, "%s", ciuic_last_error());
    size_t wrong = 0, nonzero = 0;
    for (size_t r = 0; r < 256; r++) {
        for (size_t k = 0; k < 160; k++) {
            float scale;
            memcpy(&scale, (const char *)scales->data + 4 * ((r / 128) * 2 + k / 128), 4);
            const float expected = float_from_e4m3(((const uint8_t *)codes->data)[r * 160 + k]) * scale;
            wrong += rows[r * 160 + k] != expected;
            nonzero += expected != 0;
        }
    }
    CHECK(wrong == 0 && nonzero > 256 * 160 / 2, "%zu of %d differ, %zu are not 0", wrong, 256 * 160, nonzero);
    float two[2 * 160];
    CHECK(checkpoint_read_f32(c, name, 127, 2, two) == CIUIC_OK && memcmp(two, rows + 127 * 160, sizeof two) == 0,
          "rows across a block's edge differ");
    checkpoint_release(c);
}

/* The first values of two tensors, decoded by hand from the bytes of the files. */
static void values_known_by_hand(void)
{
    checkpoint *c = NULL;
    float row[256], vector[3];
    CU_ASSERT_FATAL(checkpoint_open(v3_tiny, &c) == CIUIC_OK);
    const tensor *t = checkpoint_find(c, "model.norm.weight");
    CHECK(checkpoint_read_f32(c, "model.norm.weight", 253, 3, vector) == CIUIC_OK, "%s", ciuic_last_error());
    for (size_t i = 0; i < 3; i++) {
        const unsigned char *b = (const unsigned char *)t->data + 2 * (253 + i);
        /* BF16: 1 sign, 8 exponent and 7 mantissa bits */
        const int exponent = (b[1] & 0x7f) << 1 | b[0] >> 7;
        const double value = (b[1] & 0x80 ? -1 : 1) * ldexp(128 + (b[0] & 0x7f), exponent - 127 - 7);
        CHECK((double)vector[i] == value, "norm[%zu] is %g; expected %g", 253 + i, (double)vector[i], value);
    }
    CHECK(checkpoint_read_f32(c, "lm_head.weight", 3071, 1, row) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(checkpoint_read_f32(c, "lm_head.weight", 3072, 0, row) == CIUIC_OK, "no rows at the end");
    CHECK(checkpoint_read_f32(c, "lm_head.weight", 3072, 1, row) == CIUIC_ERROR_USAGE, "a row beyond the end");
    CHECK(checkpoint_read_f32(c, "lm_head.weight", 1, SIZE_MAX, row) == CIUIC_ERROR_USAGE, "overflow");
    CHECK(checkpoint_read_f32(c, "nobody", 0, 1, row) == CIUIC_ERROR_USAGE &&
              strstr(ciuic_last_error(), "nobody") != NULL,
          "%s", ciuic_last_error());
    checkpoint *second = checkpoint_retain(c);
    checkpoint_release(c);
    CHECK(checkpoint_read_f32(second, "lm_head.weight", 0, 1, row) == CIUIC_OK, "retained, and gone all the same");
    checkpoint_release(second);
    checkpoint_release(NULL);
}

/* ---- copies of a checkpoint with one thing changed -------------------------------------------------------------- */

static temporary_folder folder;

#define LAYER0 "model.layers.0."
#define LAYER1 "model.layers.1."

/* Opens a copy of `base` with the changes made; the folder stays until the caller removes it. */
static ciuic_status open_changed(const char *base, const checkpoint_change *edits, size_t count, checkpoint **c)
{
    temporary_folder_create(&folder);
    changed_checkpoint_write(base, edits, count, folder.path);
    return checkpoint_open(folder.path, c);
}

static void harmless_extras_are_ignored(void)
{
    static const size_t head = 512 * 128;
    static const struct {
        const char *base;
        checkpoint_change edits[4];
        size_t fewer; /* parameters than in `base` */
    } table[] = {
        {llama, {{COPY, "model.norm.weight", LAYER1 "self_attn.rotary_emb.inv_freq"}}, 0},
        {llama, {{CONFIG, "tie_word_embeddings", "true"}}, head},
        {llama, {{CONFIG, "tie_word_embeddings", "true"}, {DROP, "lm_head.weight", NULL}}, head},
        /* multi-token prediction: announced by the config, or known by its projection */
        {v3, {{COPY, "model.norm.weight", "model.layers.3.input_layernorm.weight"}}, 0},
        {v3_tiny,
         {{COPY, "model.norm.weight", "model.layers.6.enorm.weight"},
          {COPY, "lm_head.weight", "model.layers.6.eh_proj.weight"},
          {COPY, "lm_head.weight", "model.layers.6.embed_tokens.weight"}},
         0},
        {llama, {{AS_TYPE, LAYER0 "mlp.up_proj.weight", "BF16"}}, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        checkpoint *c = NULL, *plain = NULL;
        CU_ASSERT_FATAL(checkpoint_open(table[i].base, &plain) == CIUIC_OK);
        CHECK(open_changed(table[i].base, table[i].edits, 4, &c) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(c != NULL && checkpoint_parameters(c) + table[i].fewer == checkpoint_parameters(plain),
              "%s %s: other parameters", table[i].base, table[i].edits[0].target);
        checkpoint_release(c);
        checkpoint_release(plain);
        temporary_folder_remove(&folder);
    }
}

/* A used config with random damage, and the tensors as they were: refused by name or opened, never a crash. */
static void damaged_configs_never_crash(void)
{
    temporary_folder_create(&folder);
    changed_checkpoint_write(fp8, NULL, 0, folder.path);
    char path[TEST_PATH];
    size_t bytes = 0;
    char *text = read_bytes(temporary_path(&folder, "config.json", path), &bytes);
    FILE *stream = fopen(path, "r+b");
    CU_ASSERT_FATAL(stream != NULL);
    unsigned long long state = test_seed();
    size_t opened = 0, bad = 0;
    for (int i = 0; i < 3000; i++) {
        const size_t at = random_next(&state) % bytes;
        fseek(stream, (long)at, SEEK_SET);
        fputc(random_next(&state) % 2 ? "0123456789-.e\"{}[],:"[random_next(&state) % 20]
                                      : (int)(random_next(&state) & 0xff),
              stream);
        fflush(stream);
        checkpoint *c = NULL;
        const ciuic_status status = checkpoint_open(folder.path, &c);
        opened += status == CIUIC_OK;
        if (status != CIUIC_OK &&
            (status != CIUIC_ERROR_INPUT || strncmp(ciuic_last_error(), folder.path, strlen(folder.path)) != 0)) {
            bad++;
            CHECK(false, "byte %zu: status %d: %s", at, (int)status, ciuic_last_error());
        }
        checkpoint_release(c);
        fseek(stream, (long)at, SEEK_SET);
        fputc(text[at], stream);
        fflush(stream);
    }
    CHECK(bad == 0 && opened > 0, "%zu were neither opened nor refused by name; %zu opened", bad, opened);
    fclose(stream);
    free(text);
    temporary_folder_remove(&folder);
}

static const test_case cases[] = {
    {"parameters of every dataset", parameters_of_every_dataset},
    {"FP8 blocks are scaled", fp8_blocks_are_scaled},
    {"values known by hand", values_known_by_hand},
    {"harmless extras are ignored", harmless_extras_are_ignored},
    {"damaged configs never crash", damaged_configs_never_crash},
};
TEST_SUITE(checkpoint, cases);
