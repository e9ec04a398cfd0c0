/* quantize_tensor.c - see quantize_tensor.h. */
#include "optimizer/quantize/quantize_tensor.h"

#include <cblas.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/quantize/scales.h"

ciuic_status quantize_read(const quantize_task *task, size_t *rows, size_t *columns, float **values)
{
    char name[QUANTIZE_UNIT_NAME + 16];
    snprintf(name, sizeof name, "%s.weight", task->tensor);
    const tensor *t = checkpoint_find(task->source, name);
    if (t == NULL || t->dims != 2)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor %s: expected a matrix", checkpoint_path(task->source), name);
    float *w = reallocarray(NULL, t->count + 1, sizeof *w);
    if (w == NULL) return ciuic_fail_memory(name, t->count * sizeof *w);
    const ciuic_status status = checkpoint_read_f32(task->source, name, 0, t->shape[0], w);
    if (status != CIUIC_OK) {
        free(w);
        return status;
    }
    for (size_t i = 0; task->column_scale != NULL && i < t->shape[0]; i++)
        for (size_t k = 0; k < t->shape[1]; k++) w[i * t->shape[1] + k] *= task->column_scale[k];
    *rows = t->shape[0];
    *columns = t->shape[1];
    *values = w;
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
 * W* = W + (W sum (x' - x) x^T + sum (r' - r) x^T) H^-1 (least squares). */
static ciuic_status retarget(const quantize_task *task, size_t rows, size_t columns, float *w)
{
    if (task->drift == NULL || task->factor == NULL || task->factor->tokens == 0) return CIUIC_OK;
    float *m = calloc(rows * columns + 1, sizeof *m);
    if (m == NULL) return ciuic_fail_memory(task->tensor, rows * columns * sizeof *m);
    if (task->behind != NULL) memcpy(m, task->behind, rows * columns * sizeof *m);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)rows, (blasint)columns, (blasint)columns, make_up,
                w, (blasint)columns, task->drift, (blasint)columns, make_up, m, (blasint)columns);
    const bool solved = gptq_solve(task->factor, rows, m);
    for (size_t i = 0; i < rows * columns && solved; i++) w[i] += m[i];
    free(m);
    return solved ? CIUIC_OK : ciuic_fail_memory(task->tensor, rows * columns * sizeof *m);
}

/* Codes for w, which is then what they decode to. */
static ciuic_status encode(const quantize_task *task, const kernel_matrix *m, quantized_memory to, float *w,
                           ciuic_quantizer *used)
{
    const float *importance = task->factor != NULL && task->factor->tokens > 0 ? task->factor->importance : NULL;
    *used = task->quantizer;
    if (task->quantizer == CIUIC_QUANTIZER_GPTQ && task->factor != NULL) return gptq_quantize(task->factor, m, to, w);
    if (task->quantizer == CIUIC_QUANTIZER_GPTQ) *used = CIUIC_QUANTIZER_CLIP; /* no input to make up for errors in */
    CIUIC_TRY(scales_choose(m, to, w, task->quantizer != CIUIC_QUANTIZER_RTN, importance));
    scales_encode(m, to, w);
    return CIUIC_OK;
}

ciuic_status quantize_tensor(const quantize_task *task, quantized_set *set, quantize_record *record)
{
    size_t rows, columns;
    float *w = NULL;
    CIUIC_TRY(quantize_read(task, &rows, &columns, &w));
    const uint16_t asymmetric = 0; /* only whether there is one counts */
    const kernel_matrix like = {.format = task->setting.format,
                                .rows = rows,
                                .columns = columns,
                                .group = task->setting.group,
                                .minimums = task->setting.minimums ? &asymmetric : NULL};
    kernel_matrix *m = NULL;
    void *values;
    uint16_t *scales, *minimums;
    *record = (quantize_record){.setting = task->setting, .rows = rows, .columns = columns};
    snprintf(record->tensor, sizeof record->tensor, "%s", task->tensor);
    float *original = malloc((rows * columns + 1) * sizeof *original);
    ciuic_status status = original != NULL ? CIUIC_OK : ciuic_fail_memory(task->tensor, rows * columns * sizeof *w);
    if (status == CIUIC_OK && task->quantizer == CIUIC_QUANTIZER_GPTQ) status = retarget(task, rows, columns, w);
    if (status == CIUIC_OK) status = quantized_set_add(set, task->tensor, &like, &values, &scales, &minimums, &m);
    if (status == CIUIC_OK) {
        memcpy(original, w, rows * columns * sizeof *w);
        const quantized_memory to = {values, scales, task->setting.minimums ? minimums : NULL};
        if (encode(task, m, to, w, &record->quantizer) != CIUIC_OK)
            status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor %s.weight: %s", checkpoint_path(task->source),
                                task->tensor, ciuic_last_error());
    }
    if (status == CIUIC_OK) {
        const double error = distance(task, rows, columns, original, w);
        const double length = distance(task, rows, columns, original, NULL);
        record->squared_error = error;
        record->relative_error = error > 0 ? sqrt(error / length) : 0;
        record->tokens = task->factor != NULL ? task->factor->tokens : 0;
    }
    free(original);
    free(w);
    return status;
}
