/* bench_fixture.c - see bench_fixture.h. */
#include "harness/tests/bench_fixture.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "optimizer/json.h"
#include "optimizer/tests/runner.h"

enum { RESULT_BYTES = 64 << 20 };

/* bench_run with its words on stdout and stderr kept away from the test's. */
ciuic_status bench_quietly(const bench_options *options)
{
    fflush(NULL);
    const int nowhere = open("/dev/null", O_WRONLY | O_CLOEXEC);
    const int out = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 10), err = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
    dup2(nowhere, STDOUT_FILENO);
    dup2(nowhere, STDERR_FILENO);
    const ciuic_status status = bench_run(options);
    fflush(NULL);
    dup2(out, STDOUT_FILENO);
    dup2(err, STDERR_FILENO);
    close(nowhere);
    close(out);
    close(err);
    return status;
}

char *bench_path(const char *folder, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

cJSON *bench_results(const char *folder)
{
    char *path = bench_path(folder, "results.json");
    cJSON *results = NULL;
    CHECK(json_read_file(path, RESULT_BYTES, &results) == CIUIC_OK, "%s", ciuic_last_error());
    free(path);
    return results;
}

const char *bench_text(const cJSON *object, const char *key)
{
    const cJSON *item = json_find(object, key);
    return cJSON_IsString(item) ? item->valuestring : "";
}

const cJSON *bench_case_of(const cJSON *results, const char *ending)
{
    const cJSON *item = NULL;
    cJSON_ArrayForEach(item, json_find(results, "cases"))
    {
        const char *id = bench_text(item, "id");
        const size_t length = strlen(id), wanted = strlen(ending);
        if (length >= wanted && strcmp(id + length - wanted, ending) == 0) return item;
    }
    return NULL;
}

size_t bench_count_kind(const char *journal, const char *kind)
{
    char *mark = NULL;
    size_t n = 0;
    if (asprintf(&mark, "{\"kind\":\"%s\"", kind) < 0) return 0;
    for (const char *at = strstr(journal, mark); at != NULL; at = strstr(at + 1, mark)) n++;
    free(mark);
    return n;
}

cJSON *bench_machine(void)
{
    static const char text[] =
        "{\"cpu\": \"not looked at (test)\", \"cores\": 1, \"threads\": 1, \"memory_bytes\": null, \"kernel\": null,"
        " \"isa\": [\"c\"], \"bandwidth_bytes_per_s\": {\"1\": 1e10}, \"peak_flops_per_s\": {\"c\": {\"1\": 1e10}},"
        " \"caches\": [], \"warnings\": []}";
    cJSON *machine = NULL;
    CHECK(json_parse(text, sizeof text - 1, "the test's machine", &machine) == CIUIC_OK, "%s", ciuic_last_error());
    return machine;
}
