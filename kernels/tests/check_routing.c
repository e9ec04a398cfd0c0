/* check_routing.c - the k largest, and the choice of experts. */
#include "kernels/tests/check.h"

/* ---- top_k ---- */

/* Values of which many are equal, or not numbers. */
static float contested(check *c, size_t kind)
{
    const uint64_t draw = check_random(c);
    if (kind == 1) return (float)(draw % 5);
    if (kind == 2) return draw % 3 == 0 ? NAN : draw % 7 == 0 ? -INFINITY : draw % 11 == 0 ? INFINITY : -0.0f;
    return check_awkward(c, kind == 3);
}

/* How many of n values come before number i: its place in the order, by the words of the contract. */
static size_t place_of(size_t n, const float *x, size_t i)
{
    size_t place = 0;
    for (size_t j = 0; j < n; j++) {
        const bool larger = isnan(x[i]) ? !isnan(x[j]) : x[j] > x[i];
        const bool equal = isnan(x[i]) ? isnan(x[j]) : x[j] == x[i];
        if (larger || (equal && j < i)) place++;
    }
    return place;
}

static void check_top_k(check *c)
{
    static const size_t sizes[][2] = {{0, 0},   {1, 0},     {1, 1},      {2, 1},    {2, 2},      {3, 2},
                                      {7, 7},   {8, 3},     {9, 8},      {64, 6},   {100, 1},    {257, 16},
                                      {256, 8}, {256, 256}, {1000, 999}, {1536, 1}, {129280, 50}};
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0] * 4; s++) {
        const size_t n = sizes[s / 4][0], k = sizes[s / 4][1];
        check_shape(c, "%zu of %zu, kind %zu", k, n, s % 4);
        float *x = check_alloc(c, n * sizeof *x);
        for (size_t i = 0; i < n; i++) x[i] = contested(c, s % 4);
        check_freeze(c);
        uint32_t *index = check_output(c, k * sizeof *index);
        CHECK_CALL(c->table->top_k(n, x, k, index));
        for (size_t i = 0; i < k; i++) {
            if (index[i] >= n || place_of(n, x, index[i]) != i) check_fail(c, "index[%zu] is %u", i, index[i]);
        }
    }
}

/* ---- route ---- */

enum { MOST_EXPERTS = 256, MOST_CHOSEN = 16 };

/* The definition in double. `margin` is the smallest difference that decided anything: where rounding could have. */
typedef struct choice {
    size_t expert[MOST_CHOSEN];
    double weight[MOST_CHOSEN], scores[MOST_EXPERTS], margin;
} choice;

static void scores_of(const kernel_router *r, const float *logits, double *scores)
{
    double largest = -INFINITY, sum = 0;
    for (size_t i = 0; i < r->experts; i++) largest = fmax(largest, (double)logits[i]);
    for (size_t i = 0; i < r->experts; i++) sum += exp((double)logits[i] - largest);
    for (size_t i = 0; i < r->experts; i++)
        scores[i] = r->sigmoid ? 1 / (1 + exp(-(double)logits[i])) : exp((double)logits[i] - largest) / sum;
}

/* Takes the `count` largest of values[n], one after the other, each then minus infinity; ties go to the lower index. */
static void take_largest(size_t n, double *values, size_t count, size_t *taken, double *margin)
{
    for (size_t k = 0; k < count; k++) {
        size_t best = n;
        for (size_t i = 0; i < n; i++) {
            bool gone = false;
            for (size_t j = 0; j < k; j++) gone = gone || taken[j] == i;
            if (!gone && (best == n || values[i] > values[best])) best = i;
        }
        taken[k] = best;
        for (size_t i = 0; i < n; i++) {
            bool gone = i == best;
            for (size_t j = 0; j < k; j++) gone = gone || taken[j] == i;
            if (!gone) *margin = fmin(*margin, values[best] - values[i]);
        }
    }
}

