/* lattice.h - what each of four stages contributes, from the values of all sixteen settings of on and off.
 *
 * A setting is a set of stages, bit i being stage i; v[set] is its value, for instance the logarithm of a speed. All sums
 * are of differences, so that what v is measured against does not matter. */
#ifndef CIUIC_LATTICE_H
#define CIUIC_LATTICE_H

#include <stddef.h>

enum { LATTICE_STAGES = 4, LATTICE_POINTS = 1 << LATTICE_STAGES, LATTICE_PAIRS = 6 };

/* Stages i < j of pair k, k counting (0,1) (0,2) (0,3) (1,2) (1,3) (2,3). */
void lattice_pair(size_t k, size_t *i, size_t *j);

/* Shapley's value (L. S. Shapley, A value for n-person games, 1953): what adding stage i changes, averaged over all
 * orders in which stages can be added. share[0] + ... + share[3] = v[all] - v[none]. */
void lattice_shapley(const double v[LATTICE_POINTS], double share[LATTICE_STAGES]);

/* What adding stage i changes while stage j is off or on, averaged over the settings of the other two with the weights
 * of the interaction index: on - off is that index (M. Grabisch and M. Roubens, An axiomatic approach to the concept of
 * interaction among players in cooperative games, 1999). It is the same for (i, j) as for (j, i). */
double lattice_effect(const double v[LATTICE_POINTS], size_t i, size_t j, int j_on);

#endif
