/* test_group_scale.c - scales that are searched for are never worse than round to nearest's; codes packed and decoded. */
#include "optimizer/quantize/group_scale.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/checkpoint/float_formats.h"
#include "optimizer/quantize/codes.h"
#include "optimizer/tests/grouped_matrix.h"
#include "optimizer/tests/runner.h"
#include "optimizer/tests/temporary_folder.h"

static const kernel_format formats[] = {KERNEL_INT8, KERNEL_INT4, KERNEL_INT3};
enum { FORMATS = 3, MAX_GROUP = 200 };

/* Sum of weight * (x - decoded nearest code)^2. */
static double error_of(kernel_format format, bool asymmetric, size_t n, const float *x, const float *weight,
                       group_scale s)
{
    const code_grid grid = code_grid_of(format, asymmetric);
    const float scale = float_from_f16(s.scale), minimum = float_from_f16(s.minimum);
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        const int code = code_of(&grid, x[i], scale, minimum);
        const double e = (double)x[i] - (double)code_value(&grid, code, scale, minimum);
        sum += (weight != NULL ? (double)weight[i] : 1) * e * e;
    }
    return sum;
}

/* The search adds up in FP32, where x less its decoded value is off by up to an ulp or two of the largest value: what lies
 * closer than that is all the same to it. */
static double blur(size_t n, const float *x, const float *weight, double error)
{
    double weights = 0;
    for (size_t i = 0; i < n; i++) weights += weight != NULL ? (double)weight[i] : 1;
    const double ulp = fabs((double)x[group_extreme(n, x)]) * 0x1p-22;
    return 2 * sqrt(error * weights) * ulp + weights * ulp * ulp + 1e-4 * error;
}

static void compare(kernel_format format, bool asymmetric, size_t n, const float *x, const float *weight)
{
    group_scale rtn, found;
    const bool a = group_scale_rtn(format, asymmetric, n, x, &rtn);
    const bool b = group_scale_search(format, asymmetric, n, x, weight, &found);
    CHECK(a && b, "%s: no scale for values up to %g", kernel_format_name(format), (double)x[group_extreme(n, x)]);
    const double plain = error_of(format, asymmetric, n, x, weight, rtn);
    const double searched = error_of(format, asymmetric, n, x, weight, found);
    CHECK(searched <= plain + blur(n, x, weight, plain), "%s%s n=%zu up to %g: %.9g, round to nearest %.9g",
          kernel_format_name(format), asymmetric ? " asym" : "", n, (double)x[group_extreme(n, x)], searched, plain);
    CHECK(asymmetric || found.minimum == 0, "a symmetric minimum of %x", (unsigned)found.minimum);
}

static void searching_is_never_worse(void)
{
    static const size_t sizes[] = {1, 2, 3, 31, 32, 64, 129, MAX_GROUP};
    static const float magnitudes[] = {1, 0.02F, 1e-5F, 1e-7F, 500};
    unsigned long long state = test_seed();
    float x[MAX_GROUP], weight[MAX_GROUP];
    for (size_t i = 0; i < 8 * 5 * 4 * FORMATS; i++) {
        const size_t n = sizes[i % 8];
        random_fill(&state, magnitudes[i / 8 % 5], n, x);
        for (size_t k = 0; k < n; k++) { /* one far out, some on one side, weights from 0 to 10000 */
            if (i / 40 % 4 == 1 && k == n / 2) x[k] *= 8;
            if (i / 40 % 4 == 2) x[k] = fabsf(x[k]);
            weight[k] = k % 5 == 3 ? 0 : powf(10, 4 * random_uniform(&state));
        }
        for (int asymmetric = 0; asymmetric < 2; asymmetric++) {
            compare(formats[i / 160], asymmetric, n, x, NULL);
            compare(formats[i / 160], asymmetric, n, x, weight);
        }
    }
}

