/* runner.h - what every test program shares: a table of suites run by CUnit's basic interface, and one closing line. */
#ifndef CIUIC_TESTS_RUNNER_H
#define CIUIC_TESTS_RUNNER_H

#include <CUnit/Basic.h>
#include <CUnit/CUnit.h>

typedef struct test_case {
    const char *name;
    void (*run)(void);
} test_case;

typedef struct test_suite {
    const char *name;
    const test_case *cases;
    int count;
} test_suite;

/* Defines the suite `test_<name>` from a table of cases; suites.h of the folder then lists SUITE(<name>). */
#define TEST_SUITE(suite, cases)                                                                                       \
    extern const test_suite test_##suite;                                                                              \
    const test_suite test_##suite = {#suite, cases, (int)(sizeof(cases) / sizeof(cases)[0])}

/* Runs the suites whose name contains argv[1] (all without one); prints "N passed, N failed" as the last line, counted in
 * test cases. A case without a single assertion fails. Returns the exit status. */
int run_suites(const test_suite *const *suites, int count, int argc, char **argv);

/* The seed of property tests: CIUIC_TEST_SEED or the clock; printed once. */
unsigned long long test_seed(void);

/* Asserts with a message that is printed on failure: what the values were. */
#define CHECK(condition, ...)                                                                                          \
    do {                                                                                                               \
        const int check_ok = (condition) ? 1 : 0;                                                                      \
        if (!check_ok) {                                                                                               \
            printf("    ");                                                                                            \
            printf(__VA_ARGS__);                                                                                       \
            printf("\n");                                                                                              \
        }                                                                                                              \
        CU_assertImplementation(check_ok, __LINE__, #condition, __FILE__, "", CU_FALSE);                               \
    } while (0)

#endif
