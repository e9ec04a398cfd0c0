/* test_eval.c - `ciuic eval` and `ciuic inspect` from outside: what they print, write, and refuse to write. */
#include <cjson/cJSON.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/tests/program.h"
#include "optimizer/atomic_file.h"
#include "optimizer/checkpoint/safetensors_writer.h"
#include "optimizer/tests/runner.h"

#define CHECKPOINT "datasets/golden/deepseek-v3"
#define GOLDEN CHECKPOINT "/golden.safetensors"

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
}

static bool is_null(const cJSON *object, const char *key)
{
    return cJSON_IsNull(cJSON_GetObjectItemCaseSensitive(object, key));
}

static bool is_text(const cJSON *object, const char *key, const char *expected)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsString(item) && strcmp(item->valuestring, expected) == 0;
}

/* Runs ciuic, which must succeed and print exactly one JSON object and nothing else. */
static cJSON *run_json(const char *const *arguments)
{
    program_run run = program(arguments, NULL);
    const char *end = NULL;
    CHECK(run.status == 0 && run.err[0] == '\0', "status %d: %s", run.status, run.err);
    cJSON *json = cJSON_ParseWithOpts(run.out, &end, true);
    CHECK(cJSON_IsObject(json), "no JSON object: %s", run.out);
    program_run_free(&run);
    return json;
}

static void the_reference_has_no_error_of_its_own(void)
{
    cJSON *json = run_json((const char *const[]){"eval", CHECKPOINT, "--ids", GOLDEN ":input_ids", "--json", NULL});
    CHECK(is_text(json, "reference", "self") && is_text(json, "variant", "fp16+c"), "%s", cJSON_Print(json));
    static const char *const compared[] = {"mean_abs_error", "max_abs_error", "relative_l2", "kl", "top1_agreement"};
    for (size_t i = 0; i < sizeof compared / sizeof compared[0]; i++)
        CHECK(is_null(json, compared[i]), "%s is not null", compared[i]);
    /* A mean over the vocabulary's log: any distribution's NLL is positive, and a random model's is near ln(512) = 6.2. */
    CHECK(number(json, "nll") > 0.0 && number(json, "nll") < 10.0, "nll %g", number(json, "nll"));
    CHECK(fabs(number(json, "perplexity") / exp(number(json, "nll")) - 1.0) < 1e-12, "perplexity is not exp(nll)");
    CHECK(number(json, "seconds") > 0.0 && number(json, "tokens_per_s") > 0.0, "no time was measured");
    const cJSON *memory = cJSON_GetObjectItemCaseSensitive(json, "memory_bytes");
    CHECK(number(memory, "peak_rss") > number(json, "weight_bytes") / 2, "peak_rss %g", number(memory, "peak_rss"));
    CHECK(number(memory, "total") == number(memory, "weights") + number(memory, "mapped") + number(memory, "kv_cache") +
                                         number(memory, "activations") + number(memory, "workspace") +
                                         number(memory, "other"),
          "the total is not the sum of its kinds");
    cJSON_Delete(json);
}

/* What was tagged and what the kernel saw are within 3% of each other, program, stacks and the rest of what is named aside.
 * AddressSanitizer's own memory is nobody's. */
static void memory_is_accounted_for(void)
{
    static const char *const stages[] = {"none,off,off,c", "none,on,on,best", "int8,on,on,best",
                                         "int4,on,aggressive,best"};
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        cJSON *json = run_json((const char *const[]){"eval", "datasets/qwen2-tiny", "--ids",
                                                     "datasets/qwen2-tiny/golden.safetensors:input_ids", "--json",
                                                     "--threads", "1", "--no-reference", "--stages", stages[i], NULL});
        const cJSON *memory = cJSON_GetObjectItemCaseSensitive(json, "memory_bytes");
        const cJSON *kernel = cJSON_GetObjectItemCaseSensitive(memory, "kernel");
        const cJSON *named = cJSON_GetObjectItemCaseSensitive(memory, "named");
        const double rss = number(kernel, "rss"), unexplained = number(named, "unexplained");
        CHECK(rss == number(kernel, "anon") + number(kernel, "file") + number(kernel, "shmem"), "%s: rss %g", stages[i],
              rss);
        /* Read one after the other, and pages of libraries may become shared in between. */
        CHECK(fabs(rss - number(kernel, "private") - number(kernel, "shared")) < 0.03 * rss,
              "%s: private %g, shared %g", stages[i], number(kernel, "private"), number(kernel, "shared"));
        CHECK(number(memory, "kv_cache_used") <= number(memory, "kv_cache"), "%s: more used than there is", stages[i]);
        CHECK(is_null(json, "prefix_cache"), "%s: a cache of prefixes that nobody asked for", stages[i]);
#if !defined(__SANITIZE_ADDRESS__)
        CHECK(fabs(unexplained) <= 0.03 * rss, "%s: %g of %g bytes unexplained", stages[i], unexplained, rss);
#else
        (void)unexplained;
#endif
        cJSON_Delete(json);
    }
}

