/* gptq.h - codes that make up for each other's errors: every column is rounded after the errors of the columns before it
 * have been moved onto it, so that the outputs, not the weights, stay near. */
#ifndef CIUIC_QUANTIZE_GPTQ_H
#define CIUIC_QUANTIZE_GPTQ_H

#include "optimizer/quantize/quantize.h"
#include "optimizer/quantize/second_moments.h"

/* H of one input, factorised: serves every matrix that reads that input. */
typedef struct gptq_factor {
    size_t n, tokens;
    size_t *column;    /* [n]: columns by ascending second moment, the order in which l has them */
    float *l;          /* [n][n], lower triangle: H + damping = L L^T, columns in that order */
    float *h;          /* [n][n], all of it: H + damping, columns as they stand */
    float *importance; /* [n]: mean square of each column, as they stand */
} gptq_factor;

/* Takes over the memory of h, which is empty afterwards, also on failure. damping: added to the diagonal, in units of its
 * mean; where no token was seen, H is the identity. CIUIC_ERROR_INPUT: H is not finite, or has no factor. */
ciuic_status gptq_factorise(second_moments *h, double damping, gptq_factor *factor);
void gptq_factor_free(gptq_factor *factor); /* all zero is allowed */

/* The sum over rows of |(a - b) L|^2 for two matrices [rows][n]; b NULL: of |a L|^2. So far apart, squared and summed over all
 * tokens, are their products with the inputs, and with the noise that damping stands for. NaN when out of memory. */
double gptq_distance(const gptq_factor *factor, size_t rows, const float *a, const float *b);

/* m [rows][n] becomes m (H + damping)^-1. False when out of memory. */
bool gptq_solve(const gptq_factor *factor, size_t rows, float *m);

/* Quantises the matrix `m` (format, group, rows, columns; asymmetric where to.minimums is given) into `to`, rows as they
 * lie. w [rows][columns]: its values; on return the decoded ones.
 *
 * GPTQ (Frantar et al., arXiv:2210.17323) in its form without an inverse (Chen et al., arXiv:2507.18553: it is Babai's
 * nearest plane). With H = L L^T and e = w - q, the error is |e L|^2, and (e L)_j = e_j L_jj + sum over k > j of e_k L_kj:
 * from the last column to the first, q_j is the code nearest to w_j + (sum over k > j of e_k L_kj) / L_jj. Columns are
 * taken in ascending order of their second moments, so that the most important one is rounded first (act-order); scales are
 * those of the groups as they lie (static groups), chosen beforehand on the unchanged weights by group_scale_search with
 * the second moments as weights. Sums over later blocks of columns are matrix products (lazy blocks). What comes of it is
 * then refined (refine.h).
 *
 * CIUIC_ERROR_INPUT: a weight that is not finite or too large, by row, counted from first_row on, and column. */
ciuic_status gptq_quantize(const gptq_factor *factor, const kernel_matrix *m, quantized_memory to, size_t first_row,
                           float *w);

#endif
