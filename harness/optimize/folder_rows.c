/* folder_rows.c - see folder_rows.h. */
#include "harness/optimize/folder_rows.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/checkpoint/quantized_matrix.h"
#include "optimizer/error.h"
#include "optimizer/quantize/quantize.h"
#include "optimizer/row_blocks.h"

/* Rows of a piece: whole panels of any kind, and about so many values. */
enum { PANEL_ROWS = 32, PIECE_VALUES = 2 << 20 };
enum { ROWS_AT_ONCE = 8 }; /* of a piece, by one thread */

static size_t piece_rows(size_t columns)
{
    const size_t panels = PIECE_VALUES / PANEL_ROWS / (columns > 0 ? columns : 1);
    return (panels > 0 ? panels : 1) * PANEL_ROWS;
}

static ciuic_status append_part(shards_writer *files, const planned_tensor *item, int part, const void *data,
                                size_t bytes)
{
    char name[QUANTIZE_UNIT_NAME + 32];
    snprintf(name, sizeof name, "%s%s", item->stem, quantized_part_suffix[part]);
    return shards_writer_append(files, name, data, bytes);
}

/* Values, scales and minimums of some rows. */
typedef struct piece {
    void *values;
    uint16_t *scales, *minimums;
} piece;

static void free_piece(piece *p)
{
    free(p->values);
    free(p->scales);
    free(p->minimums);
}

static ciuic_status create_piece(const planned_tensor *item, size_t rows, piece *p)
{
    const quantize_setting *s = &item->listed.setting;
    const kernel_matrix m = {.format = s->format, .columns = item->columns, .group = s->group};
    const size_t scales = rows * kernel_row_scales(&m), bytes = rows * kernel_row_bytes(s->format, item->columns);
    *p = (piece){.values = calloc(bytes + 1, 1)};
    if (scales > 0) p->scales = calloc(scales, sizeof *p->scales);
    if (scales > 0 && s->minimums) p->minimums = calloc(scales, sizeof *p->minimums);
    if (p->values != NULL && (scales == 0 || (p->scales != NULL && (!s->minimums || p->minimums != NULL))))
        return CIUIC_OK;
    free_piece(p);
    return ciuic_fail_memory(item->name, bytes + 2 * scales * sizeof *p->scales);
}

/* Stored rows of `like` from memory that is laid out as the file is. */
static ciuic_status append_stored(shards_writer *files, const planned_tensor *item, const kernel_matrix *like)
{
    const size_t rows = kernel_stored_rows(like), scales = rows * kernel_row_scales(like) * sizeof *like->scales;
    CIUIC_TRY(
        append_part(files, item, QUANTIZED_VALUES, like->values, rows * kernel_row_bytes(like->format, like->columns)));
    if (like->scales != NULL) CIUIC_TRY(append_part(files, item, QUANTIZED_SCALES, like->scales, scales));
    return like->minimums != NULL ? append_part(files, item, QUANTIZED_MINIMUMS, like->minimums, scales) : CIUIC_OK;
}

/* Some rows of the matrix, rows as they lie, into panels in `p` where item wants them. */
static ciuic_status append_rows(shards_writer *files, const planned_tensor *item, const kernel_matrix *rows, piece *p)
{
    const size_t interleave = item->listed.interleave;
    if (interleave == 0) return append_stored(files, item, rows);
    kernel_matrix panels = *rows;
    panels.interleave = interleave;
    panels.values = p->values;
    panels.scales = p->scales;
    panels.minimums = p->minimums;
    kernel_interleave(rows, interleave, p->values, p->scales, p->minimums);
    return append_stored(files, item, &panels);
}

/* An affine matrix has one scale and one minimum. */
static ciuic_status append_affine(shards_writer *files, const planned_tensor *item, const kernel_matrix *m)
{
    if (quantize_setting_by_groups(&item->listed.setting)) return CIUIC_OK;
    CIUIC_TRY(append_part(files, item, QUANTIZED_SCALES, &m->scale, sizeof m->scale));
    return append_part(files, item, QUANTIZED_MINIMUMS, &m->minimum, sizeof m->minimum);
}

ciuic_status folder_rows_append(shards_writer *files, const planned_tensor *item, const kernel_matrix *m)
{
    piece p;
    const size_t most = piece_rows(m->columns);
    CIUIC_TRY(create_piece(item, most, &p));
    ciuic_status status = append_affine(files, item, m);
    for (size_t first = 0; first < m->rows && status == CIUIC_OK; first += most) {
        const size_t count = m->rows - first < most ? m->rows - first : most;
        const kernel_matrix rows = kernel_matrix_rows(m, first, count);
        status = append_rows(files, item, &rows, &p);
    }
    free_piece(&p);
    return status;
}

/* ---- round to nearest ------------------------------------------------------------------------------------------- */

/* One matrix on its way. */
typedef struct rounding {
    const checkpoint *source;
    const planned_tensor *item;
    size_t first;    /* row of the matrix that the piece begins with */
    kernel_matrix m; /* of the piece; rows as they lie, in `to` */
    quantized_memory to;
    kernel_table kernels; /* portable: what codes mean */
    float *rows;          /* [threads][2][columns]: exact and decoded */
    double *squares;      /* [rows of a piece][2]: of the errors and of the values */
    int threads;
} rounding;

