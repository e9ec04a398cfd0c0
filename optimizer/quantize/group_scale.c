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
    const float *x, *weight; /* weight NULL: all 1 */
    float best;
    group_scale found;
} search;

/* Weighted sums over a group under one scale and minimum; c: the code, less `zero`. */
typedef struct sums {
    float error, w, wc, wcc, wx, wcx;
} sums;

/* Rounds to the nearest whole number, halves to even, where |value| < 2^22, and leaves vectors of it to the compiler. */
static inline float nearest(float value)
{
    const float shift = 0x1.8p23F;
    return (value + shift) - shift;
}

static inline sums add_up(const search *s, float scale, float minimum, const float *weight)
{
    const float inverse = 1 / scale, low = (float)(s->grid.low - s->grid.zero),
                high = (float)(s->grid.high - s->grid.zero);
    const float *x = s->x;
    float error = 0, w = 0, wc = 0, wcc = 0, wx = 0, wcx = 0;
#pragma omp simd reduction(+ : error, w, wc, wcc, wx, wcx)
    for (size_t i = 0; i < s->n; i++) {
        const float t = (x[i] - minimum) * inverse, above = t > low ? t : low;
        const float c = nearest(above < high ? above : high), e = x[i] - (c * scale + minimum);
        const float of_i = weight != NULL ? weight[i] : 1;
        error += of_i * e * e;
        w += of_i;
        wc += of_i * c;
        wcc += of_i * c * c;
        wx += of_i * x[i];
        wcx += of_i * c * x[i];
    }
    return (sums){error, w, wc, wcc, wx, wcx};
}

static sums sums_of(const search *s, float scale, float minimum)
{
    return s->weight != NULL ? add_up(s, scale, minimum, s->weight) : add_up(s, scale, minimum, NULL);
}

/* Takes the pair, rounded to binary16, if it is the best yet; false when it cannot be one. */
static bool consider(search *s, float *scale, float *minimum, sums *found)
{
    group_scale pair;
    if (!store(*scale, *minimum, &pair) || pair.scale == 0) return false;
    *scale = float_from_f16(pair.scale);
    *minimum = float_from_f16(pair.minimum);
    *found = sums_of(s, *scale, *minimum);
    if (found->error < s->best) {
        s->best = found->error;
        s->found = pair;
    }
    return true;
}

/* The scale and minimum that fit the codes behind `m` best, by weighted least squares: x ~ c scale + minimum. False where the
 * codes do not determine them. */
static bool refit(const search *s, const sums *m, float *scale, float *minimum)
{
    if (!s->asymmetric) {
        if (!(m->wcc > 0)) return false;
        *scale = m->wcx / m->wcc;
        return *scale != 0;
    }
    const double determinant = (double)m->w * (double)m->wcc - (double)m->wc * (double)m->wc;
    if (!(determinant > 1e-6 * (double)m->w * (double)m->wcc)) return false;
    *scale = (float)(((double)m->w * (double)m->wcx - (double)m->wc * (double)m->wx) / determinant);
    *minimum = (m->wx - *scale * m->wc) / m->w;
    return *scale > 0;
}

static void try_from(search *s, float scale, float minimum)
{
    enum { REFITS = 2 };
    sums m;
    for (int i = 0; consider(s, &scale, &minimum, &m) && i < REFITS; i++)
        if (!refit(s, &m, &scale, &minimum)) return;
}

bool group_scale_search(kernel_format format, bool asymmetric, size_t n, const float *x, const float *weight,
                        group_scale *s)
{
    /* From 0.6 to 1.1 of round to nearest's: few bits gain from clipping much, and beyond 1 lie lopsided codes' gains. */
    enum { STEPS = 8 };
    search tried = {.grid = code_grid_of(format, asymmetric),
                    .asymmetric = asymmetric,
                    .n = n,
                    .x = x,
                    .weight = weight,
                    .best = INFINITY};
    if (!group_scale_rtn(format, asymmetric, n, x, s)) return false;
    tried.found = *s;
    double scale, minimum;
    plain(&tried.grid, asymmetric, n, x, &scale, &minimum);
    if (scale == 0 || s->scale == 0) return true;
    const bool lopsided = tried.grid.zero != 0;
    const double middle = (tried.grid.low + tried.grid.high) / 2.0;
    try_from(&tried, (float)scale, (float)minimum);
    for (int i = 0; i <= STEPS; i++) {
        const double factor = 0.6 + 0.5 * i / STEPS;
        const double centred = minimum + (1 - factor) * middle * scale; /* shrinks both ends alike */
        try_from(&tried, (float)(factor * scale), asymmetric ? (float)centred : 0);
        if (lopsided) try_from(&tried, (float)(-factor * scale), 0);
    }
    *s = tried.found;
    return true;
}
