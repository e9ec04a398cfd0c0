/* place_fixture.c - see place_fixture.h. */
#include "harness/tests/place_fixture.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "optimizer/checkpoint/safetensors_writer.h"
#include "optimizer/tests/runner.h"

test_place place_open(void)
{
    test_place p = {.folder = temporary_folder()};
    CU_ASSERT_PTR_NOT_NULL_FATAL(p.folder);
    return p;
}

void place_close(test_place *p)
{
    DIR *folder = opendir(p->folder);
    for (const struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        char path[PLACE_PATH];
        struct stat status;
        snprintf(path, sizeof path, "%s/%s", p->folder, entry->d_name);
        if (entry->d_name[0] != '.' && stat(path, &status) == 0 && S_ISDIR(status.st_mode)) remove_folder(strdup(path));
    }
    if (folder != NULL) closedir(folder);
    remove_folder(p->folder);
    p->folder = NULL;
}

program_process place_start(test_place *p, const char *const *arguments)
{
    const char *all[PLACE_ARGUMENTS + 1] = {NULL};
    for (size_t i = 0; arguments[i] != NULL; i++) {
        CU_ASSERT_FATAL(i < PLACE_ARGUMENTS);
        all[i] = arguments[i];
        if (arguments[i][0] != '@') continue;
        snprintf(p->text[i], PLACE_PATH, "%s%s", p->folder, arguments[i] + 1);
        all[i] = p->text[i];
    }
    return program_start(all, NULL);
}

program_run place_run(test_place *p, const char *const *arguments)
{
    program_process process = place_start(p, arguments);
    return program_wait(&process);
}

void place_check_refused(test_place *p, const char *const *arguments, int status, const char *says, size_t left)
{
    program_run run = place_run(p, arguments);
    CHECK(run.status == status && strstr(run.err, says) != NULL && count_lines(run.err) == 1,
          "status %d, expected %d; '%s' expected in: %s", run.status, status, says, run.err);
    CHECK(run.out[0] == '\0' && count_files(p->folder) == left, "%zu files, stdout holds: %s", count_files(p->folder),
          run.out);
    program_run_free(&run);
}

cJSON *place_run_json(test_place *p, const char *const *arguments)
{
    program_run run = place_run(p, arguments);
    CHECK(run.status == 0 && run.err[0] == '\0', "status %d: %s", run.status, run.err);
    cJSON *json = cJSON_ParseWithOpts(run.out, NULL, true);
    CHECK(cJSON_IsObject(json), "no JSON object: %s", run.out);
    program_run_free(&run);
    return json;
}

double place_number(const cJSON *object, const char *key)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    return cJSON_IsNumber(item) ? item->valuedouble : (double)NAN;
}

void place_write_ids(const test_place *p, const char *file, size_t rows, size_t length, const int32_t *ids)
{
    char path[PLACE_PATH];
    const size_t count = rows * length;
    const tensor t = {.name = "ids",
                      .dtype = TENSOR_I32,
                      .dims = 2,
                      .shape = {rows, length},
                      .count = count,
                      .bytes = count * sizeof *ids,
                      .data = ids};
    snprintf(path, sizeof path, "%s/%s", p->folder, file);
    CU_ASSERT_EQUAL_FATAL(safetensors_write(path, &t, 1), CIUIC_OK);
}

void place_scatter_ids(const test_place *p, const char *file, size_t rows, size_t length, int32_t vocabulary,
                       uint32_t seed)
{
    int32_t *ids = malloc(rows * length * sizeof *ids);
    CU_ASSERT_PTR_NOT_NULL_FATAL(ids);
    uint32_t state = seed;
    for (size_t i = 0; i < rows * length; i++) {
        state = state * 1664525U + 1013904223U; /* Numerical Recipes; its high bits are the good ones */
        ids[i] = (int32_t)((state >> 8) % (uint32_t)vocabulary);
    }
    place_write_ids(p, file, rows, length, ids);
    free(ids);
}
