/* folder_fixture.c - see folder_fixture.h. */
#include "harness/tests/folder_fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/tests/program.h"
#include "optimizer/tests/runner.h"

static quantize_setting setting_of(const char *name)
{
    quantize_setting s = {0};
    CHECK(quantize_setting_parse(name, &s), "%s is no setting", name);
    return s;
}

static recipe make_recipe(const checkpoint *c, const test_recipe *from)
{
    recipe r = {.otherwise = setting_of(from->otherwise)};
    for (size_t i = 0; i < checkpoint_count(c); i++)
        for (int j = 0; j < TEST_SETTINGS && from->units[j].part != NULL; j++) {
            const char *name = checkpoint_at(c, i)->name;
            char stem[256];
            if (strstr(name, from->units[j].part) == NULL || strlen(name) < 8) continue;
            snprintf(stem, sizeof stem, "%.*s", (int)strlen(name) - 7, name);
            CHECK(recipe_set(&r, stem, setting_of(from->units[j].setting)) == CIUIC_OK, "%s", ciuic_last_error());
            break;
        }
    return r;
}

void test_folder_open(const char *source, const test_recipe *r, size_t interleave, test_folder *f)
{
    *f = (test_folder){.root = temporary_folder()};
    CU_ASSERT_FATAL(f->root != NULL && asprintf(&f->output, "%s/made", f->root) > 0);
    CU_ASSERT_FATAL(checkpoint_open(source, &f->source) == CIUIC_OK);
    f->recipe = make_recipe(f->source, r);
    f->request = (folder_request){.source = f->source,
                                  .output = f->output,
                                  .recipe = &f->recipe,
                                  .interleave = interleave,
                                  .provenance = {.made_by = "ciuic of the tests", .source_sha256 = TEST_SHA256},
                                  .threads = 2};
}

void test_folder_close(test_folder *f)
{
    checkpoint_release(f->source);
    recipe_free(&f->recipe);
    if (access(f->output, F_OK) == 0)
        remove_folder(f->output);
    else
        free(f->output);
    remove_folder(f->root);
}

ciuic_status test_folder_write(const folder_request *request, folder_result *result)
{
    folder_writer *w = NULL;
    ciuic_status status = folder_writer_open(request, &w);
    if (status == CIUIC_OK) status = folder_writer_finish(w);
    if (status == CIUIC_OK) status = folder_writer_commit(w, NULL, result);
    folder_writer_free(w);
    return status;
}
