/* test_audit_checkpoints.c - audits of checkpoints in several files, and of those that `optimize` quantised: layers are altered
 * in a copy of them, too, and every test of `ciuic audit` finds there what it finds elsewhere. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/audit/checkpoint_copy.h"
#include "harness/audit/temporary.h"
#include "harness/suite/checkpoint_digest.h"
#include "harness/tests/bench_fixture.h"
#include "harness/tests/folder_fixture.h"
#include "harness/tests/program.h"
#include "harness/tests/suite_fixture.h"
#include "optimizer/checkpoint/shards.h"
#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

static const char trained[] = "datasets/deepseek-v3-tiny";
/* Several files of a checkpoint of 15 MB, and of one of 4 MB. */
enum { SHARD_BYTES = 1500000 };

/* ---- checkpoints ------------------------------------------------------------------------------------------------ */

typedef struct kind {
    const char *what;
    const char *setting; /* of all quantised matrices; NULL: it is not quantised */
    size_t interleave, shard_bytes;
} kind;

static const kind kinds[] = {
    {"one file", NULL, 0, 0},
    {"several files", NULL, 0, SHARD_BYTES},
    {"quantised", "int4", 0, 0},
    {"quantised, in panels, several files", "int8", 16, SHARD_BYTES},
    {"quantised with one scale", "affine8", 0, 0},
};

/* The trained checkpoint with its tensors divided anew. */
static void write_shards(const char *folder, size_t shard_bytes)
{
    checkpoint *c = NULL;
    shards_writer *files = NULL;
    CU_ASSERT_EQUAL_FATAL(checkpoint_open(trained, &c), CIUIC_OK);
    const size_t n = checkpoint_count(c);
    tensor *tensors = calloc(n, sizeof *tensors);
    CU_ASSERT_FATAL(tensors != NULL && checkpoint_link(trained, folder, "model.safetensors") == CIUIC_OK);
    for (size_t i = 0; i < n; i++) tensors[i] = *checkpoint_at(c, i);
    CU_ASSERT_EQUAL_FATAL(shards_writer_open(folder, tensors, n, shard_bytes, &files), CIUIC_OK);
    CHECK(shards_writer_count(files) > 1, "%zu files", shards_writer_count(files));
    for (size_t i = 0; i < n; i++)
        CHECK(shards_writer_append(files, tensors[i].name, tensors[i].data, tensors[i].bytes) == CIUIC_OK, "%s",
              ciuic_last_error());
    CHECK(shards_writer_commit(files) == CIUIC_OK, "%s", ciuic_last_error());
    free(tensors);
    checkpoint_release(c);
}

static void write_quantised(const char *folder, const kind *k)
{
    const test_recipe one = {.otherwise = k->setting};
    test_folder f;
    test_folder_open(trained, &one, k->interleave, &f);
    f.request.shard_bytes = k->shard_bytes;
    f.request.output = folder;
    CHECK(test_folder_write(&f.request, NULL) == CIUIC_OK, "%s", ciuic_last_error());
    test_folder_close(&f);
}

/* A folder of that kind within `place`, to be freed. */
static char *checkpoint_of(const char *place, const kind *k)
{
    char *folder = bench_path(place, "audited");
    if (k->setting != NULL)
        write_quantised(folder, k);
    else if (k->shard_bytes > 0)
        write_shards(folder, k->shard_bytes);
    else
        CHECK(checkpoint_link(trained, folder, NULL) == CIUIC_OK, "%s", ciuic_last_error());
    return folder;
}

static sha256_hex digest_of(const char *folder)
{
    checkpoint *c = NULL;
    sha256_hex digest = {""};
    CHECK(checkpoint_open(folder, &c) == CIUIC_OK, "%s", ciuic_last_error());
    if (c != NULL) CHECK(checkpoint_digest(c, &digest) == CIUIC_OK, "%s", ciuic_last_error());
    checkpoint_release(c);
    return digest;
}

/* ---- copies ----------------------------------------------------------------------------------------------------- */

static void check_copy(const kind *k)
{
    checkpoint *original = NULL;
    char *place = NULL;
    CU_ASSERT_EQUAL_FATAL(temporary_make(&place), CIUIC_OK);
    char *source = checkpoint_of(place, k), *folder = bench_path(place, "copy");
    CU_ASSERT_EQUAL_FATAL(checkpoint_open(source, &original), CIUIC_OK);
    CHECK(checkpoint_copy(original, folder) == CIUIC_OK, "%s", ciuic_last_error());
    const sha256_hex before = digest_of(source);
    /* Layer 1 has eight experts and one that all tokens share. */
    const size_t expected[LAYER_PARTS] = {[LAYER_ATTENTION] = 1, [LAYER_MLP] = 9};
    for (layer_part part = LAYER_ATTENTION; part < LAYER_PARTS; part++) {
        size_t altered = 0;
        CHECK(strcmp(digest_of(folder).text, before.text) == 0, "%s: the copy is none", k->what);
        CHECK(checkpoint_alter(original, folder, 1, part, &altered) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(altered == expected[part], "%s: %zu matrices of %s", k->what, altered, layer_part_name(part));
        CHECK(strcmp(digest_of(folder).text, before.text) != 0, "%s: %s is not altered", k->what,
              layer_part_name(part));
        CHECK(checkpoint_restore(original, folder, 1, part) == CIUIC_OK, "%s", ciuic_last_error());
    }
    CHECK(strcmp(digest_of(folder).text, before.text) == 0, "%s: it is not restored", k->what);
    CHECK(strcmp(digest_of(source).text, before.text) == 0, "%s: the checkpoint itself was altered", k->what);
    checkpoint_release(original);
    free(source);
    free(folder);
    temporary_remove(place);
}

static void a_layer_is_altered_in_the_copy_and_restored(void)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) check_copy(&kinds[i]);
}

