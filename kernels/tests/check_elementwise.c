/* check_elementwise.c - norms, rotations, activations and conversions. Each also in place, where the contract allows
 * it. */
#include "kernels/tests/check.h"

static const size_t lengths[] = {0,  1,  2,  3,   5,   7,   8,   9,   15,  16,   17,   31,   32,   33,
                                 63, 64, 65, 100, 127, 128, 256, 257, 576, 1000, 1536, 7168, 18432};
enum { LENGTHS = sizeof lengths / sizeof lengths[0] };

/* The sum of n squares is within gamma_n of itself, all terms being positive; its root halves that; the mean, eps, the
 * root, the reciprocal and the two products round six times more. */
static void check_rms_norm(check *c)
{
    for (size_t s = 0; s < LENGTHS * 2; s++) {
        const size_t n = lengths[s / 2];
        const bool in_place = s % 2;
        check_shape(c, "n=%zu%s", n, in_place ? ", in place" : "");
        const bool weighted = s % 3 != 0, wild = s % 7 == 6;
        const float *x = check_floats(c, n, wild), *weight = weighted ? check_floats(c, n, false) : NULL;
        check_freeze(c);
        float *y = check_copy(c, n, in_place ? x : NULL);
        CHECK_CALL(c->table->rms_norm(n, in_place ? y : x, weight, 1e-6f, y));
        double sum = 0;
        for (size_t i = 0; i < n; i++) sum += (double)x[i] * (double)x[i];
        const double factor = 1 / sqrt(sum / (double)n + (double)1e-6f);
        for (size_t i = 0; i < n; i++) {
            const double want = (double)x[i] * factor * (weight ? (double)weight[i] : 1);
            /* x * factor may be subnormal before the weight multiplies it. */
            const double lost = SMALLEST * (1 + (weight ? fabs((double)weight[i]) : 0));
            check_value(c, "y", i, (double)y[i], want, (gamma_of((double)n) / 2 + gamma_of(6)) * fabs(want) + lost);
        }
    }
}

/* Two products and a sum: gamma_2 of their magnitudes. */
static void check_rope(check *c, kernel_rope_fn *rope, bool halves)
{
    for (size_t s = 0; s < LENGTHS * 2; s++) {
        const size_t half = lengths[s / 2] / 2, dim = 2 * half;
        const bool in_place = s % 2;
        check_shape(c, "dim=%zu%s", dim, in_place ? ", in place" : "");
        const float *x = check_floats(c, dim, s % 7 == 6);
        float *cosine = check_alloc(c, half * sizeof *cosine), *sine = check_alloc(c, half * sizeof *sine);
        for (size_t i = 0; i < half; i++) {
            const double angle = 3 * check_uniform(c);
            cosine[i] = (float)cos(angle), sine[i] = (float)sin(angle);
        }
        check_freeze(c);
        float *y = check_copy(c, dim, in_place ? x : NULL);
        CHECK_CALL(rope(dim, in_place ? y : x, cosine, sine, y));
        for (size_t i = 0; i < half; i++) {
            const size_t first = halves ? i : 2 * i, second = halves ? i + half : 2 * i + 1;
            const double a = (double)x[first], b = (double)x[second], cs = (double)cosine[i], sn = (double)sine[i];
            check_value(c, "y", first, (double)y[first], a * cs - b * sn,
                        gamma_of(2) * (fabs(a * cs) + fabs(b * sn)) + 3 * SMALLEST);
            check_value(c, "y", second, (double)y[second], b * cs + a * sn,
                        gamma_of(2) * (fabs(b * cs) + fabs(a * sn)) + 3 * SMALLEST);
        }
    }
}

static void check_rope_halves(check *c)
{
    check_rope(c, c->table->rope_halves, true);
}

static void check_rope_interleaved(check *c)
{
    check_rope(c, c->table->rope_interleaved, false);
}

/* In double, by e^-|x|; an infinity times 0 is the NaN that the formula says. */
static double silu(double x)
{
    const double e = exp(-fabs(x));
    return x * (x < 0 ? e : 1) / (1 + e);
}

