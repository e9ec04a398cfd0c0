/* test_compare_results.c - comparisons of results: every unfairness is named, what may not be compared is not, and the sheet
 * discloses what there is. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/compare/comparison.h"
#include "harness/judge/claims.h"
#include "harness/report/schema.h"
#include "harness/tests/program.h"
#include "harness/tests/results_fixture.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static const char checkpoints_text[] =
    "[{\"name\": \"made-up-model\", \"sha256\": \"aaaa\", \"files\": ["
    "{\"file\": \"config.json\", \"bytes\": 1, \"sha256\": \"1111\", \"covers\": \"file\"},"
    "{\"file\": \"model.safetensors\", \"bytes\": 2, \"sha256\": \"2222\", \"covers\": \"file\"},"
    "{\"file\": \"streams.safetensors\", \"bytes\": 3, \"sha256\": \"3333\", \"covers\": \"file\"}]}]";

static cJSON *each_case(cJSON *results)
{
    return cJSON_GetObjectItem(results, "cases")->child;
}

static cJSON *made_up(const fixture_machine *machine)
{
    cJSON *results = fixture_results(machine), *claims = NULL;
    CU_ASSERT_EQUAL_FATAL(claims_read("suites/claims.json", &claims), CIUIC_OK);
    cJSON_AddItemToObject(results, "claims", claims);
    cJSON_AddItemToObject(results, "checkpoints", cJSON_Parse(checkpoints_text));
    cJSON_AddItemToObject(results, "evaluation", cJSON_Parse("{\"windows\": 8, \"window_tokens\": 128}"));
    cJSON *references = cJSON_AddArrayToObject(results, "references"), *reference = cJSON_CreateObject();
    cJSON_AddItemToObject(reference, "workload",
                          cJSON_Duplicate(cJSON_GetObjectItem(each_case(results), "workload"), true));
    cJSON_AddStringToObject(reference, "sha256", "4444");
    cJSON_AddItemToArray(references, reference);
    return results;
}

/* ---- changing one place ----------------------------------------------------------------------------------------- */

/* Every string in the tree that is `from` becomes `to`; so does every text between slashes of an id. */
static void replace_strings(cJSON *tree, const char *from, const char *to)
{
    if (cJSON_IsString(tree) && strcmp(tree->valuestring, from) == 0) cJSON_SetValuestring(tree, to);
    for (cJSON *child = tree->child; child != NULL; child = child->next) replace_strings(child, from, to);
}

static void nothing(cJSON *results)
{
    (void)results;
}

static void other_weights(cJSON *results)
{
    replace_strings(results, "2222", "dddd");
}

static void unread_weights(cJSON *results)
{
    cJSON *files = cJSON_GetObjectItem(cJSON_GetObjectItem(results, "checkpoints")->child, "files");
    cJSON_SetValuestring(cJSON_GetObjectItem(cJSON_GetArrayItem(files, 1), "covers"), "header");
}

static void no_digests(cJSON *results)
{
    cJSON_DeleteItemFromObject(results, "checkpoints");
}

static void other_ids(cJSON *results)
{
    replace_strings(results, "3333", "dddd");
}

static void other_machine(cJSON *results)
{
    replace_strings(results, "Made-up CPU (test data)", "Another made-up CPU");
}

static void other_program(cJSON *results)
{
    replace_strings(results, "0.0.0", "0.0.1");
}

static void other_flags(cJSON *results)
{
    set_member(cJSON_GetObjectItem(results, "program"), "flags", cJSON_CreateString("-Ofast"));
}

static void other_seed(cJSON *results)
{
    set_member(results, "seed", json_size(2));
}

static void other_suite(cJSON *results)
{
    set_member(results, "suite_sha256", cJSON_CreateString("ffff"));
}

static void other_isa(cJSON *results)
{
    set_member(results, "isa_override", cJSON_CreateString("avx2"));
}

