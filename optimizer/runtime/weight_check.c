/* weight_check.c - every weight made once more and compared with the one that the model runs on (ciuic.h,
 * ciuic_check_weights; weight_check.h). What packs, maps, interleaves and copies weights is not used here: rows are read from the
 * checkpoint, stored by quantize_rows, which defines the codes, and decoded by portable C. Weights that are used where the
 * checkpoint is mapped are rows of that same memory: so the mapping itself is first compared with the files. */
#include "optimizer/runtime/weight_check.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/quantize/quantize.h"
#include "optimizer/row_blocks.h"
#include "optimizer/runtime/model.h"

enum { BLOCK = 16 }; /* rows at once: they stay in the cache */
enum { TENSOR_NAME = QUANTIZE_UNIT_NAME + 32 };

typedef struct checking {
    const checkpoint *source;
    const recipe *recipe;
    int threads;                      /* 0: all cores */
    bool calibrated;                  /* what the recipe quantises is not made again, */
    bool scaled;                      /* nor what was scaled for it: norms, and all that reads them */
    kernel_dequantize_row_fn *decode; /* portable C */
    ciuic_weight_check *found;
} checking;

static ciuic_status differs(const checking *k, const char *name, size_t row, size_t column, float value, float expected)
{
    return ciuic_fail(CIUIC_ERROR_LIMIT,
                      "%s: the model runs on a damaged %s: its weight [%zu][%zu] is %.9g, and made from the checkpoint "
                      "once more it is %.9g",
                      checkpoint_path(k->source), name, row, column, (double)value, (double)expected);
}

/* Bit for bit, so that a NaN is found as well, but for the sign of a zero, which no product tells. */
static ciuic_status compare(const checking *k, const char *name, size_t row, size_t n, const float *value,
                            const float *expected)
{
    if (memcmp(value, expected, n * sizeof *value) == 0) return CIUIC_OK;
    for (size_t i = 0; i < n; i++)
        if (!(value[i] == expected[i])) return differs(k, name, row, i, value[i], expected[i]);
    return CIUIC_OK;
}

/* ---- matrices --------------------------------------------------------------------------------------------------- */

/* What one thread reads and makes a few rows in. */
typedef struct rows_memory {
    quantized_memory made;
    float *rows, *value; /* [BLOCK][columns]; [columns] */
} rows_memory;

/* A matrix on the way through its rows. */
typedef struct matrix_rows {
    const checking *k;
    const stored_weight *w;
    const char *tensor; /* its full name */
    bool stored_so;     /* the checkpoint itself is quantised: its rows are the expected ones */
    kernel_matrix like; /* [BLOCK] rows as they lie, wherever a thread's memory is */
    float *fold;        /* [columns] or NULL */
    int threads;
    rows_memory *memory; /* [threads] */
    affine_range range;
} matrix_rows;

static ciuic_status read_rows(const matrix_rows *m, int thread, size_t first, size_t count)
{
    const size_t columns = m->like.columns;
    float *rows = m->memory[thread].rows;
    CIUIC_TRY(checkpoint_read_f32(m->k->source, m->tensor, first, count, rows));
    for (size_t i = 0; m->fold != NULL && i < count; i++)
        for (size_t j = 0; j < columns; j++) rows[i * columns + j] *= m->fold[j];
    return CIUIC_OK;
}

static ciuic_status widen_range(void *context, int thread, size_t first, size_t count)
{
    matrix_rows *m = context;
    affine_range here = affine_range_empty();
    CIUIC_TRY(read_rows(m, thread, first, count));
    affine_range_add(&here, count * m->like.columns, m->memory[thread].rows);
#pragma omp critical(ciuic_weight_check)
    {
        if (here.minimum < m->range.minimum) m->range.minimum = here.minimum;
        if (here.maximum > m->range.maximum) m->range.maximum = here.maximum;
    }
    return CIUIC_OK;
}

