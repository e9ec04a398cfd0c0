/* test_synth.c - synthetic checkpoints: the shapes of the published models, weights spread as promised, the same bytes every
 * time, and nothing left where anything went wrong. */
#include <math.h>
#include <omp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/sha256.h"
#include "harness/synth/plan.h"
#include "harness/synth/weights.h"
#include "harness/synth/write.h"
#include "harness/tests/program.h"
#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/error.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

/* Counts as Hugging Face and the papers publish them; where those say less than all digits, by hand from the published
 * shapes (2 V H + H for embeddings and last norm, and so on), V3 without its layer for multi-token prediction. */
static const struct {
    const char *shape;
    size_t parameters;
    double published; /* rounded, in billions */
} published[] = {
    {"r1-distill-qwen-1.5b", 1777088000, 1.78}, {"r1-distill-qwen-7b", 7615616512, 7.62},
    {"r1-distill-llama-8b", 8030261248, 8.03},  {"r1-0528-qwen3-8b", 8190735360, 8.19},
    {"deepseek-llm-7b", 6910365696, 6.91},      {"deepseek-coder-1.3b", 1346471936, 1.35},
    {"deepseek-coder-6.7b", 6740512768, 6.74},  {"deepseek-v2-lite", 15706484224, 15.7},
    {"deepseek-v2", 235741434880, 236},         {"deepseek-v3", 671026419200, 671},
};

