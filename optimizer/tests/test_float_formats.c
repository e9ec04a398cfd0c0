/* test_float_formats.c - every code of F16, BF16 and E4M3, and every rounding boundary, against the definitions. */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "optimizer/checkpoint/float_formats.h"
#include "optimizer/tests/runner.h"

static bool same(float a, float b)
{
    return isnan(a) ? isnan(b) : memcmp(&a, &b, sizeof a) == 0; /* tells -0 from 0 */
}

/* sign, exponent and mantissa as the standard defines them, by ldexp and not by bits. */
static float decode(unsigned code, int exponent_bits, int mantissa_bits, bool has_infinity)
{
    const unsigned mantissa = code & ((1u << mantissa_bits) - 1), top = (1u << exponent_bits) - 1;
    const unsigned exponent = code >> mantissa_bits & top;
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const double sign = code >> (exponent_bits + mantissa_bits) != 0 ? -1 : 1;
    if (has_infinity && exponent == top) return mantissa != 0 ? NAN : (float)(sign * (double)INFINITY);
    if (!has_infinity && exponent == top && mantissa == (1u << mantissa_bits) - 1) return NAN;
    if (exponent == 0) return (float)(sign * ldexp(mantissa, 1 - bias - mantissa_bits));
    return (float)(sign * ldexp(mantissa + (1u << mantissa_bits), (int)exponent - bias - mantissa_bits));
}

static void every_code_decodes(void)
{
    size_t wrong = 0;
    for (unsigned code = 0; code < 65536; code++) {
        wrong += !same(float_from_f16((uint16_t)code), decode(code, 5, 10, true));
        wrong += !same(float_from_bf16((uint16_t)code), decode(code, 8, 7, true));
        if (code < 256) wrong += !same(float_from_e4m3((uint8_t)code), decode(code, 4, 3, false));
    }
    CHECK(wrong == 0, "%zu codes decode wrongly", wrong);
    /* Landmarks from the papers, so that `decode` itself is held against something. */
    CHECK(float_from_f16(0x7bff) == 65504 && float_from_f16(0x0001) == 0x1p-24f, "F16 landmarks");
    CHECK(float_from_bf16(0x3f80) == 1 && float_from_bf16(0xc049) == -3.140625f, "BF16 landmarks");
    CHECK(float_from_e4m3(0x7e) == 448 && float_from_e4m3(0x01) == 0x1p-9f && float_from_e4m3(0x38) == 1 &&
              isnan(float_from_e4m3(0x7f)) && isnan(float_from_e4m3(0xff)),
          "E4M3 landmarks");
}

typedef struct format {
    const char *name;
    float (*from)(uint16_t);
    uint16_t (*to)(float);
    unsigned infinity;
} format;

static const format formats[] = {
    {"F16", float_from_f16, float_to_f16, 0x7c00},
    {"BF16", float_from_bf16, float_to_bf16, 0x7f80},
};

/* Round to nearest even, completely: between neighbours a < b the midpoint m (exact in float: it needs one bit more than
 * they do) goes to the even code, the float below m to a, the float above to b; codes themselves come back. Above the
 * largest finite value b is the next power of two, which is infinity. Both signs. */
static void every_boundary_rounds_to_nearest_even(void)
{
    for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++) {
        const format *t = &formats[f];
        size_t wrong = 0;
        for (unsigned code = 0; code < t->infinity; code++) {
            const double a = (double)t->from((uint16_t)code);
            const double below = code == 0 ? 0 : (double)t->from((uint16_t)(code - 1));
            const double b = code + 1 < t->infinity ? (double)t->from((uint16_t)(code + 1)) : a + (a - below);
            const float middle = (float)((a + b) / 2);
            const unsigned even = code % 2 == 0 ? code : code + 1;
            wrong += (double)middle != (a + b) / 2;
            for (unsigned sign = 0; sign <= 0x8000; sign += 0x8000) {
                const float s = sign != 0 ? -1 : 1;
                wrong += t->to(s * (float)a) != (sign | code);
                wrong += t->to(s * middle) != (sign | even);
                wrong += t->to(s * nextafterf(middle, 0)) != (sign | code);
                wrong += t->to(s * nextafterf(middle, INFINITY)) != (sign | (code + 1));
            }
        }
        CHECK(wrong == 0, "%s: %zu boundaries round wrongly", t->name, wrong);
        CHECK(t->to(INFINITY) == t->infinity && t->to(-INFINITY) == (t->infinity | 0x8000), "%s: infinity", t->name);
        CHECK(isnan(t->from(t->to(NAN))) && isnan(t->from(t->to(-NAN))), "%s: NaN", t->name);
        uint32_t bits = 0x7f800001; /* the NaN whose upper half alone would be infinity */
        float nan;
        memcpy(&nan, &bits, sizeof nan);
        CHECK(isnan(t->from(t->to(nan))), "%s: NaN with a low payload", t->name);
    }
}

static const test_case cases[] = {
    {"every code decodes", every_code_decodes},
    {"every boundary rounds to nearest even", every_boundary_rounds_to_nearest_even},
};
TEST_SUITE(float_formats, cases);
