/* test_packed_suite.c - variants loaded from a folder that was quantised before: the same bits as those that quantise while
 * they load, a folder made once and again only where it is gone, and what a folder that cannot be made costs. */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "harness/report/report.h"
#include "harness/report/schema.h"
#include "harness/suite/packing.h"
#include "harness/tests/bench_fixture.h"
#include "harness/tests/program.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static const char suite_format[] =
    "{\"schema_version\": 1, \"name\": \"packed\", \"description\": \"for tests\", \"seed\": 7,\n"
    " \"checkpoints\": [\"%s/datasets/%s\"],\n"
    " \"workloads\": [{\"checkpoint\": \"%s\", \"phase\": \"prefill\", \"tokens\": 8}],\n"
    " \"variants\": {\"extra\": [%s]},\n"
    " \"baselines\": [\"tuned\"], \"threads\": [1], \"rounds\": %s, \"min_time_s\": 0,\n"
    " \"accuracy\": {\"windows\": 1, \"tokens\": 16}, \"time_budget_s\": 1,\n"
    " \"claims\": \"%s/suites/claims.json\"}\n";

/* A bench's place in a test, and what its suite asks for. */
typedef struct packed_bench {
    char *folder, *suite, *out;
    cJSON *machine;
} packed_bench;

static packed_bench place(const char *checkpoint, const char *variants, bool timed)
{
    packed_bench p = {.folder = temporary_folder(), .machine = bench_machine()};
    char root[PATH_MAX];
    const char *slash = strrchr(checkpoint, '/');
    p.suite = bench_path(p.folder, "suite.json");
    p.out = bench_path(p.folder, "out");
    FILE *file = fopen(p.suite, "w");
    CU_ASSERT_FATAL(file != NULL && getcwd(root, sizeof root) != NULL);
    fprintf(file, suite_format, root, checkpoint, slash != NULL ? slash + 1 : checkpoint, variants,
            timed ? "2, \"min_rounds\": 2" : "0", root);
    fclose(file);
    return p;
}

static void forget(packed_bench *p)
{
    cJSON_Delete(p->machine);
    free(p->out);
    free(p->suite);
    remove_tree(p->folder);
}

static bench_options options_of(const packed_bench *p)
{
    static char name[] = "bench";
    static char *arguments[] = {name, NULL};
    return (bench_options){
        .suite_path = p->suite, .directory = p->out, .argc = 1, .argv = arguments, .machine = p->machine};
}

static double number(const cJSON *object, const char *key)
{
    const cJSON *item = json_find(object, key);
    return json_is_number(item) ? item->valuedouble : (double)NAN;
}

static bool exists(const packed_bench *p, const char *name)
{
    char *path = bench_path(p->out, name);
    const bool found = access(path, F_OK) == 0;
    free(path);
    return found;
}

/* ---- the same bits ---------------------------------------------------------------------------------------------- */

/* Each as it loads, then packed; kernels `best` take rows in panels, which are then used where the folder is mapped. */
static const char pairs[] =
    "{\"quantize\": \"int8\", \"graph\": \"on\", \"memory\": \"on\", \"kernels\": \"c\"},"
    "{\"quantize\": \"int8\", \"graph\": \"on\", \"memory\": \"on\", \"kernels\": \"c\", \"packed\": true},"
    "{\"quantize\": \"int8\", \"graph\": \"off\", \"memory\": \"off\", \"kernels\": \"c\", \"packed\": true},"
    "{\"quantize\": \"int8\", \"graph\": \"off\", \"memory\": \"off\", \"kernels\": \"c\"},"
    "{\"quantize\": \"affine4\", \"graph\": \"on\", \"memory\": \"on\", \"kernels\": \"c\"},"
    "{\"quantize\": \"affine4\", \"graph\": \"on\", \"memory\": \"on\", \"kernels\": \"c\", \"packed\": true},"
    "{\"quantize\": \"int4\", \"group\": 64, \"asymmetric\": true, \"activations\": \"none\", \"graph\": \"on\", "
    "\"memory\": \"aggressive\", \"kernels\": \"best\"},"
    "{\"quantize\": \"int4\", \"group\": 64, \"asymmetric\": true, \"activations\": \"none\", \"graph\": \"on\", "
    "\"memory\": \"aggressive\", \"kernels\": \"best\", \"packed\": true}";
