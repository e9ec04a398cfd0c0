/* tune.c - see tune.h. */
#include "harness/optimize/tune.h"

#include <math.h>

#include "optimizer/error.h"

const char *const error_metric_names[ERROR_METRICS] = {
    [ERROR_MEAN_ABS] = "mean_abs_error", [ERROR_KL] = "kl", [ERROR_NLL_RISE] = "nll_rise"};

double error_metric_of(error_metric metric, const accuracy_result *r)
{
    const double value = metric == ERROR_MEAN_ABS ? r->mean_abs_error : metric == ERROR_KL ? r->kl : r->nll_rise;
    return r->finite && isfinite(value) ? value : INFINITY;
}

/* Bits a weight of the smallest and of the largest choice of every unit. */
static void find_range(const tune_request *r, double *low, double *high)
{
    const checkpoint *source = r->attempt.source;
    size_t least = mixed_fixed_bytes(source, r->units, r->count), most = least;
    for (size_t i = 0; i < r->count; i++) {
        size_t smallest = r->units[i].choices[0].bytes, largest = 0;
        for (size_t j = 0; j < r->units[i].count; j++) {
            const size_t bytes = r->units[i].choices[j].bytes;
            if (bytes < smallest) smallest = bytes;
            if (bytes > largest && r->units[i].choices[j].setting.quantised) largest = bytes;
        }
        least += smallest;
        most += largest;
    }
    const double to_bits = 8.0 / (double)checkpoint_parameters(source);
    *low = (double)least * to_bits;
    *high = (double)most * to_bits;
}

/* Makes and measures the model of that budget. The first, and every one within the limit, becomes the best. */
static ciuic_status try_bits(const tune_request *r, double bits, tuned *t, double *error)
{
    recipe chosen = {0};
    allocation result;
    attempt made = {0};
    const size_t budget = mixed_budget(r->attempt.source, bits, 0) + 1; /* rounding must not undercut the smallest */
    ciuic_status status = mixed_choose(r->attempt.source, r->units, r->count, budget, &result, &chosen);
    if (status == CIUIC_OK) status = attempt_make(&r->attempt, &chosen, &made);
    if (status != CIUIC_OK) {
        recipe_free(&chosen);
        return status;
    }
    *error = error_metric_of(r->metric, &made.accuracy);
    t->steps[t->step_count++] = (tune_step){.bits = made.bits_per_weight, .error = *error};
    if (t->step_count == 1 || *error <= r->limit) {
        if (t->best.writer != NULL) folder_writer_inherit(made.writer, t->best.writer);
        tuned_free(t);
        t->best = made;
        t->recipe = chosen;
        t->allocation = result;
        t->budget = budget;
    } else {
        recipe_free(&chosen);
        attempt_free(&made);
    }
    return CIUIC_OK;
}

static ciuic_status search(const tune_request *r, tuned *t)
{
    double low, high, error_low, error_high;
    find_range(r, &low, &high);
    CIUIC_TRY(try_bits(r, high, t, &error_high));
    if (error_high > r->limit) return CIUIC_OK;
    CIUIC_TRY(try_bits(r, low, t, &error_low));
    if (error_low <= r->limit) return CIUIC_OK;
    for (int i = 2; i < TUNE_ATTEMPTS && high - low > 0.05; i++) {
        /* Where a straight line in the logarithm of the error meets the limit, kept off the ends. */
        double at = log(error_low / r->limit) / log(error_low / fmax(error_high, 1e-12));
        if (!(at > 0.15)) at = 0.15;
        if (!(at < 0.85)) at = 0.85;
        const double bits = low + at * (high - low);
        double error;
        CIUIC_TRY(try_bits(r, bits, t, &error));
        if (error <= r->limit)
            high = bits, error_high = error;
        else
            low = bits, error_low = error;
    }
    return CIUIC_OK;
}

ciuic_status tune_bits(const tune_request *request, tuned *result)
{
    tuned t = {0};
    ciuic_status status = search(request, &t);
    allocation again;
    recipe unused = {0};
    if (status == CIUIC_OK) /* the units' choices are those of the last budget that was tried */
        status = mixed_choose(request->attempt.source, request->units, request->count, t.budget, &again, &unused);
    recipe_free(&unused);
    if (status != CIUIC_OK)
        tuned_free(&t);
    else
        *result = t;
    return status;
}

void tuned_free(tuned *t)
{
    attempt_free(&t->best);
    recipe_free(&t->recipe);
}