static program_run run_under(const char *stages, double limit, const char *more)
{
    char bytes[32];
    snprintf(bytes, sizeof bytes, "%.0f", limit);
    return program((const char *const[]){"eval", CHECKPOINT, "--ids", GOLDEN ":input_ids", "--threads", "2", "--stages",
                                         stages, "--run-limit", bytes, more, NULL},
                   NULL);
}

/* A limit is refused by name before anything is computed, and what was said to be enough is. */
static void a_run_limit_is_planned_and_held(void)
{
    static const char *const stages[] = {"none,off,off,c", "none,on,on,best", "int4,on,aggressive,best"};
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        cJSON *json = run_json((const char *const[]){"eval", CHECKPOINT, "--ids", GOLDEN ":input_ids", "--needs",
                                                     "--json", "--threads", "2", "--stages", stages[i], NULL});
        const double needed = number(json, "needed");
        CHECK(needed > number(json, "total") - number(json, "mapped") && number(json, "longest_context") > 0,
              "%s: needs %g", stages[i], needed);
        program_run enough = run_under(stages[i], needed, "--no-reference");
        program_run less = run_under(stages[i], needed - 1, "--no-reference");
        CHECK(enough.status == 0, "%s in %.0f bytes: %s", stages[i], needed, enough.err);
        for (int under = 0; under < 2; under++) { /* asked only */
            program_run asked = run_under(stages[i], needed - under, "--needs");
            CHECK(asked.status == under && (strstr(asked.err, "and the limit is") != NULL) == (under == 1) &&
                      strstr(asked.out, under == 1 ? "does not fit" : "it fits") != NULL,
                  "%s: status %d: %s %s", stages[i], asked.status, asked.out, asked.err);
            program_run_free(&asked);
        }
        CHECK(less.status == 4 && strstr(less.err, "needs") != NULL && strstr(less.err, "limit") != NULL &&
                  strstr(less.err, "longest context") != NULL && less.out[0] == '\0',
              "%s: status %d: %s", stages[i], less.status, less.err);
        program_run_free(&less);
        /* Again and again: threads that libraries start map memory when they are first run, which is not always before the
         * limit is set. */
        for (int again = 0; again < 8 && enough.status == 0; again++) {
            program_run_free(&enough);
            enough = run_under(stages[i], needed, "--no-reference");
            CHECK(enough.status == 0, "%s in %.0f bytes, again: %s", stages[i], needed, enough.err);
        }
        program_run_free(&enough);
        cJSON_Delete(json);
    }
    program_run both = run_under("none,on,on,best", 1e9, NULL);
    CHECK(both.status == 2 && strstr(both.err, "--no-reference") != NULL, "status %d: %s", both.status, both.err);
    program_run_free(&both);
}

static void a_variant_is_compared(void)
{
    cJSON *json = run_json((const char *const[]){"eval", CHECKPOINT, "--ids", GOLDEN ":input_ids", "--json", "--stages",
                                                 "int4,on,on,best", NULL});
    CHECK(is_text(json, "reference", "fp16+c"), "another reference");
    /* The process held the reference, too: a peak would not be the variant's. */
    CHECK(is_null(cJSON_GetObjectItemCaseSensitive(json, "memory_bytes"), "peak_rss"), "a peak of both");
    CHECK(number(json, "mean_abs_error") > 0.0 && number(json, "max_abs_error") >= number(json, "mean_abs_error"),
          "mean %g, max %g", number(json, "mean_abs_error"), number(json, "max_abs_error"));
    CHECK(number(json, "kl") > 0.0 && number(json, "relative_l2") > 0.0, "kl %g", number(json, "kl"));
    CHECK(number(json, "top1_agreement") >= 0.0 && number(json, "top1_agreement") <= 1.0, "not a share");
    CHECK(number(json, "bits_per_weight") > 4.0 && number(json, "bits_per_weight") < 16.0, "%g bits",
          number(json, "bits_per_weight"));
    cJSON_Delete(json);
}

