/* group_scale.c - see group_scale.h. */
#include "optimizer/quantize/group_scale.h"

#include <math.h>

#include "optimizer/checkpoint/float_formats.h"
#include "optimizer/quantize/codes.h"

size_t group_extreme(size_t n, const float *x)
{
    size_t best = 0;
    for (size_t k = 1; k < n; k++)
        if (fabsf(x[k]) > fabsf(x[best])) best = k;
    return best;
}

/* Both in binary16; false when one is infinite there. Without a scale every code is `minimum`. */
static bool store(float scale, float minimum, group_scale *s)
{
    s->scale = float_to_f16(scale);
    s->minimum = float_to_f16(minimum);
    if ((s->scale & 0x7fffu) == 0) s->scale = 0; /* no negative zero */
    if ((s->minimum & 0x7fffu) == 0) s->minimum = 0;
    return isfinite(float_from_f16(s->scale)) && isfinite(float_from_f16(s->minimum));
}

static void range_of(size_t n, const float *x, float *low, float *high)
{
    *low = *high = x[0];
    for (size_t i = 1; i < n; i++) {
        *low = fminf(*low, x[i]);
        *high = fmaxf(*high, x[i]);
    }
}

/* Round to nearest's scale and the value of code `zero`, unrounded. */
static void plain(const code_grid *g, bool asymmetric, size_t n, const float *x, double *scale, double *minimum)
{
    if (asymmetric) {
        float low, high;
        range_of(n, x, &low, &high);
        *scale = ((double)high - (double)low) / (g->high - g->low);
        *minimum = (double)low - g->low * *scale;
        return;
    }
    const double extreme = (double)x[group_extreme(n, x)];
    *scale = g->low < 0 ? fabs(extreme) / g->high : -extreme / g->zero;
    *minimum = 0;
}

bool group_scale_rtn(kernel_format format, bool asymmetric, size_t n, const float *x, group_scale *s)
{
    const code_grid g = code_grid_of(format, asymmetric);
    double scale, minimum;
    plain(&g, asymmetric, n, x, &scale, &minimum);
    return store((float)scale, (float)minimum, s);
}

/* ---- search ----------------------------------------------------------------------------------------------------- */

typedef struct search {
    code_grid grid;
    bool asymmetric;
    size_t n;
    const float *x, *weight;
    double best;
    group_scale found;
} search;

static double weight_of(const search *s, size_t i)
{
    return s->weight != NULL ? (double)s->weight[i] : 1.0;
}

/* Takes the pair if it is the best yet. */
static void consider(search *s, group_scale pair)
{
    const float scale = float_from_f16(pair.scale), minimum = float_from_f16(pair.minimum);
    double error = 0;
    for (size_t i = 0; i < s->n && error < s->best; i++) {
        const double e =
            (double)s->x[i] - (double)code_value(&s->grid, code_of(&s->grid, s->x[i], scale, minimum), scale, minimum);
        error += weight_of(s, i) * e * e;
    }
    if (error < s->best) {
        s->best = error;
        s->found = pair;
    }
}

/* The scale and minimum that fit the codes of the given ones best, by weighted least squares: x ~ c scale + minimum. False
 * where the codes do not determine them. */
static bool refit(const search *s, double *scale, double *minimum)
{
    double w = 0, wc = 0, wcc = 0, wx = 0, wcx = 0;
    const float old_scale = (float)*scale, old_minimum = (float)*minimum;
    for (size_t i = 0; i < s->n; i++) {
        const double c = code_of(&s->grid, s->x[i], old_scale, old_minimum) - s->grid.zero;
        const double weight = weight_of(s, i), x = (double)s->x[i];
        w += weight;
        wc += weight * c;
        wcc += weight * c * c;
        wx += weight * x;
        wcx += weight * c * x;
    }
    if (!s->asymmetric) {
        if (!(wcc > 0)) return false;
        *scale = wcx / wcc;
        return *scale != 0;
    }
    const double determinant = w * wcc - wc * wc;
    if (!(determinant > 1e-12 * w * wcc)) return false;
    *scale = (w * wcx - wc * wx) / determinant;
    *minimum = (wx - *scale * wc) / w;
    return *scale > 0;
}

static void try_from(search *s, double scale, double minimum)
{
    enum { REFITS = 2 };
    group_scale pair;
    for (int i = 0; i <= REFITS; i++) {
        if (store((float)scale, (float)minimum, &pair) && pair.scale != 0) consider(s, pair);
        if (i < REFITS && !refit(s, &scale, &minimum)) return;
    }
}

bool group_scale_search(kernel_format format, bool asymmetric, size_t n, const float *x, const float *weight,
                        group_scale *s)
{
    /* From 0.6 to 1.1 of round to nearest's: few bits gain from clipping much, and beyond 1 lie lopsided codes' gains. */
    enum { STEPS = 20 };
    search tried = {.grid = code_grid_of(format, asymmetric),
                    .asymmetric = asymmetric,
                    .n = n,
                    .x = x,
                    .weight = weight,
                    .best = INFINITY};
    if (!group_scale_rtn(format, asymmetric, n, x, s)) return false;
    consider(&tried, *s);
    double scale, minimum;
    plain(&tried.grid, asymmetric, n, x, &scale, &minimum);
    const bool lopsided = tried.grid.zero != 0;
    const double middle = (tried.grid.low + tried.grid.high) / 2.0;
    for (int i = 0; i <= STEPS && scale != 0; i++) {
        const double factor = 0.6 + 0.5 * i / STEPS;
        const double centred = minimum + (1 - factor) * middle * scale; /* shrinks both ends alike */
        try_from(&tried, factor * scale, asymmetric ? centred : 0);
        if (lopsided) try_from(&tried, -factor * scale, 0);
    }
    *s = tried.found;
    return true;
}
