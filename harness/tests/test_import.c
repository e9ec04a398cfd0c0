/* test_import.c - timings of other programs: read as they were written, refused where they are malformed, and never taken for
 * measured ones. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/import/imported.h"
#include "harness/judge/claims.h"
#include "harness/report/schema.h"
#include "harness/tests/program.h"
#include "harness/tests/results_fixture.h"
#include "optimizer/atomic_file.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

/* Made-up figures in the form that llama-bench writes. */
#define LLAMA_TEST(prompt, generated, rest)                                                                            \
    "{\"build_commit\": \"abc\", \"model_type\": \"made-up 7M F16\", \"backends\": \"CPU\", \"n_gpu_layers\": 0, "     \
    "\"type_k\": \"f16\", \"type_v\": \"f16\", \"n_batch\": 2048, \"n_ubatch\": 512, \"n_threads\": 2, "               \
    "\"n_prompt\": " #prompt ", \"n_gen\": " #generated rest "}"
#define SAMPLES ", \"avg_ns\": 100000000, \"samples_ns\": [100000000, 90000000, 120000000]"

static const char llama[] = "[" LLAMA_TEST(128, 0, SAMPLES) ", " LLAMA_TEST(
    0, 64, ", \"n_depth\": 256" SAMPLES) ", " LLAMA_TEST(16, 16, ", \"avg_ns\": 50000000") "]";

/* Made-up figures in the form of Google Benchmark 1.7.1. */
static const char google[] = "{\"context\": {\"date\": \"2000-01-01\"}, \"benchmarks\": ["
                             "{\"name\": \"decode/64\", \"run_name\": \"decode/64\", \"run_type\": \"iteration\", "
                             "\"threads\": 1, \"time_unit\": \"ms\""
                             ", \"real_time\": 20.0, \"cpu_time\": 10.0, \"items_per_second\": 6400.0}, "
                             "{\"name\": \"decode/64\", \"run_name\": \"decode/64\", \"run_type\": \"iteration\", "
                             "\"threads\": 1, \"time_unit\": \"ms\""
                             ", \"real_time\": 22.0, \"cpu_time\": 10.0, \"items_per_second\": 6400.0}, "
                             "{\"name\": \"decode/64\", \"run_name\": \"decode/64\", \"run_type\": \"aggregate\", "
                             "\"threads\": 1, \"time_unit\": \"ms\""
                             ", \"real_time\": 1.0, \"cpu_time\": 1.0, \"items_per_second\": 1.0}, "
                             "{\"name\": \"wall/real_time\", \"run_name\": \"wall/real_time\", \"run_type\": "
                             "\"iteration\", \"threads\": 1, \"time_unit\": \"ms\""
                             ", \"real_time\": 10.0, \"cpu_time\": 1.0, \"items_per_second\": 6400.0}, "
                             "{\"name\": \"broken\", \"run_name\": \"broken\", \"run_type\": \"iteration\", "
                             "\"threads\": 1, \"time_unit\": \"ms\""
                             ", \"error_occurred\": true, \"error_message\": \"no\"}, "
                             "{\"name\": \"no items\", \"run_name\": \"no items\", \"run_type\": \"iteration\", "
                             "\"threads\": 1, \"time_unit\": \"ms\""
                             ", \"real_time\": 5.0, \"cpu_time\": 5.0}, "
                             "{\"name\": \"no whole items\", \"run_name\": \"no whole items\", \"run_type\": "
                             "\"iteration\", \"threads\": 1, \"time_unit\": \"ms\""
                             ", \"real_time\": 5.0, \"cpu_time\": 5.0, \"items_per_second\": 123.456}"
                             "]}";

static const char csv[] = "\xef\xbb\xbf"
                          "name,tokens,seconds\r\n"
                          "a program,128,0.1\r\n"
                          "\r\n"
                          "\"quoted, \"\"x\"\"\",64,2e-2\n"
                          "a program,128,0.3\n"
                          "a program,128,0.2";

static imported_set parse(const char *text)
{
    imported_set set;
    const ciuic_status status = imported_parse(text, strlen(text), "timings", &set);
    CHECK(status == CIUIC_OK, "%s", ciuic_last_error());
    CU_ASSERT_EQUAL_FATAL(status, CIUIC_OK);
    return set;
}

