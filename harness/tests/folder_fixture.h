/* folder_fixture.h - one quantised folder for a test: its source, recipe and request, and a place that is cleaned
 * up. */
#ifndef CIUIC_TESTS_FOLDER_FIXTURE_H
#define CIUIC_TESTS_FOLDER_FIXTURE_H

#include "harness/optimize/write_folder.h"

#define TEST_SHA256 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

enum { TEST_SETTINGS = 6 };

/* `otherwise`, and the settings of units whose names contain `part`: the first that fits. */
typedef struct test_recipe {
    const char *otherwise;
    struct {
        const char *part, *setting;
    } units[TEST_SETTINGS];
} test_recipe;

typedef struct test_folder {
    char *root, *output; /* output: root/made */
    checkpoint *source;
    recipe recipe;
    folder_request request; /* of all this; a test may change it */
} test_folder;

/* Failures end the test. */
void test_folder_open(const char *source, const test_recipe *r, size_t interleave, test_folder *f);
void test_folder_close(test_folder *f); /* and removes what was made */

/* All steps of a folder that is rounded to nearest. */
ciuic_status test_folder_write(const folder_request *request, folder_result *result);

#endif
