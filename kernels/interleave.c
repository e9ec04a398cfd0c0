/* interleave.c - the rows of matrices in groups side by side, four bytes of each: a dot-product instruction then takes
 * a vector of them, one lane a row, against four bytes of x, and sums nothing across lanes. And back again. */
#include "kernels/kernels.h"

#include <string.h>

enum { UNIT = 4 };

static void interleave_scales(const uint16_t *from, size_t rows, size_t groups, size_t interleave, uint16_t *to)
{
    if (from == NULL) return;
    for (size_t panel = 0; panel < rows; panel += interleave) {
        for (size_t g = 0; g < groups; g++) {
            for (size_t r = panel; r < panel + interleave; r++) *to++ = r < rows ? from[r * groups + g] : 0;
        }
    }
}

void kernel_interleave(const kernel_matrix *w, size_t interleave, void *values, uint16_t *scales, uint16_t *minimums)
{
    const size_t bytes = kernel_row_bytes(w->format, w->columns), groups = kernel_row_scales(w);
    const unsigned char *from = w->values;
    unsigned char *to = values;
    for (size_t panel = 0; panel < w->rows; panel += interleave) {
        for (size_t at = 0; at < bytes; at += UNIT) {
            for (size_t r = panel; r < panel + interleave; r++, to += UNIT) {
                if (r < w->rows)
                    memcpy(to, from + r * bytes + at, UNIT);
                else
                    memset(to, 0, UNIT);
            }
        }
    }
    interleave_scales(w->scales, w->rows, groups, interleave, scales);
    interleave_scales(w->minimums, w->rows, groups, interleave, minimums);
}

static void deinterleave_scales(const uint16_t *from, size_t rows, size_t groups, size_t interleave, uint16_t *to)
{
    if (from == NULL) return;
    for (size_t r = 0; r < rows; r++) {
        const size_t lane = r % interleave, first = (r - lane) * groups + lane;
        for (size_t g = 0; g < groups; g++) *to++ = from[first + g * interleave];
    }
}

void kernel_deinterleave(const kernel_matrix *w, void *values, uint16_t *scales, uint16_t *minimums)
{
    const size_t bytes = kernel_row_bytes(w->format, w->columns), groups = kernel_row_scales(w);
    unsigned char *to = values;
    for (size_t r = 0; r < w->rows; r++) {
        const size_t lane = r % w->interleave;
        const unsigned char *from = (const unsigned char *)w->values + (r - lane) * bytes + lane * UNIT;
        for (size_t at = 0; at < bytes; at += UNIT, to += UNIT) memcpy(to, from + at * w->interleave, UNIT);
    }
    deinterleave_scales(w->scales, w->rows, groups, w->interleave, scales);
    deinterleave_scales(w->minimums, w->rows, groups, w->interleave, minimums);
}