static void no_reference_leaves_errors_null(void)
{
    cJSON *json = run_json((const char *const[]){"eval", CHECKPOINT, "--ids", GOLDEN ":input_ids", "--json",
                                                 "--quantize=int8", "--no-reference", NULL});
    CHECK(is_null(json, "reference") && is_null(json, "kl") && is_null(json, "mean_abs_error"),
          "compared all the same");
    CHECK(number(json, "nll") > 0.0, "nll %g", number(json, "nll"));
    cJSON_Delete(json);
}

/* The override holds "best" down, and the output says that it was there. */
static void an_isa_override_is_echoed(void)
{
    program_run run = program((const char *const[]){"eval", CHECKPOINT, "--ids", GOLDEN ":input_ids", "--json", "--isa",
                                                    "best", "--no-reference", NULL},
                              "CIUIC_ISA=c");
    cJSON *json = cJSON_Parse(run.out);
    CHECK(run.status == 0 && is_text(json, "isa", "c") && is_text(json, "isa_override", "c"), "status %d: %s%s",
          run.status, run.out, run.err);
    cJSON_Delete(json);
    program_run_free(&run);
}

static void the_table_says_what_it_means(void)
{
    program_run run = program(
        (const char *const[]){"eval", CHECKPOINT, "--ids", GOLDEN ":input_ids", "--quantize", "int8", NULL}, NULL);
    CHECK(run.status == 0 && run.err[0] == '\0', "status %d: %s", run.status, run.err);
    CHECK(strstr(run.out, "perplexity") != NULL && strstr(run.out, "Against the reference, int8+c is") != NULL, "%s",
          run.out);
    program_run_free(&run);
}

/* deepseek-v3's golden has 3 layers and 48 ids: 4 entries, the last of them the head. */
static const cJSON *layer_entry(const cJSON *json, int index, const char *part)
{
    const cJSON *layers = cJSON_GetObjectItemCaseSensitive(json, "layers");
    const cJSON *entry = cJSON_GetArrayItem(layers, index);
    CHECK(cJSON_GetArraySize(layers) == 4 && is_text(entry, "part", part), "entry %d of %d", index,
          cJSON_GetArraySize(layers));
    return entry;
}

static void errors_come_layer_by_layer(void)
{
    static const char *const parts[] = {"layer 0", "layer 1", "layer 2", "head"};
    cJSON *json = run_json((const char *const[]){"eval", CHECKPOINT, "--ids", GOLDEN ":input_ids", "--json",
                                                 "--per-layer", "--stages", "int4,on,on,best", NULL});
    double before = number(cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(json, "embedding"), "own"),
                           "relative_l2");
    CHECK(before > 0, "embedding %g", before);
    CHECK(strncmp(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "layers_measure")), "weights only", 12) ==
              0,
          "not said to be of weights only");
    for (int i = 0; i < 4; i++) {
        const cJSON *entry = layer_entry(json, i, parts[i]);
        const cJSON *own = cJSON_GetObjectItemCaseSensitive(entry, "own"),
                    *all = cJSON_GetObjectItemCaseSensitive(entry, "accumulated");
        static const char *const metrics[] = {"relative_l2", "mean_abs_error"};
        for (size_t k = 0; k < 2; k++) {
            char error[32];
            snprintf(error, sizeof error, "%s_error", metrics[k]);
            CHECK(number(own, metrics[k]) > 0 && number(own, error) > 0 &&
                      number(own, error) < number(own, metrics[k]) &&
                      number(all, metrics[k]) >= number(own, metrics[k]) && number(all, error) > 0,
                  "%s: %s %g own, %g in all", parts[i], metrics[k], number(own, metrics[k]), number(all, metrics[k]));
        }
        CHECK(number(own, "cosine") < 1 && number(all, "cosine") <= number(own, "cosine"), "%s: cosine %g", parts[i],
              number(own, "cosine"));
        before = number(all, "relative_l2");
    }
    /* The head's are the logits: but for the rounding of activations, what the whole run found. 8 bits of activations
     * add less than 4 bits of weights by far. */
    CHECK(fabs(before / number(json, "relative_l2") - 1) < 0.1, "%g of the head, %g of the logits", before,
          number(json, "relative_l2"));
    cJSON_Delete(json);
}

