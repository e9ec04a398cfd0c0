/* weights.c - a counter-based generator: element i of a tensor is a function of its key and i, and of nothing before it. */
#include "harness/synth/weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/checkpoint/float_formats.h"
#include "optimizer/error.h"

/* ---- random numbers --------------------------------------------------------------------------------------------- */

/* SplitMix64, output `counter` of the stream `key`: https://doi.org/10.1145/2660193.2660195 */
static uint64_t random_bits(uint64_t key, uint64_t counter)
{
    uint64_t z = key + (counter + 1) * 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* The stream of `name`: FNV-1a, then mixed with the seed. http://www.isthe.com/chongo/tech/comp/fnv */
static uint64_t stream_key(uint64_t seed, const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (const char *c = name; *c != '\0'; c++) hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
    return random_bits(hash, seed);
}

enum { QUANTILES = 1 << 15 };

struct synth_weights {
    uint64_t seed;
    float quantile[QUANTILES]; /* of the upper half of the standard normal distribution, over sqrt(2) */
};

/* Newton's method from below: the distribution function is concave there, so that it never oversteps. Rounded to float,
 * the last bits in which C libraries may differ are gone. */
static void fill_quantiles(float quantile[QUANTILES])
{
    const double half_log_tau = 0.5 * log(2.0 * 3.14159265358979323846), root_half = sqrt(0.5);
    double x = 0;
    for (int i = 0; i < QUANTILES; i++) {
        const double above = 0.5 - (i + 0.5) / (2.0 * QUANTILES); /* probability of a larger value */
        for (int step = 0; step < 8; step++)
            x += (0.5 * erfc(x * root_half) - above) / exp(-0.5 * x * x - half_log_tau);
        quantile[i] = (float)(x * root_half);
    }
}

/* Standard normal, up to 6.1: the sum of two values of variance one half, each a quantile and a sign. */
static float gaussian(const synth_weights *w, uint64_t bits)
{
    const float a = w->quantile[bits & (QUANTILES - 1)], b = w->quantile[bits >> 16 & (QUANTILES - 1)];
    return ((bits >> 32 & 1) != 0 ? -a : a) + ((bits >> 33 & 1) != 0 ? -b : b);
}

ciuic_status synth_weights_create(uint64_t seed, synth_weights **weights)
{
    synth_weights *w = malloc(sizeof *w);
    if (w == NULL) return ciuic_fail_memory("the quantiles of the normal distribution", sizeof *w);
    w->seed = seed;
    fill_quantiles(w->quantile);
    *weights = w;
    return CIUIC_OK;
}

void synth_weights_free(synth_weights *weights)
{
    free(weights);
}

/* ---- what a tensor is ------------------------------------------------------------------------------------------- */

typedef enum weight_role {
    ROLE_NORM,
    ROLE_CORRECTION_BIAS,
    ROLE_BIAS,
    ROLE_INNER,    /* a matrix that reads something of its own layer's */
    ROLE_RESIDUAL, /* a matrix whose columns are the channels of the residual stream */
} weight_role;

static const struct {
    const char *ending;
    weight_role role;
    float mean, deviation; /* of a matrix: 1/sqrt(columns) */
} roles[] = {
    {"norm.weight", ROLE_NORM, 1, 0.1f},     {".e_score_correction_bias", ROLE_CORRECTION_BIAS, 0, 0.05f},
    {".bias", ROLE_BIAS, 0, 0.5f},           {".o_proj.weight", ROLE_INNER, 0, 0},
    {".down_proj.weight", ROLE_INNER, 0, 0}, {".q_b_proj.weight", ROLE_INNER, 0, 0},
    {".kv_b_proj.weight", ROLE_INNER, 0, 0}, {"", ROLE_RESIDUAL, 0, 0},
};

/* The row of `roles` for a name; the last one ends every name. */
static size_t role_of(const char *name)
{
    const size_t length = strlen(name);
    size_t i = 0;
    for (;; i++) {
        const size_t ending = strlen(roles[i].ending);
        if (length >= ending && strcmp(name + length - ending, roles[i].ending) == 0) return i;
    }
}

tensor_dtype synth_dtype(const char *name)
{
    return roles[role_of(name)].role == ROLE_CORRECTION_BIAS ? TENSOR_F32 : TENSOR_BF16;
}

/* The deviation of each column of a matrix; [columns], to be freed. NULL when out of memory. */
static float *column_deviations(const synth_weights *w, const tensor *t, weight_role role)
{
    const size_t columns = t->shape[1];
    float *deviations = malloc(columns * sizeof *deviations);
    if (deviations == NULL) return NULL;
    const float usual = (float)(1.0 / sqrt((double)columns));
    for (size_t k = 0; k < columns; k++) deviations[k] = usual;
    const uint64_t key = stream_key(~w->seed, role == ROLE_RESIDUAL ? "residual stream" : t->name);
    uint64_t counter = 0;
    for (size_t left = (columns + SYNTH_OUTLIER_SPACING - 1) / SYNTH_OUTLIER_SPACING; left > 0; counter++) {
        float *deviation = &deviations[random_bits(key, counter) % columns];
        if (*deviation != usual) continue;
        *deviation = usual * SYNTH_OUTLIER_GAIN;
        left--;
    }
    return deviations;
}

/* ---- values ----------------------------------------------------------------------------------------------------- */

static void put(const tensor *t, void *out, size_t i, float value)
{
    if (t->dtype == TENSOR_BF16)
        ((uint16_t *)out)[i] = float_to_bf16(value);
    else
        ((float *)out)[i] = value;
}

ciuic_status synth_values(const synth_weights *w, const tensor *t, size_t first, size_t n, void *out)
{
    const size_t row = role_of(t->name);
    const uint64_t key = stream_key(w->seed, t->name);
    if (t->dims == 1) {
        for (size_t i = 0; i < n; i++) {
            const float spread = roles[row].deviation * gaussian(w, random_bits(key, first + i));
            put(t, out, i, roles[row].mean + spread);
        }
        return CIUIC_OK;
    }
    const size_t columns = t->shape[1];
    float *deviations = column_deviations(w, t, roles[row].role);
    if (deviations == NULL) return ciuic_fail_memory("the columns' deviations", columns * sizeof *deviations);
#pragma omp parallel for schedule(static)
    for (size_t i = 0; i < n; i++)
        put(t, out, i, deviations[(first + i) % columns] * gaussian(w, random_bits(key, first + i)));
    free(deviations);
    return CIUIC_OK;
}
