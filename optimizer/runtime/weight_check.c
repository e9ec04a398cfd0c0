/* weight_check.c - every weight made once more and compared with the one that the model runs on (ciuic.h,
 * ciuic_check_weights). What packs, maps, interleaves and copies weights is not used here: rows are read from the
 * checkpoint, stored by quantize_rows, which defines the codes, and decoded by portable C. Weights that are used where the
 * checkpoint is mapped are rows of that same memory: so the mapping itself is first compared with the files. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/quantize/quantize.h"
#include "optimizer/runtime/model.h"

enum { BLOCK = 16 }; /* rows at once: they stay in the cache */
enum { TENSOR_NAME = QUANTIZE_UNIT_NAME + 32 };

typedef struct checking {
    const checkpoint *source;
    const recipe *recipe;
    bool calibrated;                  /* what the recipe quantises is not made again, */
    bool scaled;                      /* nor what was scaled for it: norms, and all that reads them */
    kernel_dequantize_row_fn *decode; /* portable C */
    ciuic_weight_check *found;
} checking;

/* The tensor, and its name: "name.weight", or "name" itself where it has no such suffix. */
static const tensor *find_tensor(const checkpoint *c, const char *name, char full[TENSOR_NAME])
{
    snprintf(full, TENSOR_NAME, "%s.weight", name);
    const tensor *t = checkpoint_find(c, full);
    if (t != NULL) return t;
    snprintf(full, TENSOR_NAME, "%s", name);
    return checkpoint_find(c, full);
}

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

/* A matrix on the way through a few of its rows. */
typedef struct matrix_rows {
    const stored_weight *w;
    const char *tensor; /* its full name */
    bool stored_so;     /* the checkpoint itself is quantised: its rows are the expected ones */
    kernel_matrix like; /* [BLOCK] rows as they lie, into `memory` */
    quantized_memory memory;
    float *fold, *rows, *value; /* [columns] or NULL; [BLOCK][columns]; [columns] */
} matrix_rows;

static ciuic_status read_rows(const checking *k, const matrix_rows *m, size_t first, size_t count)
{
    const size_t columns = m->like.columns;
    CIUIC_TRY(checkpoint_read_f32(k->source, m->tensor, first, count, m->rows));
    for (size_t i = 0; m->fold != NULL && i < count; i++)
        for (size_t j = 0; j < columns; j++) m->rows[i * columns + j] *= m->fold[j];
    return CIUIC_OK;
}

/* The article's formats have one range for the whole matrix. */
static ciuic_status find_range(const checking *k, matrix_rows *m)
{
    if (m->like.format != KERNEL_AFFINE8 && m->like.format != KERNEL_AFFINE4) return CIUIC_OK;
    affine_range range = affine_range_empty();
    for (size_t i = 0; i < m->w->matrix->rows; i += BLOCK) {
        const size_t left = m->w->matrix->rows - i, count = left < BLOCK ? left : BLOCK;
        CIUIC_TRY(read_rows(k, m, i, count));
        affine_range_add(&range, count * m->like.columns, m->rows);
    }
    affine_parameters(range, m->like.format == KERNEL_AFFINE8 ? 8 : 4, &m->like.scale, &m->like.minimum);
    return CIUIC_OK;
}

/* In place of m->rows: what its format makes of them. F8 is only ever read from the checkpoint, as it is. */
static ciuic_status make_rows(const checking *k, const matrix_rows *m, size_t count)
{
    if (m->stored_so || m->like.format == KERNEL_F8 || m->like.format == KERNEL_F32) return CIUIC_OK;
    CIUIC_TRY(quantize_rows(&m->like, m->memory, 0, count, m->rows));
    for (size_t i = 0; i < count; i++) k->decode(&m->like, i, m->rows + i * m->like.columns);
    return CIUIC_OK;
}