/* The article's formats have one range for the whole matrix. */
static ciuic_status find_range(matrix_rows *m)
{
    if (m->like.format != KERNEL_AFFINE8 && m->like.format != KERNEL_AFFINE4) return CIUIC_OK;
    m->range = affine_range_empty();
    CIUIC_TRY(row_blocks_each(m->w->matrix->rows, BLOCK, m->threads, widen_range, m));
    affine_parameters(m->range, m->like.format == KERNEL_AFFINE8 ? 8 : 4, &m->like.scale, &m->like.minimum);
    return CIUIC_OK;
}

/* In place of the rows: what their format makes of them. F8 is only ever read from the checkpoint, as it is. */
static ciuic_status make_rows(const matrix_rows *m, int thread, size_t count)
{
    const rows_memory *memory = &m->memory[thread];
    kernel_matrix like = m->like;
    if (m->stored_so || like.format == KERNEL_F8 || like.format == KERNEL_F32) return CIUIC_OK;
    like.values = memory->made.values;
    like.scales = memory->made.scales;
    like.minimums = memory->made.minimums;
    CIUIC_TRY(quantize_rows(&like, memory->made, 0, count, memory->rows));
    for (size_t i = 0; i < count; i++) m->k->decode(&like, i, memory->rows + i * like.columns);
    return CIUIC_OK;
}

static ciuic_status check_rows(void *context, int thread, size_t first, size_t count)
{
    const matrix_rows *m = context;
    const kernel_matrix *matrix = m->w->matrix;
    const rows_memory *memory = &m->memory[thread];
    CIUIC_TRY(read_rows(m, thread, first, count));
    CIUIC_TRY(make_rows(m, thread, count));
    for (size_t r = 0; r < count; r++) {
        m->k->decode(matrix, first + r, memory->value);
        CIUIC_TRY(
            compare(m->k, m->tensor, first + r, matrix->columns, memory->value, memory->rows + r * matrix->columns));
    }
    return CIUIC_OK;
}

static ciuic_status read_vector(const checking *k, const char *name, float **out)
{
    const tensor *t = checkpoint_find_weight(k->source, name);
    *out = NULL;
    if (t == NULL) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor %s is missing", checkpoint_path(k->source), name);
    float *values = malloc((t->count + 1) * sizeof *values);
    if (values == NULL) return ciuic_fail_memory(name, t->count * sizeof *values);
    const ciuic_status status = tensor_to_f32(t, 0, t->count, values);
    if (status == CIUIC_OK)
        *out = values;
    else
        free(values);
    return status;
}

static ciuic_status check_bias(const checking *k, const stored_weight *w)
{
    char name[TENSOR_NAME];
    float *expected = NULL;
    if (w->matrix->bias == NULL) return CIUIC_OK;
    snprintf(name, sizeof name, "%s.bias", w->name);
    CIUIC_TRY(read_vector(k, name, &expected));
    const ciuic_status status = compare(k, name, 0, w->matrix->rows, w->matrix->bias, expected);
    k->found->checked += w->matrix->rows;
    free(expected);
    return status;
}

static void free_memory(matrix_rows *m)
{
    for (int i = 0; m->memory != NULL && i < m->threads; i++) {
        rows_memory *memory = &m->memory[i];
        free(memory->made.values);
        free(memory->made.scales);
        free(memory->made.minimums);
        free(memory->rows);
        free(memory->value);
    }
    free(m->memory);
    free(m->fold);
}

