/* check_matmul.c - the products of every weight format, on the shapes of DeepSeek models and on odd ones. */
#include "kernels/tests/check.h"

typedef struct matmul_shape {
    size_t m, rows, columns, gap; /* gap: floats between the rows of x, and of y */
} matmul_shape;

static const matmul_shape shapes[] = {
    {0, 5, 32, 0},
    {1, 0, 32, 0},
    {2, 3, 0, 1},
    {1, 1, 1, 0},
    {1, 2, 2, 0},
    {1, 3, 5, 0},
    {1, 7, 31, 0},
    {1, 8, 32, 0},
    {1, 9, 33, 0},
    {1, 13, 47, 0},
    {1, 17, 63, 0},
    {1, 16, 64, 0},
    {1, 64, 96, 0},
    {1, 31, 127, 0},
    {1, 40, 256, 0},
    {1, 35, 257, 0},
    {1, 12, 511, 0},
    {1, 12, 544, 0},
    {1, 10, 704, 0},
    {1, 12, 1536, 0},
    {1, 6, 2048, 0},
    {2, 5, 37, 1},
    {2, 11, 64, 3},
    {3, 7, 65, 1},
    {3, 18, 256, 0},
    {4, 8, 32, 0},
    {5, 19, 97, 2},
    {6, 33, 128, 0},
    {7, 12, 100, 5},
    {8, 16, 33, 1},
    {11, 15, 64, 0},
    {12, 16, 64, 7},
    {13, 33, 200, 1},
    {16, 32, 256, 0},
    {17, 49, 63, 2},
    {19, 65, 129, 1},
    {31, 20, 64, 0},
    {32, 64, 96, 0},
    {33, 97, 385, 1},
    {37, 31, 512, 0},
    {41, 130, 70, 1},
    {48, 33, 800, 0},
    {64, 16, 1, 0},
    {64, 17, 3, 1},
    {128, 64, 64, 0},
    {67, 40, 1000, 1},
    {61, 1, 64, 0},
    /* deepseek-v3-tiny's projections and a slice of V3's: query, latent, expert up and down, head */
    {1, 288, 256, 0},
    {40, 96, 256, 0},
    {1, 256, 704, 0},
    {9, 128, 176, 0},
    {1, 24, 7168, 0},
    {34, 24, 1536, 0},
};

/* Every fourth shape takes awkward values, every eighth wild ones, the rest plain. */
static weight_kind kind_of(size_t shape)
{
    return shape % 8 == 7 ? WEIGHTS_WILD : shape % 4 == 3 ? WEIGHTS_AWKWARD : WEIGHTS_NORMAL;
}

/* m rows, `width` values wide and gap apart, with NaN in the gaps: a kernel that reads them is found out. */
static float *random_rows(check *c, size_t m, size_t width, size_t gap, weight_kind kind)
{
    float *x = check_alloc(c, m ? ((m - 1) * (width + gap) + width) * sizeof *x : 0);
    for (size_t i = 0; i < m; i++) {
        for (size_t k = 0; k < width; k++) {
            x[i * (width + gap) + k] =
                kind == WEIGHTS_NORMAL ? check_normal(c) : check_awkward(c, kind == WEIGHTS_WILD);
        }
    }
    return x;
}

static void check_gaps(check *c, const float *y, size_t m, size_t rows, size_t gap)
{
    for (size_t i = 0; gap && i + 1 < m; i++) {
        if (!check_untouched(y + i * (rows + gap) + rows, gap * sizeof *y))
            check_fail(c, "wrote between the rows of y");
    }
}

/* A sum of K products and a bias, in any order, fused or not: gamma_{K + 1} of the magnitudes, two roundings more where
 * the weight is rounded on the way (affine); each operation may lose a smallest float where it leaves the normal
 * floats. */
static void check_float(check *c, kernel_format format)
{
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        const matmul_shape *shape = &shapes[s];
        const size_t m = shape->m, rows = shape->rows, columns = shape->columns, ldy = rows + shape->gap;
        const size_t ldx = columns + shape->gap, y_bytes = m ? ((m - 1) * ldy + rows) * sizeof(float) : 0;
        check_shape(c, "m=%zu N=%zu K=%zu", m, rows, columns);
        const kernel_matrix w = check_matrix(c, format, rows, columns, s % 2, kind_of(s));
        const float *x = random_rows(c, m, columns, shape->gap, kind_of(s));
        check_freeze(c);
        float *y = check_output(c, y_bytes), *reference = check_output(c, y_bytes);
        CHECK_CALL(c->table->matmul[format](&w, m, x, ldx, y, ldy));
        CHECK_CALL(c->reference->matmul[format](&w, m, x, ldx, reference, ldy));
        check_gaps(c, y, m, rows, shape->gap);
        for (size_t at = 0; at < m * rows; at++) {
            const size_t i = at / rows, n = at % rows;
            double sum = w.bias ? (double)w.bias[n] : 0, magnitude = fabs(sum);
            for (size_t k = 0; k < columns; k++) {
                sum += (double)x[i * ldx + k] * weight_value(&w, n, k);
                magnitude += fabs((double)x[i * ldx + k]) * weight_magnitude(&w, n, k);
            }
            const double tolerance = gamma_of((double)columns + 3) * magnitude + 2 * ((double)columns + 1) * SMALLEST;
            check_value(c, "y", i * ldy + n, (double)y[i * ldy + n], sum, tolerance);
            check_value(c, "y against c", i * ldy + n, (double)y[i * ldy + n], (double)reference[i * ldy + n],
                        2 * tolerance);
        }
    }
}

