/* test_boundary.c - the search for the last value that works, on boundaries that are known. */
#include "harness/worker/boundary.h"
#include "optimizer/error.h"
#include "optimizer/tests/runner.h"

typedef struct known_boundary {
    size_t last; /* the hardest that works; SIZE_MAX downwards: none */
    bool upwards;
    size_t trials, broken_after; /* broken_after 0: never */
} known_boundary;

static ciuic_status try_value(void *context, size_t value, bool *works)
{
    known_boundary *k = context;
    if (++k->trials == k->broken_after) return ciuic_fail(CIUIC_ERROR_INTERRUPTED, "stopped");
    *works = k->upwards ? value <= k->last : value >= k->last;
    return CIUIC_OK;
}

/* Exhaustively over small ranges: what is found works, what is next to it does not, and they are as close as asked for. */
static void test_every_boundary(void)
{
    for (size_t n = 1; n <= 40; n++)
        for (size_t last = 0; last <= n + 1; last++)
            for (size_t start = 0; start <= n + 1; start += 3)
                for (size_t granularity = 1; granularity <= 5; granularity += 2)
                    for (int up = 0; up < 2; up++) {
                        const boundary b = {1, n, up != 0, start, granularity};
                        known_boundary k = {.last = last, .upwards = up != 0};
                        boundary_found f;
                        CU_ASSERT_EQUAL_FATAL(boundary_search(&b, try_value, &k, &f), CIUIC_OK);
                        const size_t hardest = up ? n : 1, easiest = up ? 1 : n;
                        const bool some = up ? last >= easiest : last <= easiest,
                                   all = up ? last >= hardest : last <= hardest;
                        CHECK(f.worked == some && f.failed == !all,
                              "n %zu last %zu start %zu up %d: worked %d failed %d", n, last, start, up, f.worked,
                              f.failed);
                        if (all) CU_ASSERT_EQUAL(f.found, hardest);
                        if (!some) CU_ASSERT_EQUAL(f.nearest_bad, easiest);
                        if (f.worked && f.failed) {
                            const size_t low = up ? f.found : f.nearest_bad, high = up ? f.nearest_bad : f.found;
                            CHECK(high > low && high - low <= granularity && low <= last && last <= high,
                                  "n %zu last %zu start %zu up %d: between %zu and %zu", n, last, start, up, low, high);
                        }
                        CU_ASSERT_EQUAL(f.trials, k.trials);
                    }
}

/* A guess within d granules is confirmed by 2 log2(d) + 4 trials at most: log2(d) + 2 until both sides are seen, since steps
 * double, and as many halvings of the last step, which is at most d. */
static void test_a_good_guess_is_cheap(void)
{
    for (size_t d = 1, log = 0; d <= 1024; d *= 2, log++)
        for (int side = 0; side < 2; side++) {
            const size_t last = (size_t)1 << 30, gran = (size_t)1 << 16;
            const boundary b = {1, (size_t)1 << 40, true, side ? last + d * gran : last - d * gran, gran};
            known_boundary k = {.last = last, .upwards = true};
            boundary_found f;
            CU_ASSERT_EQUAL(boundary_search(&b, try_value, &k, &f), CIUIC_OK);
            CHECK(f.trials <= 2 * log + 4, "%zu granules away: %zu trials", d, f.trials);
        }
}

static void test_a_broken_trial_ends_it(void)
{
    const boundary b = {1, 100, true, 50, 1};
    known_boundary k = {.last = 70, .upwards = true, .broken_after = 3};
    boundary_found f = {.trials = 77};
    CU_ASSERT_EQUAL(boundary_search(&b, try_value, &k, &f), CIUIC_ERROR_INTERRUPTED);
    CU_ASSERT_EQUAL(f.trials, 77);
}

static const test_case cases[] = {
    {"every boundary of small ranges", test_every_boundary},
    {"a good guess costs few trials", test_a_good_guess_is_cheap},
    {"a broken trial ends the search", test_a_broken_trial_ends_it},
};
TEST_SUITE(boundary, cases);
