/* test_safetensors.c - headers that lie, files cut short and bytes flipped; then what is written and read back. */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "optimizer/checkpoint/safetensors_writer.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

/* 8 bytes of length, the header, data_bytes bytes counting up. */
static void write_file(const char *path, unsigned long long length, const char *header, size_t data_bytes)
{
    const size_t header_bytes = strlen(header);
    unsigned char *file = malloc(8 + header_bytes + data_bytes + 1);
    for (size_t i = 0; i < 8; i++) file[i] = (unsigned char)(length >> (8 * i));
    memcpy(file + 8, header, header_bytes);
    for (size_t i = 0; i < data_bytes; i++) file[8 + header_bytes + i] = (unsigned char)i;
    write_bytes(path, file, 8 + header_bytes + data_bytes);
    free(file);
}

enum { TRUE_LENGTH = -1 };

static void lying_headers_are_refused(void)
{
    static const struct {
        const char *header;
        size_t data_bytes;
        long long length; /* TRUE_LENGTH: of the header */
        const char *message;
    } table[] = {
        {"{}", 0, 3, "header length is 3; expected at most 2"},
        {"{}", 0, INT64_MAX, "header length is 9223372036854775807; expected at most 2"},
        {"{}", 0, -2, "header length is 18446744073709551614; expected at most 2"},
        {"{}", 4, TRUE_LENGTH, "4 bytes follow the header; expected 0"},
        {"{}", 0, 0, ": header:1:1: not valid JSON: found the end of the file"},
        {"{}", 0, 1, ": header:1:2: not valid JSON: found the end of the file"},
        {"[]", 0, TRUE_LENGTH, "the header is not a JSON object"},
        {"{\"a\":1}", 0, TRUE_LENGTH, "tensor \"a\": not an object"},
        {"{\"__metadata__\":{\"n\":1}}", 0, TRUE_LENGTH, "__metadata__ is not"},
        {"{\"__metadata__\":[]}", 0, TRUE_LENGTH, "__metadata__ is not"},
        {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 4, TRUE_LENGTH, "key \"dtype\" is missing"},
        {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 4, TRUE_LENGTH, "key \"shape\" is missing"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, TRUE_LENGTH, "key \"data_offsets\" is missing"},
        {"{\"a\":{\"dtype\":\"f32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, TRUE_LENGTH,
         "dtype \"f32\" is not supported"},
        {"{\"a\":{\"dtype\":7,\"shape\":[1],\"data_offsets\":[0,4]}}", 4, TRUE_LENGTH,
         "key \"dtype\" is 7; expected a string"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":1,\"data_offsets\":[0,4]}}", 4, TRUE_LENGTH,
         "key \"shape\" is 1; expected an array"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 4, TRUE_LENGTH,
         "shape[0] is not a whole number"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,0.5],\"data_offsets\":[0,4]}}", 4, TRUE_LENGTH,
         "shape[1] is not a whole number"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[\"1\"],\"data_offsets\":[0,4]}}", 4, TRUE_LENGTH,
         "shape[0] is not a whole number"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1e300],\"data_offsets\":[0,4]}}", 4, TRUE_LENGTH,
         "shape[0] is not a whole number"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1,1,1,1,1,1,1,1,1],\"data_offsets\":[0,4]}}", 4, TRUE_LENGTH,
         "shape has more than 8 items"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,4]}}", 4, TRUE_LENGTH,
         "span 4 bytes; expected 8 for F32 [2]"},
        {"{\"a\":{\"dtype\":\"BF16\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4, TRUE_LENGTH,
         "span 4 bytes; expected 2 for BF16 [1]"},
        /* 2^33 * 2^33 wraps to 4; 2^62 * 4 bytes wraps to 0: both would fit the file if sizes could overflow. */
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[8589934592,8589934592],\"data_offsets\":[0,4]}}", 4, TRUE_LENGTH,
         "overflows"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2147483648,2147483648],\"data_offsets\":[0,0]}}", 0, TRUE_LENGTH,
         "overflows"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 3, TRUE_LENGTH,
         "expected begin <= end <= 3"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,0]}}", 4, TRUE_LENGTH,
         "data_offsets [4, 0]; expected begin <= end"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0]}}", 4, TRUE_LENGTH,
         "data_offsets [0, 0]; expected"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4,8]}}", 8, TRUE_LENGTH,
         "data_offsets has more than 2 items"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,-4]}}", 4, TRUE_LENGTH,
         "data_offsets[1] is not a whole number"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[4,8]}}", 8, TRUE_LENGTH,
         "data begins at 4; expected 0: it leaves a hole"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],"
         "\"data_offsets\":[2,6]}}",
         6, TRUE_LENGTH, "tensor \"b\": data begins at 2; expected 4: it overlaps"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"b\":{\"dtype\":\"F32\",\"shape\":[1],"
         "\"data_offsets\":[0,4]}}",
         4, TRUE_LENGTH, "it overlaps the tensor before it"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 9, TRUE_LENGTH,
         "9 bytes follow the header; expected 4"},
        {"{\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]},\"a\":{\"dtype\":\"U8\",\"shape\":[1],\"data_"
         "offsets\":[1,2]}}",
         2, TRUE_LENGTH, "key \"a\" appears twice"},
        {"{\"\xff\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, TRUE_LENGTH, "expected UTF-8"},
        {"{\"a\\u0000\":{\"dtype\":\"U8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1, TRUE_LENGTH, "no \\u0000"},
    };
    temporary_folder folder;
    temporary_folder_create(&folder);
    char path[TEST_PATH];
    temporary_path(&folder, "a.safetensors", path);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const long long length = table[i].length == TRUE_LENGTH ? (long long)strlen(table[i].header) : table[i].length;
        write_file(path, (unsigned long long)length, table[i].header, table[i].data_bytes);
        safetensors *file = NULL;
        const ciuic_status status = safetensors_open(path, &file);
        CHECK(status == CIUIC_ERROR_INPUT && file == NULL, "%s: status %d", table[i].header, (int)status);
        CHECK(strncmp(ciuic_last_error(), path, strlen(path)) == 0, "\"%s\" does not name the file",
              ciuic_last_error());
        CHECK(strstr(ciuic_last_error(), table[i].message) != NULL, "%s: \"%s\" lacks \"%s\"", table[i].header,
              ciuic_last_error(), table[i].message);
        safetensors_close(file);
    }
    temporary_folder_remove(&folder);
}

