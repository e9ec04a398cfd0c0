/* lattice.c - weighted sums over subsets. */
#include "harness/judge/lattice.h"

static size_t size_of(size_t set)
{
    size_t n = 0;
    for (; set != 0; set >>= 1) n += set & 1;
    return n;
}

void lattice_pair(size_t k, size_t *i, size_t *j)
{
    static const size_t pairs[LATTICE_PAIRS][2] = {{0, 1}, {0, 2}, {0, 3}, {1, 2}, {1, 3}, {2, 3}};
    *i = pairs[k][0];
    *j = pairs[k][1];
}

void lattice_shapley(const double v[LATTICE_POINTS], double share[LATTICE_STAGES])
{
    static const double weights[LATTICE_STAGES] = {1.0 / 4, 1.0 / 12, 1.0 / 12, 1.0 / 4}; /* s! (3 - s)! / 4! */
    for (size_t i = 0; i < LATTICE_STAGES; i++) {
        const size_t stage = (size_t)1 << i;
        share[i] = 0.0;
        for (size_t set = 0; set < LATTICE_POINTS; set++)
            if ((set & stage) == 0) share[i] += weights[size_of(set)] * (v[set | stage] - v[set]);
    }
}

double lattice_effect(const double v[LATTICE_POINTS], size_t i, size_t j, int j_on)
{
    static const double weights[LATTICE_STAGES - 1] = {1.0 / 3, 1.0 / 6, 1.0 / 3}; /* s! (2 - s)! / 3! */
    const size_t stage = (size_t)1 << i, other = (size_t)1 << j, base = j_on ? other : 0;
    double sum = 0.0;
    for (size_t set = 0; set < LATTICE_POINTS; set++)
        if ((set & (stage | other)) == 0) sum += weights[size_of(set)] * (v[set | base | stage] - v[set | base]);
    return sum;
}
