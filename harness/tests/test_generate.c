/* test_generate.c - `ciuic generate` from outside, against greedy texts that another program made; and the sampler alone. */
#include <cjson/cJSON.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/generate/sampler.h"
#include "harness/split_mix.h"
#include "harness/tests/bench_fixture.h"
#include "harness/tests/program.h"
#include "optimizer/checkpoint/safetensors.h"
#include "optimizer/checkpoint/safetensors_writer.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

enum { PROMPT = 16, TEXT = 32, LIST = 16384 };

/* Runs ciuic with --json; NULL, and the test fails, when it does not succeed quietly. */
static cJSON *run_json(const char *const *arguments)
{
    program_run run = program(arguments, NULL);
    cJSON *json = run.status == 0 ? cJSON_ParseWithOpts(run.out, NULL, true) : NULL;
    CHECK(json != NULL && run.err[0] == '\0', "status %d: %s %s", run.status, run.err, run.out);
    program_run_free(&run);
    return json;
}

static const cJSON *text_at(const cJSON *json, int index)
{
    return cJSON_GetArrayItem(json_find(json, "texts"), index);
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = json_find(object, key);
    return json_is_number(item) ? item->valuedouble : -1;
}

/* "1,2,3" */
static void write_list(const int32_t *ids, size_t n, char list[LIST])
{
    size_t used = 0;
    for (size_t i = 0; i < n; i++)
        used += (size_t)snprintf(list + used, LIST - used, "%s%d", i > 0 ? "," : "", (int)ids[i]);
}

static bool read_ids(const char *folder, const char *name, size_t n, int32_t *ids)
{
    char path[256];
    safetensors *file = NULL;
    snprintf(path, sizeof path, "%s/golden.safetensors", folder);
    const ciuic_status status = safetensors_open(path, &file);
    const tensor *t = status == CIUIC_OK ? safetensors_find(file, name) : NULL;
    const bool found = t != NULL && t->count >= n;
    CHECK(found, "%s: %s", path, name);
    if (found) memcpy(ids, t->data, n * sizeof *ids);
    safetensors_close(file);
    return found;
}

static size_t count_equal(const cJSON *ids, const int32_t *expected, size_t n)
{
    size_t i = 0;
    for (const cJSON *id = ids != NULL ? ids->child : NULL; id != NULL && i < n; id = id->next, i++)
        if (!json_is_number(id) || id->valuedouble != (double)expected[i]) break;
    return i;
}

/* greedy_ids are by transformers, each token by a forward pass over all before it, without a cache. */
static void greedy_texts_are_those_of_transformers(void)
{
    static const char *const folders[] = {"deepseek-llm",     "deepseek-coder", "r1-distill-qwen",
                                          "r1-distill-llama", "r1-0528-qwen3",  "deepseek-v2-lite",
                                          "deepseek-v2",      "deepseek-v3",    "deepseek-v3-fp8"};
    /* The reference, and FP32 weights' rounding away from it: the graph stage and the best kernels. */
    static const char *const stages[] = {"none,off,off,c", "none,on,off,c"};
    for (size_t f = 0; f < sizeof folders / sizeof folders[0]; f++)
        for (size_t s = 0; s < 2; s++) {
            char folder[128], list[LIST];
            int32_t ids[TEXT];
            snprintf(folder, sizeof folder, "datasets/golden/%s", folders[f]);
            if (!read_ids(folder, "greedy_ids", TEXT, ids)) continue;
            write_list(ids, PROMPT, list);
            cJSON *json = run_json((const char *const[]){"generate", folder, "--ids", list, "-n", "16", "--ignore-eos",
                                                         "--threads", "1", "--stages", stages[s], "--json", NULL});
            const cJSON *text = text_at(json, 0);
            CHECK(count_equal(json_find(text, "ids"), ids + PROMPT, TEXT - PROMPT) == TEXT - PROMPT &&
                      cJSON_GetArraySize(json_find(text, "ids")) == TEXT - PROMPT &&
                      strcmp(bench_text(text, "stopped_by"), "length") == 0,
                  "%s %s: %s", folder, stages[s], cJSON_PrintUnformatted(text));
            CHECK(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(json, "prefix_cache")), "%s: an undeclared cache",
                  folder);
            /* 15 of 16 tokens are decoded, and choosing them is no part of it. */
            CHECK(fabs(number(json, "decode_tokens_per_s") * number(text, "decode_s") - 15) < 1e-6 &&
                      number(text, "sampling_s") > 0 &&
                      fabs(number(json, "sampling_s_per_token") * 16 / number(text, "sampling_s") - 1) < 1e-9,
                  "%s", cJSON_PrintUnformatted(json));
            cJSON_Delete(json);
        }
}

