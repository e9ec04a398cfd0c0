/* row_source.c - see row_source.h. */
#include "optimizer/runtime/row_source.h"

#include "optimizer/error.h"
#include "optimizer/quantize/quantize.h"

static ciuic_status read_rows(const row_source *r, size_t first, size_t count, float *rows)
{
    CIUIC_TRY(checkpoint_read_f32(r->source, r->name, first, count, rows));
    for (size_t i = 0; r->fold != NULL && i < count; i++)
        for (size_t j = 0; j < r->columns; j++) rows[i * r->columns + j] *= r->fold[j];
    return CIUIC_OK;
}

static ciuic_status find_range(const row_source *r, size_t rows, float *block, affine_range *range)
{
    *range = affine_range_empty();
    for (size_t i = 0; i < rows; i += ROW_SOURCE_BLOCK) {
        const size_t count = rows - i < ROW_SOURCE_BLOCK ? rows - i : ROW_SOURCE_BLOCK;
        CIUIC_TRY(read_rows(r, i, count, block));
        if (!affine_range_add(range, count * r->columns, block))
            return ciuic_fail(CIUIC_ERROR_INPUT,
                              "%s: tensor %s: a NaN or an infinity in rows %zu to %zu; it cannot be "
                              "quantised",
                              checkpoint_path(r->source), r->name, i, i + count - 1);
    }
    return CIUIC_OK;
}

ciuic_status row_source_convert(const row_source *r, quantized_memory to, float *block, kernel_matrix *m)
{
    if (m->format == KERNEL_AFFINE8 || m->format == KERNEL_AFFINE4) {
        affine_range range;
        CIUIC_TRY(find_range(r, m->rows, block, &range));
        affine_parameters(range, m->format == KERNEL_AFFINE8 ? 8 : 4, &m->scale, &m->minimum);
    }
    for (size_t i = 0; i < m->rows; i += ROW_SOURCE_BLOCK) {
        const size_t count = m->rows - i < ROW_SOURCE_BLOCK ? m->rows - i : ROW_SOURCE_BLOCK;
        CIUIC_TRY(read_rows(r, i, count, block));
        if (quantize_rows(m, to, i, count, block) != CIUIC_OK)
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor %s: %s", checkpoint_path(r->source), r->name,
                              ciuic_last_error());
    }
    return CIUIC_OK;
}