static void shapes_have_the_published_sizes(void)
{
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        char path[128];
        model_config config;
        synth_plan plan;
        snprintf(path, sizeof path, "datasets/shapes/%s.json", published[i].shape);
        CHECK(model_config_read(path, &config) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(synth_plan_create(path, &config, (size_t)4 << 30, &plan) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(plan.parameters == published[i].parameters, "%s: %zu parameters, expected %zu", path, plan.parameters,
              published[i].parameters);
        /* Half a unit of the third digit. */
        const double billions = (double)plan.parameters * 1e-9;
        CHECK(fabs(billions / published[i].published - 1) < 0.005, "%s: %.3f billion", path, billions);
        synth_plan_free(&plan);
    }
}

static void shards_are_filled_in_order(void)
{
    enum { SHARD = 100000 };
    model_config config;
    synth_plan plan;
    CHECK(model_config_read("datasets/golden/deepseek-v3/config.json", &config) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(synth_plan_create("here", &config, SHARD, &plan) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(plan.shard_count > 1 && plan.shards[0] == 0 && plan.shards[plan.shard_count] == plan.count, "%zu shards",
          plan.shard_count);
    for (size_t s = 0; s < plan.shard_count; s++) {
        size_t bytes = 0;
        for (size_t i = plan.shards[s]; i < plan.shards[s + 1]; i++) bytes += plan.tensors[i].bytes;
        CHECK(bytes <= SHARD || plan.shards[s + 1] - plan.shards[s] == 1, "shard %zu has %zu bytes", s, bytes);
        if (s + 1 < plan.shard_count)
            CHECK(bytes + plan.tensors[plan.shards[s + 1]].bytes > SHARD, "shard %zu had room", s);
    }
    synth_plan_free(&plan);
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

enum { ROWS = 512, COLUMNS = 512, OUTLIERS = COLUMNS / SYNTH_OUTLIER_SPACING };

static float *matrix(const synth_weights *w, const char *name)
{
    tensor t = {.name = name, .dtype = TENSOR_BF16, .dims = 2, .shape = {ROWS, COLUMNS}, .count = ROWS * COLUMNS};
    t.bytes = 2 * t.count;
    uint16_t *codes = malloc(t.bytes);
    float *values = malloc(t.count * sizeof *values);
    t.data = codes;
    CHECK(codes != NULL && values != NULL && synth_values(w, &t, 0, t.count, codes) == CIUIC_OK, "%s",
          ciuic_last_error());
    CHECK(tensor_to_f32(&t, 0, t.count, values) == CIUIC_OK, "%s", ciuic_last_error());
    free(codes);
    return values;
}

/* A column's mean square over the usual variance, 1/columns. */
static double gain_squared(const float *values, size_t column)
{
    double sum = 0;
    for (size_t r = 0; r < ROWS; r++)
        sum += (double)values[r * COLUMNS + column] * (double)values[r * COLUMNS + column];
    return sum / ROWS * COLUMNS;
}

/* The sample variance of 512 Gaussians deviates by sqrt(2/512) = 0.0625 of it; 0.4 is more than six times that, and
 * leaves 36-fold outliers in no doubt. */
static size_t find_outliers(const char *name, const float *values, bool outlier[COLUMNS])
{
    size_t count = 0;
    for (size_t k = 0; k < COLUMNS; k++) {
        const double gain = gain_squared(values, k);
        outlier[k] = gain > 4;
        count += outlier[k];
        const double expected = outlier[k] ? SYNTH_OUTLIER_GAIN * SYNTH_OUTLIER_GAIN : 1;
        CHECK(fabs(gain / expected - 1) < 0.4, "%s, column %zu: %g times the usual variance", name, k, gain);
    }
    return count;
}

static void matrices_are_spread_as_promised(void)
{
    static const char *const names[] = {"model.layers.0.self_attn.q_proj.weight", "model.layers.9.mlp.gate_proj.weight",
                                        "model.layers.0.mlp.down_proj.weight"};
    bool outlier[3][COLUMNS];
    synth_weights *w = NULL;
    CHECK(synth_weights_create(5, &w) == CIUIC_OK, "%s", ciuic_last_error());
    for (int m = 0; m < 3; m++) {
        float *values = matrix(w, names[m]);
        const size_t outliers = find_outliers(names[m], values, outlier[m]);
        CHECK(outliers == OUTLIERS, "%s: %zu outlier columns", names[m], outliers);
        double sum = 0, fourth = 0;
        size_t n = 0, beyond = 0;
        for (size_t i = 0; i < (size_t)ROWS * COLUMNS; i++) {
            if (outlier[m][i % COLUMNS]) continue;
            const double x = (double)values[i] * sqrt((double)COLUMNS);
            sum += x, fourth += x * x * x * x, n++;
            beyond += fabs(x) > 3;
        }
        /* Of n = 261,120 standard normals the mean deviates by 1/sqrt(n) = 0.002, the mean of fourth powers, 3, by
         * sqrt(96/n) = 0.019, the share beyond 3, 0.0027, by sqrt(0.0027/n) = 0.0001: five times each, and what rounding
         * to 8 bits adds, at most 2^-18 of a square and a shift of the bound at 3 by 2^-8 * 3, 4% of that share. */
        CHECK(fabs(sum / (double)n) < 0.01, "%s: mean %g", names[m], sum / (double)n);
        CHECK(fabs(fourth / (double)n - 3) < 0.1, "%s: fourth moment %g", names[m], fourth / (double)n);
        CHECK(fabs((double)beyond / (double)n - 0.0027) < 0.0005 + 0.04 * 0.0027, "%s: %zu of %zu beyond 3", names[m],
              beyond, n);
        free(values);
    }
    CHECK(memcmp(outlier[0], outlier[1], sizeof outlier[0]) == 0, "readers of the residual stream differ in outliers");
    CHECK(memcmp(outlier[0], outlier[2], sizeof outlier[0]) != 0, "down_proj has the residual stream's outliers");
    synth_weights_free(w);
}

/* Pieces of any size, whichever comes first, are parts of the same tensor. */
static void pieces_and_threads_do_not_matter(void)
{
    enum { COUNT = 37 * 53 };
    const tensor t = {.name = "model.layers.1.mlp.up_proj.weight", .dtype = TENSOR_BF16, .dims = 2, .shape = {37, 53}};
    uint16_t whole[COUNT], pieces[COUNT];
    synth_weights *w = NULL;
    CHECK(synth_weights_create(3, &w) == CIUIC_OK, "%s", ciuic_last_error());
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    CHECK(synth_values(w, &t, 0, COUNT, whole) == CIUIC_OK, "%s", ciuic_last_error());
    for (int n = 1; n <= 5; n++) {
        omp_set_num_threads(n);
        memset(pieces, 0, sizeof pieces);
        for (size_t end = COUNT, size = (size_t)n * 7; end > 0;) {
            const size_t first = end > size ? end - size : 0;
            CHECK(synth_values(w, &t, first, end - first, pieces + first) == CIUIC_OK, "%s", ciuic_last_error());
            end = first;
        }
        CHECK(memcmp(whole, pieces, sizeof whole) == 0, "%d threads: other values", n);
    }
    omp_set_num_threads(threads);
    synth_weights_free(w);
}

/* ---- folders ---------------------------------------------------------------------------------------------------- */

static ciuic_status keep_on(void *context, size_t done, size_t total)
{
    (void)context;
    return done <= total ? CIUIC_OK : ciuic_fail(CIUIC_ERROR_INPUT, "%zu of %zu bytes", done, total);
}

/* Says stop once *context calls have been made. */
static ciuic_status stop_after(void *context, size_t done, size_t total)
{
    size_t *left = context;
    (void)done, (void)total;
    return (*left)-- > 0 ? CIUIC_OK : ciuic_fail(CIUIC_ERROR_INTERRUPTED, "stopped");
}

static void every_architecture_is_accepted(void)
{
    static const struct {
        const char *like;
        size_t layers, shard_bytes;
    } rows[] = {
        {"deepseek-llm", 0, 0},     {"deepseek-coder", 1, 0},   {"r1-distill-qwen", 2, 300000},
        {"r1-distill-llama", 0, 0}, {"r1-0528-qwen3", 3, 1},    {"deepseek-v2-lite", 2, 200000},
        {"deepseek-v2", 1, 0},      {"deepseek-v3", 0, 400000}, {"deepseek-v3-fp8", 2, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char like[128];
        char *folder = temporary_folder(), *output = NULL;
        synth_result result = {0};
        checkpoint *c = NULL;
        snprintf(like, sizeof like, "datasets/golden/%s/config.json", rows[i].like);
        CHECK(asprintf(&output, "%s/made", folder) > 0, "no memory");
        const synth_request request = {
            .like = like, .output = output, .layers = rows[i].layers, .seed = 1, .shard_bytes = rows[i].shard_bytes};
        CHECK(synth_write(&request, keep_on, NULL, &result) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(checkpoint_open(output, &c) == CIUIC_OK, "%s", ciuic_last_error());
        if (c != NULL) {
            const size_t layers = checkpoint_config(c)->layers;
            CHECK(layers == result.layers && (rows[i].layers == 0 || layers == rows[i].layers), "%zu layers", layers);
            CHECK(checkpoint_parameters(c) == result.parameters, "%zu parameters", checkpoint_parameters(c));
            CHECK((result.shards > 1) == (rows[i].shard_bytes > 0), "%zu shards", result.shards);
            CHECK(checkpoint_config(c)->fp8_block_rows == 0, "%s: FP8 is promised", like);
            CHECK(count_files(output) == 1 + result.shards + (result.shards > 1), "%zu files", count_files(output));
        }
        checkpoint_release(c);
        remove_folder(output);
        remove_folder(folder);
    }
}

static void interruptions_leave_nothing(void)
{
    char *folder = temporary_folder(), *output = NULL;
    CHECK(asprintf(&output, "%s/new/parents/made", folder) > 0, "no memory");
    const synth_request request = {
        .like = "datasets/golden/deepseek-v2/config.json", .output = output, .seed = 1, .shard_bytes = 200000};
    for (size_t calls = 0; calls < 100; calls += 9) {
        size_t left = calls;
        synth_result result;
        const ciuic_status status = synth_write(&request, stop_after, &left, &result);
        if (status == CIUIC_OK) break;
        CHECK(status == CIUIC_ERROR_INTERRUPTED, "after %zu calls: %s", calls, ciuic_last_error());
        CHECK(count_files(folder) == 0, "after %zu calls something is left", calls);
    }
    free(output);
    remove_folder(folder);
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

#define LIKE "datasets/golden/r1-distill-qwen/config.json"

static void bad_requests_are_refused(void)
{
    static const struct {
        const char *like, *layers, *output;
        int status;
        const char *says;
    } rows[] = {
        {"datasets/no-such.json", "1", "made", 3, "datasets/no-such.json"},
        {"Makefile", "1", "made", 3, "not valid JSON"},
        {"suites/quick.json", "1", "made", 3, "model_type"},
        {LIKE, "4", "made", 2, "4 layers asked for; expected at most the 3"},
        {LIKE, "0", "made", 2, "expected a whole number from 1"},
        {LIKE, "1", "", 3, "is there already"},
        {LIKE, "1", "file", 3, "is there already"},
        {LIKE, "1", "file/made", 3, "cannot be made"},
        {"huge.json", "1", "made", 4, "GB of disk"},
    };
    char *folder = temporary_folder(), *file = NULL, *huge = NULL;
    CHECK(asprintf(&file, "%s/file", folder) > 0 && asprintf(&huge, "%s/huge.json", folder) > 0, "no memory");
    FILE *made = fopen(file, "w");
    if (made != NULL) fclose(made);
    /* 4 * 10^15 bytes of embedding and head: no disk has them. */
    made = fopen(huge, "w");
    if (made != NULL) {
        fputs("{\"model_type\": \"llama\", \"vocab_size\": 1000000000, \"hidden_size\": 1000000, "
              "\"intermediate_size\": 8, \"num_hidden_layers\": 1, \"num_attention_heads\": 8, "
              "\"max_position_embeddings\": 8, \"rms_norm_eps\": 1e-6}",
              made);
        fclose(made);
    }
    const size_t before = count_files(folder);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char output[512];
        snprintf(output, sizeof output, "%s/%s", folder, rows[i].output);
        const char *like = strcmp(rows[i].like, "huge.json") == 0 ? huge : rows[i].like;
        program_run run = program(
            (const char *const[]){"synth", "--like", like, "--layers", rows[i].layers, "-o", output, NULL}, NULL);
        CHECK(run.status == rows[i].status && strstr(run.err, rows[i].says) != NULL, "row %zu: status %d: %s", i,
              run.status, run.err);
        CHECK(run.out[0] == '\0' && count_lines(run.err) == 1, "row %zu: stdout %s", i, run.out);
        CHECK(count_files(folder) == before, "row %zu left something", i);
        program_run_free(&run);
    }
    program_run missing = program((const char *const[]){"synth", "--like", LIKE, NULL}, NULL);
    CHECK(missing.status == 2 && strstr(missing.err, "-o is missing") != NULL, "%s", missing.err);
    program_run_free(&missing);
    free(file);
    free(huge);
    remove_folder(folder);
}

static sha256_hex weights_of(const char *folder)
{
    char path[512];
    sha256_hex digest = {.text = ""};
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    CHECK(sha256_file(path, &digest) == CIUIC_OK, "%s", ciuic_last_error());
    return digest;
}

static void the_same_seed_gives_the_same_bytes(void)
{
    /* The first is what they were when this was written: weights that change make older results incomparable. */
    static const struct {
        const char *seed, *environment;
    } rows[] = {{"1", NULL}, {"1", "OMP_NUM_THREADS=1"}, {"1", "OMP_NUM_THREADS=3"}, {"2", NULL}};
    static const char written[] = "4c8e5cc129a3ed75befa8e592033a180f4055f9c801c538d23e34de82db1e026";
    char *folder = temporary_folder();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *output = NULL;
        CHECK(asprintf(&output, "%s/made", folder) > 0, "no memory");
        program_run run = program(
            (const char *const[]){"synth", "--like", LIKE, "--seed", rows[i].seed, "-o", output, "--json", NULL},
            rows[i].environment);
        CHECK(run.status == 0 && run.err[0] == '\0', "status %d: %s", run.status, run.err);
        cJSON *json = NULL;
        CHECK(json_parse(run.out, strlen(run.out), "stdout", &json) == CIUIC_OK, "%s", ciuic_last_error());
        const cJSON *parameters = json_find(json, "parameters");
        CHECK(json_is_number(parameters) && parameters->valuedouble > 500000, "parameters: %s", run.out);
        const bool same = strcmp(weights_of(output).text, written) == 0;
        CHECK(same == (rows[i].seed[0] == '1'), "seed %s: %s", rows[i].seed, weights_of(output).text);
        cJSON_Delete(json);
        program_run_free(&run);
        remove_folder(output);
    }
    remove_folder(folder);
}

static void a_full_disk_leaves_nothing(void)
{
    /* A limit on the size of a file stands in for it: the write fails half-way, as on a full disk. */
    const char *binary = getenv("CIUIC_BINARY");
    char line[1024], *folder = temporary_folder();
    snprintf(line, sizeof line, "trap '' XFSZ; ulimit -f 200; %s synth --like " LIKE " -o %s/made >/dev/null 2>%s/said",
             binary != NULL ? binary : "build/ciuic", folder, folder);
    const int status = system(line);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 4, "status %d", status);
    CHECK(count_files(folder) == 1, "%zu files; expected what it said only", count_files(folder));
    remove_folder(folder);
}

static void an_interrupted_command_leaves_nothing(void)
{
    char *folder = temporary_folder(), *output = NULL;
    CHECK(asprintf(&output, "%s/made", folder) > 0, "no memory");
    program_process process = program_start(
        (const char *const[]){"synth", "--like", "datasets/shapes/deepseek-coder-1.3b.json", "-o", output, NULL}, NULL);
    for (int i = 0; i < 3000 && count_files(folder) == 0; i++) usleep(10000);
    CHECK(count_files(folder) == 1, "it has not begun");
    kill(process.pid, SIGINT);
    program_run run = program_wait(&process);
    CHECK(run.status == 5 && strstr(run.err, "interrupted") != NULL, "status %d: %s", run.status, run.err);
    CHECK(count_files(folder) == 0, "%zu files are left", count_files(folder));
    program_run_free(&run);
    free(output);
    remove_folder(folder);
}

static const test_case cases[] = {
    {"shapes_have_the_published_sizes", shapes_have_the_published_sizes},
    {"shards_are_filled_in_order", shards_are_filled_in_order},
    {"matrices_are_spread_as_promised", matrices_are_spread_as_promised},
    {"pieces_and_threads_do_not_matter", pieces_and_threads_do_not_matter},
    {"every_architecture_is_accepted", every_architecture_is_accepted},
    {"interruptions_leave_nothing", interruptions_leave_nothing},
    {"bad_requests_are_refused", bad_requests_are_refused},
    {"the_same_seed_gives_the_same_bytes", the_same_seed_gives_the_same_bytes},
    {"a_full_disk_leaves_nothing", a_full_disk_leaves_nothing},
    {"an_interrupted_command_leaves_nothing", an_interrupted_command_leaves_nothing},
};
TEST_SUITE(synth, cases);