/* Decoded step by step, and evaluated at once: with portable C and FP32 every row is the same bits, so that each token
 * generated is the argmax of the row that eval has before it. */
static void decoding_agrees_with_eval(void)
{
    static const char folder[] = "datasets/deepseek-v3-tiny";
    enum { N = 20 };
    int32_t ids[PROMPT + N];
    char list[LIST], *place = temporary_folder(), *path = bench_path(place, "ids.safetensors"),
                     *out = bench_path(place, "logits.safetensors");
    if (!read_ids(folder, "input_ids", PROMPT, ids)) return;
    write_list(ids, PROMPT, list);
    cJSON *json = run_json((const char *const[]){"generate", folder, "--ids", list, "-n", "20", "--ignore-eos",
                                                 "--threads", "1", "--json", NULL});
    size_t n = PROMPT;
    for (const cJSON *id = json_find(text_at(json, 0), "ids")->child; id != NULL && n < PROMPT + N; id = id->next)
        ids[n++] = (int32_t)id->valuedouble;
    CU_ASSERT_EQUAL(n, PROMPT + N);
    const tensor tensors[] = {
        {.name = "ids", .dtype = TENSOR_I32, .dims = 1, .shape = {n}, .count = n, .bytes = n * 4, .data = (void *)ids}};
    CHECK(safetensors_write(path, tensors, 1) == CIUIC_OK, "%s", ciuic_last_error());
    program_run run = program((const char *const[]){"eval", folder, "--ids", path, "--logits-out", out, "--threads",
                                                    "1", "--no-reference", NULL},
                              NULL);
    safetensors *file = NULL;
    CHECK(run.status == 0 && safetensors_open(out, &file) == CIUIC_OK, "%s", run.err);
    const tensor *logits = file != NULL ? safetensors_find(file, "logits") : NULL;
    for (size_t i = PROMPT - 1; logits != NULL && i + 1 < n; i++) {
        const size_t width = logits->shape[1];
        const float *row = (const float *)logits->data + i * width;
        size_t best = 0;
        for (size_t k = 1; k < width; k++)
            if (row[k] > row[best]) best = k;
        CHECK((int32_t)best == ids[i + 1], "position %zu: %zu, generated %d", i, best, (int)ids[i + 1]);
    }
    program_run_free(&run);
    safetensors_close(file);
    cJSON_Delete(json);
    free(path);
    free(out);
    remove_folder(place);
}

/* ---- a cache of prefixes ---------------------------------------------------------------------------------------- */