static ciuic_status check_rows(const checking *k, matrix_rows *m)
{
    const kernel_matrix *matrix = m->w->matrix;
    CIUIC_TRY(find_range(k, m));
    for (size_t i = 0; i < matrix->rows; i += BLOCK) {
        const size_t count = matrix->rows - i < BLOCK ? matrix->rows - i : BLOCK;
        CIUIC_TRY(read_rows(k, m, i, count));
        CIUIC_TRY(make_rows(k, m, count));
        for (size_t r = 0; r < count; r++) {
            k->decode(matrix, i + r, m->value);
            CIUIC_TRY(compare(k, m->tensor, i + r, matrix->columns, m->value, m->rows + r * matrix->columns));
        }
    }
    k->found->checked += matrix->rows * matrix->columns;
    return CIUIC_OK;
}

static ciuic_status read_vector(const checking *k, const char *name, float **out)
{
    char full[TENSOR_NAME];
    const tensor *t = find_tensor(k->source, name, full);
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

static ciuic_status check_matrix(const checking *k, const stored_weight *w)
{
    char full[TENSOR_NAME];
    matrix_rows m = {.w = w, .tensor = full, .like = *w->matrix};
    m.like.rows = BLOCK;
    m.like.interleave = 0;
    if (find_tensor(k->source, w->name, full) == NULL)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor %s is missing", checkpoint_path(k->source), w->name);
    m.stored_so = checkpoint_quantized_tensor(k->source, w->name) != NULL;
    const size_t columns = w->matrix->columns, scales = BLOCK * (kernel_row_scales(&m.like) + 1) * sizeof(uint16_t);
    ciuic_status status = CIUIC_OK;
    m.memory = (quantized_memory){malloc(BLOCK * kernel_row_bytes(m.like.format, columns) + 1), malloc(scales),
                                  w->matrix->minimums != NULL ? malloc(scales) : NULL};
    m.rows = malloc(BLOCK * (columns + 1) * sizeof *m.rows);
    m.value = malloc((columns + 1) * sizeof *m.value);
    m.like.values = m.memory.values;
    m.like.scales = m.memory.scales;
    m.like.minimums = m.memory.minimums;
    const bool minimums = w->matrix->minimums == NULL || m.memory.minimums != NULL;
    if (m.memory.values == NULL || m.memory.scales == NULL || !minimums || m.rows == NULL || m.value == NULL)
        status = ciuic_fail_memory("checking weights", BLOCK * columns * sizeof *m.rows);
    if (status == CIUIC_OK && w->fold[0] != '\0') status = read_vector(k, w->fold, &m.fold);
    if (status == CIUIC_OK) status = check_rows(k, &m);
    free(m.memory.values);
    free(m.memory.scales);
    free(m.memory.minimums);
    free(m.fold);
    free(m.rows);
    free(m.value);
    return status == CIUIC_OK ? check_bias(k, w) : status;
}

/* ---- all -------------------------------------------------------------------------------------------------------- */

static ciuic_status check_vector(const checking *k, const stored_weight *w)
{
    char full[TENSOR_NAME];
    float *expected = NULL;
    const tensor *t = find_tensor(k->source, w->name, full);
    const size_t n = t != NULL ? t->count : 0;
    if (k->scaled) {
        k->found->unchecked += n;
        return CIUIC_OK;
    }
    CIUIC_TRY(read_vector(k, w->name, &expected));
    const ciuic_status status = compare(k, full, 0, n, w->vector, expected);
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

ciuic_status ciuic_check_weights(ciuic_model *model, ciuic_weight_check *found)
{
    kernel_table portable;
    const bool calibrated = ciuic_options_calibrate(&model->options);
    *found = (ciuic_weight_check){0};
    CIUIC_TRY(model_prepare(model));
    CIUIC_TRY(checkpoint_check_mapping(model->source));
    kernel_table_fill(&portable, KERNEL_ISA_C);
    checking k = {.source = model->source,
                  .recipe = &model->recipe,
                  .calibrated = calibrated,
                  .scaled = calibrated && model->options.quantizer == CIUIC_QUANTIZER_AWQ,
                  .decode = portable.dequantize_row,
                  .found = found};
    return weight_store_each(model->weights, check, &k);
}