/* e^-|x| is within 2 ulp, hence 4 u (derived in kernels/c/exp.h). A relative error of e changes x e / (1 + e) by no
 * more than itself, and x / (1 + e) by half of it; the sum, the product and the quotient round once each: 4 + 3 = 7 u.
 * A subnormal e is off by up to one smallest float, times |x| <= 104. */
static void check_silu(check *c)
{
    for (size_t s = 0; s < LENGTHS * 2; s++) {
        const size_t n = lengths[s / 2];
        const bool in_place = s % 2;
        check_shape(c, "n=%zu%s", n, in_place ? ", in place" : "");
        float *x = check_floats(c, n, s % 3 == 2);
        for (size_t i = 0; i < n; i += 3) x[i] = (float)(check_uniform(c) * 110);
        check_freeze(c);
        float *y = check_copy(c, n, in_place ? x : NULL);
        CHECK_CALL(c->table->silu(n, in_place ? y : x, y));
        for (size_t i = 0; i < n; i++) {
            const double want = silu((double)x[i]);
            check_value(c, "y", i, (double)y[i], want, gamma_of(7) * fabs(want) + 106 * SMALLEST);
        }
    }
}

/* One rounding more; silu's absolute slack is multiplied by up. */
static void check_swiglu(check *c)
{
    for (size_t s = 0; s < LENGTHS * 3; s++) {
        const size_t n = lengths[s / 3];
        check_shape(c, "n=%zu%s", n, s % 3 == 1 ? ", y is gate" : s % 3 == 2 ? ", y is up" : "");
        const float *gate = check_floats(c, n, s % 5 == 4), *up = check_floats(c, n, s % 5 == 4);
        check_freeze(c);
        float *y = check_copy(c, n, s % 3 == 1 ? gate : s % 3 == 2 ? up : NULL);
        CHECK_CALL(c->table->swiglu(n, s % 3 == 1 ? y : gate, s % 3 == 2 ? y : up, y));
        for (size_t i = 0; i < n; i++) {
            const double want = silu((double)gate[i]) * (double)up[i];
            const double slack = SMALLEST * (1 + 106 * fabs((double)up[i]));
            /* Where silu(gate) rounds to zero an infinite up gives NaN, as 0 * infinity does. */
            if (isinf(up[i]) && fabs(silu((double)gate[i])) < 106 * SMALLEST && isnan(y[i])) continue;
            check_value(c, "y", i, (double)y[i], want, gamma_of(8) * fabs(want) + slack);
        }
    }
}

/* One operation: exactly the rounded result. Rounding the double result to float rounds twice, which for one sum or
 * product of floats is the same (53 >= 2 * 24 + 2). */
static void check_binary(check *c, bool product)
{
    kernel_add_fn *kernel = product ? c->table->mul : c->table->add;
    for (size_t s = 0; s < LENGTHS * 3; s++) {
        const size_t n = lengths[s / 3];
        check_shape(c, "n=%zu%s", n, s % 3 == 1 ? ", y is a" : s % 3 == 2 ? ", y is b" : "");
        const float *a = check_floats(c, n, true), *b = check_floats(c, n, true);
        float *want = check_output(c, n * sizeof *want);
        for (size_t i = 0; i < n; i++)
            want[i] = (float)(product ? (double)a[i] * (double)b[i] : (double)a[i] + (double)b[i]);
        check_freeze(c);
        float *y = check_copy(c, n, s % 3 == 1 ? a : s % 3 == 2 ? b : NULL);
        CHECK_CALL(kernel(n, s % 3 == 1 ? y : a, s % 3 == 2 ? y : b, y));
        check_same(c, "y", n, y, want);
    }
}

static void check_add(check *c)
{
    check_binary(c, false);
}

static void check_mul(check *c)
{
    check_binary(c, true);
}