/* Three prompts that share 12 of 16 tokens, and a fourth that shares none. */
static void prefixes_are_computed_once(void)
{
    enum { ROWS = 4, SHARED = 12 };
    static const char folder[] = "datasets/golden/deepseek-v3";
    /* expand: portable C without absorbing gives the same bits. */
    static const char *const stages[] = {"none,off,off,c", "none,fuse-qkv,on,c"};
    char *place = temporary_folder(), *path = bench_path(place, "ids.safetensors");
    int32_t ids[ROWS][PROMPT];
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < PROMPT; i++) ids[r][i] = r == ROWS - 1 ? 400 + i : i < SHARED ? 20 + i : 100 * r + i;
    const tensor tensors[] = {{.name = "ids",
                               .dtype = TENSOR_I32,
                               .dims = 2,
                               .shape = {ROWS, PROMPT},
                               .count = ROWS * PROMPT,
                               .bytes = sizeof ids,
                               .data = (void *)ids}};
    CHECK(safetensors_write(path, tensors, 1) == CIUIC_OK, "%s", ciuic_last_error());
    for (size_t s = 0; s < 2; s++) {
        const char *const plain[] = {"generate",  folder, "--ids",    path,      "-n",     "8", "--ignore-eos",
                                     "--threads", "1",    "--stages", stages[s], "--json", NULL};
        const char *const cached[] = {"generate", folder,         "--ids",          path,   "-n",
                                      "8",        "--ignore-eos", "--threads",      "1",    "--stages",
                                      stages[s],  "--json",       "--prefix-cache", "4MiB", NULL};
        cJSON *without = run_json(plain), *with = run_json(cached);
        const cJSON *use = json_find(with, "prefix_cache");
        for (int r = 0; r < ROWS; r++) {
            CHECK(cJSON_Compare(json_find(text_at(without, r), "ids"), json_find(text_at(with, r), "ids"), true),
                  "%s: text %d differs", stages[s], r);
            const double expected = r == 1 || r == 2 ? SHARED : 0;
            CHECK(number(text_at(with, r), "reused_tokens") == expected &&
                      number(text_at(without, r), "reused_tokens") == 0,
                  "%s: text %d reused %g", stages[s], r, number(text_at(with, r), "reused_tokens"));
        }
        CHECK(cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(without, "prefix_cache")), "an undeclared cache");
        CHECK(number(use, "hits") == 2 && number(use, "lookups") == ROWS &&
                  number(use, "tokens_reused") == 2 * SHARED &&
                  number(use, "tokens_computed") == ROWS * PROMPT - 2 * SHARED &&
                  number(use, "bytes") <= number(use, "capacity") && number(use, "capacity") == 4 << 20,
              "%s", cJSON_PrintUnformatted(use));
        cJSON_Delete(without);
        cJSON_Delete(with);
    }
    free(path);
    remove_folder(place);
}

/* ---- ends ------------------------------------------------------------------------------------------------------- */

/* The golden folder's text with generation_config.json of our own: it ends at that id, which is its last. */
static void texts_end_where_they_are_to(void)
{
    static const char folder[] = "datasets/golden/r1-distill-qwen";
    static const char *const formats[] = {"{\"eos_token_id\": %d}", "{\"eos_token_id\": [5, %d]}"};
    int32_t ids[TEXT];
    char list[LIST], root[PATH_MAX];
    if (!read_ids(folder, "greedy_ids", TEXT, ids) || getcwd(root, sizeof root) == NULL) return;
    size_t at = PROMPT + 3;
    for (size_t i = PROMPT; i < at; i++)
        CHECK(ids[i] != ids[at] && ids[i] != 5, "the text repeats: choose another place");
    write_list(ids, PROMPT, list);
    for (size_t f = 0; f < 2; f++) {
        char *place = temporary_folder(), target[PATH_MAX + 128];
        static const char *const files[] = {"config.json", "model.safetensors"};
        for (size_t i = 0; i < 2; i++) {
            char *link = bench_path(place, files[i]);
            snprintf(target, sizeof target, "%s/%s/%s", root, folder, files[i]);
            CHECK(symlink(target, link) == 0, "%s", link);
            free(link);
        }
        char *config = bench_path(place, "generation_config.json");
        FILE *file = fopen(config, "w");
        CU_ASSERT_PTR_NOT_NULL_FATAL(file);
        fprintf(file, f == 0 ? formats[0] : formats[1], (int)ids[at]);
        fclose(file);
        cJSON *json = run_json((const char *const[]){"generate", place, "--ids", list, "--json", NULL});
        const cJSON *text = text_at(json, 0);
        CHECK(cJSON_GetArraySize(json_find(text, "ids")) == 4 && strcmp(bench_text(text, "stopped_by"), "eos") == 0,
              "%s", cJSON_PrintUnformatted(text));
        cJSON_Delete(json);
        free(config);
        remove_folder(place);
    }
    /* 508 positions for the prompt leave 4: the fifth token is predicted by the last of them, and takes none. */
    int32_t longer[508];
    for (int i = 0; i < 508; i++) longer[i] = i % 500;
    write_list(longer, 508, list);
    cJSON *json = run_json((const char *const[]){"generate", folder, "--ids", list, "--ignore-eos", "--json", NULL});
    const cJSON *text = text_at(json, 0);
    CHECK(cJSON_GetArraySize(json_find(text, "ids")) == 5 && strcmp(bench_text(text, "stopped_by"), "context") == 0,
          "%s", cJSON_PrintUnformatted(text));
    cJSON_Delete(json);
    program_run run = program((const char *const[]){"generate", folder, "--ids", list, "--ignore-eos", NULL}, NULL);
    CHECK(run.status == 0 && strstr(run.err, "end of the model's 512 positions") != NULL && count_lines(run.out) == 1,
          "%s", run.err);
    program_run_free(&run);
}

