/* suite_fixture.h - suite files for tests: a small valid one, and copies of it with one place changed. */
#ifndef CIUIC_TESTS_SUITE_FIXTURE_H
#define CIUIC_TESTS_SUITE_FIXTURE_H

/* Prefill of 8 and decode of 4 tokens at depth 8 on deepseek-v3-tiny: naive, tuned, openblas and two variants. */
extern const char suite_text[];

/* Writes suite_text to folder/name with the first `from` replaced by `to` (NULL: unchanged), where @ROOT@ stands for the
 * repository; returns the path, to be freed. NULL when `from` is not there. */
char *write_suite(const char *folder, const char *name, const char *from, const char *to);

#endif
