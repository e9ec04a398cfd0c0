/* test_allocate.c - budgets are kept, and what is chosen is near the best there is, found by trying everything. */
#include "optimizer/quantize/allocate.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "optimizer/tests/grouped_matrix.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

enum { UNITS = 5, CHOICES = 4, ALL = 1024 /* CHOICES^UNITS */, FIXED = 1000, PARAMETERS = 5000 };

/* More bytes, less loss, and every further byte buys less: each unit's choices are their own lower hull. */
static void random_units(unsigned long long *state, allocation_unit units[UNITS])
{
    for (size_t i = 0; i < UNITS; i++) {
        units[i] = (allocation_unit){.parameters = PARAMETERS / UNITS, .matrices = 1, .count = CHOICES};
        size_t bytes = 50 + random_next(state) % 200;
        double slope = 1e-3 * (1.1 + (double)random_uniform(state)), kl = 10;
        for (size_t j = 0; j < CHOICES; j++) {
            units[i].choices[j] = (allocation_choice){.bytes = bytes, .kl = kl};
            const size_t more = 20 + random_next(state) % 300;
            bytes += more;
            kl -= slope * (double)more;
            slope *= 0.5 + 0.4 * (double)random_uniform(state);
        }
    }
}

static size_t bytes_of(const allocation_unit *units, size_t code, double *kl)
{
    size_t bytes = 0;
    *kl = 0;
    for (size_t i = 0; i < UNITS; i++, code /= CHOICES) {
        bytes += units[i].choices[code % CHOICES].bytes;
        *kl += units[i].choices[code % CHOICES].kl;
    }
    return bytes;
}

/* The least loss within the budget. */
static double best_of(const allocation_unit *units, size_t budget)
{
    double best = INFINITY, kl;
    for (size_t code = 0; code < ALL; code++)
        if (bytes_of(units, code, &kl) + FIXED <= budget && kl < best) best = kl;
    return best;
}

/* The most that a single step along a hull saves. */
static double largest_step(const allocation_unit *units)
{
    double most = 0;
    for (size_t i = 0; i < UNITS; i++)
        for (size_t j = 1; j < CHOICES; j++) most = fmax(most, units[i].choices[j - 1].kl - units[i].choices[j].kl);
    return most;
}

static void check_sums(const allocation_unit *units, size_t n, const allocation *a)
{
    size_t bytes = 0;
    double kl = 0;
    for (size_t i = 0; i < n; i++) {
        bytes += units[i].choices[units[i].chosen].bytes;
        kl += units[i].choices[units[i].chosen].kl;
    }
    CHECK(a->bytes == bytes && fabs(a->kl - kl) <= 1e-12 * fabs(kl), "%zu bytes, %g nats; units have %zu, %g", a->bytes,
          a->kl, bytes, kl);
}

/* Steps are bought by what a byte of them saves, so that when the first one does not fit, no choice of the bytes spent loses
 * less, and the rest of the budget, less than that step's bytes, could save no more than that step would. What is bought
 * afterwards only lowers the loss. */
static void within_one_step_of_the_best(void)
{
    unsigned long long state = test_seed();
    allocation_unit units[UNITS];
    for (int i = 0; i < 300; i++) {
        random_units(&state, units);
        double kl;
        const size_t least = bytes_of(units, 0, &kl) + FIXED, most = bytes_of(units, ALL - 1, &kl) + FIXED;
        const size_t budget = least + random_next(&state) % (most - least + 100);
        allocation a;
        CHECK(allocate_bits(units, UNITS, budget, FIXED, PARAMETERS, &a) == CIUIC_OK, "%s", ciuic_last_error());
        const double best = best_of(units, budget);
        CHECK(a.bytes + FIXED <= budget && a.least_bytes + FIXED == least, "%zu bytes of %zu, at least %zu", a.bytes,
              budget, a.least_bytes);
        CHECK(a.kl >= best - 1e-9 && a.kl <= best + largest_step(units), "%g nats, %g are possible", a.kl, best);
        check_sums(units, UNITS, &a);
        for (size_t u = 0; u < UNITS; u++) /* nothing that still fits is left */
            for (size_t j = 0; j < CHOICES; j++) {
                const allocation_choice *now = &units[u].choices[units[u].chosen], *then = &units[u].choices[j];
                CHECK(then->kl >= now->kl || a.bytes - now->bytes + then->bytes + FIXED > budget,
                      "unit %zu: choice %zu still fits", u, j);
            }
    }
}