static void not_finished(cJSON *results)
{
    set_member(results, "complete", cJSON_CreateFalse());
}

static void not_timed(cJSON *results)
{
    set_member(results, "timed", cJSON_CreateFalse());
}

static void more_threads(cJSON *results)
{
    for (cJSON *c = each_case(results); c != NULL; c = c->next) set_member(c, "threads", json_size(4));
}

static void other_lengths(cJSON *results)
{
    for (cJSON *c = each_case(results); c != NULL; c = c->next)
        set_member(cJSON_GetObjectItem(c, "workload"), "tokens", json_size(99));
}

static void larger_batch(cJSON *results)
{
    for (cJSON *c = each_case(results); c != NULL; c = c->next)
        set_member(cJSON_GetObjectItem(c, "workload"), "batch", json_size(8));
}

static void other_phase(cJSON *results)
{
    for (cJSON *c = each_case(results); c != NULL; c = c->next)
        if (strstr(cJSON_GetObjectItem(c, "id")->valuestring, "prefill") != NULL)
            set_member(cJSON_GetObjectItem(c, "workload"), "phase", cJSON_CreateString("decode"));
}

static void no_naive(cJSON *results)
{
    replace_strings(cJSON_GetObjectItem(results, "cases"), "naive", "onednn");
}

static void calibrated(cJSON *results)
{
    for (cJSON *c = each_case(results); c != NULL; c = c->next)
        if (strstr(cJSON_GetObjectItem(c, "id")->valuestring, "int4") != NULL)
            set_member(cJSON_GetObjectItem(c, "variant"), "quantizer", cJSON_CreateString("gptq"));
}

static void other_reference(cJSON *results)
{
    for (cJSON *c = each_case(results); c != NULL; c = c->next)
        set_member(cJSON_GetObjectItem(c, "accuracy"), "reference_nll", json_double(3.4));
}

static void fewer_positions(cJSON *results)
{
    for (cJSON *c = each_case(results); c != NULL; c = c->next)
        set_member(cJSON_GetObjectItem(c, "accuracy"), "positions", json_size(12));
}

static void smaller_cache(cJSON *results)
{
    for (cJSON *c = each_case(results); c != NULL; c = c->next)
        set_member(cJSON_GetObjectItem(c, "memory_bytes"), "kv_cache", json_size(1000));
}

static void random_weights(cJSON *results)
{
    for (cJSON *c = each_case(results); c != NULL; c = c->next) set_member(c, "random_weights", cJSON_CreateTrue());
}

/* One that keeps another KV cache, say: its mean hardly moves. */
static void coarser_reference(cJSON *results)
{
    replace_strings(results, "4444", "dddd");
}

static void shorter_windows(cJSON *results)
{
    set_member(cJSON_GetObjectItem(results, "evaluation"), "window_tokens", json_size(64));
}

static void more_windows(cJSON *results)
{
    set_member(cJSON_GetObjectItem(results, "evaluation"), "windows", json_size(16));
}

static void no_evaluation(cJSON *results)
{
    cJSON_DeleteItemFromObject(results, "evaluation");
}

/* In the last workload alone: the first does not speak for it. */
static void naive_missing_once(cJSON *results)
{
    cJSON *last = NULL;
    for (cJSON *c = each_case(results); c != NULL; c = c->next) {
        const cJSON *name = cJSON_GetObjectItem(cJSON_GetObjectItem(c, "variant"), "baseline");
        if (cJSON_IsString(name) && strcmp(name->valuestring, "naive") == 0) last = c;
    }
    set_member(cJSON_GetObjectItem(last, "variant"), "baseline", cJSON_CreateNull());
}

static void prefixes_kept(cJSON *results)
{
    for (cJSON *c = each_case(results); c != NULL; c = c->next)
        if (strstr(cJSON_GetObjectItem(c, "id")->valuestring, "int8") != NULL)
            set_member(cJSON_GetObjectItem(c, "variant"), "prefix_cache_bytes", json_size(1000000));
}

