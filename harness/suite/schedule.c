/* schedule.c - Williams's Latin square with slots and rounds shuffled by the seed. */
#include "harness/suite/schedule.h"
#include "harness/split_mix.h"

/* The image of `i` under the seeded permutation of 0..n-1, without a table: Fisher-Yates followed backwards.
 * Swap k (k = n-1 .. 1) exchanges places k and r(k); only one element's way through the swaps is traced. */
static size_t permuted(size_t n, uint64_t seed, size_t i)
{
    uint64_t state = seed;
    size_t at = i;
    for (size_t k = n - 1; k > 0; k--) {
        const size_t other = (size_t)(split_mix_next(&state) % (k + 1));
        if (at == k)
            at = other;
        else if (at == other)
            at = k;
    }
    return at;
}

/* Place `i` of the generating row 0, 1, n-1, 2, n-2, ...: the differences of neighbours are all distinct modulo n. */
static size_t williams_row(size_t n, size_t i)
{
    if (i == 0) return 0;
    return i % 2 == 1 ? (i + 1) / 2 : n - i / 2;
}

void schedule_round(size_t n, uint64_t seed, size_t round, size_t *order)
{
    if (n == 0) return;
    const size_t square = round / n;
    const size_t shift = permuted(n, seed ^ 0x726f756e64u, round % n);
    /* An odd n needs the square and its mirror image to balance who follows whom; an even n takes both just as well. */
    const int mirrored = square % 2 == 1;
    /* A pair of squares shares one labelling, so that the balance of the pair holds; the next pair gets a new one. */
    const uint64_t labels = seed + 0x5851f42d4c957f2du * (uint64_t)(square / 2 + 1);
    for (size_t i = 0; i < n; i++) {
        const size_t place = mirrored ? n - 1 - i : i;
        order[i] = permuted(n, labels, (williams_row(n, place) + shift) % n);
    }
}
