/* test_routing.c - expert choice by hand-worked examples of each method, and its invariants on random and hostile logits. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "optimizer/runtime/routing.h"
#include "optimizer/tests/runner.h"

/* One token, logits of 8 experts in 4 groups of 2; expected experts in order of choice, and weights. */
typedef struct example {
    const char *name;
    route_method method;
    bool norm;
    float logits[8], bias[8];
    size_t chosen[2];
    double weight[2];
} example;

/* sigmoid(0) = 0.5, sigmoid(ln 3) = 0.75, sigmoid(-ln 3) = 0.25; softmax of ln(n_i) is n_i / sum. */
#define LN(x) ((float)log(x))

static void check_example(const example *e)
{
    const model_config config = {.experts = 8,
                                 .experts_per_token = 2,
                                 .groups = 4,
                                 .top_groups = 2,
                                 .route = e->method,
                                 .norm_topk_prob = e->norm,
                                 .routed_scaling_factor = 2.0};
    kernel_table table;
    kernel_table_fill(&table, kernel_isa_best());
    routing r;
    CU_ASSERT_EQUAL_FATAL(routing_create(&r, &config, 1), CIUIC_OK);
    routing_choose(&r, table.route, 1, e->logits, 8, e->method == ROUTE_NOAUX_TC ? e->bias : NULL);
    for (size_t k = 0; k < 2; k++) {
        CHECK(r.chosen[k] == e->chosen[k], "%s: choice %zu is expert %u, expected %zu", e->name, k, r.chosen[k],
              e->chosen[k]);
        CHECK(fabs((double)r.weight[k] - e->weight[k]) < 1e-6, "%s: weight %zu is %g, expected %g", e->name, k,
              (double)r.weight[k], e->weight[k]);
    }
    routing_free(&r);
}

static void test_examples(void)
{
    const example examples[] = {
        /* sum 20: experts 5 (6/20) and 0 (5/20), weights not renormalised, times 2 */
        {"greedy",
         ROUTE_GREEDY,
         false,
         {LN(5), LN(1), LN(2), LN(1), LN(1), LN(6), LN(3), LN(1)},
         {0},
         {5, 0},
         {0.6, 0.5}},
        /* groups by their best: {0,1} 5, {2,3} 4.9 -> not, {4,5} 6, so 3 (4.9) is closed although it beats 1 and 4 */
        {"group limited",
         ROUTE_GROUP_LIMITED_GREEDY,
         false,
         {LN(5), LN(1), LN(1.1), LN(4.9), LN(1), LN(6), LN(0.5), LN(0.5)},
         {0},
         {5, 0},
         {0.6, 0.5}},
        /* groups by the sum of their two best: {2,3} 0.75+0.75 and {6,7} 0.5+0.75; expert 0 (0.9) has a weak partner */
        {"sigmoid, two best of a group",
         ROUTE_NOAUX_TC,
         true,
         {LN(9), LN(1.0 / 9), LN(3), LN(3), LN(1.0 / 3), LN(1.0 / 3), 0, LN(3)},
         {0},
         {2, 3},
         {1.0, 1.0}},
        /* the bias chooses expert 6, its weight stays unbiased: 0.5 / (0.5 + 0.75) * 2 */
        {"bias selects only",
         ROUTE_NOAUX_TC,
         true,
         {LN(1.0 / 3), LN(1.0 / 3), LN(3), LN(1.0 / 3), LN(1.0 / 3), LN(1.0 / 3), 0, LN(1.0 / 3)},
         {0, 0, 0, 0, 0, 0, 0.5f, 0},
         {6, 2},
         {0.8, 1.2}},
    };
    for (size_t i = 0; i < sizeof examples / sizeof examples[0]; i++) check_example(&examples[i]);
}

/* Every row belongs to exactly one token and choice, experts' rows are contiguous and in token order. */
static void check_invariants(const routing *r, size_t tokens)
{
    const size_t rows = tokens * r->per_token;
    CU_ASSERT_EQUAL(r->first[0], 0);
    CU_ASSERT_EQUAL(r->first[r->experts], rows);
    for (size_t i = 0; i < rows; i++) {
        const size_t expert = r->chosen[i], row = r->row[i];
        const bool placed = expert < r->experts && row >= r->first[expert] && row < r->first[expert + 1];
        if (!placed || r->token[row] != i / r->per_token) CU_FAIL("a row is misplaced");
        for (size_t j = i / r->per_token * r->per_token; j < i; j++)
            if (r->chosen[j] == expert) CU_FAIL("an expert was chosen twice");
    }
    for (size_t e = 0; e < r->experts; e++)
        for (size_t row = r->first[e] + 1; row < r->first[e + 1]; row++)
            if (r->token[row] <= r->token[row - 1]) CU_FAIL("an expert's rows are out of order");
}

static void test_invariants(void)
{
    unsigned long long state = test_seed();
    static float logits[16 * 32];
    kernel_table table;
    kernel_table_fill(&table, kernel_isa_best());
    const route_method methods[] = {ROUTE_GREEDY, ROUTE_GROUP_LIMITED_GREEDY, ROUTE_NOAUX_TC};
    for (int round = 0; round < 300; round++) {
        const model_config config = {.experts = 32,
                                     .experts_per_token = 4,
                                     .groups = 8,
                                     .top_groups = 3,
                                     .route = methods[round % 3],
                                     .norm_topk_prob = true,
                                     .routed_scaling_factor = 1.0};
        for (size_t i = 0; i < sizeof logits / sizeof logits[0]; i++) {
            state = state * 6364136223846793005ull + 1442695040888963407ull;
            const unsigned draw = (unsigned)(state >> 40);
            logits[i] = round % 5 == 4 && draw % 7 == 0   ? NAN
                        : round % 5 == 3 && draw % 7 == 0 ? INFINITY
                                                          : (float)(draw % 2000) / 250.0f - 4.0f;
        }
        const float zero[32] = {0};
        routing r;
        CU_ASSERT_EQUAL_FATAL(routing_create(&r, &config, 16), CIUIC_OK);
        routing_choose(&r, table.route, 16, logits, 32, config.route == ROUTE_NOAUX_TC ? zero : NULL);
        check_invariants(&r, 16);
        routing_free(&r);
    }
}

static const test_case cases[] = {
    {"hand-worked examples", test_examples},
    {"invariants, with NaN and infinity", test_invariants},
};
TEST_SUITE(routing, cases);