static void failed_case(cJSON *results)
{
    cJSON_SetValuestring(cJSON_GetObjectItem(each_case(results), "status"), "failed");
}

static void all_failed(cJSON *results)
{
    for (cJSON *c = each_case(results); c != NULL; c = c->next)
        cJSON_SetValuestring(cJSON_GetObjectItem(c, "status"), "failed");
}

/* Every case is another variant than any of the other file. */
static void other_formats(cJSON *results)
{
    for (cJSON *c = each_case(results); c != NULL; c = c->next)
        set_member(cJSON_GetObjectItem(c, "variant"), "quantize", cJSON_CreateString("int5"));
}

static void all_but_one_failed(cJSON *results)
{
    cJSON *one = fixture_case(results, "decode64@256/b1/t2/int4+graph+memory+avx512");
    all_failed(results);
    cJSON_SetValuestring(cJSON_GetObjectItem(one, "status"), "ok");
}

/* Outputs that differ are a failure, so that nothing is left. */
static void all_mismatched(cJSON *results)
{
    for (cJSON *c = each_case(results); c != NULL; c = c->next) set_member(c, "outputs_match", cJSON_CreateFalse());
}

/* ---- two files -------------------------------------------------------------------------------------------------- */

typedef struct pair {
    results_file files[2];
    comparison c;
} pair;

/* Takes both. */
static void compare_pair(cJSON *a, cJSON *b, pair *p)
{
    cJSON *const roots[] = {a, b};
    *p = (pair){0};
    for (int i = 0; i < 2; i++) {
        const ciuic_status status = results_file_take(roots[i], i == 0 ? "a.json" : "b.json", &p->files[i]);
        CHECK(status == CIUIC_OK, "%s", ciuic_last_error());
        CU_ASSERT_EQUAL_FATAL(status, CIUIC_OK);
    }
    CU_ASSERT_EQUAL_FATAL(comparison_make(p->files, 2, &p->c), CIUIC_OK);
}

static void pair_free(pair *p)
{
    comparison_free(&p->c);
    for (int i = 0; i < 2; i++) results_file_free(&p->files[i]);
}

