/* main.c - test-harness: [--part any|beside|timed] [PATTERN] runs the suites of that part (all without it) whose name contains
 * PATTERN. As `test-harness worker` it is a worker of the benches that its own tests start: they start /proc/self/exe,
 * whichever program that is. */
#include <stdio.h>
#include <string.h>

#include "harness/commands.h"
#include "optimizer/tests/runner.h"

typedef enum suite_part { ANY, BESIDE, TIMED, PARTS } suite_part;

#define SUITE(name, part) extern const test_suite test_##name;
#include "harness/tests/suites.h"
#undef SUITE

static const struct {
    const test_suite *suite;
    suite_part part;
} suites[] = {
#define SUITE(name, part) {&test_##name, part},
#include "harness/tests/suites.h"
#undef SUITE
};

/* PARTS when there is none of that name. */
static suite_part part_of(const char *word)
{
    static const char *const words[PARTS] = {"any", "beside", "timed"};
    suite_part part = ANY;
    while (part < PARTS && strcmp(words[part], word) != 0) part++;
    return part;
}

int main(int argc, char **argv)
{
    const test_suite *chosen[sizeof suites / sizeof suites[0]];
    int count = 0;
    if (argc > 1 && strcmp(argv[1], "worker") == 0) return cmd_worker(argc - 1, argv + 1);
    const bool some = argc > 1 && strcmp(argv[1], "--part") == 0;
    const suite_part part = some && argc > 2 ? part_of(argv[2]) : PARTS;
    if (some && part == PARTS) {
        fprintf(stderr, "test-harness: --part is any, beside or timed\n");
        return 2;
    }
    for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
        if (!some || suites[i].part == part) chosen[count++] = suites[i].suite;
    return run_suites(chosen, count, some ? argc - 2 : argc, some ? argv + 2 : argv);
}