/* What is calibrated takes minutes here, and is checked where it fails, below. */
enum { PAIRS = 4, FOLDERS = 3 }; /* int8 with the graph on and off is one folder */

static const cJSON *packed_twin(const cJSON *results, const char *id)
{
    char wanted[CASE_ID_MAX];
    snprintf(wanted, sizeof wanted, "%s+packed", id);
    return bench_case_of(results, wanted);
}

static void check_pair(const cJSON *plain, const cJSON *packed)
{
    static const char *const figures[] = {"kl", "mean_abs_error", "max_abs_error", "relative_l2"};
    const char *id = bench_text(packed, "id");
    CHECK(strcmp(bench_text(plain, "status"), "ok") == 0 && strcmp(bench_text(packed, "status"), "ok") == 0,
          "%s: %s; %s", id, bench_text(plain, "reason"), bench_text(packed, "reason"));
    CHECK(bench_text(packed, "output_sha256")[0] != '\0' &&
              strcmp(bench_text(plain, "output_sha256"), bench_text(packed, "output_sha256")) == 0,
          "%s: other logits", id);
    for (size_t i = 0; i < sizeof figures / sizeof figures[0]; i++) {
        const double a = number(json_find(plain, "accuracy"), figures[i]),
                     b = number(json_find(packed, "accuracy"), figures[i]);
        CHECK(a == b && a > 0, "%s: %s is %.17g, and %.17g packed", id, figures[i], a, b);
    }
    CHECK(cJSON_IsTrue(json_find(json_find(packed, "variant"), "packed")) &&
              json_find(json_find(plain, "variant"), "packed") == NULL && json_find(plain, "packing") == NULL,
          "%s: not told", id);
}

static void check_folders(const cJSON *results)
{
    const cJSON *list = json_find(results, "packings"), *item = NULL;
    CHECK(cJSON_GetArraySize(list) == FOLDERS, "%d folders", cJSON_GetArraySize(list));
    cJSON_ArrayForEach(item, list)
    {
        const char *weights = bench_text(item, "weights");
        CHECK(number(item, "times_made") == 1 && number(item, "bytes") > 0 && number(item, "seconds") > 0 &&
                  strlen(bench_text(item, "sha256")) == 64 && json_find(item, "failed") == NULL,
              "%s: %s", weights, bench_text(item, "failed"));
        CHECK(number(item, "weights_checked") > 0 && number(item, "weights_unchecked") == 0,
              "%s: %.0f weights checked, %.0f not", weights, number(item, "weights_checked"),
              number(item, "weights_unchecked"));
    }
}

static void check_report(const packed_bench *p, cJSON *results)
{
    const char *notice = NULL;
    char *report = bench_path(p->folder, "report"), *markdown = bench_path(report, "report.md");
    CHECK(report_write(results, "results", &(report_request){.directory = report}, &notice) == CIUIC_OK, "%s",
          ciuic_last_error());
    char *text = read_text(markdown);
    CHECK(text != NULL && strstr(text, "Folders that were quantised before") != NULL, "the report does not tell");
    free(text);
    free(markdown);
    remove_tree(report);
}