static void an_untouched_layer_has_no_error(void)
{
    static const char *const variants[] = {"none,off,off,c", "none,on,on,best"};
    for (size_t v = 0; v < 2; v++) {
        cJSON *json = run_json((const char *const[]){"eval", CHECKPOINT, "--ids", GOLDEN ":input_ids", "--json",
                                                     "--per-layer", "--stages", variants[v], NULL});
        for (int i = 0; i < 4; i++) {
            const cJSON *entry = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(json, "layers"), i);
            CHECK(number(cJSON_GetObjectItemCaseSensitive(entry, "own"), "relative_l2") == 0 &&
                      number(cJSON_GetObjectItemCaseSensitive(entry, "accumulated"), "mean_abs_error") == 0,
                  "%s: entry %d: %s", variants[v], i, cJSON_Print(entry));
        }
        cJSON_Delete(json);
    }
}

/* Columns that a terminal needs for the longest line of the text. */
static size_t widest_line(const char *text)
{
    size_t widest = 0;
    for (const char *line = text; *line != '\0';) {
        const size_t length = strcspn(line, "\n");
        widest = length > widest ? length : widest;
        line += length + (line[length] == '\n');
    }
    return widest;
}

static void the_table_of_layers_ends_in_words(void)
{
    program_run run = program((const char *const[]){"eval", CHECKPOINT, "--ids", GOLDEN ":input_ids", "--quantize",
                                                    "affine4", "--per-layer", NULL},
                              NULL);
    CHECK(run.status == 0 && run.err[0] == '\0', "status %d: %s", run.status, run.err);
    CHECK(strstr(run.out, "weights only") != NULL && strstr(run.out, " adds most: ") != NULL, "%s", run.out);
    CHECK(widest_line(run.out) <= 80, "%zu columns", widest_line(run.out));
    program_run_free(&run);
    run = program(
        (const char *const[]){"eval", CHECKPOINT, "--ids", GOLDEN ":input_ids", "--per-layer", "--no-reference", NULL},
        NULL);
    CHECK(run.status == 2 && strstr(run.err, "--no-reference") != NULL && count_lines(run.err) == 1, "status %d: %s",
          run.status, run.err);
    program_run_free(&run);
}

/* The golden logits come from another implementation in float32; 5e-4 is the limit for logits of deviation 1. */
static void logits_are_written_whole(void)
{
    char *folder = temporary_folder(), path[512];
    CU_ASSERT_PTR_NOT_NULL_FATAL(folder);
    snprintf(path, sizeof path, "%s/logits.safetensors", folder);
    cJSON *json = run_json(
        (const char *const[]){"eval", CHECKPOINT, "--ids", GOLDEN ":input_ids", "--json", "--logits-out", path, NULL});
    cJSON_Delete(json);
    CHECK(count_files(folder) == 1, "%zu files are left", count_files(folder));
    safetensors *written = NULL, *golden = NULL;
    CU_ASSERT_FATAL(safetensors_open(path, &written) == CIUIC_OK && safetensors_open(GOLDEN, &golden) == CIUIC_OK);
    const tensor *logits = safetensors_find(written, "logits"), *expected = safetensors_find(golden, "logits");
    CU_ASSERT_FATAL(logits != NULL && expected != NULL && logits->dims == 2 && logits->dtype == TENSOR_F32);
    CU_ASSERT_FATAL(expected->count == logits->count && safetensors_count(written) == 1);
    float *a = malloc(logits->bytes), *b = malloc(logits->bytes), largest = 0.0f;
    CU_ASSERT_FATAL(a != NULL && b != NULL && tensor_to_f32(logits, 0, logits->count, a) == CIUIC_OK &&
                    tensor_to_f32(expected, 0, expected->count, b) == CIUIC_OK);
    for (size_t i = 0; i < logits->count; i++) {
        const float error = fabsf(a[i] - b[i]);
        largest = error <= largest ? largest : error; /* a NaN becomes the largest */
    }
    CHECK(largest <= 5e-4f, "largest difference %g", (double)largest);
    free(a);
    free(b);
    safetensors_close(written);
    safetensors_close(golden);
    remove_folder(folder);
}

