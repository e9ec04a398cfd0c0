/* suite_fixture.c - see suite_fixture.h. */
#include "harness/tests/suite_fixture.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char suite_text[] =
    "{\n"
    "  \"schema_version\": 1,\n"
    "  \"name\": \"small\",\n"
    "  \"description\": \"for tests\",\n"
    "  \"seed\": 7,\n"
    "  \"checkpoints\": [\"@ROOT@/datasets/deepseek-v3-tiny\"],\n"
    "  \"workloads\": [\n"
    "    {\"checkpoint\": \"deepseek-v3-tiny\", \"phase\": \"prefill\", \"tokens\": 8},\n"
    "    {\"checkpoint\": \"deepseek-v3-tiny\", \"phase\": \"decode\", \"tokens\": 4, \"depth\": 8}\n"
    "  ],\n"
    "  \"variants\": {\n"
    "    \"product\": {\"quantize\": [\"int8\"], \"graph\": [\"on\"], \"memory\": [\"off\", \"on\"], "
    "\"kernels\": [\"c\"]},\n"
    "    \"extra\": []\n"
    "  },\n"
    "  \"baselines\": [\"naive\", \"tuned\", \"openblas\"],\n"
    "  \"threads\": [1],\n"
    "  \"rounds\": 3,\n"
    "  \"min_rounds\": 3,\n"
    "  \"min_time_s\": 0,\n"
    "  \"accuracy\": {\"windows\": 1, \"tokens\": 8},\n"
    "  \"time_budget_s\": 1,\n"
    "  \"limits\": {\"workers\": 12, \"timeout_s\": 60, \"memory_bytes\": 1073741824},\n"
    "  \"claims\": \"@ROOT@/suites/claims.json\"\n"
    "}\n";

static void put(FILE *file, const char *text, size_t length, const char *root)
{
    static const char mark[] = "@ROOT@";
    for (size_t i = 0; i < length;) {
        if (length - i >= sizeof mark - 1 && strncmp(text + i, mark, sizeof mark - 1) == 0) {
            fputs(root, file);
            i += sizeof mark - 1;
        } else {
            fputc(text[i++], file);
        }
    }
}

char *write_suite(const char *folder, const char *name, const char *from, const char *to)
{
    char root[PATH_MAX], *path = NULL;
    const char *at = from != NULL ? strstr(suite_text, from) : suite_text;
    if (at == NULL || getcwd(root, sizeof root) == NULL || asprintf(&path, "%s/%s", folder, name) < 0) return NULL;
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        free(path);
        return NULL;
    }
    put(file, suite_text, (size_t)(at - suite_text), root);
    if (from != NULL) put(file, to, strlen(to), root);
    const char *rest = at + (from != NULL ? strlen(from) : 0);
    put(file, rest, strlen(rest), root);
    fclose(file);
    return path;
}