static void unfairness_is_named(void)
{
    static const struct {
        const char *what;
        void (*change)(cJSON *results);
        const char *aspect; /* NULL: none */
        unsigned breaks;
    } rows[] = {
        {"nothing", nothing, NULL, 0},
        {"other weights", other_weights, "checkpoint", FIGURE_ALL},
        {"weights of which the header was read", unread_weights, "checkpoint", 0},
        {"no digests", no_digests, "checkpoint", FIGURE_ALL},
        {"other token ids", other_ids, "inputs", FIGURE_ERROR},
        {"another reference", other_reference, "reference", FIGURE_ERROR},
        {"a reference that is a little coarser", coarser_reference, "reference's logits", 0},
        {"shorter windows", shorter_windows, "evaluation", FIGURE_ERROR},
        {"more windows", more_windows, "evaluation", FIGURE_ERROR},
        {"windows that nobody says", no_evaluation, "evaluation", 0},
        {"another baseline in one workload", naive_missing_once, "baselines", 0},
        {"prompts' beginnings that are kept", prefixes_kept, "prefix cache", 0},
        {"fewer positions", fewer_positions, "evaluated positions", FIGURE_ERROR},
        {"other lengths", other_lengths, "workloads", FIGURE_ALL},
        {"another batch", larger_batch, "workloads", FIGURE_ALL},
        {"another phase", other_phase, "workloads", 0},
        {"more threads", more_threads, "threads", 0},
        {"other baselines", no_naive, "baselines", 0},
        {"calibration", calibrated, "calibration", 0},
        {"a smaller cache", smaller_cache, "cache use", 0},
        {"random weights", random_weights, "weights", FIGURE_ERROR},
        {"another machine", other_machine, "machine", 0},
        {"another instruction set", other_isa, "instruction sets", 0},
        {"another program", other_program, "program", 0},
        {"other flags", other_flags, "compiler", 0},
        {"another suite", other_suite, "suite", 0},
        {"another seed", other_seed, "seed", 0},
        {"an interrupted run", not_finished, "run", 0},
        {"a failed case", failed_case, "run", 0},
        {"failed cases only", all_failed, "cases", FIGURE_ALL},
        {"one case that did not fail", all_but_one_failed, "run", 0},
        {"other outputs only", all_mismatched, "cases", FIGURE_ALL},
        {"no variant in common", other_formats, "cases", FIGURE_ALL},
        {"no times", not_timed, "timing", FIGURE_SPEED},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *other = made_up(&fixture_usual);
        rows[i].change(other);
        pair p;
        compare_pair(made_up(&fixture_usual), other, &p);
        const difference *found = NULL;
        for (size_t d = 0; d < p.c.fairness.count; d++)
            if (rows[i].aspect != NULL && strcmp(p.c.fairness.list[d].aspect, rows[i].aspect) == 0)
                found = &p.c.fairness.list[d];
        CHECK((found != NULL) == (rows[i].aspect != NULL), "%s: %zu differences, the first is %s", rows[i].what,
              p.c.fairness.count, p.c.fairness.count > 0 ? p.c.fairness.list[0].aspect : "none");
        CHECK(p.c.fairness.count == 0 || rows[i].aspect != NULL, "%s: %s", rows[i].what, p.c.fairness.list[0].aspect);
        CHECK(p.c.fairness.broken == rows[i].breaks, "%s breaks: %s", rows[i].what, figure_names(p.c.fairness.broken));
        CHECK(found == NULL || (found->effect[0] != '\0' && strcmp(found->first, found->other) != 0) ||
                  strcmp(found->aspect, "checkpoint") == 0,
              "%s: %s and %s", rows[i].what, found->first, found->other);
        pair_free(&p);
    }
}

/* Where a checkpoint brings no token ids, the seed draws them. */
static void drawn_ids_are_those_of_the_seed(void)
{
    for (size_t seed = 1; seed <= 2; seed++) {
        cJSON *results[] = {made_up(&fixture_usual), made_up(&fixture_usual)};
        for (size_t i = 0; i < 2; i++)
            cJSON_DeleteItemFromArray(
                cJSON_GetObjectItem(cJSON_GetObjectItem(results[i], "checkpoints")->child, "files"), 2);
        set_member(results[0], "seed", json_size(1));
        set_member(results[1], "seed", json_size(seed));
        pair p;
        compare_pair(results[0], results[1], &p);
        CHECK(p.c.fairness.broken == (seed == 1 ? 0u : FIGURE_ERROR), "seed %zu breaks: %s", seed,
              figure_names(p.c.fairness.broken));
        pair_free(&p);
    }
}

/* ---- rows ------------------------------------------------------------------------------------------------------- */

static const compared_row *find_row(const comparison *c, const char *ending)
{
    for (size_t r = 0; r < c->row_count; r++) {
        const char *id = c->rows[r].first->id;
        const size_t n = strlen(id), m = strlen(ending);
        if (n >= m && strcmp(id + n - m, ending) == 0) return &c->rows[r];
    }
    return NULL;
}