/* Without weights that differ, few bits and a normal-like group gain something on the whole. */
static void searching_gains_something(void)
{
    unsigned long long state = test_seed();
    double plain = 0, searched = 0;
    for (int i = 0; i < 200; i++) {
        float x[32];
        group_scale s;
        for (size_t k = 0; k < 32; k++) x[k] = random_uniform(&state) + random_uniform(&state) + random_uniform(&state);
        CHECK(group_scale_rtn(KERNEL_INT3, false, 32, x, &s), "no scale");
        plain += error_of(KERNEL_INT3, false, 32, x, NULL, s);
        CHECK(group_scale_search(KERNEL_INT3, false, 32, x, NULL, &s), "no scale");
        searched += error_of(KERNEL_INT3, false, 32, x, NULL, s);
    }
    CHECK(searched < 0.95 * plain, "%g, round to nearest %g", searched, plain);
}

/* Both ways, with weights: the largest distance of a decoded value. */
static double worst_of(kernel_format format, bool asymmetric, bool search, size_t n, const float *x, bool *scaled)
{
    const code_grid grid = code_grid_of(format, asymmetric);
    group_scale s;
    const bool fits =
        search ? group_scale_search(format, asymmetric, n, x, NULL, &s) : group_scale_rtn(format, asymmetric, n, x, &s);
    CHECK(fits, "%s: no scale", kernel_format_name(format));
    const float scale = float_from_f16(s.scale), minimum = float_from_f16(s.minimum);
    double worst = 0;
    for (size_t i = 0; i < n; i++) {
        const float q = code_value(&grid, code_of(&grid, x[i], scale, minimum), scale, minimum);
        worst = fmax(worst, fabs((double)x[i] - (double)q));
    }
    *scaled = s.scale != 0;
    return worst;
}

