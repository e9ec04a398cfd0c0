/* test_safetensors_writer.c - values in any order and in pieces make the file that they make at once; what is
 * missing, too much or unknown is refused by name, and then, or when the disk is full, no file appears. */
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "optimizer/checkpoint/safetensors_writer.h"
#include "optimizer/checkpoint/shards.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

static uint8_t codes[300 * 7];
static uint16_t scales[300];
static const float minimum[1] = {-0.5f};

static const tensor parts[] = {
    {.name = "codes", .dtype = TENSOR_U8, .dims = 2, .shape = {300, 7}, .data = codes},
    {.name = "scales", .dtype = TENSOR_F16, .dims = 1, .shape = {300}, .data = scales},
    {.name = "nothing", .dtype = TENSOR_F32, .dims = 2, .shape = {0, 5}, .data = codes},
    {.name = "minimum", .dtype = TENSOR_F32, .dims = 1, .shape = {1}, .data = minimum},
};
enum { PARTS = sizeof parts / sizeof parts[0] };

static void fill(unsigned long long *state)
{
    for (size_t i = 0; i < sizeof codes; i++) codes[i] = (uint8_t)random_next(state);
    for (size_t i = 0; i < 300; i++) scales[i] = (uint16_t)random_next(state);
}

static size_t bytes_of(const tensor *t)
{
    size_t bytes = tensor_dtype_bytes(t->dtype);
    for (size_t i = 0; i < t->dims; i++) bytes *= t->shape[i];
    return bytes;
}

/* All values, a random piece of a random tensor at a time. */
static void append_all(safetensors_writer *w, unsigned long long *state)
{
    size_t done[PARTS] = {0}, left = 0;
    for (size_t i = 0; i < PARTS; i++) left += bytes_of(&parts[i]);
    while (left > 0) {
        const size_t i = random_next(state) % PARTS, rest = bytes_of(&parts[i]) - done[i];
        const size_t piece = rest > 0 ? random_next(state) % (rest < 97 ? rest + 1 : 97) : 0;
        const ciuic_status status =
            safetensors_writer_append(w, parts[i].name, (const unsigned char *)parts[i].data + done[i], piece);
        if (status != CIUIC_OK) CHECK(false, "%s", ciuic_last_error());
        done[i] += piece;
        left -= piece;
    }
}

static void any_order_makes_the_same_file(void)
{
    static const size_t alignments[] = {8, 64, 4096};
    unsigned long long state = test_seed();
    for (size_t a = 0; a < sizeof alignments / sizeof alignments[0]; a++) {
        temporary_folder folder;
        char path[TEST_PATH];
        safetensors_writer *w = NULL;
        safetensors *file = NULL;
        temporary_folder_create(&folder);
        fill(&state);
        temporary_path(&folder, "a", path);
        CU_ASSERT_FATAL(safetensors_writer_open(path, parts, PARTS, alignments[a], &w) == CIUIC_OK);
        append_all(w, &state);
        CHECK(safetensors_writer_commit(w) == CIUIC_OK, "%s", ciuic_last_error());
        CU_ASSERT_FATAL(safetensors_open(path, &file) == CIUIC_OK);
        CHECK((uintptr_t)safetensors_at(file, 0)->data % alignments[a] == 0, "data at %p, not aligned to %zu",
              safetensors_at(file, 0)->data, alignments[a]);
        for (size_t i = 0; i < PARTS; i++) {
            const tensor *t = safetensors_find(file, parts[i].name);
            CHECK(t != NULL && t->bytes == bytes_of(&parts[i]) && memcmp(t->data, parts[i].data, t->bytes) == 0,
                  "%s is not what was written", parts[i].name);
        }
        safetensors_close(file);
        CHECK(temporary_folder_entries(&folder) == 1, "a temporary file was left");
        temporary_folder_remove(&folder);
    }
}