static void unusual_headers_are_accepted(void)
{
    static const struct {
        const char *header;
        size_t data_bytes, count;
    } table[] = {
        {"{}", 0, 0},
        {"{\"__metadata__\":{\"format\":\"pt\"}}   ", 0, 0},
        {"{\"s\":{\"dtype\":\"F64\",\"shape\":[],\"data_offsets\":[0,8]}}", 8, 1},
        {"{\"e\":{\"dtype\":\"F32\",\"shape\":[0,7],\"data_offsets\":[0,0]}}", 0, 1},
        {"{\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[1,5]},\"e\":{\"dtype\":\"I64\",\"shape\":[0],"
         "\"data_offsets\":[1,1]},\"a\":{\"dtype\":\"BOOL\",\"shape\":[1,1],\"data_offsets\":[0,1]}}",
         5, 3},
    };
    temporary_folder folder;
    temporary_folder_create(&folder);
    char path[TEST_PATH];
    temporary_path(&folder, "a.safetensors", path);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        write_file(path, strlen(table[i].header), table[i].header, table[i].data_bytes);
        safetensors *file = NULL;
        CHECK(safetensors_open(path, &file) == CIUIC_OK, "%s: %s", table[i].header, ciuic_last_error());
        if (file == NULL) continue;
        CHECK(safetensors_count(file) == table[i].count, "%s: %zu tensors", table[i].header, safetensors_count(file));
        CHECK(safetensors_find(file, "nobody") == NULL, "found what is not there");
        safetensors_close(file);
    }
    temporary_folder_remove(&folder);
}