static void llama_bench_is_read(void)
{
    imported_set set = parse(llama);
    CU_ASSERT_STRING_EQUAL(set.format, "llama-bench");
    CU_ASSERT_EQUAL_FATAL(set.count, 3);
    const imported_timing *prefill = &set.list[0], *decode = &set.list[1], *both = &set.list[2];
    CHECK(strstr(prefill->name, "made-up 7M F16, CPU") != NULL, "%s", prefill->name);
    CU_ASSERT_STRING_EQUAL(prefill->phase, "prefill");
    CU_ASSERT_TRUE(prefill->n == 3 && prefill->tokens == 128 && prefill->threads == 2 && isnan(prefill->low));
    CU_ASSERT_DOUBLE_EQUAL(prefill->median, 0.1, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(prefill->tokens_per_s, 1280.0, 1e-6);
    CU_ASSERT_STRING_EQUAL(decode->phase, "decode");
    CU_ASSERT_TRUE(decode->tokens == 64 && decode->depth == 256);
    CU_ASSERT_PTR_NULL(both->phase); /* neither alone */
    CU_ASSERT_TRUE(both->tokens == 32 && both->n == 1);
    imported_free(&set);
}

/* One setting more, or another value of it, is another timing; another mean of the same settings is not. */
static void configurations_are_not_repetitions(void)
{
    static const struct {
        const char *first, *second;
        size_t timings;
        const char *says; /* in the second's name */
    } rows[] = {
        {"", "", 1, "made-up"},
        {", \"flash_attn\": false", ", \"flash_attn\": true", 2, ", flash_attn true"},
        {"", ", \"use_mmap\": false", 2, ", use_mmap false"},
        {", \"split_mode\": \"row\"", "", 2, ", split_mode not said"},
        {", \"model_filename\": \"a.gguf\"", ", \"model_filename\": \"b.gguf\"", 2, ", model_filename \"b.gguf\""},
        {", \"no_kv_offload\": 1", ", \"no_kv_offload\": \"1\"", 2, ", no_kv_offload \"1\""},
        {", \"of_next_year\": 1", ", \"of_next_year\": 2", 2, ", of_next_year 2"},
        {", \"stddev_ns\": 1, \"avg_ts\": 1, \"stddev_ts\": 1, \"test_time\": \"1\", \"samples_ts\": [1]",
         ", \"stddev_ns\": 2, \"avg_ts\": 2, \"stddev_ts\": 2, \"test_time\": \"2\", \"samples_ts\": [2]", 1,
         "made-up"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = NULL;
        CU_ASSERT_FATAL(asprintf(&text, "[" LLAMA_TEST(128, 0, SAMPLES "%s") ", " LLAMA_TEST(128, 0, SAMPLES "%s") "]",
                                 rows[i].first, rows[i].second) > 0);
        imported_set set = parse(text);
        CHECK(set.count == rows[i].timings, "row %zu: %zu timings", i, set.count);
        CHECK(set.list[0].n == 6 / rows[i].timings, "row %zu: %zu repetitions", i, set.list[0].n);
        CHECK(strstr(set.list[set.count - 1].name, rows[i].says) != NULL, "row %zu: %s", i,
              set.list[set.count - 1].name);
        imported_free(&set);
        free(text);
    }
}

static void google_benchmark_is_read(void)
{
    imported_set set = parse(google);
    CU_ASSERT_STRING_EQUAL(set.format, "Google Benchmark");
    CU_ASSERT_EQUAL_FATAL(set.count, 4);                            /* no aggregate, nothing that ended in an error */
    CU_ASSERT_TRUE(set.list[0].n == 2 && set.list[0].tokens == 64); /* 6400 a second of CPU time, 10 ms */
    CU_ASSERT_DOUBLE_EQUAL(set.list[0].median, 0.021, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(set.list[0].tokens_per_s, 64 / 0.021, 1e-6);
    CU_ASSERT_EQUAL(set.list[1].tokens, 64); /* of wall time, as its name says */
    CU_ASSERT_TRUE(set.list[2].tokens == 0 && isnan(set.list[2].tokens_per_s));
    CU_ASSERT_EQUAL(set.list[3].tokens, 0);
    imported_free(&set);
}

static void csv_is_read(void)
{
    imported_set set = parse(csv);
    CU_ASSERT_STRING_EQUAL(set.format, "CSV");
    CU_ASSERT_EQUAL_FATAL(set.count, 2);
    CU_ASSERT_STRING_EQUAL(set.list[0].name, "a program");
    CU_ASSERT_STRING_EQUAL(set.list[1].name, "quoted, \"x\"");
    CU_ASSERT_EQUAL(set.list[0].n, 3);
    CU_ASSERT_DOUBLE_EQUAL(set.list[0].median, 0.2, 1e-12);
    CU_ASSERT_DOUBLE_EQUAL(set.list[1].tokens_per_s, 3200.0, 1e-6);
    imported_free(&set);
}

#define HEADER "name,tokens,seconds\n"

static void malformed_timings_are_refused(void)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"", "holds no timing"},
        {" \n", "no header"},
        {HEADER, "holds no timing"},
        {"a,b,c\n", "timings:1: no header"},
        {"x,1,2\n", "no header"},
        {HEADER "a,1\n", "timings:2: 2 fields"},
        {HEADER "a,1,2,3\n", "more than 3 fields"},
        {HEADER "a,1,\n", "ends in a comma"},
        {HEADER ",1,2\n", "the name is empty"},
        {HEADER "a,0,2\n", "tokens \"0\""},
        {HEADER "a,1.5,2\n", "tokens \"1.5\""},
        {HEADER "a,1e13,2\n", "tokens \"1e13\""},
        {HEADER "a,-1,2\n", "tokens \"-1\""},
        {HEADER "a,1,0\n", "0 seconds"},
        {HEADER "a,1,-3\n", "-3 seconds"},
        {HEADER "a,1000000000000,1e-300\n", "1e-300 seconds"},
        {HEADER "a,1,1e300\n", "1e+300 seconds"},
        {HEADER "a,1,nan\n", "seconds \"nan\""},
        {HEADER "a,1,inf\n", "seconds \"inf\""},
        {HEADER "a,1,1e999\n", "seconds \"1e999\""},
        {HEADER "a,1,0x10\n", "seconds \"0x10\""},
        {HEADER "a,1, 2\n", "seconds \" 2\""},
        {HEADER "a,1,2;3\n", "seconds \"2;3\""},
        {HEADER "\"a,1,2\n", "a quote is not closed"},
        {HEADER "\"a\"b,1,2\n", "text after a field"},
        {HEADER "a,1,2\rb,1,2\n", "text after a field"},
        {HEADER "\xff,1,2\n", "timings:2: a byte that is no UTF-8"},
        {"{", "not valid JSON"},
        {"[]", "an unknown program"},
        {"[1]", "an unknown program"},
        {"{\"benchmarks\": []}", "an unknown program"},
        {"{\"context\": {}, \"benchmarks\": []}", "holds no timing"},
        {"{\"context\": {}, \"benchmarks\": {}}", "expected an array"},
        {"{\"context\": {}, \"benchmarks\": [3]}", "benchmarks[0]: not an object"},
        {"{\"context\": {}, \"benchmarks\": [{\"name\": \"a\", \"time_unit\": \"h\", \"real_time\": 1}]}",
         "time_unit \"h\""},
        {"{\"context\": {}, \"benchmarks\": [{\"name\": \"a\", \"time_unit\": \"ns\"}]}", "\"real_time\" is missing"},
        {"{\"context\": {}, \"benchmarks\": [{\"time_unit\": \"ns\", \"real_time\": 1}]}", "\"name\" is missing"},
        {"{\"context\": {}, \"benchmarks\": [{\"name\": \"a\", \"time_unit\": \"ns\", \"real_time\": 0}]}",
         "0 seconds"},
        {"[" LLAMA_TEST(0, 0, SAMPLES) "]", "n_prompt and n_gen are 0"},
        {"[" LLAMA_TEST(-1, 0, SAMPLES) "]", "\"n_prompt\" is -1"},
        {"[" LLAMA_TEST(1.5, 0, SAMPLES) "]", "\"n_prompt\" is 1.5"},
        {"[" LLAMA_TEST(8, 0, "") "]", "\"avg_ns\" is missing"},
        {"[" LLAMA_TEST(8, 0, ", \"samples_ns\": [\"1\"]") "]", "something that is no number"},
        {"[" LLAMA_TEST(8, 0, ", \"samples_ns\": [-1]") "]", "-1e-09 seconds"},
        {"[" LLAMA_TEST(8, 0, ", \"samples_ns\": 4") "]", "expected an array"},
        {"[" LLAMA_TEST(8, 0, SAMPLES) ", 4]", "timings: [1]: not an object"},
        {"[" LLAMA_TEST(8, 0, ", \"samples_ns\": []") "]", "holds no timing"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        imported_set set;
        const ciuic_status status = imported_parse(rows[i].text, strlen(rows[i].text), "timings", &set);
        CHECK(status == CIUIC_ERROR_INPUT, "row %zu is taken: %s", i, rows[i].text);
        CHECK(strstr(ciuic_last_error(), rows[i].says) != NULL && strstr(ciuic_last_error(), "timings") != NULL,
              "'%s' is not in: %s", rows[i].says, ciuic_last_error());
        imported_free(&set);
    }
    imported_set set;
    CU_ASSERT_EQUAL(imported_parse(HEADER "a\0b,1,2\n", sizeof HEADER + 7, "timings", &set), CIUIC_ERROR_INPUT);
    imported_free(&set);
    char *longest = malloc(2000);
    CU_ASSERT_PTR_NOT_NULL_FATAL(longest);
    memset(longest, 'a', 1999);
    memcpy(longest, HEADER, sizeof HEADER - 1);
    CU_ASSERT_EQUAL(imported_parse(longest, 1999, "timings", &set), CIUIC_ERROR_INPUT);
    imported_free(&set);
    free(longest);
}

/* Valid files with bytes changed, cut and doubled: refused or read, and nothing else (a sanitizer sees what else). */
static void mangled_timings_do_no_harm(void)
{
    static const char *const files[] = {llama, google, csv};
    unsigned long long state = test_seed();
    size_t taken = 0, refused = 0;
    for (int run = 0; run < 3000; run++) {
        const char *file = files[run % 3];
        size_t length = strlen(file);
        char *text = strdup(file);
        CU_ASSERT_PTR_NOT_NULL_FATAL(text);
        for (int k = 0; k < 1 + run % 4; k++) {
            state = state * 6364136223846793005ULL + 1442695040888963407ULL;
            text[(state >> 33) % length] = (char)(state >> 56);
        }
        if (run % 5 == 0) length = (size_t)(state >> 40) % length;
        imported_set set;
        const ciuic_status status = imported_parse(text, length, "timings", &set);
        if (status == CIUIC_OK) taken++;
        if (status == CIUIC_ERROR_INPUT) refused++;
        imported_free(&set);
        free(text);
    }
    CHECK(taken + refused == 3000 && refused > 500, "%zu taken, %zu refused", taken, refused);
}

/* ---- beside measured ones --------------------------------------------------------------------------------------- */

static char *write_in(const char *folder, const char *name, const char *text)
{
    char *path = NULL;
    CU_ASSERT_FATAL(asprintf(&path, "%s/%s", folder, name) > 0);
    CU_ASSERT_EQUAL_FATAL(atomic_file_write(path, text, strlen(text)), CIUIC_OK);
    return path;
}

static char *write_results(const char *folder)
{
    cJSON *results = fixture_results(&fixture_usual), *claims = NULL;
    CU_ASSERT_EQUAL_FATAL(claims_read("suites/claims.json", &claims), CIUIC_OK);
    cJSON_AddItemToObject(results, "claims", claims);
    fixture_seal(results);
    char *text = cJSON_Print(results), *path = write_in(folder, "results.json", text);
    cJSON_free(text);
    cJSON_Delete(results);
    return path;
}

static void imported_is_never_measured(void)
{
    char *folder = temporary_folder(), *results = write_results(folder), *timings = write_in(folder, "l.json", llama);
    cJSON *schema = NULL, *found = NULL;
    program_run run = program((const char *const[]){"compare", results, "--import", timings, "--json", NULL}, NULL);
    CHECK(run.status == 0, "status %d: %s", run.status, run.err);
    CU_ASSERT_EQUAL_FATAL(json_parse(run.out, strlen(run.out), "compare", &found), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(json_read_file("reports/compare.schema.json", 1 << 20, &schema), CIUIC_OK);
    CHECK(schema_check(found, schema, "compare") == CIUIC_OK, "%s", ciuic_last_error());
    const cJSON *imported = json_find(found, "imported");
    CU_ASSERT_EQUAL(cJSON_GetArraySize(imported), 3);
    /* Prefill of 128 tokens on two threads was measured, too: the made-up tuned makes 1436 a second. */
    const cJSON *tuned = json_find(imported->child, "measured_tuned_tokens_per_s");
    CHECK(tuned != NULL && fabs(tuned->valuedouble - 1436.0) < 50.0, "%g", tuned != NULL ? tuned->valuedouble : NAN);
    for (const cJSON *row = json_find(found, "cases")->child; row != NULL; row = row->next)
        for (const cJSON *entry = json_find(row, "entries")->child; entry != NULL; entry = entry->next)
            CU_ASSERT_STRING_EQUAL(json_find(entry, "source")->valuestring, "measured");
    cJSON_Delete(found);
    cJSON_Delete(schema);
    program_run_free(&run);
    run = program((const char *const[]){"compare", results, "--import", timings, NULL}, NULL);
    CHECK(strstr(run.out, "imported from ") != NULL && strstr(run.out, "IMPORTED: declared by another program") != NULL,
          "%s", run.out);
    program_run_free(&run);
    run = program((const char *const[]){"compare", results, "--import", timings, "--markdown", NULL}, NULL);
    CHECK(strstr(run.out, "## Imported") != NULL && strstr(run.out, "tuned of A, measured") != NULL, "%s", run.out);
    program_run_free(&run);
    /* As results they are refused: nothing can smuggle them in. */
    run = program((const char *const[]){"compare", timings, NULL}, NULL);
    CHECK(run.status == 3, "status %d", run.status);
    program_run_free(&run);
    free(results);
    free(timings);
    remove_folder(folder);
}

static void hostile_names_stay_names(void)
{
    static const char hostile[] = HEADER "\"<script>alert(1)</script>|`$(id)`\x1b[2J\x07\",128,0.1\n";
    char *folder = temporary_folder(), *results = write_results(folder), *timings = write_in(folder, "h.csv", hostile);
    static const char *const forms[] = {"--markdown", NULL};
    for (int form = 0; form < 2; form++) {
        program_run run =
            program((const char *const[]){"compare", results, "--import", timings, forms[form], NULL}, NULL);
        CHECK(run.status == 0 && strchr(run.out, '\x1b') == NULL && strchr(run.out, '\x07') == NULL, "%s", run.out);
        CHECK(form == 1 || strstr(run.out, "<script") == NULL, "%s", run.out);
        program_run_free(&run);
    }
    program_run run = program((const char *const[]){"compare", results, "--import", "/no/such/file", NULL}, NULL);
    CHECK(run.status == 3 && strstr(run.err, "/no/such/file: cannot be opened") != NULL, "%s", run.err);
    program_run_free(&run);
    run = program((const char *const[]){"compare", results, "--import", folder, NULL}, NULL);
    CHECK(run.status == 3 && strstr(run.err, "is no regular file") != NULL, "%s", run.err);
    program_run_free(&run);
    free(results);
    free(timings);
    remove_folder(folder);
}

static const test_case cases[] = {
    {"llama-bench is read", llama_bench_is_read},
    {"configurations are not repetitions", configurations_are_not_repetitions},
    {"Google Benchmark is read", google_benchmark_is_read},
    {"CSV is read", csv_is_read},
    {"malformed timings are refused", malformed_timings_are_refused},
    {"mangled timings do no harm", mangled_timings_do_no_harm},
    {"imported is never measured", imported_is_never_measured},
    {"hostile names stay names", hostile_names_stay_names},
};
TEST_SUITE(import, cases);