/* A product and a sum: gamma_2 of the magnitudes. */
static void check_axpy(check *c)
{
    for (size_t s = 0; s < 2 * LENGTHS; s++) {
        const size_t n = lengths[s / 2];
        check_shape(c, "n=%zu", n);
        const float a = s % 2 ? check_awkward(c, true) : check_normal(c), *x = check_floats(c, n, s % 3 == 2),
                    *before = check_floats(c, n, s % 3 == 2);
        check_freeze(c);
        float *y = check_copy(c, n, before);
        CHECK_CALL(c->table->axpy(n, a, x, y));
        for (size_t i = 0; i < n; i++) {
            const double ax = (double)a * (double)x[i], b = (double)before[i];
            check_value(c, "y", i, (double)y[i], ax + b, gamma_of(2) * (fabs(ax) + fabs(b)) + 2 * SMALLEST);
        }
    }
}

/* All 65536 halves, in pieces of every length. */
static void check_from_f16(check *c)
{
    for (size_t first = 0, s = 0; first < 65536; s++) {
        const size_t n = s < LENGTHS ? lengths[s] : 65536 - first;
        check_shape(c, "n=%zu", n);
        uint16_t *x = check_alloc(c, n * sizeof *x);
        for (size_t i = 0; i < n; i++) x[i] = (uint16_t)(first + i);
        check_freeze(c);
        float *y = check_output(c, n * sizeof *y);
        CHECK_CALL(c->table->from_f16(n, x, y));
        for (size_t i = 0; i < n; i++) check_value(c, "y", first + i, (double)y[i], half_value(x[i]), 0);
        first += n;
    }
}

/* The half nearest to x, ties to even, by its definition: candidates are compared in double. */
static uint16_t nearest_half(float x)
{
    const uint16_t sign = signbit(x) ? 0x8000 : 0;
    const double magnitude = fabs((double)x);
    if (isnan(x)) return 0x7e00;
    if (magnitude >= 65520) return sign | 0x7c00;
    int exponent = magnitude > 0 ? ilogb(magnitude) : -14;
    if (exponent < -14) exponent = -14;
    const double steps = nearbyint(ldexp(magnitude, 10 - exponent)); /* 0..2048, in units of the last place */
    return (uint16_t)(sign | ((int)steps + (exponent + 14) * 1024));
}

/* Every half, the midpoint to its neighbour, and the floats next to that: where rounding decides. */
static void check_to_f16(check *c)
{
    for (size_t first = 0, s = 0; first < 65536 * 4; s++) {
        const size_t n = s < LENGTHS ? lengths[s] : 65536 * 4 - first;
        check_shape(c, "n=%zu", n);
        float *x = check_alloc(c, n * sizeof *x);
        for (size_t i = 0; i < n; i++) {
            const uint16_t half = (uint16_t)((first + i) / 4),
                           next = (half & 0x7fff) == 0x7bff ? half : (uint16_t)(half + 1);
            const float middle = (float)((half_value(half) + half_value(next)) / 2);
            const unsigned which = (first + i) % 4;
            x[i] = which == 0   ? (float)half_value(half)
                   : which == 1 ? middle
                                : nextafterf(middle, which == 2 ? INFINITY : -INFINITY);
            if ((half & 0x7fff) == 0x7bff)
                x[i] = copysignf(which == 1   ? 65520.0f
                                 : which == 2 ? 0x1.ffdffep15f
                                 : which == 3 ? FLT_MAX
                                              : x[i],
                                 x[i]);
        }
        check_freeze(c);
        uint16_t *y = check_output(c, n * sizeof *y);
        CHECK_CALL(c->table->to_f16(n, x, y));
        for (size_t i = 0; i < n; i++) {
            const uint16_t want = nearest_half(x[i]);
            const bool nan = isnan(x[i]), same = nan ? (y[i] & 0x7fff) > 0x7c00 : y[i] == want;
            if (!same) check_fail(c, "%a gives 0x%04x, expected 0x%04x", (double)x[i], y[i], want);
        }
        first += n;
    }
}

const check_entry elementwise_checks[] = {
    {"rms_norm", check_rms_norm},
    {"rope_halves", check_rope_halves},
    {"rope_interleaved", check_rope_interleaved},
    {"silu", check_silu},
    {"swiglu", check_swiglu},
    {"add", check_add},
    {"mul", check_mul},
    {"axpy", check_axpy},
    {"to_f16", check_to_f16},
    {"from_f16", check_from_f16},
    {NULL, NULL},
};
