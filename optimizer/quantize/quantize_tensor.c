/* quantize_tensor.c - see quantize_tensor.h. */
#include "optimizer/quantize/quantize_tensor.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/quantize/dense.h"
#include "optimizer/quantize/scales.h"

/* FP32 values of a matrix that are worked on at once: 16 MiB, and a few times that with what belongs to them. */
enum { VALUES_AT_ONCE = 1 << 22 };

static const tensor *find_matrix(const quantize_task *task, char name[QUANTIZE_UNIT_NAME + 16])
{
    snprintf(name, QUANTIZE_UNIT_NAME + 16, "%s.weight", task->tensor);
    return checkpoint_find(task->source, name);
}

ciuic_status quantize_shape(const quantize_task *task, size_t *rows, size_t *columns)
{
    char name[QUANTIZE_UNIT_NAME + 16];
    const tensor *t = find_matrix(task, name);
    if (t == NULL || t->dims != 2)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor %s: expected a matrix", checkpoint_path(task->source), name);
    if (checkpoint_quantized_tensor(task->source, task->tensor) != NULL)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: tensor %s is quantised already; give its source",
                          checkpoint_path(task->source), name);
    *rows = t->shape[0];
    *columns = t->shape[1];
    return CIUIC_OK;
}

ciuic_status quantize_read(const quantize_task *task, size_t first, size_t count, float *values)
{
    char name[QUANTIZE_UNIT_NAME + 16];
    const tensor *t = find_matrix(task, name);
    CIUIC_TRY(checkpoint_read_f32(task->source, name, first, count, values));
    for (size_t i = 0; task->column_scale != NULL && i < count; i++)
        for (size_t k = 0; k < t->shape[1]; k++) values[i * t->shape[1] + k] *= task->column_scale[k];
    return CIUIC_OK;
}

static double distance(const quantize_task *task, size_t rows, size_t columns, const float *a, const float *b)
{
    if (task->factor != NULL) return gptq_distance(task->factor, rows, a, b);
    double sum = 0;
    for (size_t i = 0; i < rows * columns; i++) {
        const double d = (double)a[i] - (b != NULL ? (double)b[i] : 0.0);
        sum += d * d;
    }
    return sum;
}

/* How much of what earlier layers lost is made up for: all of it would fit the weights to the calibration ids. Halves were
 * best of 0, 0.5 and 1 on ids that were held out, in both models of datasets/. */
static const float make_up = 0.5F;

/* Moves w to the weights that, given the inputs x of the quantised model, come nearest to what W makes of x', the inputs of
 * the unquantised one, and to the residual r' that it is added to: (W x' + r') ~ (W* x + r) has the solution
 * W* = W + (W sum (x' - x) x^T + sum (r' - r) x^T) H^-1 (least squares). Rows `first` on of it. */
static ciuic_status retarget(const quantize_task *task, size_t first, size_t rows, size_t columns, float *w)
{
    if (task->drift == NULL || task->factor == NULL || task->factor->tokens == 0) return CIUIC_OK;
    float *m = calloc(rows * columns + 1, sizeof *m);
    if (m == NULL) return ciuic_fail_memory(task->tensor, rows * columns * sizeof *m);
    if (task->behind != NULL) memcpy(m, task->behind + first * columns, rows * columns * sizeof *m);
    dense_product(rows, columns, columns, make_up, w, columns, task->drift, columns, make_up, m, columns);
    const bool solved = gptq_solve(task->factor, rows, m);
    for (size_t i = 0; i < rows * columns && solved; i++) w[i] += m[i];
    free(m);
    return solved ? CIUIC_OK : ciuic_fail_memory(task->tensor, rows * columns * sizeof *m);
}

/* Codes for w, which is then what they decode to. */
static ciuic_status encode(const quantize_task *task, const kernel_matrix *m, quantized_memory to, size_t first_row,
                           float *w, ciuic_quantizer *used)
{
    const float *importance = task->factor != NULL && task->factor->tokens > 0 ? task->factor->importance : NULL;
    *used = task->quantizer;
    if (task->quantizer == CIUIC_QUANTIZER_GPTQ && task->factor != NULL)
        return gptq_quantize(task->factor, m, to, first_row, w);
    if (task->quantizer == CIUIC_QUANTIZER_GPTQ) *used = CIUIC_QUANTIZER_CLIP; /* no input to make up for errors in */
    CIUIC_TRY(scales_choose(m, to, w, task->quantizer != CIUIC_QUANTIZER_RTN, importance, first_row));
    scales_encode(m, to, w);
    return CIUIC_OK;
}

