/* main.c - test-harness: [PATTERN] runs the suites whose name contains it. As `test-harness worker` it is a worker of the
 * benches that its own tests start: they start /proc/self/exe, whichever program that is. */
#include <string.h>

#include "harness/commands.h"
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
    if (argc > 1 && strcmp(argv[1], "worker") == 0) return cmd_worker(argc - 1, argv + 1);
    return run_suites(suites, (int)(sizeof suites / sizeof suites[0]), argc, argv);
}
