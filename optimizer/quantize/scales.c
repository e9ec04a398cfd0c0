/* scales.c - see scales.h. */
#include "optimizer/quantize/scales.h"

#include <math.h>

#include "optimizer/checkpoint/float_formats.h"
#include "optimizer/error.h"
#include "optimizer/quantize/codes.h"
#include "optimizer/quantize/group_scale.h"

/* The first column of the n that is not finite; n when all are. */
static size_t not_finite(size_t n, const float *x)
{
    size_t i = 0;
    while (i < n && isfinite(x[i])) i++;
    return i;
}

/* The scales of one row; the column that none fits, `columns` when all is well. */
static size_t choose_row(const kernel_matrix *m, quantized_memory to, const float *x, bool search,
                         const float *importance, size_t row)
{
    const size_t columns = m->columns, group = m->group > 0 ? m->group : columns, groups = kernel_row_scales(m);
    const size_t bad = not_finite(columns, x);
    if (bad < columns) return bad;
    for (size_t first = 0, g = row * groups; first < columns; first += group, g++) {
        const size_t n = columns - first < group ? columns - first : group;
        group_scale s;
        const bool asymmetric = to.minimums != NULL;
        const float *weight = importance != NULL ? importance + first : NULL;
        if (!(search ? group_scale_search(m->format, asymmetric, n, x + first, weight, &s)
                     : group_scale_rtn(m->format, asymmetric, n, x + first, &s)))
            return first + group_extreme(n, x + first);
        to.scales[g] = s.scale;
        if (to.minimums != NULL) to.minimums[g] = s.minimum;
    }
    return columns;
}

ciuic_status scales_choose(const kernel_matrix *m, quantized_memory to, const float *w, bool search,
                           const float *importance, size_t first_row)
{
    size_t bad_row = m->rows, bad_column = 0;
#pragma omp parallel for schedule(dynamic, 16)
    for (size_t row = 0; row < m->rows; row++) {
        const size_t column = choose_row(m, to, w + row * m->columns, search, importance, row);
        if (column == m->columns) continue;
#pragma omp critical(ciuic_scales)
        if (row < bad_row) bad_row = row, bad_column = column;
    }
    if (bad_row == m->rows) return CIUIC_OK;
    return ciuic_fail(
        CIUIC_ERROR_INPUT, "weight [%zu][%zu] is %g; expected a finite value whose group's scale fits binary16 for %s",
        first_row + bad_row, bad_column, (double)w[bad_row * m->columns + bad_column], kernel_format_name(m->format));
}

static void encode_row(const kernel_matrix *m, quantized_memory to, float *x, size_t row)
{
    const size_t columns = m->columns, group = m->group > 0 ? m->group : columns, groups = kernel_row_scales(m);
    const code_grid grid = code_grid_of(m->format, to.minimums != NULL);
    unsigned char *bytes = (unsigned char *)to.values + row * kernel_row_bytes(m->format, columns);
    for (size_t first = 0; first < columns; first += KERNEL_GROUP) {
        const size_t n = columns - first < KERNEL_GROUP ? columns - first : KERNEL_GROUP,
                     g = row * groups + first / group;
        const float scale = float_from_f16(to.scales[g]);
        const float minimum = to.minimums != NULL ? float_from_f16(to.minimums[g]) : 0;
        int8_t codes[KERNEL_GROUP];
        for (size_t k = 0; k < n; k++) {
            codes[k] = (int8_t)code_of(&grid, x[first + k], scale, minimum);
            x[first + k] = code_value(&grid, codes[k], scale, minimum);
        }
        codes_pack(m->format, codes, first, n, bytes);
    }
}

void scales_encode(const kernel_matrix *m, quantized_memory to, float *w)
{
#pragma omp parallel for schedule(static)
    for (size_t row = 0; row < m->rows; row++) encode_row(m, to, w + row * m->columns, row);
}