static void what_is_no_file_is_refused(void)
{
    temporary_folder folder;
    temporary_folder_create(&folder);
    char path[TEST_PATH];
    safetensors *file = NULL;
    CHECK(safetensors_open(temporary_path(&folder, "none", path), &file) == CIUIC_ERROR_INPUT &&
              strstr(ciuic_last_error(), "No such file") != NULL,
          "%s", ciuic_last_error());
    CHECK(safetensors_open(folder.path, &file) == CIUIC_ERROR_INPUT &&
              strstr(ciuic_last_error(), "is a folder") != NULL,
          "%s", ciuic_last_error());
    for (size_t bytes = 0; bytes < 8; bytes++) {
        write_bytes(path, "\0\0\0\0\0\0\0", bytes);
        CHECK(safetensors_open(path, &file) == CIUIC_ERROR_INPUT &&
                  strstr(ciuic_last_error(), "expected a header length"),
              "%zu bytes: %s", bytes, ciuic_last_error());
    }
    safetensors_close(NULL);
    temporary_folder_remove(&folder);
}

/* A small file of every dtype, written by safetensors_write. */
static const float f32_values[] = {1.5f, -0.0f, 3e38f, 1e-40f, -7.25f, 0.1f};
static const uint16_t f16_values[] = {0x3c00, 0xc000, 0x0001};
static const uint16_t bf16_values[] = {0x3f80, 0xc049};
static const uint8_t f8_values[] = {0x38, 0x7e, 0x81};
static const double f64_values[] = {0.1, -1e300};
static const int64_t i64_values[] = {-1, INT64_MAX};
static const int32_t i32_values[] = {7, -7, 9};

static const tensor samples[] = {
    {.name = "f8", .dtype = TENSOR_F8_E4M3, .dims = 1, .shape = {3}, .data = f8_values},
    {.name = "bf16", .dtype = TENSOR_BF16, .dims = 2, .shape = {1, 2}, .data = bf16_values},
    {.name = "f32 \"quoted\" \\ \xc3\xa9", .dtype = TENSOR_F32, .dims = 2, .shape = {2, 3}, .data = f32_values},
    {.name = "empty", .dtype = TENSOR_F32, .dims = 2, .shape = {0, 3}, .data = NULL},
    {.name = "f16", .dtype = TENSOR_F16, .dims = 1, .shape = {3}, .data = f16_values},
    {.name = "f64", .dtype = TENSOR_F64, .dims = 1, .shape = {2}, .data = f64_values},
    {.name = "i64", .dtype = TENSOR_I64, .dims = 1, .shape = {2}, .data = i64_values},
    {.name = "i32", .dtype = TENSOR_I32, .dims = 1, .shape = {3}, .data = i32_values},
};
enum { SAMPLES = sizeof samples / sizeof samples[0] };

static void what_is_written_is_read_back(void)
{
    temporary_folder folder;
    temporary_folder_create(&folder);
    char path[TEST_PATH];
    temporary_path(&folder, "a.safetensors", path);
    safetensors *file = NULL;
    CHECK(safetensors_write(path, samples, SAMPLES) == CIUIC_OK, "%s", ciuic_last_error());
    CU_ASSERT_FATAL(safetensors_open(path, &file) == CIUIC_OK);
    CHECK(safetensors_count(file) == SAMPLES, "%zu tensors", safetensors_count(file));
    for (size_t i = 0; i < SAMPLES; i++) {
        const tensor *wrote = &samples[i], *t = safetensors_find(file, wrote->name);
        CU_ASSERT_FATAL(t != NULL);
        CHECK(t->dtype == wrote->dtype && t->dims == wrote->dims &&
                  memcmp(t->shape, wrote->shape, t->dims * sizeof t->shape[0]) == 0,
              "%s differs", wrote->name);
        CHECK(t->bytes == t->count * tensor_dtype_bytes(t->dtype), "%s: %zu bytes", wrote->name, t->bytes);
        CHECK(t->bytes == 0 || memcmp(t->data, wrote->data, t->bytes) == 0, "%s: data differs", wrote->name);
        CHECK((uintptr_t)t->data % tensor_dtype_bytes(t->dtype) == 0, "%s is not aligned", wrote->name);
        CHECK(strcmp(t->file, path) == 0, "%s: file %s", wrote->name, t->file);
    }
    safetensors_close(file);
    CHECK(temporary_folder_entries(&folder) == 1, "a temporary file was left");
    const tensor nine = {.name = "nine", .dtype = TENSOR_U8, .dims = 9};
    CHECK(safetensors_write(path, &nine, 1) == CIUIC_ERROR_USAGE, "nine dimensions were written");
    temporary_folder_remove(&folder);
}