static void packed_is_the_same_bits(void)
{
    packed_bench p = place("deepseek-v3-tiny", pairs, true);
    const bench_options o = options_of(&p);
    CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
    cJSON *results = bench_results(p.out);
    const cJSON *item = NULL;
    size_t found = 0;
    CHECK(schema_check_results(results, "results") == CIUIC_OK, "%s", ciuic_last_error());
    cJSON_ArrayForEach(item, json_find(results, "cases"))
    {
        const cJSON *twin = packed_twin(results, bench_text(item, "id"));
        if (twin == NULL) continue;
        check_pair(item, twin);
        found++;
    }
    CHECK(found == PAIRS, "%zu pairs", found);
    const char *const int8 = "/int8+graph+memory+c", *const packed = "/int8+graph+memory+c+packed";
    CHECK(number(json_find(bench_case_of(results, packed), "memory_bytes"), "under_limit") <
              number(json_find(bench_case_of(results, int8), "memory_bytes"), "under_limit"),
          "packed needs no less under a limit");
    check_folders(results);
    for (size_t i = 0; i < FOLDERS; i++) {
        char name[32];
        snprintf(name, sizeof name, "packed-%zu", i);
        CHECK(!exists(&p, name), "%s is left", name);
    }
    check_report(&p, results);
    cJSON_Delete(results);
    forget(&p);
}

/* ---- resuming --------------------------------------------------------------------------------------------------- */

static const char one_packed[] =
    "{\"quantize\": \"int8\", \"graph\": \"on\", \"memory\": \"on\", \"kernels\": \"c\", \"packed\": true}";

/* As if the process had been killed when the journal said that the folder is made. */
static void cut_after_packing(const packed_bench *p)
{
    char *path = bench_path(p->out, "journal.jsonl"), *results = bench_path(p->out, "results.json");
    char *text = read_text(path), *entry = text != NULL ? strstr(text, "\"kind\":\"packed\"") : NULL;
    char *end = entry != NULL ? strchr(entry, '\n') : NULL;
    CU_ASSERT_FATAL(end != NULL);
    FILE *file = fopen(path, "w");
    CU_ASSERT_FATAL(file != NULL && fwrite(text, 1, (size_t)(end + 1 - text), file) == (size_t)(end + 1 - text));
    fclose(file);
    unlink(results);
    free(text);
    free(path);
    free(results);
}

static const struct {
    bool gone;
    int made;
} resumed[] = {{false, 1}, {true, 2}};

static void a_folder_is_made_again_where_it_is_gone(void)
{
    for (size_t i = 0; i < sizeof resumed / sizeof resumed[0]; i++) {
        packed_bench p = place("golden/deepseek-v3", one_packed, false);
        bench_options o = options_of(&p);
        o.keep_packed = true;
        CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
        cJSON *before = bench_results(p.out);
        CHECK(exists(&p, "packed-0"), "--keep-packed keeps nothing");
        cut_after_packing(&p);
        if (resumed[i].gone) remove_tree(bench_path(p.out, "packed-0"));
        o.resume = true;
        o.keep_packed = false;
        CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
        cJSON *after = bench_results(p.out);
        const cJSON *made = cJSON_GetArrayItem(json_find(after, "packings"), 0);
        CHECK(number(made, "times_made") == resumed[i].made, "made %.0f times, expected %d", number(made, "times_made"),
              resumed[i].made);
        CHECK(strcmp(bench_text(bench_case_of(before, "+packed"), "output_sha256"),
                     bench_text(bench_case_of(after, "+packed"), "output_sha256")) == 0,
              "other logits after --resume");
        CHECK(!exists(&p, "packed-0"), "the folder is left");
        cJSON_Delete(before);
        cJSON_Delete(after);
        forget(&p);
    }
}

/* Another folder in its place is not what was made. */
static void a_folder_that_was_changed_is_made_again(void)
{
    packed_bench p = place("golden/deepseek-v3", one_packed, false);
    bench_options o = options_of(&p);
    o.keep_packed = true;
    CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
    cut_after_packing(&p);
    char *config = bench_path(p.out, "packed-0/deepseek-v3/config.json");
    FILE *file = fopen(config, "a");
    CHECK(file != NULL && fputs(" \n", file) >= 0, "%s", config);
    if (file != NULL) fclose(file);
    o.resume = true;
    CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
    cJSON *after = bench_results(p.out);
    CHECK(number(cJSON_GetArrayItem(json_find(after, "packings"), 0), "times_made") == 2, "it was measured as it was");
    cJSON_Delete(after);
    free(config);
    forget(&p);
}

/* ---- what goes wrong -------------------------------------------------------------------------------------------- */

