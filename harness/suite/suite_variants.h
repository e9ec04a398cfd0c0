/* suite_variants.h - the "variants" of a suite file: a product of lists, and variants named one by one. */
#ifndef CIUIC_SUITE_VARIANTS_H
#define CIUIC_SUITE_VARIANTS_H

#include "harness/suite/suite.h"

/* Fills product, kernels and extra from s->json. CIUIC_ERROR_INPUT also for settings that contradict each other. */
ciuic_status suite_read_variants(suite *s);

#endif