/* The best choices at a price are what greedy steps reach, and the best of all of their bytes. */
static void budgets_used_up_are_optimal(void)
{
    unsigned long long state = test_seed();
    allocation_unit units[UNITS];
    for (int i = 0; i < 300; i++) {
        random_units(&state, units);
        const double price = 2e-3 * fabs((double)random_uniform(&state));
        size_t budget = FIXED;
        double expected = 0;
        for (size_t u = 0; u < UNITS; u++) {
            const allocation_choice *best = &units[u].choices[0];
            for (size_t j = 1; j < CHOICES; j++) {
                const allocation_choice *c = &units[u].choices[j];
                if (c->kl + price * (double)c->bytes < best->kl + price * (double)best->bytes) best = c;
            }
            budget += best->bytes;
            expected += best->kl;
        }
        allocation a;
        CHECK(allocate_bits(units, UNITS, budget, FIXED, PARAMETERS, &a) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(a.bytes + FIXED == budget && fabs(a.kl - expected) <= 1e-9 && fabs(best_of(units, budget) - a.kl) <= 1e-9,
              "%zu bytes of %zu, %g nats, not %g", a.bytes + FIXED, budget, a.kl, expected);
    }
}

static void impossible_budgets_are_refused(void)
{
    unsigned long long state = test_seed();
    allocation_unit units[UNITS];
    random_units(&state, units);
    double kl;
    char expected[64];
    allocation a;
    const size_t least = bytes_of(units, 0, &kl) + FIXED;
    snprintf(expected, sizeof expected, "the smallest possible is %.4g (%zu bytes)", 8.0 * (double)least / PARAMETERS,
             least);
    const size_t budgets[] = {0, FIXED - 1, least - 1};
    for (size_t i = 0; i < 3; i++)
        CHECK(allocate_bits(units, UNITS, budgets[i], FIXED, PARAMETERS, &a) == CIUIC_ERROR_LIMIT &&
                  strstr(ciuic_last_error(), expected) != NULL,
              "\"%s\" lacks \"%s\"", ciuic_last_error(), expected);
    CHECK(allocate_bits(units, UNITS, least, FIXED, PARAMETERS, &a) == CIUIC_OK && a.bytes + FIXED == least &&
              a.price == 0,
          "exactly the least: %zu bytes", a.bytes);
    CHECK(allocate_bits(units, 0, FIXED, FIXED, PARAMETERS, &a) == CIUIC_OK && a.bytes == 0, "no units");
}

static void what_is_free_is_taken(void)
{
    static const struct {
        allocation_choice choices[3];
        size_t budget, chosen;
        double price;
    } table[] = {
        {{{.bytes = 100, .kl = 3}, {.bytes = 100, .kl = 1}, {.bytes = 100, .kl = 2}}, 100, 1, 0},
        /* larger and worse is never bought */
        {{{.bytes = 200, .kl = 3}, {.bytes = 100, .kl = 1}, {.bytes = 300, .kl = 1}}, 1000, 1, 0},
        /* what has its best has no price */
        {{{.bytes = 100, .kl = 3}, {.bytes = 200, .kl = 2}, {.bytes = 300, .kl = 1.5}}, 1000, 2, 0},
        {{{.bytes = 100, .kl = 3}, {.bytes = 200, .kl = 2}, {.bytes = 300, .kl = 1.5}}, 299, 1, 1e-2 * 1e6},
        /* the middle is above the hull: taken where the hull's next point does not fit */
        {{{.bytes = 100, .kl = 3}, {.bytes = 200, .kl = 2.9}, {.bytes = 300, .kl = 1}}, 300, 2, 0},
        {{{.bytes = 100, .kl = 3}, {.bytes = 200, .kl = 2.9}, {.bytes = 300, .kl = 1}}, 250, 1, 1e-3 * 1e6},
        /* a loss that is no number is no upgrade */
        {{{.bytes = 100, .kl = 3}, {.bytes = 200, .kl = NAN}, {.bytes = 300, .kl = 4}}, 1000, 0, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        allocation_unit unit = {.count = 3};
        allocation a;
        memcpy(unit.choices, table[i].choices, sizeof table[i].choices);
        CHECK(allocate_bits(&unit, 1, table[i].budget, 0, 100, &a) == CIUIC_OK, "%s", ciuic_last_error());
        CHECK(unit.chosen == table[i].chosen, "row %zu: choice %zu", i, unit.chosen);
        CHECK(fabs(a.price - table[i].price) <= 1e-6 * table[i].price, "row %zu: price %g", i, a.price);
        check_sums(&unit, 1, &a);
    }
}

static const test_case cases[] = {
    {"within one step of the best", within_one_step_of_the_best},
    {"budgets used up are optimal", budgets_used_up_are_optimal},
    {"impossible budgets are refused", impossible_budgets_are_refused},
    {"what is free is taken", what_is_free_is_taken},
};
TEST_SUITE(allocate, cases);
