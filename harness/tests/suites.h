/* suites.h - the suites of test-harness, one line each; main.c expands the list twice. */
SUITE(accuracy)
SUITE(statistics)
SUITE(claims)
SUITE(judge)
SUITE(cli)
SUITE(eval)
SUITE(report)
