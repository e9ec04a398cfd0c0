/* test_optimize_input.c - `ciuic optimize` of weights that are odd or no numbers, on a full disk, and interrupted: what can be
 * done is done, what cannot is named, and nothing half-written is left. */
#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/tests/place_fixture.h"
#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/tests/changed_checkpoint.h"
#include "optimizer/tests/runner.h"

#define QWEN2 "datasets/golden/r1-distill-qwen"
#define V3 "datasets/golden/deepseek-v3"
#define TRAINED "datasets/deepseek-v3-tiny"
#define IDS "--threads=1", "--calibration", "@/calibration.safetensors:ids", "--verify", "@/verify.safetensors:ids"

enum { VOCABULARY = 512, FILES_OF_IDS = 2 };

static test_place place_with_ids(void)
{
    test_place p = place_open();
    place_scatter_ids(&p, "calibration.safetensors", 8, 64, VOCABULARY, 1);
    place_scatter_ids(&p, "verify.safetensors", 2, 48, VOCABULARY, 2);
    return p;
}

/* A changed copy in the place, called "source". */
static void put_source(const test_place *p, const char *base, const checkpoint_change *edits, size_t count)
{
    char path[PLACE_PATH];
    snprintf(path, sizeof path, "%s/source", p->folder);
    CU_ASSERT_EQUAL_FATAL(mkdir(path, 0777), 0);
    changed_checkpoint_write(base, edits, count, path);
}

/* ---- odd weights ------------------------------------------------------------------------------------------------ */

/* The largest distance of a matrix's values from one number, in the folder "made". */
static double distance(const test_place *p, const char *name, float from)
{
    enum { ROWS = 384, COLUMNS = 384 };
    static float values[ROWS * COLUMNS];
    char path[PLACE_PATH];
    checkpoint *c = NULL;
    double largest = 0;
    snprintf(path, sizeof path, "%s/made", p->folder);
    if (checkpoint_open(path, &c) != CIUIC_OK || checkpoint_read_f32(c, name, 0, 128, values) != CIUIC_OK) {
        CHECK(false, "%s", ciuic_last_error());
        return INFINITY;
    }
    checkpoint_release(c);
    for (size_t i = 0; i < 128 * (size_t)128; i++) {
        const double d = fabs((double)values[i] - (double)from);
        largest = d <= largest ? largest : d; /* a NaN becomes the largest */
    }
    return largest;
}

/* All zeros stay so, and the second moments behind them are 0 as well. A constant is the extreme of its group, so that a scale
 * hits it: 0.5 / 8, 0.5 / 4 are exact in binary16. gptq promises no weights: it makes up for what was lost before the matrix.
 * The logits' deviation is 1 or so, and the divergence of those of another model would be 1. */
static void zero_and_constant_tensors_are_quantised(void)
{
    static const char zero[] = "model.layers.0.mlp.up_proj.weight",
                      constant[] = "model.layers.1.self_attn.o_proj.weight";
    static const struct {
        const char *quantize, *quantizer;
        bool exact;
    } ways[] = {{"--quantize=affine4", NULL, true},
                {"--quantize=int4", "--quantizer=rtn", true},
                {"--quantize=int4", "--quantizer=clip", true},
                {"--quantize=int3", "--quantizer=awq", true},
                {"--quantize=int5", "--quantizer=gptq", false},
                {"--bits=5", NULL, false}};
    static const checkpoint_change edits[] = {{FILL, zero, "0"},
                                              {FILL, constant, "0.5"},
                                              {FILL, "model.layers.2.self_attn.k_proj.bias", "0"},
                                              {FILL, "model.layers.2.input_layernorm.weight", "1"}};
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++) {
        test_place p = place_with_ids();
        put_source(&p, QWEN2, edits, sizeof edits / sizeof edits[0]);
        cJSON *json = place_run_json(&p, (const char *const[]){"optimize", "@/source", "-o", "@/made", "--json", IDS,
                                                               ways[i].quantize, ways[i].quantizer, NULL});
        const double kl = place_number(cJSON_GetObjectItemCaseSensitive(json, "verified"), "kl");
        CHECK(kl >= 0 && kl < 0.5, "%s: KL %g", ways[i].quantize, kl);
        CHECK(distance(&p, zero, 0) == 0, "%s: zeros became %g", ways[i].quantize, distance(&p, zero, 0));
        const double off = distance(&p, constant, 0.5F);
        CHECK(off == 0 || !ways[i].exact, "%s: the constant is off by %g", ways[i].quantize, off);
        cJSON_Delete(json);
        place_close(&p);
    }
}

/* ---- weights that are no numbers -------------------------------------------------------------------------------- */

