/* holm.h - many comparisons at once: Holm's step-down correction (S. Holm, A simple sequentially rejective multiple test
 * procedure, Scandinavian Journal of Statistics 6, 1979). Among all comparisons of a family, the chance that even one
 * that is no difference is called one stays below the level, however the comparisons depend on each other. */
#ifndef CIUIC_HOLM_H
#define CIUIC_HOLM_H

#include "optimizer/ciuic.h"

/* adjusted[i]: the smallest level at which Holm's procedure rejects hypothesis i. Never less than p[i], at most 1, in
 * the same order as p. A NaN is no comparison: it stays NaN and does not count. `adjusted` may be `p`. */
ciuic_status holm_adjust(const double *p, size_t n, double *adjusted);

#endif