static void values_convert_to_float(void)
{
    static const struct {
        const char *name;
        size_t n;
        float expected[6];
    } table[] = {
        {"f32 \"quoted\" \\ \xc3\xa9", 6, {1.5f, -0.0f, 3e38f, 1e-40f, -7.25f, 0.1f}},
        {"f16", 3, {1, -2, 0x1p-24f}},
        {"bf16", 2, {1, -3.140625f}},
        {"f8", 3, {1, 448, -0x1p-9f}},
        {"f64", 1, {0.1f}},
    };
    temporary_folder folder;
    temporary_folder_create(&folder);
    char path[TEST_PATH];
    safetensors *file = NULL;
    CU_ASSERT_FATAL(safetensors_write(temporary_path(&folder, "a", path), samples, SAMPLES) == CIUIC_OK);
    CU_ASSERT_FATAL(safetensors_open(path, &file) == CIUIC_OK);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const tensor *t = safetensors_find(file, table[i].name);
        float out[6] = {0}, last = 0;
        CHECK(tensor_to_f32(t, 0, table[i].n, out) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(memcmp(out, table[i].expected, table[i].n * sizeof *out) == 0, "%s: [0] is %g", t->name, (double)out[0]);
        CHECK(tensor_to_f32(t, table[i].n - 1, 1, &last) == CIUIC_OK && last == out[table[i].n - 1], "%s: last",
              t->name);
        CHECK(tensor_to_f32(t, t->count, 0, out) == CIUIC_OK, "%s: none at the end", t->name);
        CHECK(tensor_to_f32(t, t->count, 1, out) == CIUIC_ERROR_USAGE, "%s: one beyond the end", t->name);
        CHECK(tensor_to_f32(t, 1, SIZE_MAX, out) == CIUIC_ERROR_USAGE, "%s: overflow", t->name);
    }
    float out[3];
    CHECK(tensor_to_f32(safetensors_find(file, "i32"), 0, 3, out) == CIUIC_ERROR_INPUT, "I32 became float");
    /* The header puts no alignment on data: the same bytes one further. */
    unsigned char shifted[1 + sizeof f32_values];
    memcpy(shifted + 1, f32_values, sizeof f32_values);
    const tensor odd = {.name = "odd", .file = "f", .dtype = TENSOR_F32, .count = 6, .data = shifted + 1};
    CHECK(tensor_to_f32(&odd, 4, 1, out) == CIUIC_OK && out[0] == -7.25f, "unaligned: %g", (double)out[0]);
    safetensors_close(file);
    temporary_folder_remove(&folder);
}

