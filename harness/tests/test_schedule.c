/* test_schedule.c - the order of rounds: permutations, balanced over places and over who follows whom. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "harness/suite/schedule.h"
#include "optimizer/tests/runner.h"

enum { SLOTS = 24 };

static void every_round_is_a_permutation(void)
{
    for (size_t n = 1; n <= SLOTS; n++)
        for (size_t round = 0; round < 3 * n; round++) {
            size_t order[SLOTS];
            bool seen[SLOTS] = {false};
            size_t distinct = 0;
            schedule_round(n, test_seed(), round, order);
            for (size_t i = 0; i < n; i++)
                if (order[i] < n && !seen[order[i]]) seen[order[i]] = true, distinct++;
            CHECK(distinct == n, "n %zu round %zu: %zu distinct slots", n, round, distinct);
        }
}

/* Latin square: over each n rounds every slot is once in every place, so a drift that is linear in time, or comes back
 * every round, adds the same to every slot's sum. */
static void every_slot_is_once_in_every_place(void)
{
    for (size_t n = 2; n <= SLOTS; n++)
        for (size_t square = 0; square < 4; square++) {
            int count[SLOTS][SLOTS] = {{0}};
            for (size_t round = square * n; round < (square + 1) * n; round++) {
                size_t order[SLOTS];
                schedule_round(n, test_seed(), round, order);
                for (size_t i = 0; i < n; i++) count[order[i]][i]++;
            }
            size_t wrong = 0;
            for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < n; k++) wrong += count[i][k] != 1;
            CHECK(wrong == 0, "n %zu square %zu: %zu places are not taken once", n, square, wrong);
        }
}

/* Williams: each of the n(n-1) ordered pairs of neighbours occurs once in n rounds (n even), twice in 2n rounds (n odd). */
static void every_slot_follows_every_other_equally_often(void)
{
    for (size_t n = 2; n <= SLOTS; n++) {
        const size_t rounds = n % 2 == 0 ? n : 2 * n;
        const int expected = n % 2 == 0 ? 1 : 2;
        for (size_t start = 0; start < 4 * n; start += rounds) {
            int count[SLOTS][SLOTS] = {{0}};
            for (size_t round = start; round < start + rounds; round++) {
                size_t order[SLOTS];
                schedule_round(n, test_seed(), round, order);
                for (size_t i = 1; i < n; i++) count[order[i - 1]][order[i]]++;
            }
            size_t wrong = 0;
            for (size_t i = 0; i < n; i++)
                for (size_t k = 0; k < n; k++) wrong += count[i][k] != (i == k ? 0 : expected);
            CHECK(wrong == 0, "n %zu from round %zu: %zu pairs are not balanced", n, start, wrong);
        }
    }
}

static void the_seed_decides_and_nothing_else(void)
{
    size_t first[12], again[12], other[12];
    size_t differing = 0;
    for (size_t round = 0; round < 24; round++) {
        schedule_round(12, 5, round, first);
        schedule_round(12, 5, round, again);
        schedule_round(12, 6, round, other);
        CHECK(memcmp(first, again, sizeof first) == 0, "round %zu differs between two calls", round);
        differing += memcmp(first, other, sizeof first) != 0;
    }
    CHECK(differing >= 20, "seeds 5 and 6 differ in %zu of 24 rounds only", differing);
}

static const test_case cases[] = {
    {"every_round_is_a_permutation", every_round_is_a_permutation},
    {"every_slot_is_once_in_every_place", every_slot_is_once_in_every_place},
    {"every_slot_follows_every_other_equally_often", every_slot_follows_every_other_equally_often},
    {"the_seed_decides_and_nothing_else", the_seed_decides_and_nothing_else},
};
TEST_SUITE(schedule, cases);
