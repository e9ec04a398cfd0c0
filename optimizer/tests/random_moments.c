/* random_moments.c - see random_moments.h. */
#include "optimizer/tests/random_moments.h"

#include <math.h>
#include <stdlib.h>

#include "optimizer/tests/grouped_matrix.h"
#include "optimizer/tests/runner.h"

second_moments random_moments(unsigned long long *state, size_t n, size_t tokens, float common, float spread)
{
    enum { PATTERNS = 4 };
    float *x = floats(tokens * n), *pattern = floats(PATTERNS * n), *size = floats(n);
    random_fill(state, 1, PATTERNS * n, pattern);
    for (size_t k = 0; k < n; k++) size[k] = powf(spread, random_uniform(state) / 2);
    for (size_t t = 0; t < tokens; t++) {
        float mixture[PATTERNS];
        random_fill(state, 1, PATTERNS, mixture);
        for (size_t k = 0; k < n; k++) {
            float shared = 0;
            for (size_t p = 0; p < PATTERNS; p++) shared += mixture[p] * pattern[p * n + k];
            x[t * n + k] = size[k] * (common * shared + (1 - common) * random_uniform(state));
        }
    }
    second_moments h = {0};
    CHECK(second_moments_create(&h, n) == CIUIC_OK, "%s", ciuic_last_error());
    second_moments_add(&h, tokens, x, n);
    free(x);
    free(pattern);
    free(size);
    return h;
}

gptq_factor random_factor(unsigned long long *state, size_t n, size_t tokens, float common, float spread)
{
    second_moments h = random_moments(state, n, tokens, common, spread);
    gptq_factor f = {0};
    CHECK(gptq_factorise(&h, 0.01, &f) == CIUIC_OK, "%s", ciuic_last_error());
    return f;
}
