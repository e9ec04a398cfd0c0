/* rope_table.c - inverse frequencies by scaling type, then angles. */
#include "optimizer/runtime/rope_table.h"

#include <math.h>
#include <stdlib.h>

#include "optimizer/error.h"

static const double pi = 3.14159265358979323846;

/* llama3: long wavelengths are slowed by `factor`, short ones kept, those between blended. */
static double llama3_frequency(const rope_config *c, double frequency)
{
    const double wavelength = 2.0 * pi / frequency;
    const double low = c->original_max_position / c->low_freq_factor;
    const double high = c->original_max_position / c->high_freq_factor;
    if (wavelength > low) return frequency / c->factor;
    if (wavelength < high) return frequency;
    const double smooth =
        (c->original_max_position / wavelength - c->low_freq_factor) / (c->high_freq_factor - c->low_freq_factor);
    return (1.0 - smooth) * frequency / c->factor + smooth * frequency;
}

/* YaRN (arXiv:2309.00071): the dimension at which `rotations` turns fit into the original context. */
static double yarn_dimension(const rope_config *c, double rotations, size_t dim)
{
    return (double)dim * log(c->original_max_position / (rotations * 2.0 * pi)) / (2.0 * log(c->theta));
}

static double yarn_frequency(const rope_config *c, double frequency, size_t i, size_t dim)
{
    double low = yarn_dimension(c, c->beta_fast, dim), high = yarn_dimension(c, c->beta_slow, dim);
    if (c->truncate) {
        low = floor(low);
        high = ceil(high);
    }
    low = fmax(low, 0.0);
    high = fmin(high, (double)dim - 1.0);
    if (low == high) high += 0.001;
    const double ramp = fmin(fmax(((double)i - low) / (high - low), 0.0), 1.0);
    return frequency / c->factor * ramp + frequency * (1.0 - ramp);
}

static double yarn_mscale(double factor, double mscale)
{
    return factor <= 1.0 ? 1.0 : 0.1 * mscale * log(factor) + 1.0;
}

/* What cos and sin are multiplied by. */
static double attention_factor(const rope_config *c)
{
    if (c->type != ROPE_YARN) return 1.0;
    if (c->attention_factor != 0.0) return c->attention_factor;
    if (c->mscale != 0.0 && c->mscale_all_dim != 0.0)
        return yarn_mscale(c->factor, c->mscale) / yarn_mscale(c->factor, c->mscale_all_dim);
    return yarn_mscale(c->factor, 1.0);
}

static double inverse_frequency(const rope_config *c, size_t i, size_t dim)
{
    const double frequency = 1.0 / pow(c->theta, 2.0 * (double)i / (double)dim);
    switch (c->type) {
    case ROPE_LINEAR:
        return frequency / c->factor;
    case ROPE_LLAMA3:
        return llama3_frequency(c, frequency);
    case ROPE_YARN:
        return yarn_frequency(c, frequency, i, dim);
    case ROPE_DEFAULT:
        break;
    }
    return frequency;
}

ciuic_status rope_table_create(rope_table *table, const rope_config *config, size_t dim, size_t positions)
{
    const size_t half = dim / 2;
    size_t bytes = 0;
    if (__builtin_mul_overflow(half * sizeof(float), positions, &bytes))
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "a rotary table of %zu positions is too large to address",
                          positions);
    float *cosine = malloc(bytes), *sine = malloc(bytes);
    if (cosine == NULL || sine == NULL) {
        free(cosine);
        free(sine);
        return ciuic_fail_memory("the rotary table", 2 * bytes);
    }
    const double factor = attention_factor(config);
    for (size_t i = 0; i < half; i++) {
        /* Rounded to float before it is multiplied by the position, as the implementation that made the goldens does. */
        const float frequency = (float)inverse_frequency(config, i, dim);
        for (size_t p = 0; p < positions; p++) {
            const double angle = (double)((float)p * frequency);
            cosine[p * half + i] = (float)(cos(angle) * factor);
            sine[p * half + i] = (float)(sin(angle) * factor);
        }
    }
    *table = (rope_table){.positions = positions, .half = half, .cosine = cosine, .sine = sine};
    return CIUIC_OK;
}

void rope_table_free(rope_table *table)
{
    free(table->cosine);
    free(table->sine);
    table->cosine = table->sine = NULL;
}