/* Ids that no run can come from, each in a file of its own. */
static void impossible_ids_write_nothing(void)
{
    static const int32_t too_large[] = {1, 2, 512}, negative[] = {1, -1, 2}, fine[600] = {0};
    static const float floats[] = {1.0f, 2.0f};
    const struct {
        tensor ids;
        const char *says, *window;
    } tests[] = {
        {{.dtype = TENSOR_I32, .dims = 1, .shape = {3}, .count = 3, .bytes = 12, .data = too_large},
         "id 512; expected 0 to 511",
         "8"},
        {{.dtype = TENSOR_I32, .dims = 1, .shape = {3}, .count = 3, .bytes = 12, .data = negative},
         "id -1; expected 0 to 511",
         "8"},
        {{.dtype = TENSOR_F32, .dims = 1, .shape = {2}, .count = 2, .bytes = 8, .data = floats},
         "is F32; expected I32",
         "8"},
        {{.dtype = TENSOR_I32, .dims = 1, .shape = {0}, .count = 0, .bytes = 0, .data = fine}, "is empty", "8"},
        {{.dtype = TENSOR_I32, .dims = 2, .shape = {0, 4}, .count = 0, .bytes = 0, .data = fine}, "is empty", "8"},
        {{.dtype = TENSOR_I32, .dims = 3, .shape = {1, 1, 2}, .count = 2, .bytes = 8, .data = fine},
         "has 3 dimensions",
         "8"},
        {{.dtype = TENSOR_I32, .dims = 1, .shape = {600}, .count = 600, .bytes = 2400, .data = fine},
         "expected at most the model's 512 positions",
         "600"},
    };
    for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++) {
        char *folder = temporary_folder(), ids[512], source[544], out[512];
        CU_ASSERT_PTR_NOT_NULL_FATAL(folder);
        snprintf(ids, sizeof ids, "%s/ids.safetensors", folder);
        snprintf(source, sizeof source, "%s:ids", ids);
        snprintf(out, sizeof out, "%s/logits.safetensors", folder);
        tensor t = tests[i].ids;
        t.name = "ids";
        CU_ASSERT_EQUAL_FATAL(safetensors_write(ids, &t, 1), CIUIC_OK);
        program_run run = program((const char *const[]){"eval", CHECKPOINT, "--ids", source, "--window",
                                                        tests[i].window, "--logits-out", out, NULL},
                                  NULL);
        CHECK(run.status == 3, "case %zu: status %d", i, run.status);
        CHECK(count_lines(run.err) == 1 && strstr(run.err, tests[i].says) != NULL && strstr(run.err, ids) != NULL, "%s",
              run.err);
        CHECK(count_files(folder) == 1 && run.out[0] == '\0', "case %zu: something was written", i);
        program_run_free(&run);
        remove_folder(folder);
    }
}

static void ids_need_a_name_when_there_are_several(void)
{
    program_run run = program((const char *const[]){"eval", CHECKPOINT, "--ids", GOLDEN, NULL}, NULL);
    CHECK(run.status == 3 && strstr(run.err, "several I32 tensors") != NULL, "status %d: %s", run.status, run.err);
    program_run_free(&run);
    run = program((const char *const[]){"eval", CHECKPOINT, "--ids", GOLDEN ":no_such", NULL}, NULL);
    CHECK(run.status == 3 && strstr(run.err, "no tensor 'no_such'") != NULL, "status %d: %s", run.status, run.err);
    program_run_free(&run);
}

static void an_unwritable_output_is_noticed_first(void)
{
    program_run run = program((const char *const[]){"eval", CHECKPOINT, "--ids", GOLDEN ":input_ids", "--logits-out",
                                                    "no-such-folder/logits.safetensors", NULL},
                              NULL);
    CHECK(run.status != 0 && run.out[0] == '\0' && strstr(run.err, "no-such-folder") != NULL, "status %d: %s",
          run.status, run.err);
    program_run_free(&run);
}

/* Windows of 16 cut one stream of 64 in four, the last token of each without a successor: 60 scored positions. A longer
 * context helps or hurts but never leaves the logits as they were, so the NLL must differ from that of one window. */