static void speeds_are_set_against_the_first(void)
{
    fixture_machine faster = fixture_usual;
    faster.int8_gain = 2.6; /* was 1.3 */
    pair p;
    compare_pair(made_up(&fixture_usual), made_up(&faster), &p);
    const compared_row *int8 = find_row(&p.c, "prefill128@0/b1/t2/int8+graph+memory+avx512");
    const compared_row *fp16 = find_row(&p.c, "prefill128@0/b1/t2/fp16+graph+memory+avx512");
    CU_ASSERT_PTR_NOT_NULL_FATAL(int8);
    CU_ASSERT_PTR_NOT_NULL_FATAL(fp16);
    const speed_ratio twice = comparison_speed(&p.c, int8, 1), same = comparison_speed(&p.c, fp16, 1);
    /* Both drift by 1% a round, so that the intervals of medians are some percent wide; the medians are not moved by it. */
    CHECK(fabs(twice.value - 2.0) < 0.05 && twice.low < 2.0 && twice.high > 2.0, "%g (%g to %g)", twice.value,
          twice.low, twice.high);
    CHECK(fabs(same.value - 1.0) < 0.05 && same.low < 1.0 && same.high > 1.0, "%g (%g to %g)", same.value, same.low,
          same.high);
    CU_ASSERT_TRUE(isnan(comparison_speed(&p.c, int8, 0).value));
    CU_ASSERT_EQUAL(p.c.alone, 0);
    CU_ASSERT_EQUAL(p.c.row_count, 50); /* 24 variants and openblas, two workloads; no twins */
    pair_free(&p);
}

static void what_may_not_be_compared_is_not(void)
{
    cJSON *other = made_up(&fixture_usual);
    other_weights(other);
    pair p;
    compare_pair(made_up(&fixture_usual), other, &p);
    CU_ASSERT_FATAL(p.c.row_count > 0);
    for (size_t r = 0; r < p.c.row_count; r++) CU_ASSERT_TRUE(isnan(comparison_speed(&p.c, &p.c.rows[r], 1).value));
    CU_ASSERT_FALSE(comparison_allows(&p.c, 1, FIGURE_MEMORY));
    CU_ASSERT_STRING_EQUAL(fairness_verdict(&p.c.fairness), "not comparable");
    pair_free(&p);
}

/* The same variant with the kernels that are best on either machine. */
static void best_kernels_meet(void)
{
    cJSON *other = made_up(&fixture_usual);
    replace_strings(other, "avx512", "amx");
    pair p;
    compare_pair(made_up(&fixture_usual), other, &p);
    const compared_row *row = find_row(&p.c, "decode64@256/b1/t2/int4+graph+memory+avx512");
    CU_ASSERT_PTR_NOT_NULL_FATAL(row);
    CU_ASSERT_PTR_NOT_NULL(row->cases[1]);
    CU_ASSERT_EQUAL(p.c.alone, 0);
    pair_free(&p);
}