static ciuic_status create_memory(matrix_rows *m)
{
    const size_t columns = m->like.columns, scales = BLOCK * (kernel_row_scales(&m->like) + 1) * sizeof(uint16_t);
    const bool minimums = m->like.minimums != NULL;
    m->memory = calloc((size_t)m->threads, sizeof *m->memory);
    bool got = m->memory != NULL;
    for (int i = 0; i < m->threads && got; i++) {
        rows_memory *memory = &m->memory[i];
        memory->made = (quantized_memory){malloc(BLOCK * kernel_row_bytes(m->like.format, columns) + 1), malloc(scales),
                                          minimums ? malloc(scales) : NULL};
        memory->rows = malloc(BLOCK * (columns + 1) * sizeof *memory->rows);
        memory->value = malloc((columns + 1) * sizeof *memory->value);
        got = memory->made.values != NULL && memory->made.scales != NULL &&
              (!minimums || memory->made.minimums != NULL) && memory->rows != NULL && memory->value != NULL;
    }
    return got ? CIUIC_OK : ciuic_fail_memory("checking weights", (size_t)m->threads * BLOCK * columns * sizeof(float));
}

static ciuic_status check_matrix(const checking *k, const stored_weight *w)
{
    const kernel_matrix *matrix = w->matrix;
    const tensor *t = checkpoint_find_weight(k->source, w->name);
    if (t == NULL)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor %s is missing", checkpoint_path(k->source), w->name);
    matrix_rows m = {.k = k, .w = w, .tensor = t->name, .like = *matrix};
    m.like.rows = BLOCK;
    m.like.interleave = 0;
    m.threads = row_blocks_threads(k->threads, matrix->rows, matrix->columns);
    m.stored_so = checkpoint_quantized_tensor(k->source, w->name) != NULL;
    ciuic_status status = create_memory(&m);
    if (status == CIUIC_OK && w->fold[0] != '\0') status = read_vector(k, w->fold, &m.fold);
    if (status == CIUIC_OK) status = find_range(&m);
    if (status == CIUIC_OK) status = row_blocks_each(matrix->rows, BLOCK, m.threads, check_rows, &m);
    free_memory(&m);
    CIUIC_TRY(status);
    k->found->checked += matrix->rows * matrix->columns;
    return check_bias(k, w);
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

static ciuic_status check_vector(const checking *k, const stored_weight *w)
{
    float *expected = NULL;
    const tensor *t = checkpoint_find_weight(k->source, w->name);
    const size_t n = t != NULL ? t->count : 0;
    if (k->scaled) {
        k->found->unchecked += n;
        return CIUIC_OK;
    }
    CIUIC_TRY(read_vector(k, w->name, &expected));
    const ciuic_status status = compare(k, t != NULL ? t->name : w->name, 0, n, w->vector, expected);
    k->found->checked += n;
    free(expected);
    return status;
}

static ciuic_status check(void *context, const stored_weight *w)
{
    const checking *k = context;
    if (w->matrix == NULL) return check_vector(k, w);
    const bool grouped = kernel_is_grouped(w->matrix->format);
    const bool made = k->scaled || (k->calibrated && (grouped || recipe_find(k->recipe, w->name).quantised));
    if (!made) return check_matrix(k, w);
    k->found->unchecked += w->matrix->rows * w->matrix->columns;
    return CIUIC_OK;
}

ciuic_status weights_check_against(ciuic_model *model, const checkpoint *source, const ciuic_options *made_by,
                                   ciuic_weight_check *found)
{
    kernel_table portable;
    const bool calibrated = ciuic_options_calibrate(made_by);
    *found = (ciuic_weight_check){0};
    CIUIC_TRY(model_prepare(model));
    CIUIC_TRY(checkpoint_check_mapping(model->source));
    if (source != model->source) CIUIC_TRY(checkpoint_check_mapping(source));
    kernel_table_fill(&portable, KERNEL_ISA_C);
    checking k = {.source = source,
                  .recipe = &model->recipe,
                  .threads = model->options.threads,
                  .calibrated = calibrated,
                  .scaled = calibrated && made_by->quantizer == CIUIC_QUANTIZER_AWQ,
                  .decode = portable.dequantize_row,
                  .found = found};
    return weight_store_each(model->weights, check, &k);
}

ciuic_status ciuic_check_weights(ciuic_model *model, ciuic_weight_check *found)
{
    return weights_check_against(model, model->source, &model->options, found);
}