static void groups_without_a_range(void)
{
    static const struct {
        float value, step; /* the last value is larger by `step` */
        bool scaled[2];    /* symmetric, asymmetric: whether a scale is left */
    } table[] = {
        {0, 0, {false, false}},          {-0.0F, 0, {false, false}},   {0.5F, 0, {true, false}},
        {-3, 0, {true, false}},          {1e-9F, 0, {false, false}},   /* scale and minimum underflow binary16 */
        {-1e-9F, 3e-9F, {false, false}}, {1, 0x1p-23F, {true, false}}, /* only the asymmetric scale does */
        {60000, 0, {true, false}},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        for (size_t f = 0; f < FORMATS * 4; f++) {
            const bool asymmetric = f % 2, search = f / 2 % 2;
            float x[33];
            bool scaled = false;
            for (size_t k = 0; k < 33; k++) x[k] = table[i].value;
            x[32] += table[i].step;
            const double worst = worst_of(formats[f / 4], asymmetric, search, 33, x, &scaled);
            const double most = fabs((double)x[0]) * 0x1p-10 + 0x1p-24 + fabs((double)table[i].step);
            CHECK(worst <= most, "%s asym %d search %d: %g is off by %g", kernel_format_name(formats[f / 4]),
                  asymmetric, search, (double)x[0], worst);
            CHECK(scaled == table[i].scaled[asymmetric], "%s asym %d search %d: %g has a scale: %d",
                  kernel_format_name(formats[f / 4]), asymmetric, search, (double)x[0], scaled);
        }
}

static void what_binary16_cannot_hold_is_refused(void)
{
    static const struct {
        kernel_format format;
        bool asymmetric, fits;
        float low, high;
    } table[] = {
        {KERNEL_INT8, false, true, 0, 127 * 65500.0F},
        {KERNEL_INT8, false, false, 0, 127 * 65530.0F},
        {KERNEL_INT4, false, true, -8 * 65500.0F, 0},
        {KERNEL_INT4, false, false, -8 * 65530.0F, 1},
        {KERNEL_INT3, false, true, 0, 4 * 65500.0F},
        {KERNEL_INT3, false, false, 0, 4 * 65530.0F},
        {KERNEL_INT4, true, true, 0, 15 * 65500.0F},
        {KERNEL_INT4, true, false, 0, 15 * 65530.0F},
        {KERNEL_INT4, true, true, -65500, 0},
        {KERNEL_INT4, true, false, -65530, 0},
        {KERNEL_INT4, true, false, 65530, 65530},
        {KERNEL_INT3, true, false, 0, 3e38F},
        {KERNEL_INT8, true, true, -1e6F, 1e6F}, /* the minimum is the middle's */
        {KERNEL_INT8, true, false, 0, 2e5F},    /* which is 1e5 here */
        {KERNEL_INT3, false, false, -3.4e38F, 3.4e38F},
        {KERNEL_INT8, true, false, -3.4e38F, 3.4e38F},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        const float x[3] = {table[i].low, table[i].high, table[i].low};
        group_scale s;
        const bool rtn = group_scale_rtn(table[i].format, table[i].asymmetric, 3, x, &s);
        const bool search = group_scale_search(table[i].format, table[i].asymmetric, 3, x, NULL, &s);
        CHECK(rtn == table[i].fits && search == table[i].fits, "row %zu, %s %g to %g: %d, searched %d", i,
              kernel_format_name(table[i].format), (double)x[0], (double)x[1], rtn, search);
        if (search)
            CHECK(isfinite(float_from_f16(s.scale)) && isfinite(float_from_f16(s.minimum)), "row %zu: not finite", i);
    }
}

/* Nothing counts: any scale will do that decodes to numbers. */
static void weights_may_all_be_zero(void)
{
    unsigned long long state = test_seed();
    static const float weight[40];
    float x[40];
    for (size_t f = 0; f < FORMATS * 2; f++) {
        group_scale s = {0};
        random_fill(&state, 1, 40, x);
        CHECK(group_scale_search(formats[f / 2], f % 2, 40, x, weight, &s), "no scale");
        CHECK(isfinite(float_from_f16(s.scale)) && s.scale != 0 && isfinite(float_from_f16(s.minimum)),
              "%s: scale %g, minimum %g", kernel_format_name(formats[f / 2]), (double)float_from_f16(s.scale),
              (double)float_from_f16(s.minimum));
    }
}

/* Every code at every place, with scales that are powers of two and minimums that are small whole numbers: exact. */
static void packed_codes_decode_to_themselves(void)
{
    static const size_t groups[] = {32, 64, 128, 0}, widths[] = {1, 31, 32, 33, 100, 129, 256};
    unsigned long long state = test_seed();
    for (size_t i = 0; i < 4 * 7 * FORMATS * 2; i++) {
        grouped_matrix g;
        const bool minimums = i / (4 * 7 * FORMATS);
        grouped_matrix_create(&g, formats[i / 28 % FORMATS], 3, widths[i / 4 % 7], groups[i % 4], minimums);
        const code_grid grid = code_grid_of(g.m.format, minimums);
        const size_t n = g.m.columns, per_row = kernel_row_scales(&g.m), bytes = kernel_row_bytes(g.m.format, n);
        const size_t group = g.m.group > 0 ? g.m.group : n;
        float *w = floats(3 * n), *decoded = floats(3 * n);
        size_t wrong = 0;
        for (size_t s = 0; s < 3 * per_row; s++) {
            g.to.scales[s] = float_to_f16(ldexpf(1, (int)(random_next(&state) % 8) - 4));
            if (minimums) g.to.minimums[s] = float_to_f16((float)(random_next(&state) % 9) - 4);
        }
        for (size_t row = 0; row < 3; row++) {
            int8_t codes[256];
            for (size_t k = 0; k < n; k++) {
                const size_t s = row * per_row + k / group;
                codes[k] = (int8_t)(grid.low + (int)(random_next(&state) % (unsigned)(grid.high - grid.low + 1)));
                w[row * n + k] = code_value(&grid, codes[k], float_from_f16(g.to.scales[s]),
                                            minimums ? float_from_f16(g.to.minimums[s]) : 0);
            }
            for (size_t k = 0; k < n; k += 32)
                codes_pack(g.m.format, codes + k, k, n - k < 32 ? n - k : 32,
                           (unsigned char *)g.to.values + row * bytes);
        }
        grouped_matrix_decode(&g, decoded);
        for (size_t k = 0; k < 3 * n; k++) wrong += decoded[k] != w[k];
        CHECK(wrong == 0, "%s: %zu codes came back as others", grouped_matrix_name(&g), wrong);
        grouped_matrix_free(&g);
        free(w);
        free(decoded);
    }
}

static const test_case cases[] = {
    {"searching is never worse", searching_is_never_worse},
    {"searching gains something", searching_gains_something},
    {"groups without a range", groups_without_a_range},
    {"what binary16 cannot hold is refused", what_binary16_cannot_hold_is_refused},
    {"weights may all be zero", weights_may_all_be_zero},
    {"packed codes decode to themselves", packed_codes_decode_to_themselves},
};
TEST_SUITE(group_scale, cases);
