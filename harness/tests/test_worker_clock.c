/* test_worker_clock.c - times that workers report, against the two clocks that are not theirs. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "harness/worker/worker_clock.h"
#include "optimizer/tests/runner.h"

static void single_samples(void)
{
    static const struct {
        sample_time time;
        int threads;
        const char *problem; /* "": none */
    } rows[] = {
        {{0.010, 0.020, 0.020, 0.022}, 2, ""},
        {{0.010, 0.001, 0.020, 0.022}, 2, ""}, /* it waited, which is no fault of a clock */
        {{NAN, 0.020, 0.020, 0.022}, 2, "not a number above 0"},
        {{INFINITY, 0.020, 0.020, 0.022}, 2, "not a number above 0"},
        {{0, 0.020, 0.020, 0.022}, 2, "not a number above 0"},
        {{-0.010, 0.020, 0.020, 0.022}, 2, "not a number above 0"},
        {{0.010, NAN, 0.020, 0.022}, 2, "not a number from 0 on"},
        {{0.010, -1, 0.020, 0.022}, 2, "not a number from 0 on"},
        {{0.010, 0.020, NAN, 0.022}, 2, "clock jumped"},
        {{0.010, 0.020, 0.009, 0.022}, 2, "clock jumped"}, /* the whole shorter than the part */
        {{0.010, 0.020, 0.0232, 0.022}, 2, ""},            /* within 1% and a millisecond of what passed */
        {{0.010, 0.020, 0.0233, 0.022}, 2, "or is fast"},
        {{0.018, 0.020, 0.036, 0.022}, 2, "or is fast"},     /* 1.8 times too fast, and yet less than what passed */
        {{0.0049, 0.010, 0.020, 0.022}, 1, "clock is slow"}, /* 0.9 of 10 ms less a tick of 4 ms is 5 ms */
        {{0.0051, 0.010, 0.020, 0.022}, 1, ""},
        {{0.0051, 0.020, 0.020, 0.022}, 2, ""},
        {{0.0049, 0.020, 0.020, 0.022}, 2, "clock is slow"},
        {{0.0001, 0.004, 0.020, 0.022}, 1, ""}, /* a tick alone explains it */
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char problem[CLOCK_PROBLEM_MAX];
        worker_clock_judge(&rows[i].time, rows[i].threads, problem);
        CHECK(rows[i].problem[0] == '\0' ? problem[0] == '\0' : strstr(problem, rows[i].problem) != NULL,
              "row %zu: \"%s\"", i, problem);
    }
}

/* A clock that runs at a tenth of its speed is within a tick of the truth in each sample of 4 ms. */
static void samples_together(void)
{
    static const struct {
        size_t rounds, iterations;
        double seconds, cpu_s; /* of one iteration */
        bool slow;
    } rows[] = {
        {400, 1, 0.004, 0.0040, false},  {400, 1, 0.0004, 0.0040, true},
        {10, 1, 0.0004, 0.0040, false}, /* too few to tell */
        {400, 1, 0.004, 0.0044, false}, /* 10% are allowed for */
        {400, 1, 0.002, 0.0040, true},   {400, 8, 0.0005, 0.0005, false},
        {400, 8, 0.00005, 0.0005, true}, {400, 1, 0.004, 0.0001, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char problem[CLOCK_PROBLEM_MAX];
        double *seconds = malloc(rows[i].rounds * sizeof *seconds), *cpu_s = malloc(rows[i].rounds * sizeof *cpu_s);
        CU_ASSERT_FATAL(seconds != NULL && cpu_s != NULL);
        for (size_t k = 0; k < rows[i].rounds; k++) {
            seconds[k] = k % 10 == 3 ? NAN : rows[i].seconds; /* NaN: lost, and so is its processor time */
            cpu_s[k] = k % 10 == 3 ? NAN : 2 * rows[i].cpu_s; /* of two threads */
        }
        const slot_record slot = {.seconds = seconds, .cpu_seconds = cpu_s, .iterations = rows[i].iterations};
        worker_clock_judge_all(&slot, rows[i].rounds, 2, problem);
        CHECK((strstr(problem, "clock is slow") != NULL) == rows[i].slow, "row %zu: \"%s\"", i, problem);
        free(seconds);
        free(cpu_s);
    }
}

static const test_case cases[] = {
    {"single samples", single_samples},
    {"samples together", samples_together},
};

TEST_SUITE(worker_clock, cases);