/* The group's products are summed exactly. What rounds: the product of the two scales, a lane's integer times it, the
 * sums of at most G groups in a lane, of at most 16 lanes (4 levels) and the bias: G + 8 roundings of terms whose
 * magnitudes add up to no more than sum |w| |x|. */
static void check_q8(check *c, kernel_format format)
{
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++) {
        const matmul_shape *shape = &shapes[s];
        const size_t m = shape->m, rows = shape->rows, columns = shape->columns, ldy = rows + shape->gap;
        const size_t groups = kernel_row_scales(format, columns),
                     y_bytes = m ? ((m - 1) * ldy + rows) * sizeof(float) : 0;
        check_shape(c, "m=%zu N=%zu K=%zu", m, rows, columns);
        const kernel_matrix w = check_matrix(c, format, rows, columns, s % 2, kind_of(s));
        const float *x = random_rows(c, m, columns, shape->gap, kind_of(s));
        const size_t count = m * groups;
        kernel_q8 q = {check_alloc(c, count * KERNEL_GROUP), check_alloc(c, count * sizeof(float)),
                       check_alloc(c, count * sizeof(float))};
        c->reference->quantize_q8(m, columns, x, columns + shape->gap, &q);
        /* The extremes that saturate a careless int16: all weights and activations at the end of their range. */
        if (s % 5 == 4 && count) {
            memset(q.values, s % 2 ? 127 : -127, count * KERNEL_GROUP);
            for (size_t g = 0; g < count; g++)
                q.scales[g] = 0.01f, q.sums[g] = q.scales[g] * (float)(KERNEL_GROUP * (s % 2 ? 127 : -127));
            memset((void *)(uintptr_t)w.values,
                   s % 3                   ? 0x80
                   : format == KERNEL_INT4 ? 0xff
                                           : 0x7f,
                   rows * kernel_row_bytes(format, columns));
        }
        check_freeze(c);
        float *y = check_output(c, y_bytes), *reference = check_output(c, y_bytes);
        CHECK_CALL(c->table->matmul_q8[format](&w, m, &q, y, ldy));
        CHECK_CALL(c->reference->matmul_q8[format](&w, m, &q, reference, ldy));
        check_gaps(c, y, m, rows, shape->gap);
        for (size_t at = 0; at < m * rows; at++) {
            const size_t i = at / rows, n = at % rows;
            double sum = w.bias ? (double)w.bias[n] : 0, magnitude = fabs(sum);
            for (size_t k = 0; k < groups * KERNEL_GROUP; k++) {
                const double weight = weight_value(&w, n, k);
                const double value =
                    q.values[i * groups * KERNEL_GROUP + k] * (double)q.scales[i * groups + k / KERNEL_GROUP];
                sum += weight * value;
                magnitude += fabs(weight * value);
            }
            const double tolerance = gamma_of((double)groups + 8) * magnitude + 2 * ((double)groups + 1) * SMALLEST;
            check_value(c, "y", i * ldy + n, (double)y[i * ldy + n], sum, tolerance);
            check_value(c, "y against c", i * ldy + n, (double)y[i * ldy + n], (double)reference[i * ldy + n],
                        2 * tolerance);
        }
    }
}

#define FORMAT_CHECK(name, check, format)                                                                              \
    static void check_##name(check_type *c)                                                                            \
    {                                                                                                                  \
        check(c, format);                                                                                              \
    }
typedef check check_type;
FORMAT_CHECK(f32, check_float, KERNEL_F32)
FORMAT_CHECK(f16, check_float, KERNEL_F16)
FORMAT_CHECK(bf16, check_float, KERNEL_BF16)
FORMAT_CHECK(affine8, check_float, KERNEL_AFFINE8)
FORMAT_CHECK(affine4, check_float, KERNEL_AFFINE4)
FORMAT_CHECK(int8, check_q8, KERNEL_INT8)
FORMAT_CHECK(int4, check_q8, KERNEL_INT4)

const check_entry matmul_checks[] = {
    {"matmul_f32", check_f32},         {"matmul_f16", check_f16},
    {"matmul_bf16", check_bf16},       {"matmul_affine8", check_affine8},
    {"matmul_affine4", check_affine4}, {"matmul_int8", check_int8},
    {"matmul_int4", check_int4},       {NULL, NULL},
};