static void what_does_not_fit_is_refused(void)
{
    static const struct {
        const char *name; /* NULL: all, but for what the plan lacks */
        size_t bytes, lacking;
        const char *message;
    } table[] = {
        {"stranger", 1, 0, "values of tensor \"stranger\", which it is not to have"},
        {"codes", sizeof codes + 1, 0, "tensor \"codes\": 2101 bytes after the first 0; it has 2100"},
        {"codes", SIZE_MAX, 0, "tensor \"codes\""},
        {"nothing", 1, 0, "tensor \"nothing\": 1 bytes after the first 0; it has 0"},
        {NULL, 0, 1, "tensor \"codes\": 2099 bytes of 2100 were written"},
        {NULL, 0, sizeof codes, "tensor \"codes\": 0 bytes of 2100 were written"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        temporary_folder folder;
        char path[TEST_PATH];
        safetensors_writer *w = NULL;
        temporary_folder_create(&folder);
        CU_ASSERT_FATAL(safetensors_writer_open(temporary_path(&folder, "a", path), parts, PARTS, 8, &w) == CIUIC_OK);
        if (table[i].name != NULL) {
            CHECK(safetensors_writer_append(w, table[i].name, codes, table[i].bytes) == CIUIC_ERROR_USAGE, "row %zu",
                  i);
            CHECK(strstr(ciuic_last_error(), table[i].message) != NULL, "row %zu: %s", i, ciuic_last_error());
            safetensors_writer_abort(w);
        } else {
            for (size_t j = 0; j < PARTS; j++) {
                const size_t bytes = bytes_of(&parts[j]) - (j == 0 ? table[i].lacking : 0);
                CHECK(safetensors_writer_append(w, parts[j].name, parts[j].data, bytes) == CIUIC_OK, "%s",
                      ciuic_last_error());
            }
            CHECK(safetensors_writer_commit(w) == CIUIC_ERROR_USAGE, "row %zu", i);
            CHECK(strstr(ciuic_last_error(), table[i].message) != NULL, "row %zu: %s", i, ciuic_last_error());
        }
        CHECK(temporary_folder_entries(&folder) == 0, "row %zu: a file was left", i);
        temporary_folder_remove(&folder);
    }
    safetensors_writer_abort(NULL);
}

/* A limit on the size of files stands in for a full disk: writes beyond it fail the same way. */
static void a_full_disk_leaves_no_file(void)
{
    static const rlim_t limits[] = {0, 40, 500, 2000};
    struct rlimit before;
    CU_ASSERT_FATAL(getrlimit(RLIMIT_FSIZE, &before) == 0);
    void (*const handler)(int) = signal(SIGXFSZ, SIG_IGN);
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        temporary_folder folder;
        char path[TEST_PATH];
        temporary_folder_create(&folder);
        const struct rlimit small = {.rlim_cur = limits[i], .rlim_max = before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
        const ciuic_status status = safetensors_write(temporary_path(&folder, "a", path), parts, PARTS);
        setrlimit(RLIMIT_FSIZE, &before);
        CHECK(status == CIUIC_ERROR_UNSUPPORTED, "%zu bytes: status %d", (size_t)limits[i], (int)status);
        CHECK(strncmp(ciuic_last_error(), path, strlen(path)) == 0 && strstr(ciuic_last_error(), "cannot be written"),
              "%s", ciuic_last_error());
        CHECK(temporary_folder_entries(&folder) == 0, "%zu bytes: a file was left", (size_t)limits[i]);
        temporary_folder_remove(&folder);
    }
    signal(SIGXFSZ, handler);
}

/* Sizes that are multiples of 64, 2, 1 and 4, in three files. */
static void shards_are_aligned(void)
{
    static unsigned char zeros[4096];
    tensor tensors[] = {
        {.name = "odd", .dtype = TENSOR_U8, .dims = 1, .shape = {33}},
        {.name = "panel", .dtype = TENSOR_U8, .dims = 2, .shape = {16, 128}},
        {.name = "scales", .dtype = TENSOR_F16, .dims = 1, .shape = {33}},
        {.name = "one", .dtype = TENSOR_F32, .dims = 1, .shape = {1}},
        {.name = "large", .dtype = TENSOR_U8, .dims = 1, .shape = {4096}},
        {.name = "last", .dtype = TENSOR_F32, .dims = 1, .shape = {16}},
    };
    static const size_t shard_of[] = {0, 0, 0, 0, 1, 2};
    enum { COUNT = sizeof tensors / sizeof tensors[0] };
    temporary_folder folder;
    shards_writer *w = NULL;
    temporary_folder_create(&folder);
    for (size_t i = 0; i < COUNT; i++) CU_ASSERT_FATAL(tensor_measure(&tensors[i], tensors[i].name) == CIUIC_OK);
    CU_ASSERT_FATAL(shards_writer_open(folder.path, tensors, COUNT, 3000, &w) == CIUIC_OK);
    CHECK(shards_writer_count(w) == 3, "%zu shards", shards_writer_count(w));
    CHECK(shards_writer_append(w, "stranger", zeros, 1) == CIUIC_ERROR_USAGE, "a tensor that nobody announced");
    for (size_t i = COUNT; i-- > 0;)
        CHECK(shards_writer_append(w, tensors[i].name, zeros, tensors[i].bytes) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(shards_writer_commit(w) == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(temporary_folder_entries(&folder) == 4, "%zu files; expected 3 and their index",
          temporary_folder_entries(&folder));
    for (size_t shard = 0; shard < 3; shard++) {
        char name[SHARD_NAME], path[TEST_PATH];
        safetensors *file = NULL;
        temporary_path(&folder, shard_name(shard, 3, name), path);
        CU_ASSERT_FATAL(safetensors_open(path, &file) == CIUIC_OK);
        for (size_t i = 0; i < COUNT; i++) {
            const tensor *t = safetensors_find(file, tensors[i].name);
            CHECK((t != NULL) == (shard_of[i] == shard), "%s is in another file", tensors[i].name);
            const size_t alignment = tensors[i].bytes % 64 == 0 ? 64 : tensor_dtype_bytes(tensors[i].dtype);
            CHECK(t == NULL || (uintptr_t)t->data % alignment == 0, "%s at %p", tensors[i].name, t->data);
        }
        safetensors_close(file);
    }
    temporary_folder_remove(&folder);
}

static const test_case cases[] = {
    {"any order makes the same file", any_order_makes_the_same_file},
    {"what does not fit is refused", what_does_not_fit_is_refused},
    {"a full disk leaves no file", a_full_disk_leaves_no_file},
    {"shards are aligned", shards_are_aligned},
};
TEST_SUITE(safetensors_writer, cases);