static void what_is_no_number_is_named(void)
{
    static const struct {
        const char *base, *tensor, *value, *place;
    } rows[] = {
        {QWEN2, "model.layers.1.mlp.up_proj.weight", "129 nan", "[1][1] is NaN"},
        {QWEN2, "model.embed_tokens.weight", "65535 inf", "[511][127] is inf"},
        {QWEN2, "model.layers.2.input_layernorm.weight", "0 nan", "[0] is NaN"},
        {QWEN2, "model.layers.0.self_attn.k_proj.bias", "31 -inf", "[31] is -inf"},
        {V3, "model.layers.1.mlp.experts.7.down_proj.weight", "64 inf", "[1][0] is inf"},
        {V3, "model.layers.2.mlp.gate.e_score_correction_bias", "3 nan", "[3] is NaN"},
    };
    static const char *const ways[][3] = {{"--quantize=affine8", NULL, NULL},
                                          {"--quantize=int4", "--quantizer=rtn", NULL},
                                          {"--quantize=int4", "--quantizer=awq", NULL},
                                          {"--quantize=int4", NULL, NULL},
                                          {"--bits=5", NULL, NULL},
                                          {"--max-error=1", NULL, NULL}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        test_place p = place_with_ids();
        const checkpoint_change edit = {POKE, rows[i].tensor, rows[i].value};
        char says[256];
        put_source(&p, rows[i].base, &edit, 1);
        snprintf(says, sizeof says, "/source: tensor %s: value %s; expected a finite one", rows[i].tensor,
                 rows[i].place);
        for (size_t w = 0; w < sizeof ways / sizeof ways[0]; w++)
            place_check_refused(
                &p, (const char *const[]){"optimize", "@/source", "-o", "@/made", IDS, ways[w][0], ways[w][1], NULL}, 3,
                says, FILES_OF_IDS + 1);
        /* eval quantises by the same means, without the command's own precautions. */
        place_check_refused(&p,
                            (const char *const[]){"eval", "@/source", "--ids", "@/verify.safetensors:ids",
                                                  "--calibration", "@/calibration.safetensors:ids", "--quantize=int4",
                                                  "--quantizer=awq", NULL},
                            3, says, FILES_OF_IDS + 1);
        place_close(&p);
    }
}

/* ---- a full disk ------------------------------------------------------------------------------------------------ */

/* A limit on the size of files stands in for it, which the program inherits: writes beyond it fail the same way. */
static void a_full_disk_leaves_nothing(void)
{
    static const rlim_t limits[] = {2000, 100000, 300000};
    static const char *const ways[] = {"--quantizer=rtn", "--quantizer=gptq"};
    test_place p = place_with_ids();
    struct rlimit before;
    CU_ASSERT_FATAL(getrlimit(RLIMIT_FSIZE, &before) == 0);
    void (*const handler)(int) = signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        for (size_t w = 0; w < 2; w++) {
            const struct rlimit small = {.rlim_cur = limits[i], .rlim_max = before.rlim_max};
            setrlimit(RLIMIT_FSIZE, &small);
            place_check_refused(
                &p, (const char *const[]){"optimize", QWEN2, "-o", "@/new/made", IDS, "--quantize=int8", ways[w], NULL},
                4, "cannot be written: File too large; choose a writable place with enough space", FILES_OF_IDS);
            setrlimit(RLIMIT_FSIZE, &before);
        }
    signal(SIGXFSZ, handler);
    place_close(&p);
}

/* ---- interruption ----------------------------------------------------------------------------------------------- */

/* Files in the folders of the place. */
static size_t files_within(const test_place *p)
{
    size_t files = 0;
    DIR *folder = opendir(p->folder);
    for (const struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char path[PLACE_PATH];
        snprintf(path, sizeof path, "%s/%s", p->folder, entry->d_name);
        if (entry->d_name[0] != '.') files += count_files(path);
    }
    if (folder != NULL) closedir(folder);
    return files;
}

/* Interrupts a run on the trained model, which takes seconds, `delay_us` after its start, or, where that is 0, once it has
 * begun files. False: it did not listen yet. */
static bool interrupt(const char *const *arguments, unsigned delay_us, const char *says)
{
    test_place p = place_open();
    program_process process = place_start(&p, arguments);
    size_t begun = 0;
    for (int i = 0; i < 6000 && delay_us == 0 && begun == 0; i++) {
        usleep(10000);
        begun = files_within(&p);
    }
    usleep(delay_us);
    kill(process.pid, SIGINT);
    program_run run = program_wait(&process);
    const bool listened = run.status != 128 + SIGINT;
    if (listened) {
        CHECK(run.status == 5 && strstr(run.err, says) != NULL && count_lines(run.err) == 1, "status %d: %s",
              run.status, run.err);
        CHECK(delay_us > 0 || begun > 0, "nothing was begun");
        CHECK(run.out[0] == '\0', "stdout holds: %s", run.out);
    }
    CHECK(count_files(p.folder) == 0, "%zu entries are left", count_files(p.folder));
    program_run_free(&run);
    place_close(&p);
    return listened;
}

static void an_interrupt_leaves_no_temporary_folder(void)
{
    CHECK(interrupt((const char *const[]){"optimize", TRAINED, "-o", "@/made", "--quantize=int4", NULL}, 0,
                    "optimize: interrupted while quantising; nothing was written"),
          "it had begun files, and did not listen");
}

/* What an allocation needs is measured before anything is begun. The signal comes later and later until it is heard. */
static void an_interrupt_ends_measuring(void)
{
    bool listened = false;
    for (unsigned delay_us = 200000; !listened && delay_us <= 6400000; delay_us *= 2)
        listened = interrupt((const char *const[]){"optimize", TRAINED, "-o", "@/made", "--bits=4.8", NULL}, delay_us,
                             "optimize: interrupted while measuring");
    CHECK(listened, "it never listened");
}

static const test_case cases[] = {
    {"zero and constant tensors are quantised", zero_and_constant_tensors_are_quantised},
    {"what is no number is named", what_is_no_number_is_named},
    {"a full disk leaves nothing", a_full_disk_leaves_nothing},
    {"an interrupt leaves no temporary folder", an_interrupt_leaves_no_temporary_folder},
    {"an interrupt ends measuring", an_interrupt_ends_measuring},
};
TEST_SUITE(optimize_input, cases);