static double group_value(const kernel_router *r, const double *values, size_t size)
{
    double best = -INFINITY, second = -INFINITY;
    for (size_t i = 0; i < size; i++) {
        if (values[i] >= best)
            second = best, best = values[i];
        else
            second = fmax(second, values[i]);
    }
    return r->group_by_two && size > 1 ? best + second : best;
}

static choice choose(const kernel_router *r, const float *logits)
{
    choice o = {.margin = INFINITY};
    double values[MOST_EXPERTS];
    scores_of(r, logits, o.scores);
    for (size_t i = 0; i < r->experts; i++) {
        values[i] = o.scores[i] + (r->bias ? (double)r->bias[i] : 0);
        if (isnan(values[i])) values[i] = -INFINITY;
    }
    if (r->groups > 1) {
        const size_t size = r->experts / r->groups;
        double groups[MOST_EXPERTS];
        size_t open[MOST_EXPERTS];
        bool keep[MOST_EXPERTS] = {false};
        for (size_t g = 0; g < r->groups; g++) groups[g] = group_value(r, values + g * size, size);
        take_largest(r->groups, groups, r->groups_per_token, open, &o.margin);
        for (size_t g = 0; g < r->groups_per_token; g++) keep[open[g]] = true;
        for (size_t i = 0; i < r->experts; i++) values[i] = keep[i / size] ? values[i] : -INFINITY;
    }
    take_largest(r->experts, values, r->experts_per_token, o.expert, &o.margin);
    double sum = 0;
    for (size_t k = 0; k < r->experts_per_token; k++) sum += o.scores[o.expert[k]];
    for (size_t k = 0; k < r->experts_per_token; k++)
        o.weight[k] = o.scores[o.expert[k]] * (double)r->scale / (r->normalize ? sum + (double)1e-20f : 1);
    return o;
}

/* A score is off by a share: sigmoid's exponential is within 4 u and a sum and a quotient follow: 6 u. Softmax: twice the
 * largest difference of logits (below 48 here, 16 deviations of 3) plus 4, experts - 1 sums, and three more (see
 * check_norms.c). Weights are divided by a sum of k of them, k roundings with 1e-20, then by quotient and product. */
static double weight_share(const kernel_router *r)
{
    const double score = r->sigmoid ? 6 : 2 * (48 + 4) + (double)r->experts + 2;
    return gamma_of(r->normalize ? 2 * score + (double)r->experts_per_token + 2 : score + 1);
}

/* What a score or a sum of two is off by, with the bias' rounding: decisions by less than this may differ. */
static double undecided(const kernel_router *r)
{
    const double score = r->sigmoid ? 6 : 2 * (48 + 4) + (double)r->experts + 2;
    return 4 * (gamma_of(score) + gamma_of(3) * (r->bias ? 2 : 1));
}

static void check_valid(check *c, const kernel_router *r, const uint32_t *expert)
{
    for (size_t k = 0; k < r->experts_per_token; k++) {
        if (expert[k] >= r->experts) check_fail(c, "expert[%zu] is %u of %zu", k, expert[k], r->experts);
        for (size_t j = 0; j < k; j++)
            if (expert[j] == expert[k]) check_fail(c, "expert %u was chosen twice", expert[k]);
    }
}

typedef enum logit_kind { LOGITS, EQUAL_LOGITS, SOME_NAN, ALL_NAN, SATURATED, LOGIT_KINDS } logit_kind;

static float random_logit(check *c, logit_kind kind)
{
    const uint64_t draw = check_random(c);
    switch (kind) {
    case EQUAL_LOGITS:
        return 1.0f;
    case SOME_NAN:
        return draw % 4 == 0 ? NAN : 3 * check_normal(c);
    case ALL_NAN:
        return NAN;
    case SATURATED: /* scores of 0 and 1 exactly */
        return draw % 2 ? INFINITY : -INFINITY;
    default:
        return 3 * check_normal(c);
    }
}

/* Logits, and biases if any, on which the definition does not hang by a rounding, with what it makes of them. Equal scores without a bias are
 * equal on every rung, and saturated ones exact: they are taken as they come. */