/* Some rows of the matrix that `all` is in the set, and where their values are while they are worked on. */
typedef struct row_block {
    size_t first, count;
    float *original, *w;  /* [count][columns] */
    double error, length; /* squared, of all blocks so far */
} row_block;

static ciuic_status quantize_block(const quantize_task *task, const kernel_matrix *all, quantized_memory to,
                                   row_block *b, ciuic_quantizer *used)
{
    const size_t columns = all->columns, scales = b->first * kernel_row_scales(all);
    kernel_matrix m = *all;
    m.rows = b->count;
    const quantized_memory at = {
        .values = (char *)to.values + b->first * kernel_row_bytes(all->format, columns),
        .scales = to.scales != NULL ? to.scales + scales : NULL,
        .minimums = task->setting.minimums ? to.minimums + scales : NULL,
    };
    m.values = at.values;
    m.scales = at.scales;
    m.minimums = at.minimums;
    CIUIC_TRY(quantize_read(task, b->first, b->count, b->w));
    if (task->quantizer == CIUIC_QUANTIZER_GPTQ) CIUIC_TRY(retarget(task, b->first, b->count, columns, b->w));
    memcpy(b->original, b->w, b->count * columns * sizeof *b->w);
    if (encode(task, &m, at, b->first, b->w, used) != CIUIC_OK)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor %s.weight: %s", checkpoint_path(task->source), task->tensor,
                          ciuic_last_error());
    b->error += distance(task, b->count, columns, b->original, b->w);
    b->length += distance(task, b->count, columns, b->original, NULL);
    return CIUIC_OK;
}

static ciuic_status quantize_blocks(const quantize_task *task, const kernel_matrix *all, quantized_memory to,
                                    quantize_record *record)
{
    const size_t rows = all->rows, columns = all->columns;
    const size_t most = columns > 0 && columns < VALUES_AT_ONCE ? VALUES_AT_ONCE / columns : 1;
    const size_t step = most < rows ? most : rows;
    row_block b = {.original = malloc((step * columns + 1) * sizeof *b.original),
                   .w = malloc((step * columns + 1) * sizeof *b.w)};
    ciuic_status status =
        b.original && b.w ? CIUIC_OK : ciuic_fail_memory(task->tensor, 2 * step * columns * sizeof *b.w);
    for (; b.first < rows && status == CIUIC_OK; b.first += b.count) {
        b.count = rows - b.first < step ? rows - b.first : step;
        status = quantize_block(task, all, to, &b, &record->quantizer);
    }
    record->squared_error = b.error;
    record->relative_error = b.error > 0 ? sqrt(b.error / b.length) : 0;
    free(b.original);
    free(b.w);
    return status;
}

ciuic_status quantize_tensor(const quantize_task *task, quantized_set *set, quantize_record *record)
{
    size_t rows, columns;
    CIUIC_TRY(quantize_shape(task, &rows, &columns));
    const uint16_t asymmetric = 0; /* only whether there is one counts */
    const kernel_matrix like = {.format = task->setting.format,
                                .rows = rows,
                                .columns = columns,
                                .group = task->setting.group,
                                .minimums = task->setting.minimums ? &asymmetric : NULL};
    kernel_matrix *m = NULL;
    quantized_memory to = {0};
    *record = (quantize_record){.setting = task->setting,
                                .rows = rows,
                                .columns = columns,
                                .quantizer = task->quantizer,
                                .tokens = task->factor != NULL ? task->factor->tokens : 0};
    snprintf(record->tensor, sizeof record->tensor, "%s", task->tensor);
    CIUIC_TRY(quantized_set_add(set, task->tensor, &like, &to.values, &to.scales, &to.minimums, &m));
    return quantize_blocks(task, m, to, record);
}