static void require_names_what_was_found(void)
{
    temporary_folder folder;
    temporary_folder_create(&folder);
    char path[TEST_PATH];
    safetensors *file = NULL;
    CU_ASSERT_FATAL(safetensors_write(temporary_path(&folder, "a", path), samples, SAMPLES) == CIUIC_OK);
    CU_ASSERT_FATAL(safetensors_open(path, &file) == CIUIC_OK);
    const struct {
        const char *name;
        tensor_dtype dtype;
        size_t dims, shape[2];
        const char *message;
    } table[] = {
        {"bf16", TENSOR_BF16, 2, {1, 2}, NULL},
        {"bf16", TENSOR_BF16, 2, {0, 2}, NULL},
        {"bf16", TENSOR_BF16, 2, {0, 3}, "tensor \"bf16\" is BF16 [1, 2]; expected BF16 [0, 3]"},
        {"bf16", TENSOR_BF16, 1, {0}, "is BF16 [1, 2]; expected BF16 [0]"},
        {"i32", TENSOR_F32, 1, {3}, "is I32 [3]; expected F32 [3]"},
        {"none", TENSOR_F32, 1, {3}, "tensor \"none\" is missing; expected F32 [3]"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const tensor *found = NULL;
        const ciuic_status status =
            safetensors_require(file, table[i].name, table[i].dtype, table[i].dims, table[i].shape, &found);
        CHECK((status == CIUIC_OK) == (table[i].message == NULL) && (found != NULL) == (status == CIUIC_OK),
              "%s: status %d", table[i].name, (int)status);
        if (table[i].message != NULL)
            CHECK(strstr(ciuic_last_error(), table[i].message) != NULL, "%s", ciuic_last_error());
    }
    safetensors_close(file);
    temporary_folder_remove(&folder);
}

/* Opens a file that may be anything: either refused in one line that names it, or every tensor can be read to its end. */
static bool refused_or_readable(const char *path)
{
    safetensors *file = NULL;
    const ciuic_status status = safetensors_open(path, &file);
    if (status != CIUIC_OK)
        return file == NULL && status == CIUIC_ERROR_INPUT && strncmp(ciuic_last_error(), path, strlen(path)) == 0;
    unsigned sum = 0;
    for (size_t i = 0; i < safetensors_count(file); i++) {
        const tensor *t = safetensors_at(file, i);
        for (size_t j = 0; j < t->bytes; j++) sum += ((const unsigned char *)t->data)[j];
    }
    safetensors_close(file);
    return sum < UINT32_MAX;
}

static void write_byte(FILE *stream, size_t at, unsigned char byte)
{
    fseek(stream, (long)at, SEEK_SET);
    fputc(byte, stream);
    fflush(stream);
}

static void no_damage_crashes(void)
{
    temporary_folder folder;
    temporary_folder_create(&folder);
    char path[TEST_PATH];
    temporary_path(&folder, "a.safetensors", path);
    CU_ASSERT_FATAL(safetensors_write(path, samples, SAMPLES) == CIUIC_OK);
    size_t bytes = 0, header = 0;
    unsigned char *whole = read_bytes(path, &bytes);
    for (size_t i = 0; i < 8; i++) header |= (size_t)whole[i] << (8 * i);

    safetensors *file = NULL;
    for (size_t length = bytes; length-- > 0;) {
        CU_ASSERT_FATAL(truncate(path, (off_t)length) == 0);
        const ciuic_status status = safetensors_open(path, &file);
        CHECK(status == CIUIC_ERROR_INPUT && strncmp(ciuic_last_error(), path, strlen(path)) == 0,
              "cut at %zu of %zu: status %d", length, bytes, (int)status);
    }
    /* One byte is changed in place: rewriting the file thousands of times takes file systems tens of seconds. */
    write_bytes(path, whole, bytes);
    FILE *stream = fopen(path, "r+b");
    CU_ASSERT_FATAL(stream != NULL);
    unsigned long long state = test_seed();
    size_t bad = 0;
    for (size_t i = 0; i < 8 + header; i++) {
        for (int j = 0; j < 8; j++) {
            const unsigned char before = whole[i];
            const unsigned long long r = random_next(&state);
            whole[i] = (unsigned char)(j < 4 ? before ^ (1u << (r % 8)) : r >> 32);
            write_byte(stream, i, whole[i]);
            if (!refused_or_readable(path)) {
                bad++;
                CHECK(false, "byte %zu from 0x%02x to 0x%02x: %s", i, before, whole[i], ciuic_last_error());
            }
            whole[i] = before;
        }
        write_byte(stream, i, whole[i]);
    }
    fclose(stream);
    CHECK(bad == 0, "%zu flips were neither refused nor readable", bad);
    free(whole);
    temporary_folder_remove(&folder);
}

static const test_case cases[] = {
    {"lying headers are refused", lying_headers_are_refused},
    {"unusual headers are accepted", unusual_headers_are_accepted},
    {"what is no file is refused", what_is_no_file_is_refused},
    {"what is written is read back", what_is_written_is_read_back},
    {"values convert to float", values_convert_to_float},
    {"require names what was found", require_names_what_was_found},
    {"no damage crashes", no_damage_crashes},
};
TEST_SUITE(safetensors, cases);
