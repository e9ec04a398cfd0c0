/* main.c - test-harness: [PATTERN] runs the suites whose name contains it. */
#include "optimizer/tests/runner.h"

#define SUITE(name) extern const test_suite test_##name;
#include "harness/tests/suites.h"
#undef SUITE

int main(int argc, char **argv)
{
    static const test_suite *const suites[] = {
#define SUITE(name) &test_##name,
#include "harness/tests/suites.h"
#undef SUITE
    };
    return run_suites(suites, (int)(sizeof suites / sizeof suites[0]), argc, argv);
}