/* Rows of the piece that r->first begins, one at a time. */
static ciuic_status round_rows(void *context, int thread, size_t row, size_t count)
{
    const rounding *r = context;
    const size_t columns = r->m.columns;
    float *exact = r->rows + (size_t)thread * 2 * columns, *decoded = exact + columns;
    for (const size_t end = row + count; row < end; row++) {
        double *squares = r->squares + 2 * row;
        CIUIC_TRY(checkpoint_read_f32(r->source, r->item->name, r->first + row, 1, exact));
        if (quantize_rows(&r->m, r->to, row, 1, exact) != CIUIC_OK)
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor %s: rows from %zu on: %s", checkpoint_path(r->source),
                              r->item->name, r->first, ciuic_last_error());
        r->kernels.dequantize_row(&r->m, row, decoded);
        squares[0] = squares[1] = 0;
        for (size_t k = 0; k < columns; k++) {
            const double value = (double)exact[k], error = value - (double)decoded[k];
            squares[0] += error * error;
            squares[1] += value * value;
        }
    }
    return CIUIC_OK;
}

static ciuic_status find_range(const rounding *r, affine_range *range)
{
    const size_t columns = r->m.columns;
    *range = affine_range_empty();
    for (size_t row = 0; row < r->item->rows; row++) {
        CIUIC_TRY(checkpoint_read_f32(r->source, r->item->name, row, 1, r->rows));
        if (!affine_range_add(range, columns, r->rows))
            return ciuic_fail(CIUIC_ERROR_INPUT,
                              "%s: tensor %s: a NaN or an infinity in row %zu; it cannot be quantised",
                              checkpoint_path(r->source), r->item->name, row);
    }
    return CIUIC_OK;
}

/* Of the source's pages none is needed twice: memory does not grow with the matrix. */
static void drop_rows(const planned_tensor *item, size_t first, size_t count)
{
    const size_t row = item->source->bytes / item->rows;
    tensor rows = *item->source;
    rows.data = (const unsigned char *)rows.data + first * row;
    rows.bytes = count * row;
    tensor_drop_pages(&rows);
}

static ciuic_status round_all(shards_writer *files, rounding *r, size_t most, piece *panels, double *relative_error)
{
    const planned_tensor *item = r->item;
    double error = 0, length = 0;
    if (!quantize_setting_by_groups(&item->listed.setting)) {
        affine_range range;
        CIUIC_TRY(find_range(r, &range));
        affine_parameters(range, r->m.format == KERNEL_AFFINE8 ? 8 : 4, &r->m.scale, &r->m.minimum);
        CIUIC_TRY(append_affine(files, item, &r->m));
    }
    for (r->first = 0; r->first < item->rows; r->first += most) {
        r->m.rows = item->rows - r->first < most ? item->rows - r->first : most;
        CIUIC_TRY(row_blocks_each(r->m.rows, ROWS_AT_ONCE, r->threads, round_rows, r));
        CIUIC_TRY(append_rows(files, item, &r->m, panels));
        drop_rows(item, r->first, r->m.rows);
        for (size_t row = 0; row < r->m.rows; row++) {
            error += r->squares[2 * row];
            length += r->squares[2 * row + 1];
        }
    }
    *relative_error = error > 0 ? sqrt(error / length) : 0;
    return CIUIC_OK;
}

ciuic_status folder_rows_quantize(shards_writer *files, const checkpoint *source, planned_tensor *item, int threads)
{
    const size_t most = piece_rows(item->columns);
    piece rows = {0}, panels = {0};
    rounding r = {.source = source, .item = item, .threads = row_blocks_threads(threads, most, item->columns)};
    ciuic_status status = create_piece(item, most, &rows);
    if (status == CIUIC_OK) status = create_piece(item, most, &panels);
    r.rows = calloc((size_t)r.threads * 2 * item->columns + 1, sizeof *r.rows);
    r.squares = calloc(2 * most, sizeof *r.squares);
    if (status == CIUIC_OK && (r.rows == NULL || r.squares == NULL))
        status = ciuic_fail_memory(item->name, (size_t)r.threads * 2 * item->columns * sizeof *r.rows);
    if (status == CIUIC_OK) {
        r.to = (quantized_memory){rows.values, rows.scales, rows.minimums};
        r.m = (kernel_matrix){.format = item->listed.setting.format,
                              .rows = most,
                              .columns = item->columns,
                              .group = item->listed.setting.group,
                              .values = rows.values,
                              .scales = rows.scales,
                              .minimums = rows.minimums};
        kernel_table_fill(&r.kernels, KERNEL_ISA_C);
        status = round_all(files, &r, most, &panels, &item->listed.relative_error);
    }
    item->listed.quantizer = CIUIC_QUANTIZER_RTN;
    free_piece(&rows);
    free_piece(&panels);
    free(r.rows);
    free(r.squares);
    return status;
}