static const char some_packed[] =
    "{\"quantize\": \"int8\", \"graph\": \"on\", \"memory\": \"on\", \"kernels\": \"c\"},"
    "{\"quantize\": \"int8\", \"graph\": \"on\", \"memory\": \"on\", \"kernels\": \"c\", \"packed\": true},"
    "{\"quantize\": \"int8\", \"graph\": \"on\", \"memory\": \"aggressive\", \"kernels\": \"c\", \"packed\": true},"
    "{\"quantize\": \"int4\", \"quantizer\": \"gptq\", \"graph\": \"on\", \"memory\": \"on\", \"kernels\": \"c\", "
    "\"packed\": true}";

/* Of golden/deepseek-v3, which has no ids to calibrate on; int8 of it takes more than file_bytes. */
static const struct {
    const char *fault;
    rlim_t file_bytes; /* as a full disk; 0: as it is */
    bool int8_packs;
    const char *says;
} failures[] = {
    {NULL, 0, true, ""},
    {"sigkill@pack", 0, false, "killed by signal 9"},
    {"junk@pack", 0, false, "what is no answer"},
    {NULL, 300000, false, "File too large"},
};

static void check_failure(const cJSON *item, const char *says)
{
    CHECK(strcmp(bench_text(item, "status"), "failed") == 0 &&
              strstr(bench_text(item, "reason"), "packed folder could not be made") != NULL &&
              strstr(bench_text(item, "reason"), says) != NULL,
          "%s: %s: %s; expected \"%s\"", bench_text(item, "id"), bench_text(item, "status"), bench_text(item, "reason"),
          says);
}

static void a_folder_that_cannot_be_made_costs_its_cases(void)
{
    for (size_t i = 0; i < sizeof failures / sizeof failures[0]; i++) {
        packed_bench p = place("golden/deepseek-v3", some_packed, false);
        bench_options o = options_of(&p);
        struct rlimit before, limited;
        o.fault = failures[i].fault;
        o.fault_only = failures[i].fault != NULL ? "+packed" : NULL;
        CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0, "no limit of files");
        limited = before;
        if (failures[i].file_bytes > 0) limited.rlim_cur = failures[i].file_bytes;
        CHECK(setrlimit(RLIMIT_FSIZE, &limited) == 0, "no limit of files");
        const ciuic_status status = bench_quietly(&o);
        setrlimit(RLIMIT_FSIZE, &before);
        CHECK(status == CIUIC_OK, "%zu: %s", i, ciuic_last_error());
        cJSON *results = bench_results(p.out);
        const cJSON *plain = bench_case_of(results, "/int8+graph+memory+c");
        CHECK(schema_check_results(results, "results") == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(strcmp(bench_text(plain, "status"), "ok") == 0, "%zu: unpacked: %s", i, bench_text(plain, "reason"));
        for (int k = 0; k < 2; k++) {
            const cJSON *item = bench_case_of(results, k == 0 ? "int8+graph+memory+c+packed" : "aggressive+c+packed");
            if (failures[i].int8_packs)
                CHECK(strcmp(bench_text(item, "status"), "ok") == 0, "%zu: %s", i, bench_text(item, "reason"));
            else
                check_failure(item, failures[i].says);
        }
        check_failure(bench_case_of(results, "int4-gptq+graph+memory+c+packed"),
                      failures[i].fault != NULL ? failures[i].says : "streams.safetensors");
        CHECK(!exists(&p, "packed-0") && !exists(&p, "packed-1"), "%zu: something is left", i);
        cJSON_Delete(results);
        forget(&p);
    }
}

static const struct {
    const char *quantize, *packed, *says;
} refusals[] = {
    {"none", "true", "nothing to pack"},
    {"mixed\", \"bits\": 5, \"memory_limit_bytes\": 10000000, \"quantizer\": \"gptq", "true", "ciuic optimize"},
    {"int8", "\"yes\"", "packed"},
};

