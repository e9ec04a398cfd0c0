/* place_fixture.h - a folder for everything that a case makes with build/ciuic, and what such a case asks again and again. */
#ifndef CIUIC_TESTS_PLACE_FIXTURE_H
#define CIUIC_TESTS_PLACE_FIXTURE_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "harness/tests/program.h"

enum { PLACE_ARGUMENTS = 16, PLACE_PATH = 512 };

/* "@" at the start of an argument stands for the folder. */
typedef struct test_place {
    char *folder;
    char text[PLACE_ARGUMENTS][PLACE_PATH];
} test_place;

/* Failures end the test. */
test_place place_open(void);
/* Removes the folder with its files, and those of the folders in it. */
void place_close(test_place *p);

/* Runs ciuic with the arguments, at most PLACE_ARGUMENTS, ended by NULL. */
program_run place_run(test_place *p, const char *const *arguments);
/* The same in two halves. */
program_process place_start(test_place *p, const char *const *arguments);

/* Runs it; a refusal is its status, one line on stderr, nothing on stdout, and `left` entries in the place. */
void place_check_refused(test_place *p, const char *const *arguments, int status, const char *says, size_t left);
/* Runs it with --json, which must succeed without a word on stderr. To be deleted. */
cJSON *place_run_json(test_place *p, const char *const *arguments);
/* The number of that name; NaN where there is none. */
double place_number(const cJSON *object, const char *key);

/* Writes rows x length ids as tensor "ids" of a file in the place. */
void place_write_ids(const test_place *p, const char *file, size_t rows, size_t length, const int32_t *ids);
/* The same with ids below `vocabulary` that `seed` scatters. */
void place_scatter_ids(const test_place *p, const char *file, size_t rows, size_t length, int32_t vocabulary,
                       uint32_t seed);

#endif