static const struct {
    const char *arguments[8];
    int status;
    const char *says;
} refusals[] = {
    {{NULL}, 2, "--ids is missing"},
    {{"--prompt", "Hello"}, 2, "--ids"},
    {{"--ids", "1,2,512"}, 2, "number 3"},
    {{"--ids", "1,,2"}, 2, "number 2"},
    {{"--ids", "-1"}, 2, "number 1"},
    {{"--ids", "1 2"}, 2, "with a comma"},
    {{"--ids", "no-such.safetensors"}, 3, "no-such.safetensors"},
    {{"--ids", "datasets/golden/deepseek-v3/golden.safetensors:logits"}, 3, "expected I32"},
    {{"--ids", "1", "-n", "0"}, 2, "--tokens"},
    {{"--ids", "1", "--top-k", "4"}, 2, "add --temperature"},
    {{"--ids", "1", "--seed", "4"}, 2, "add --temperature"},
    {{"--ids", "1", "--temperature", "0"}, 2, "above 0"},
    {{"--ids", "1", "--temperature", "nan"}, 2, "above 0"},
    {{"--ids", "1", "--temperature", "1", "--top-p", "1.5"}, 2, "at most 1"},
    {{"--ids", "1", "--prefix-cache", "some"}, 2, "--prefix-cache 'some'"},
    {{"--ids", "1", "--run-limit", "1MiB"}, 4, "needs"},
    {{"--ids", "1", "--memory-limit", "1MiB"}, 2, "--run-limit"},
};

static void bad_input_is_refused_by_name(void)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        const char *arguments[12] = {"generate", "datasets/golden/deepseek-v3"};
        for (size_t k = 0; k < 8; k++) arguments[2 + k] = refusals[i].arguments[k];
        program_run run = program(arguments, NULL);
        CHECK(run.status == refusals[i].status && strstr(run.err, refusals[i].says) != NULL && run.out[0] == '\0',
              "%zu: status %d: %s", i, run.status, run.err);
        program_run_free(&run);
    }
}

/* What was said to be enough is, a cache of prefixes included. */
static void a_run_keeps_its_limit(void)
{
    static const char *const run_arguments[] = {"generate",
                                                "datasets/qwen2-tiny",
                                                "--ids",
                                                "1,2,3,4,5,6,7,8",
                                                "-n",
                                                "40",
                                                "--threads",
                                                "1",
                                                "--stages",
                                                "int4,on,aggressive,best",
                                                "--prefix-cache",
                                                "1MiB"};
    const char *arguments[16];
    char bytes[32];
    memcpy(arguments, run_arguments, sizeof run_arguments);
    arguments[12] = "--needs";
    arguments[13] = "--json";
    arguments[14] = NULL;
    cJSON *json = run_json(arguments);
    CHECK(number(json, "needed") > 1 << 20, "needs nothing");
    snprintf(bytes, sizeof bytes, "%.0f", number(json, "needed"));
    arguments[12] = "--run-limit";
    arguments[13] = bytes;
    program_run run = program(arguments, NULL);
    CHECK(run.status == 0, "in %s bytes: %s", bytes, run.err);
    program_run_free(&run);
    /* Whether it fits is a question, too. */
    for (int less = 0; less < 2; less++) {
        snprintf(bytes, sizeof bytes, "%.0f", number(json, "needed") - less);
        arguments[14] = "--needs";
        arguments[15] = NULL;
        run = program(arguments, NULL);
        CHECK(run.status == less && (strstr(run.err, "and the limit is") != NULL) == (less == 1) &&
                  strstr(run.out, less == 1 ? "does not fit" : "it fits") != NULL,
              "status %d: %s %s", run.status, run.out, run.err);
        program_run_free(&run);
    }
    cJSON_Delete(json);
}

