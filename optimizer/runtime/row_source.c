/* row_source.c - see row_source.h. */
#include "optimizer/runtime/row_source.h"

#include "optimizer/error.h"
#include "optimizer/quantize/quantize.h"
#include "optimizer/row_blocks.h"

/* A matrix on its way. */
typedef struct conversion {
    const row_source *from;
    quantized_memory to;
    float *blocks;
    const kernel_matrix *m;
    affine_range *range;
} conversion;

static ciuic_status read_rows(const row_source *r, size_t first, size_t count, float *rows)
{
    CIUIC_TRY(checkpoint_read_f32(r->source, r->name, first, count, rows));
    for (size_t i = 0; r->fold != NULL && i < count; i++)
        for (size_t j = 0; j < r->columns; j++) rows[i * r->columns + j] *= r->fold[j];
    return CIUIC_OK;
}

static float *block_of(const conversion *c, int thread)
{
    return c->blocks + (size_t)thread * ROW_SOURCE_BLOCK * c->from->columns;
}

static ciuic_status widen_range(void *context, int thread, size_t first, size_t count)
{
    const conversion *c = context;
    float *block = block_of(c, thread);
    affine_range range = affine_range_empty();
    CIUIC_TRY(read_rows(c->from, first, count, block));
    if (!affine_range_add(&range, count * c->from->columns, block))
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: tensor %s: a NaN or an infinity in rows %zu to %zu; it cannot be quantised",
                          checkpoint_path(c->from->source), c->from->name, first, first + count - 1);
#pragma omp critical(ciuic_row_source)
    {
        if (range.minimum < c->range->minimum) c->range->minimum = range.minimum;
        if (range.maximum > c->range->maximum) c->range->maximum = range.maximum;
    }
    return CIUIC_OK;
}

/* What the values of all rows span. */
static ciuic_status find_range(const row_source *r, size_t rows, float *blocks, affine_range *range)
{
    conversion c = {.from = r, .blocks = blocks, .range = range};
    *range = affine_range_empty();
    return row_blocks_each(rows, ROW_SOURCE_BLOCK, r->threads, widen_range, &c);
}

static ciuic_status convert(void *context, int thread, size_t first, size_t count)
{
    const conversion *c = context;
    float *block = block_of(c, thread);
    CIUIC_TRY(read_rows(c->from, first, count, block));
    if (quantize_rows(c->m, c->to, first, count, block) == CIUIC_OK) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor %s: %s", checkpoint_path(c->from->source), c->from->name,
                      ciuic_last_error());
}

ciuic_status row_source_convert(const row_source *r, quantized_memory to, float *blocks, kernel_matrix *m)
{
    if (m->format == KERNEL_AFFINE8 || m->format == KERNEL_AFFINE4) {
        affine_range range;
        CIUIC_TRY(find_range(r, m->rows, blocks, &range));
        affine_parameters(range, m->format == KERNEL_AFFINE8 ? 8 : 4, &m->scale, &m->minimum);
    }
    conversion c = {.from = r, .to = to, .blocks = blocks, .m = m};
    return row_blocks_each(m->rows, ROW_SOURCE_BLOCK, r->threads, convert, &c);
}
