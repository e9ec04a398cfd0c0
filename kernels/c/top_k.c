/* top_k.c - the k largest of n by a heap of k, so that n log k comparisons are the most it takes. Portable on every rung:
 * almost every value fails the one comparison with the heap's root, and a row of logits is small beside the matrix that
 * made it. */
#include "kernels/c/kernels_c.h"

#include <math.h>

/* Whether a comes before b: by value, NaN last, among equals by index. */
static bool before(const float *x, uint32_t a, uint32_t b)
{
    if (x[a] > x[b]) return true;
    if (x[a] < x[b]) return false;
    if (isnan(x[a]) != isnan(x[b])) return isnan(x[b]);
    return a < b;
}

/* Lets the entry at the root of a heap, or of a part of one, sink until nothing below comes after it. */
static void sink(const float *x, uint32_t *heap, size_t size, size_t at)
{
    for (size_t child; (child = 2 * at + 1) < size; at = child) {
        if (child + 1 < size && before(x, heap[child], heap[child + 1])) child++;
        const uint32_t entry = heap[at];
        if (!before(x, entry, heap[child])) return;
        heap[at] = heap[child];
        heap[child] = entry;
    }
}

void top_k_c(size_t n, const float *x, size_t k, uint32_t *index)
{
    if (k == 0) return;
    for (size_t i = 0; i < k; i++) index[i] = (uint32_t)i;
    for (size_t at = k / 2; at-- > 0;) sink(x, index, k, at);
    for (size_t i = k; i < n; i++) {
        if (!before(x, (uint32_t)i, index[0])) continue; /* the root is the last of those kept */
        index[0] = (uint32_t)i;
        sink(x, index, k, 0);
    }
    /* The last one to its place at the end, again and again, leaves the first in front. */
    for (size_t size = k - 1; size > 0; size--) {
        const uint32_t last = index[0];
        index[0] = index[size];
        index[size] = last;
        sink(x, index, size, 0);
    }
}