/* What a text of so many positions needs, and which is the longest within `limit`, 0 without one. */
static void ask_needs(const char *folder, const char *stages, size_t positions, size_t limit, size_t *needed,
                      size_t *longest)
{
    char tokens[32], bytes[32];
    snprintf(tokens, sizeof tokens, "%zu", positions - 3 + 1); /* the last one is not appended */
    snprintf(bytes, sizeof bytes, "%zu", limit);
    program_run run = program((const char *const[]){"generate", folder, "--ids", "5,6,7", "-n", tokens, "--stages",
                                                    stages, "--threads", "2", "--needs", "--json",
                                                    limit > 0 ? "--run-limit" : NULL, bytes, NULL},
                              NULL);
    cJSON *json = cJSON_ParseWithOpts(run.out, NULL, true);
    *needed = (size_t)number(json, "needed");
    CHECK(run.status == (limit > 0 && *needed > limit ? 1 : 0), "%zu of %zu bytes: status %d: %s", *needed, limit,
          run.status, run.err);
    program_run_free(&run);
    *longest = (size_t)number(json, "longest_context");
    CHECK(number(json, "context") == (double)positions, "a context of %g, expected %zu", number(json, "context"),
          positions);
    cJSON_Delete(json);
}

/* The longest context that is told fits, and one more does not; it is the same whichever context was asked for. */
static void the_longest_context_is_the_longest(void)
{
    static const char *const folders[] = {"datasets/deepseek-v3-tiny", "datasets/qwen2-tiny"};
    static const char *const stages[] = {"none,off,off,c", "none,on,on,best", "int4,on,aggressive,best"};
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++)
        for (size_t j = 0; j < sizeof stages / sizeof *stages; j++) {
            size_t of_100, needed, longest, again, unused;
            ask_needs(folders[i], stages[j], 100, 0, &of_100, &unused);
            const size_t limit = of_100 + of_100 / 40;
            ask_needs(folders[i], stages[j], 100, limit, &needed, &longest);
            ask_needs(folders[i], stages[j], 1000, limit, &needed, &again);
            CHECK(longest > 100 && longest < 2048 && longest == again, "%s, %s: %zu and %zu positions in %zu bytes",
                  folders[i], stages[j], longest, again, limit);
            ask_needs(folders[i], stages[j], longest, limit, &needed, &again);
            CHECK(needed <= limit && again == longest, "%s, %s: %zu positions need %zu of %zu bytes", folders[i],
                  stages[j], longest, needed, limit);
            ask_needs(folders[i], stages[j], longest + 1, limit, &needed, &again);
            CHECK(needed > limit, "%s, %s: one more position needs %zu of %zu bytes", folders[i], stages[j], needed,
                  limit);
            ask_needs(folders[i], stages[j], 100, of_100 / 2, &needed, &again);
            CHECK(again == 0, "%s, %s: %zu positions in half of what is needed", folders[i], stages[j], again);
        }
}

/* ---- the sampler ------------------------------------------------------------------------------------------------ */

static void draw_many(const sampler_options *o, const float *logits, size_t n, size_t draws, size_t *counts)
{
    sampler *s = NULL;
    CU_ASSERT_EQUAL_FATAL(sampler_create(o, n, &s), CIUIC_OK);
    for (size_t i = 0; i < n; i++) counts[i] = 0;
    for (size_t i = 0; i < draws; i++) {
        int32_t id = -1;
        CU_ASSERT_EQUAL_FATAL(sampler_pick(s, logits, &id), CIUIC_OK);
        CU_ASSERT_FATAL(id >= 0 && (size_t)id < n);
        counts[id]++;
    }
    sampler_free(s);
}

/* Shares of n = 40000 draws lie within 5 standard deviations, sqrt(p (1 - p) / n) <= 0.0025 each, of the probabilities: off by
 * more than 0.0125 once in 1.7 million. */
