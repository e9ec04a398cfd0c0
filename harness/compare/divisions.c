/* divisions.c - what may be called the same: workloads, variants, functions. */
#include <math.h>
#include <string.h>

#include "harness/compare/fairness.h"
#include "optimizer/json.h"

/* Half precision has 11 bits: a rounding is off by 2^-11 of a value at most. What reads an FP16 cache and adds up in another
 * order stays below twice that over all logits; activations rounded to bfloat16 (8 bits, 2^-9) do not. */
static const double rounding_l2 = 0x1p-10;

const char *division_reason(const result_case *c)
{
    const double l2 = case_number(c, "accuracy", "relative_l2");
    if (strcmp(c->quantize, "none") != 0) return "quantised weights";
    if (strcmp(c->memory, "aggressive") == 0) return "an INT8 cache";
    if (isnan(l2)) return "its loss was not measured";
    return l2 > rounding_l2 ? "rounds more than half precision does" : "";
}

division division_of(const result_case *c)
{
    return division_reason(c)[0] == '\0' ? DIVISION_EQUIVALENT : DIVISION_OPEN;
}

static bool equal_workload(const result_group *a, const result_group *b)
{
    return strcmp(a->checkpoint, b->checkpoint) == 0 && strcmp(a->phase, b->phase) == 0 && a->tokens == b->tokens &&
           a->depth == b->depth && a->batch == b->batch;
}

static size_t distance(size_t a, size_t b)
{
    return a > b ? a - b : b - a;
}

const result_group *same_workload(const result_set *other, const result_group *group)
{
    const result_group *best = NULL;
    for (size_t g = 0; g < other->group_count; g++) {
        const result_group *candidate = &other->groups[g];
        if (!equal_workload(candidate, group)) continue;
        if (best == NULL || distance(candidate->threads, group->threads) < distance(best->threads, group->threads))
            best = candidate;
    }
    return best;
}

static bool has_best_kernels(const result_set *r, const result_case *c)
{
    const result_case *tuned = r->groups[c->group].tuned;
    return tuned != NULL && strcmp(c->kernels, tuned->kernels) == 0;
}

/* The graph stage off, on with all passes, or on with the same ones. */
static bool same_graph(const result_case *x, const result_case *y)
{
    if (x->graph != y->graph || (x->passes == NULL) != (y->passes == NULL)) return false;
    return x->passes == NULL || strcmp(x->passes, y->passes) == 0;
}

bool same_variant(const result_set *a, const result_case *x, const result_set *b, const result_case *y)
{
    if (x->twin || y->twin || !same_graph(x, y) || !same_prefix_cache(x, y) || x->packed != y->packed ||
        strcmp(x->memory, y->memory) != 0)
        return false;
    const bool first_baseline = x->baseline != NULL, second_baseline = y->baseline != NULL;
    if (first_baseline != second_baseline) return false;
    if (first_baseline && strcmp(x->baseline, y->baseline) != 0) return false;
    if (!same_weights(x, y)) return false;
    return strcmp(x->kernels, y->kernels) == 0 || (has_best_kernels(a, x) && has_best_kernels(b, y));
}