static void windows_stand_alone(void)
{
    cJSON *one = run_json((const char *const[]){"eval", "datasets/qwen2-tiny", "--ids",
                                                "datasets/qwen2-tiny/golden.safetensors:input_ids", "--json", NULL});
    cJSON *four = run_json((const char *const[]){"eval", "datasets/qwen2-tiny", "--ids",
                                                 "datasets/qwen2-tiny/golden.safetensors:input_ids", "--window", "16",
                                                 "--json", NULL});
    CHECK(number(one, "windows") == 1.0 && number(one, "tokens") == 63.0, "%g windows, %g tokens",
          number(one, "windows"), number(one, "tokens"));
    CHECK(number(four, "windows") == 4.0 && number(four, "tokens") == 60.0, "%g windows, %g tokens",
          number(four, "windows"), number(four, "tokens"));
    CHECK(fabs(number(one, "nll") - number(four, "nll")) > 1e-6, "the windows saw each other");
    /* A row is the longest window. */
    program_run longer = program((const char *const[]){"eval", "datasets/qwen2-tiny", "--window", "4096", NULL}, NULL);
    CHECK(longer.status == 2 && count_lines(longer.err) == 1 && longer.out[0] == '\0' &&
              strstr(longer.err, "--window 4096") != NULL && strstr(longer.err, "expected at most that many") != NULL,
          "status %d: %s", longer.status, longer.err);
    program_run_free(&longer);
    cJSON_Delete(one);
    cJSON_Delete(four);
}

/* Ctrl-C in the middle: exit status 5, one line, nothing written. The signal is sent later and later until it meets the
 * program at work; all of eval_ids, or calibration on all of calib_ids, keep it busy for seconds. */
static void interrupt(const char *quantizer, const char *says)
{
    char *folder = temporary_folder(), out[512];
    CU_ASSERT_PTR_NOT_NULL_FATAL(folder);
    snprintf(out, sizeof out, "%s/logits.safetensors", folder);
    program_run run = {0};
    for (unsigned delay_us = 100000; delay_us <= 3200000; delay_us *= 2) {
        const char *quantize = strcmp(quantizer, "rtn") == 0 ? "none" : "int4";
        program_process process =
            program_start((const char *const[]){"eval", "datasets/deepseek-v3-tiny", "--logits-out", out, "--quantize",
                                                quantize, "--quantizer", quantizer, NULL},
                          NULL);
        usleep(delay_us);
        kill(process.pid, SIGINT);
        program_run_free(&run);
        run = program_wait(&process);
        if (run.status != 128 + SIGINT) break; /* else it had not yet begun to listen */
    }
    CHECK(run.status == 5 && strstr(run.err, says) != NULL && count_lines(run.err) == 1, "status %d: %s", run.status,
          run.err);
    CHECK(count_files(folder) == 0 && run.out[0] == '\0', "something was written");
    program_run_free(&run);
    remove_folder(folder);
}

static void an_interrupt_writes_nothing(void)
{
    interrupt("rtn", "interrupted while evaluating; nothing was written");
    interrupt("clip", "interrupted while quantising");
}

static void inspect_knows_the_architecture(void)
{
    /* Figures by hand from config.json: 6 layers; MLA caches 64 + 16 values a layer when latent. */
    cJSON *json = run_json((const char *const[]){"inspect", "datasets/deepseek-v3-tiny", "--json", "--tensors", NULL});
    CHECK(is_text(json, "architecture", "deepseek_v3") && number(json, "layers") == 6.0, "another architecture");
    CHECK(number(json, "parameters") == 7633128.0, "%.0f parameters",
          number(json, "parameters")); /* datasets/README.md */
    CHECK(number(json, "bits_per_weight") > 16.0 && number(json, "bits_per_weight") < 16.1, "%g bits",
          number(json, "bits_per_weight"));
    const cJSON *attention = cJSON_GetObjectItemCaseSensitive(json, "attention");
    const cJSON *cache = cJSON_GetObjectItemCaseSensitive(json, "kv_bytes_per_token");
    CHECK(is_text(attention, "kind", "MLA"), "another attention");
    CHECK(number(cache, "latent_f16") == 2.0 * 6.0 * (64.0 + 16.0), "%g latent bytes", number(cache, "latent_f16"));
    const cJSON *tensors = cJSON_GetObjectItemCaseSensitive(json, "tensors"), *t;
    double bytes = 0.0;
    cJSON_ArrayForEach(t, tensors) bytes += number(t, "bytes");
    CHECK(bytes == number(json, "weight_bytes") && bytes > 0.0, "%g bytes in the list", bytes);
    cJSON_Delete(json);
    json = run_json((const char *const[]){"inspect", "datasets/qwen2-tiny", "--json", NULL});
    CHECK(is_text(cJSON_GetObjectItemCaseSensitive(json, "attention"), "kind", "GQA"), "another attention");
    CHECK(is_null(json, "experts") &&
              is_null(cJSON_GetObjectItemCaseSensitive(json, "kv_bytes_per_token"), "latent_f16"),
          "MoE?");
    cJSON_Delete(json);
}

