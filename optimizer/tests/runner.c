/* runner.c - CUnit in its basic mode; counts test cases, and refuses one that asserts nothing. */
#include "optimizer/tests/runner.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* AddressSanitizer asks for it by this name. Tests ask for more memory than there is: they want the answer that malloc gives, NULL. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static unsigned int assertions_before;
static int empty_cases;

unsigned long long test_seed(void)
{
    static unsigned long long seed;
    if (seed == 0) {
        const char *given = getenv("CIUIC_TEST_SEED");
        seed = given ? strtoull(given, NULL, 0) : (unsigned long long)time(NULL);
        if (seed == 0) seed = 1;
        printf("\n    seed %llu (CIUIC_TEST_SEED=%llu repeats this run)\n", seed, seed);
    }
    return seed;
}

static void on_start(const CU_pTest test, const CU_pSuite suite)
{
    (void)suite;
    (void)test;
    assertions_before = CU_get_number_of_asserts();
}

static void on_complete(const CU_pTest test, const CU_pSuite suite, const CU_pFailureRecord failures)
{
    printf("%s %s/%s\n", failures ? "FAIL" : "ok  ", suite->pName, test->pName);
    for (CU_pFailureRecord f = failures; f != NULL; f = f->pNext)
        printf("    %s:%u: %s\n", f->strFileName, f->uiLineNumber, f->strCondition);
    if (CU_get_number_of_asserts() == assertions_before) {
        printf("FAIL %s/%s asserts nothing\n", suite->pName, test->pName);
        empty_cases++;
    }
    fflush(stdout);
}

int run_suites(const test_suite *const *suites, int count, int argc, char **argv)
{
    const char *pattern = argc > 1 ? argv[1] : "";
    if (CU_initialize_registry() != CUE_SUCCESS) return EXIT_FAILURE;
    for (int i = 0; i < count; i++) {
        if (strstr(suites[i]->name, pattern) == NULL) continue;
        CU_pSuite suite = CU_add_suite(suites[i]->name, NULL, NULL);
        if (suite == NULL) return EXIT_FAILURE;
        for (int j = 0; j < suites[i]->count; j++)
            if (CU_add_test(suite, suites[i]->cases[j].name, suites[i]->cases[j].run) == NULL) return EXIT_FAILURE;
    }
    CU_set_test_start_handler(on_start);
    CU_set_test_complete_handler(on_complete);
    CU_run_all_tests();
    const unsigned int run = CU_get_number_of_tests_run();
    const unsigned int failed = CU_get_number_of_tests_failed() + (unsigned int)empty_cases;
    CU_cleanup_registry();
    printf("%u passed, %u failed\n", run > failed ? run - failed : 0, failed);
    return failed == 0 && run > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
