/* random_moments.h - second moments of inputs that have something in common, for tests of what goes by them. */
#ifndef CIUIC_TESTS_RANDOM_MOMENTS_H
#define CIUIC_TESTS_RANDOM_MOMENTS_H

#include "optimizer/quantize/gptq.h"

/* Of each input, `common` (0 to 1) is a mixture of the same four patterns, the rest its own; magnitudes of columns differ
 * by up to `spread`. Failures are CUnit failures. */
second_moments random_moments(unsigned long long *state, size_t n, size_t tokens, float common, float spread);
/* The same, factorised with damping 0.01. */
gptq_factor random_factor(unsigned long long *state, size_t n, size_t tokens, float common, float spread);

#endif