/* Two selections of the graph stage's passes are two variants. */
static void other_passes_are_another_variant(void)
{
    static const char ending[] = "decode64@256/b1/t2/int4+graph+memory+avx512";
    static const struct {
        const char *first, *second; /* NULL: all of them */
        bool met;
    } rows[] = {{"fuse-qkv", "fuse-qkv", true}, {"fuse-qkv", "absorb-mla", false}, {NULL, "fuse-qkv", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *results[] = {made_up(&fixture_usual), made_up(&fixture_usual)};
        const char *const passes[] = {rows[i].first, rows[i].second};
        for (size_t side = 0; side < 2; side++)
            if (passes[side] != NULL)
                set_member(cJSON_GetObjectItem(fixture_case(results[side], ending), "variant"), "graph",
                           cJSON_CreateString(passes[side]));
        pair p;
        compare_pair(results[0], results[1], &p);
        CHECK((find_row(&p.c, ending) != NULL) == rows[i].met, "row %zu", i); /* what one alone has is left out */
        CU_ASSERT_EQUAL(p.c.alone, rows[i].met ? 0 : 2);
        pair_free(&p);
    }
}

static void divisions_are_told_by_loss(void)
{
    static const struct {
        const char *ending;
        double l2;
        division expected;
    } rows[] = {
        {"prefill128@0/b1/t2/fp16+graph+memory+avx512", 0.0005, DIVISION_EQUIVALENT},
        {"prefill128@0/b1/t2/fp16+graph+memory+avx512", 0.002, DIVISION_OPEN}, /* activations in bfloat16 */
        {"prefill128@0/b1/t2/fp16+graph+memory+avx512", NAN, DIVISION_OPEN},
        {"prefill128@0/b1/t2/int8+graph+memory+avx512", 0.0, DIVISION_OPEN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        cJSON *results = made_up(&fixture_usual);
        set_member(cJSON_GetObjectItem(fixture_case(results, rows[i].ending), "accuracy"), "relative_l2",
                   json_double(rows[i].l2));
        pair p;
        compare_pair(made_up(&fixture_usual), results, &p);
        CU_ASSERT_EQUAL(find_row(&p.c, rows[i].ending)->division, rows[i].expected);
        for (size_t r = 1; r < p.c.row_count; r++) CU_ASSERT_TRUE(p.c.rows[r - 1].division <= p.c.rows[r].division);
        pair_free(&p);
    }
}

/* ---- telling ---------------------------------------------------------------------------------------------------- */

#define HOSTILE "<script>alert(1)</script>|`$(id)`\x1b[2J\n| x |"

static void make_hostile(cJSON *results)
{
    replace_strings(results, "made-up-model", HOSTILE);
    replace_strings(results, "Made-up CPU (test data)", HOSTILE);
    replace_strings(results, "made-up", HOSTILE);
    set_member(results, "suite", cJSON_CreateString(HOSTILE));
}

static void hostile_names_are_escaped(void)
{
    cJSON *a = made_up(&fixture_usual), *b = made_up(&fixture_usual);
    make_hostile(a);
    make_hostile(b);
    other_weights(b);
    pair p;
    compare_pair(a, b, &p);
    for (int form = 0; form < 2; form++) {
        char *text = NULL;
        size_t length = 0;
        FILE *stream = open_memstream(&text, &length);
        const ciuic_status written =
            form == 0 ? comparison_markdown(stream, &p.c) : disclosure_write(stream, &p.files[0]);
        CU_ASSERT_EQUAL(written, CIUIC_OK);
        fclose(stream);
        CHECK(strstr(text, "<script") == NULL && strchr(text, '\x1b') == NULL, "%s", text);
        CHECK(strstr(text, "&lt;script") != NULL && strstr(text, "\n| x |") == NULL, "%s", text);
        free(text);
    }
    pair_free(&p);
}

/* Without the digest that bench puts in, takes the results. */
static char *write_unsealed(const char *folder, const char *name, cJSON *results)
{
    char *path = NULL;
    CU_ASSERT_FATAL(asprintf(&path, "%s/%s", folder, name) > 0);
    json_exact_numbers(results);
    CU_ASSERT_EQUAL_FATAL(json_write_file(path, results), CIUIC_OK);
    cJSON_Delete(results);
    return path;
}

static char *write_results(const char *folder, const char *name, cJSON *results)
{
    fixture_seal(results);
    return write_unsealed(folder, name, results);
}

static size_t widest_line(const char *text)
{
    size_t widest = 0, width = 0;
    for (const char *c = text; *c != '\0'; c++) {
        width = *c == '\n' ? 0 : width + 1;
        if (width > widest) widest = width;
    }
    return widest;
}

static void check_run(const char *const *arguments, int status, const char *says)
{
    program_run run = program(arguments, NULL);
    CHECK(run.status == status, "status %d, expected %d: %s", run.status, status, run.err);
    CHECK(strstr(run.out, says) != NULL || strstr(run.err, says) != NULL, "'%s' is not in: %s%s", says, run.out,
          run.err);
    CHECK(widest_line(run.out) <= 100 || strcmp(arguments[3], "--markdown") == 0 || run.out[0] == '{',
          "%zu columns: %s", widest_line(run.out), run.out);
    CHECK(strchr(run.out, '\x1b') == NULL, "an escape: %s", run.out);
    program_run_free(&run);
}

/* What --json prints has the form that is promised. */
static void check_form(const char *a, const char *b)
{
    cJSON *found = NULL, *schema = NULL;
    program_run run = program((const char *const[]){"compare", a, b, "--json", NULL}, NULL);
    CU_ASSERT_EQUAL_FATAL(json_parse(run.out, strlen(run.out), "compare", &found), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(json_read_file("reports/compare.schema.json", 1 << 20, &schema), CIUIC_OK);
    CHECK(schema_check(found, schema, "compare") == CIUIC_OK, "%s", ciuic_last_error());
    CU_ASSERT_TRUE(cJSON_GetArraySize(json_find(found, "differences")) > 0);
    cJSON_Delete(found);
    cJSON_Delete(schema);
    program_run_free(&run);
}

static void command_answers_with_its_status(void)
{
    char *folder = temporary_folder(), *sheet = NULL;
    cJSON *unlike = made_up(&fixture_usual), *versions = made_up(&fixture_usual), *hostile = made_up(&fixture_usual);
    cJSON *empty = made_up(&fixture_usual);
    other_weights(unlike);
    set_member(versions, "schema_version", json_size(7));
    make_hostile(hostile);
    set_member(empty, "cases", cJSON_CreateArray());
    set_member(empty, "blocks", cJSON_CreateArray());
    char *a = write_results(folder, "a.json", made_up(&fixture_usual)), *b = write_results(folder, "b.json", unlike);
    char *c = write_results(folder, "c.json", versions), *d = write_results(folder, "d.json", hostile);
    char *e = write_results(folder, "e.json", empty), *u = write_unsealed(folder, "u.json", made_up(&fixture_usual));
    CU_ASSERT_FATAL(asprintf(&sheet, "%s/sheet.md", folder) > 0);
    check_run((const char *const[]){"compare", a, a, "", NULL}, 3, "cannot be opened");
    check_run((const char *const[]){"compare", a, a, "--json", NULL}, 0, "\"comparable\":\ttrue");
    check_run((const char *const[]){"compare", a, b, "--json", NULL}, 1, "\"comparable\":\tfalse");
    check_run((const char *const[]){"compare", a, b, "--markdown", NULL}, 1, "Not comparable: speed, error, memory");
    check_run((const char *const[]){"compare", a, b, a, NULL}, 1, "not comparable: speed, error, memory");
    check_run((const char *const[]){"compare", a, c, a, NULL}, 3, "c.json: schema_version 7; expected 1");
    check_run((const char *const[]){"compare", d, d, d, NULL}, 0, "comparable");
    check_run((const char *const[]){"compare", a, u, "--json", NULL}, 0, "\"aspect\":\t\"content\"");
    check_run((const char *const[]){"compare", u, u, "--json", NULL}, 0, "u.json: these results carry no digest");
    check_run((const char *const[]){"compare", a, e, a, NULL}, 1, "B: no cases");
    check_run((const char *const[]){"compare", a, "--disclosure", sheet, NULL}, 0, "equivalent: the same function");
    check_form(a, b);
    check_form(a, d);
    char *text = read_text(sheet);
    CHECK(text != NULL && strstr(text, "# Disclosure") != NULL && strstr(text, "2222") != NULL &&
              strstr(text, "to be answered") != NULL,
          "%s", text);
    free(text);
    char *const paths[] = {sheet, a, b, c, d, e, u};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) free(paths[i]);
    remove_folder(folder);
}

static const test_case cases[] = {
    {"unfairness is named", unfairness_is_named},
    {"drawn ids are those of the seed", drawn_ids_are_those_of_the_seed},
    {"speeds are set against the first", speeds_are_set_against_the_first},
    {"what may not be compared is not", what_may_not_be_compared_is_not},
    {"best kernels meet", best_kernels_meet},
    {"other passes are another variant", other_passes_are_another_variant},
    {"divisions are told by loss", divisions_are_told_by_loss},
    {"hostile names are escaped", hostile_names_are_escaped},
    {"the command answers with its status", command_answers_with_its_status},
};
TEST_SUITE(compare_results, cases);