static choice draw_logits(check *c, const kernel_router *r, logit_kind kind, float *logits, float *bias)
{
    const bool exact = !r->bias && (kind == EQUAL_LOGITS || kind == SATURATED);
    choice want = {.margin = 0};
    for (int draws = 0; draws < 1000; draws++) {
        for (size_t i = 0; i < r->experts; i++) logits[i] = random_logit(c, kind);
        for (size_t i = 0; i < r->experts; i++) bias[i] = (float)check_uniform(c) * 0.5f;
        want = choose(r, logits);
        if (exact || want.margin > undecided(r)) return want;
    }
    check_fail(c, "no logits of 1000 draws decide by more than %g", undecided(r));
    return want;
}

static const kernel_router routers[] = {
    {.experts = 0},
    {.experts = 1, .experts_per_token = 1, .scale = 1},
    {.experts = 8, .experts_per_token = 8, .scale = 1, .normalize = true},
    {.experts = 64, .experts_per_token = 6, .scale = 1},                                       /* V2-Lite */
    {.experts = 160, .experts_per_token = 6, .groups = 8, .groups_per_token = 3, .scale = 16}, /* V2 */
    {.experts = 256,
     .experts_per_token = 8,
     .groups = 8,
     .groups_per_token = 4,
     .sigmoid = true,
     .group_by_two = true,
     .normalize = true,
     .scale = 2.5f}, /* V3 */
    {.experts = 24, .experts_per_token = 3, .groups = 24, .groups_per_token = 5, .group_by_two = true, .scale = 1},
    {.experts = 33, .experts_per_token = 16, .groups = 1, .sigmoid = true, .scale = 0.5f},
};

static void check_route(check *c)
{
    for (size_t s = 0; s < sizeof routers / sizeof routers[0] * LOGIT_KINDS * 6; s++) {
        kernel_router r = routers[s / 6 / LOGIT_KINDS];
        const logit_kind kind = (logit_kind)(s / 6 % LOGIT_KINDS);
        check_shape(c, "%zu of %zu, %zu of %zu groups%s, kind %d%s", r.experts_per_token, r.experts, r.groups_per_token,
                    r.groups, r.sigmoid ? ", sigmoid" : "", kind, s % 2 ? ", bias" : "");
        float *logits = check_alloc(c, r.experts * sizeof *logits), *bias = check_alloc(c, r.experts * sizeof *bias);
        if (s % 2) r.bias = bias;
        const choice want = draw_logits(c, &r, kind, logits, bias);
        check_freeze(c);
        float *workspace = check_output(c, 2 * r.experts * sizeof *workspace);
        uint32_t *expert = check_output(c, r.experts_per_token * sizeof *expert);
        float *weight = check_output(c, r.experts_per_token * sizeof *weight);
        CHECK_CALL(c->table->route(&r, logits, workspace, expert, weight));
        check_valid(c, &r, expert);
        /* A softmax with a NaN, or of nothing but infinities, has no score at all: what was chosen is to show it. */
        const bool numbers = r.sigmoid || kind == LOGITS || kind == EQUAL_LOGITS;
        for (size_t k = 0; k < r.experts_per_token; k++) {
            if (!numbers) {
                const double score = want.scores[expert[k] < r.experts ? expert[k] : 0];
                if (isnan(score) && !isnan(weight[k])) check_fail(c, "weight[%zu] is %g", k, (double)weight[k]);
            } else {
                if (expert[k] != want.expert[k])
                    check_fail(c, "expert[%zu] is %u, expected %zu", k, expert[k], want.expert[k]);
                check_value(c, "weight", k, (double)weight[k], want.weight[k],
                            weight_share(&r) * fabs(want.weight[k]) + 2 * SMALLEST * (double)r.scale);
            }
        }
    }
}

const check_entry routing_checks[] = {
    {"top_k", check_top_k},
    {"route", check_route},
    {NULL, NULL},
};