static void what_cannot_be_packed_is_refused(void)
{
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        char variant[256];
        snprintf(variant, sizeof variant,
                 "{\"quantize\": \"%s\", \"graph\": \"on\", \"memory\": \"on\", \"kernels\": \"c\", \"packed\": %s}",
                 refusals[i].quantize, refusals[i].packed);
        packed_bench p = place("golden/deepseek-v3", variant, false);
        suite *s = NULL;
        CHECK(suite_read(p.suite, &s) == CIUIC_ERROR_INPUT && strstr(ciuic_last_error(), refusals[i].says) != NULL,
              "%zu: %s", i, ciuic_last_error());
        suite_free(s);
        forget(&p);
    }
}

/* ---- who needs which folder ------------------------------------------------------------------------------------- */

/* False is as good as absent, and one setting twice is one case; packed is another. */
static void packed_is_part_of_a_variant(void)
{
    static const char variants[] =
        "{\"quantize\": \"int8\", \"graph\": \"on\", \"memory\": \"on\", \"kernels\": \"c\"},"
        "{\"quantize\": \"int8\", \"graph\": \"on\", \"memory\": \"on\", \"kernels\": \"c\", \"packed\": false},"
        "{\"quantize\": \"int8\", \"graph\": \"on\", \"memory\": \"on\", \"kernels\": \"c\", \"packed\": true},"
        "{\"quantize\": \"int8\", \"graph\": \"off\", \"memory\": \"off\", \"kernels\": \"c\", \"packed\": true},"
        "{\"quantize\": \"int8\", \"group\": 64, \"graph\": \"on\", \"memory\": \"on\", \"kernels\": \"c\", "
        "\"packed\": true}";
    packed_bench p = place("golden/deepseek-v3", variants, false);
    suite *s = NULL;
    bench_matrix *m = NULL;
    const matrix_filter all = {0};
    CU_ASSERT_FATAL(suite_read(p.suite, &s) == CIUIC_OK && matrix_expand(s, &all, &m) == CIUIC_OK);
    CHECK(m->case_count == 5 && m->packing_count == 2, "%zu cases, %zu folders", m->case_count, m->packing_count);
    for (size_t i = 0; i < m->case_count; i++) {
        const bench_case *c = &m->cases[i];
        const bool named = strstr(c->id, "+packed") != NULL;
        CHECK(named == c->variant.packed && named == (c->packing != NO_PACKING), "%s", c->id);
    }
    CHECK(strcmp(m->packings[0].weights, "int8") == 0 && strcmp(m->packings[1].weights, "int8-g64") == 0, "%s, %s",
          m->packings[0].weights, m->packings[1].weights);
    matrix_free(m);
    suite_free(s);
    forget(&p);
}

/* ---- who reads such results ------------------------------------------------------------------------------------- */

/* The file is consistent, and what is not run again is said. */
static void an_audit_says_what_it_leaves_out(void)
{
    packed_bench p = place("golden/deepseek-v3", one_packed, false);
    const bench_options o = options_of(&p);
    CHECK(bench_quietly(&o) == CIUIC_OK, "%s", ciuic_last_error());
    const char *const arguments[] = {"audit", p.out, "--only", "content", "--untimed", NULL};
    program_run run = program(arguments, NULL);
    CHECK(run.status == 0 && strstr(run.out, "1 cases were loaded from packed folders") != NULL, "status %d: %s%s",
          run.status, run.out, run.err);
    program_run_free(&run);
    forget(&p);
}

static const test_case cases[] = {
    {"packed is the same bits", packed_is_the_same_bits},
    {"a folder is made again where it is gone", a_folder_is_made_again_where_it_is_gone},
    {"a folder that was changed is made again", a_folder_that_was_changed_is_made_again},
    {"a folder that cannot be made costs its cases", a_folder_that_cannot_be_made_costs_its_cases},
    {"what cannot be packed is refused", what_cannot_be_packed_is_refused},
    {"packed is part of a variant", packed_is_part_of_a_variant},
    {"an audit says what it leaves out", an_audit_says_what_it_leaves_out},
};
TEST_SUITE(packed_suite, cases);