static void draws_have_their_probabilities(void)
{
    enum { N = 5, DRAWS = 40000 };
    static const float logits[N] = {0.0f, 2.0f, 1.0f, -1.0f, 1.0f};
    static const struct {
        sampler_options options;
        int kept; /* of the order 1, 2, 4, 0, 3 */
    } table[] = {{{.temperature = 1, .top_p = 1}, 5},
                 {{.temperature = 0.5, .top_p = 1}, 5},
                 {{.temperature = 1, .top_k = 2, .top_p = 1}, 2},
                 /* e^2, e, e, 1, 1/e over their sum 14.19: 0.521, 0.192, 0.192, 0.070, 0.026 */
                 {{.temperature = 1, .top_p = 0.52}, 1},
                 {{.temperature = 1, .top_p = 0.53}, 2},
                 {{.temperature = 1, .top_k = 4, .top_p = 0.99}, 4}};
    static const int order[N] = {1, 2, 4, 0, 3};
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        sampler_options o = table[i].options;
        size_t counts[N];
        double sum = 0;
        o.seed = test_seed();
        draw_many(&o, logits, N, DRAWS, counts);
        for (int k = 0; k < table[i].kept; k++) sum += exp((double)logits[order[k]] / o.temperature);
        for (int k = 0; k < N; k++) {
            const double p = k < table[i].kept ? exp((double)logits[order[k]] / o.temperature) / sum : 0;
            const double share = (double)counts[order[k]] / DRAWS;
            CHECK(k < table[i].kept ? fabs(share - p) < 0.0125 : counts[order[k]] == 0, "row %zu, id %d: %g of %g", i,
                  order[k], share, p);
        }
    }
}

static void draws_are_repeatable_and_greedy_is_first(void)
{
    static const float logits[4] = {1.0f, 3.0f, 3.0f, 2.0f};
    float broken[4] = {1.0f, (float)NAN, 0.0f, 0.0f};
    const sampler_options drawn = {.temperature = 2, .top_p = 1, .seed = 9}, greedy = {.top_p = 1};
    sampler *s = NULL;
    int32_t first[3][20], id = -1;
    size_t same = 0;
    CU_ASSERT_EQUAL_FATAL(sampler_create(&drawn, 4, &s), CIUIC_OK);
    for (int text = 0; text < 3; text++) {
        sampler_restart(s, text == 2 ? 0 : (size_t)text);
        for (int i = 0; i < 20; i++) CU_ASSERT_EQUAL(sampler_pick(s, logits, &first[text][i]), CIUIC_OK);
    }
    for (int i = 0; i < 20; i++) {
        CU_ASSERT_EQUAL(first[0][i], first[2][i]);
        same += first[0][i] == first[1][i];
    }
    CHECK(same < 20, "two texts are drawn alike");
    CU_ASSERT_EQUAL(sampler_pick(s, broken, &id), CIUIC_ERROR_LIMIT);
    sampler_free(s);
    CU_ASSERT_EQUAL_FATAL(sampler_create(&greedy, 4, &s), CIUIC_OK);
    CU_ASSERT_EQUAL(sampler_pick(s, logits, &id), CIUIC_OK);
    CU_ASSERT_EQUAL(id, 1);
    CU_ASSERT_EQUAL(sampler_pick(s, broken, &id), CIUIC_ERROR_LIMIT);
    sampler_free(s);
}

/* The same draw with all candidates sorted: what sampler.c says of the order, of the sums and of the number drawn. */
typedef struct sorted_candidate {
    float logit;
    int32_t id;
} sorted_candidate;

static int likelier_first(const void *a, const void *b)
{
    const sorted_candidate *x = a, *y = b;
    if (x->logit != y->logit) return x->logit < y->logit ? 1 : -1;
    return x->id < y->id ? -1 : 1;
}