/* A tensor that checkpoints may carry and the architecture does not use must not count as weights. */
static void inspect_sets_unused_tensors_apart(void)
{
    enum { TENSORS_MAX = 256 };
    static const float frequencies[8] = {0};
    const char *const source = "datasets/golden/deepseek-llm";
    char *folder = temporary_folder(), path[512], config[512];
    safetensors *file = NULL;
    tensor tensors[TENSORS_MAX];
    CU_ASSERT_FATAL(folder != NULL &&
                    safetensors_open("datasets/golden/deepseek-llm/model.safetensors", &file) == CIUIC_OK);
    size_t n = safetensors_count(file);
    CU_ASSERT_FATAL(n < TENSORS_MAX);
    for (size_t i = 0; i < n; i++) tensors[i] = *safetensors_at(file, i);
    tensors[n++] = (tensor){.name = "model.layers.0.self_attn.rotary_emb.inv_freq",
                            .dtype = TENSOR_F32,
                            .dims = 1,
                            .shape = {8},
                            .count = 8,
                            .bytes = sizeof frequencies,
                            .data = frequencies};
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    snprintf(config, sizeof config, "%s/config.json", folder);
    CU_ASSERT_EQUAL_FATAL(safetensors_write(path, tensors, n), CIUIC_OK);
    safetensors_close(file);
    char *text = read_text("datasets/golden/deepseek-llm/config.json");
    CU_ASSERT_FATAL(text != NULL && atomic_file_write(config, text, strlen(text)) == CIUIC_OK);
    free(text);

    cJSON *before = run_json((const char *const[]){"inspect", source, "--json", NULL});
    cJSON *after = run_json((const char *const[]){"inspect", folder, "--json", NULL});
    CHECK(number(before, "unused_bytes") == 0.0 && number(after, "unused_bytes") == (double)sizeof frequencies,
          "%g and %g unused bytes", number(before, "unused_bytes"), number(after, "unused_bytes"));
    CHECK(number(before, "weight_bytes") == number(after, "weight_bytes"), "%g and %g bytes",
          number(before, "weight_bytes"), number(after, "weight_bytes"));
    cJSON_Delete(before);
    cJSON_Delete(after);
    remove_folder(folder);
}

static const test_case cases[] = {
    {"the reference has no error of its own", the_reference_has_no_error_of_its_own},
    {"memory is accounted for", memory_is_accounted_for},
    {"a run limit is planned, and held", a_run_limit_is_planned_and_held},
    {"a variant is compared with the reference", a_variant_is_compared},
    {"--no-reference leaves errors null", no_reference_leaves_errors_null},
    {"an override of the ISA is echoed", an_isa_override_is_echoed},
    {"the table says what it means", the_table_says_what_it_means},
    {"errors come layer by layer", errors_come_layer_by_layer},
    {"an untouched layer has no error", an_untouched_layer_has_no_error},
    {"the table of layers ends in words", the_table_of_layers_ends_in_words},
    {"logits are written whole and equal the golden ones", logits_are_written_whole},
    {"impossible ids write nothing", impossible_ids_write_nothing},
    {"ids need a name when there are several", ids_need_a_name_when_there_are_several},
    {"an unwritable output is noticed first", an_unwritable_output_is_noticed_first},
    {"windows stand alone", windows_stand_alone},
    {"an interrupt writes nothing", an_interrupt_writes_nothing},
    {"inspect knows the architecture", inspect_knows_the_architecture},
    {"inspect sets unused tensors apart", inspect_sets_unused_tensors_apart},
};
TEST_SUITE(eval, cases);