/* A panel is the same numbers elsewhere: the logits move, and are still those of numbers. */
static void panels_move_whole(void)
{
    checkpoint *original = NULL, *copy = NULL;
    char *place = NULL;
    size_t altered = 0;
    CU_ASSERT_EQUAL_FATAL(temporary_make(&place), CIUIC_OK);
    char *source = checkpoint_of(place, &kinds[3]), *folder = bench_path(place, "copy");
    CU_ASSERT_EQUAL_FATAL(checkpoint_open(source, &original), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(checkpoint_copy(original, folder), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(checkpoint_alter(original, folder, 1, LAYER_ATTENTION, &altered), CIUIC_OK);
    CU_ASSERT_EQUAL_FATAL(checkpoint_open(folder, &copy), CIUIC_OK);
    const char *const name = "model.layers.1.self_attn.o_proj.weight";
    const tensor *then = checkpoint_find(original, name), *now = checkpoint_find(copy, name);
    CU_ASSERT_FATAL(then != NULL && now != NULL && then->bytes == now->bytes);
    const size_t panel = then->bytes / then->shape[0] * kinds[3].interleave;
    CHECK(memcmp(now->data, (const char *)then->data + panel, then->bytes - panel) == 0, "not by a panel");
    CHECK(memcmp((const char *)now->data + then->bytes - panel, then->data, panel) == 0, "the first is not the last");
    checkpoint_release(copy);
    checkpoint_release(original);
    free(source);
    free(folder);
    temporary_remove(place);
}

/* ---- audits ----------------------------------------------------------------------------------------------------- */

/* A checkpoint that is quantised cannot be quantised again: its own weights, with every stage. */
static const char suite_form[] =
    "{\"schema_version\": 1, \"name\": \"audited\", \"description\": \"for tests\", \"seed\": 7,\n"
    " \"checkpoints\": [\"%s\"],\n"
    " \"workloads\": [{\"checkpoint\": \"audited\", \"phase\": \"prefill\", \"tokens\": 8}],\n"
    " \"variants\": {\"product\": {\"quantize\": [\"none\"], \"graph\": [\"on\"], \"memory\": [\"aggressive\"],"
    " \"kernels\": [\"c\"]}, \"extra\": []},\n"
    " \"baselines\": [\"naive\", \"tuned\"], \"threads\": [1], \"rounds\": 0,"
    " \"min_time_s\": 0,\n"
    " \"accuracy\": {\"windows\": 1, \"tokens\": 8}, \"time_budget_s\": 1,\n"
    " \"limits\": {\"workers\": 12, \"timeout_s\": 60}, \"claims\": \"%s/suites/claims.json\"}\n";

static char *suite_of(const char *place, const char *checkpoint_path)
{
    char *path = bench_path(place, "suite.json"), *root = realpath(".", NULL);
    FILE *file = fopen(path, "w");
    CU_ASSERT_FATAL(file != NULL && root != NULL);
    fprintf(file, suite_form, checkpoint_path, root);
    fclose(file);
    free(root);
    return path;
}

static size_t count_outcome(const cJSON *report, const char *test, const char *outcome)
{
    size_t n = 0;
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, json_find(report, "tests")) n +=
        strcmp(bench_text(item, "test"), test) == 0 && strcmp(bench_text(item, "outcome"), outcome) == 0;
    return n;
}

static void check_audit(const kind *k)
{
    char *place = NULL;
    CU_ASSERT_EQUAL_FATAL(temporary_make(&place), CIUIC_OK);
    char *folder = checkpoint_of(place, k), *file = suite_of(place, folder), *out = bench_path(place, "out");
    program_run bench = program((const char *const[]){"bench", file, "-o", out, "--only", "aggressive", NULL}, NULL);
    CHECK(bench.status == 0, "%s: bench: status %d: %s", k->what, bench.status, bench.err);
    program_run audit = program((const char *const[]){"audit", out, "--seed", "5", "--cases", "1", "--suite", file,
                                                      "--json", "--untimed", NULL},
                                NULL);
    cJSON *report = cJSON_Parse(audit.out);
    CHECK(audit.status == 0 && cJSON_IsTrue(json_find(report, "passed")), "%s: status %d: %s%s", k->what, audit.status,
          audit.out, audit.err);
    static const char *const passed[] = {"content", "hashes", "outputs", "errors", "other-data", "memory", "weights"};
    for (size_t i = 0; i < sizeof passed / sizeof passed[0]; i++)
        CHECK(count_outcome(report, passed[i], "pass") > 0, "%s: %s did not pass: %s", k->what, passed[i], audit.out);
    cJSON_Delete(report);
    program_run_free(&bench);
    program_run_free(&audit);
    free(folder);
    free(file);
    free(out);
    temporary_remove(place);
}

static void every_test_finds_what_it_finds_elsewhere(void)
{
    check_audit(&kinds[1]);
    check_audit(&kinds[2]);
    check_audit(&kinds[3]);
}

static const test_case cases[] = {
    {"a layer is altered in the copy, and restored", a_layer_is_altered_in_the_copy_and_restored},
    {"panels move whole", panels_move_whole},
    {"every test finds what it finds elsewhere", every_test_finds_what_it_finds_elsewhere},
};
TEST_SUITE(audit_checkpoints, cases);