static int32_t draw_sorted(const sampler_options *o, uint64_t *state, const float *logits, size_t vocabulary)
{
    sorted_candidate *c = malloc(vocabulary * sizeof *c);
    double *weights = malloc(vocabulary * sizeof *weights), sum = 0, kept = 0, passed = 0;
    CU_ASSERT_FATAL(c != NULL && weights != NULL);
    for (size_t i = 0; i < vocabulary; i++) c[i] = (sorted_candidate){logits[i], (int32_t)i};
    qsort(c, vocabulary, sizeof *c, likelier_first);
    const size_t n = o->top_k > 0 && o->top_k < vocabulary ? o->top_k : vocabulary;
    for (size_t i = 0; i < n; i++) weights[i] = exp(((double)c[i].logit - (double)c[0].logit) / o->temperature);
    for (size_t i = 0; i < n; i++)
        sum += n < vocabulary ? weights[i] : exp(((double)logits[i] - (double)c[0].logit) / o->temperature);
    size_t count = 0, at = 0;
    while (count < n && (count == 0 || o->top_p >= 1 || kept < o->top_p * sum)) kept += weights[count++];
    const double drawn = (double)(split_mix_next(state) >> 11) * 0x1p-53 * (o->top_p < 1 ? kept : sum);
    for (passed = weights[0]; at + 1 < count && !(drawn < passed);) passed += weights[++at];
    const int32_t id = c[at].id;
    free(c);
    free(weights);
    return id;
}

/* Vocabularies of all small sizes and some larger, logits with and without equals, near and far apart. */
static void draws_are_those_of_a_sort(void)
{
    enum { LARGEST = 700, ROUNDS = 1500, DRAWS = 4 };
    static float logits[LARGEST];
    uint64_t state = test_seed();
    size_t wrong = 0;
    for (int round = 0; round < ROUNDS; round++) {
        const size_t n = 1 + (size_t)(split_mix_next(&state) % (round % 4 == 0 ? LARGEST : 40));
        const float spread = (float)(1 + split_mix_next(&state) % 20);
        const uint64_t values = round % 3 == 0 ? 5 : (uint64_t)1 << 24; /* of 5, most are equal */
        sampler_options o = {.temperature = 0.25 * (double)(1 + split_mix_next(&state) % 8),
                             .top_k = split_mix_next(&state) % 2 ? split_mix_next(&state) % (n + 2) : 0,
                             .top_p = split_mix_next(&state) % 2 ? 1 : 0.01 * (double)(1 + split_mix_next(&state) % 99),
                             .seed = split_mix_next(&state)};
        sampler *s = NULL;
        for (size_t i = 0; i < n; i++)
            logits[i] = spread * (float)(split_mix_next(&state) % values) / (float)(values - 1);
        CU_ASSERT_EQUAL_FATAL(sampler_create(&o, n, &s), CIUIC_OK);
        uint64_t drawn = o.seed; /* as sampler_restart(s, 0) has it */
        drawn = split_mix_next(&drawn);
        drawn = split_mix_next(&drawn);
        for (int i = 0; i < DRAWS; i++) {
            int32_t id = -1;
            CU_ASSERT_EQUAL_FATAL(sampler_pick(s, logits, &id), CIUIC_OK);
            const int32_t expected = draw_sorted(&o, &drawn, logits, n);
            if (id != expected && wrong++ == 0)
                CHECK(false, "round %d: %zu ids, temperature %g, top-k %zu, top-p %g: %d, sorted %d", round, n,
                      o.temperature, o.top_k, o.top_p, (int)id, (int)expected);
        }
        sampler_free(s);
    }
    CHECK(wrong == 0, "%zu draws of %d are not those of a sort", wrong, ROUNDS * DRAWS);
}

static const test_case cases[] = {
    {"greedy texts are those of transformers", greedy_texts_are_those_of_transformers},
    {"decoding agrees with eval", decoding_agrees_with_eval},
    {"prefixes are computed once", prefixes_are_computed_once},
    {"texts end where they are to", texts_end_where_they_are_to},
    {"bad input is refused by name", bad_input_is_refused_by_name},
    {"a run keeps its limit", a_run_keeps_its_limit},
    {"the longest context is the longest", the_longest_context_is_the_longest},
    {"draws have their probabilities", draws_have_their_probabilities},
    {"draws are those of a sort", draws_are_those_of_a_sort},
    {"draws are repeatable, and greedy is first", draws_are_repeatable_and_greedy_is_first},
};
TEST_SUITE(generate, cases);
