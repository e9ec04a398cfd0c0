/* test_onednn.c - the products of the onednn baseline against their definition, sliced and strided as the runtime does. */
#include <float.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "harness/worker/onednn.h"
#include "optimizer/tests/runner.h"

static float uniform(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return (float)(int64_t)(*state >> 11) * 0x1p-52f - 1;
}

/* The upper half of a float: what is cut off makes it another value, which is as random. */
static uint16_t upper_half(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (uint16_t)(bits >> 16);
}

/* Room for `rows` rows of weights in [-1, 1) of that format. */
static void *random_weights(const kernel_table *table, kernel_format format, size_t count, uint64_t *state)
{
    float *values = malloc(count * sizeof *values);
    for (size_t i = 0; i < count; i++) values[i] = uniform(state);
    if (format == KERNEL_F32) return values;
    if (format == KERNEL_F8) { /* codes whose magnitude is at most 1.875 */
        uint8_t *codes = (uint8_t *)values;
        for (size_t i = 0; i < count; i++) codes[i] = (uint8_t)((*state = *state * 25214903917u + 11) >> 40 & 0xbf);
        return codes;
    }
    uint16_t *halves = malloc(count * sizeof *halves);
    if (format == KERNEL_F16) table->to_f16(count, values, halves);
    for (size_t i = 0; i < count && format == KERNEL_BF16; i++) halves[i] = upper_half(values[i]);
    free(values);
    return halves;
}

/* Sums of K products and a bias in any order lose gamma_{K + 1} of the magnitudes (Higham 2002, section 4.2); rounding x and
 * the weight to bfloat16 first, 2^-8 of a value each, (1 + 2^-8)^2 - 1 of every product. FP32 weights stay FP32. */
static double tolerance_of(kernel_format format, size_t columns, double magnitude)
{
    const double n = (double)columns + 1, gamma = n * 0x1p-24 / (1 - n * 0x1p-24);
    const double rounded = format == KERNEL_F32 ? 0 : 2 * 0x1p-8 + 0x1p-16;
    return (gamma + rounded * (1 + gamma)) * magnitude;
}

static void check_product(const kernel_table *table, const kernel_matrix *w, size_t m, const float *x, size_t ldx,
                          size_t gap)
{
    const size_t ldy = w->rows + gap;
    float *y = malloc(m * ldy * sizeof *y), *row = malloc(w->columns * sizeof *row);
    for (size_t i = 0; i < m * ldy; i++) y[i] = 12345;
    table->matmul[w->format](w, m, x, ldx, y, ldy);
    for (size_t n = 0; n < w->rows; n++) {
        table->dequantize_row(w, n, row);
        for (size_t i = 0; i < m; i++) {
            double sum = w->bias ? (double)w->bias[n] : 0, magnitude = fabs(sum);
            for (size_t k = 0; k < w->columns; k++) {
                const double product = (double)row[k] * (double)x[i * ldx + k];
                sum += product;
                magnitude += fabs(product);
            }
            const double error = fabs((double)y[i * ldy + n] - sum),
                         most = tolerance_of(w->format, w->columns, magnitude);
            CHECK(error <= most, "%s m=%zu N=%zu K=%zu: y[%zu][%zu] is off by %g, at most %g",
                  kernel_format_name(w->format), m, w->rows, w->columns, i, n, error, most);
        }
    }
    for (size_t i = 0; i < m; i++)
        for (size_t n = w->rows; n < ldy; n++) CHECK(y[i * ldy + n] == 12345, "wrote between the rows of y");
    free(row);
    free(y);
}

static void products_are_what_they_should_be(void)
{
    static const struct {
        size_t m, rows, columns, gap; /* gap: floats between the rows of x, and of y */
        bool bias;
    } shapes[] = {{1, 1, 1, 0, false},  {1, 48, 64, 0, true},   {1, 100, 33, 5, false}, {3, 48, 64, 0, true},
                  {3, 17, 5, 3, false}, {16, 96, 256, 1, true}, {2, 48, 64, 7, true},   {33, 40, 70, 2, false}};
    static const kernel_format formats[] = {KERNEL_F32, KERNEL_F16, KERNEL_BF16, KERNEL_F8};
    static const float block_scales[2 * 2] = {0.3f, 0.7f, 0.9f, 0.2f};
    kernel_table table;
    uint64_t state = 1;
    kernel_table_fill(&table, kernel_isa_best());
    if (!onednn_available()) {
        CHECK(onednn_install(&table) == CIUIC_ERROR_UNSUPPORTED, "installed what is not there");
        return;
    }
    CHECK(onednn_install(&table) == CIUIC_OK, "%s", ciuic_last_error());
    for (size_t s = 0; s < sizeof shapes / sizeof shapes[0]; s++)
        for (size_t f = 0; f < sizeof formats / sizeof formats[0]; f++) {
            const size_t m = shapes[s].m, rows = shapes[s].rows, ldx = shapes[s].columns + shapes[s].gap;
            float *x = malloc(m * ldx * sizeof *x), *bias = malloc(rows * sizeof *bias);
            for (size_t i = 0; i < m * ldx; i++) x[i] = uniform(&state);
            for (size_t i = 0; i < rows; i++) bias[i] = uniform(&state);
            /* Never freed: packed weights are found by their address, which must not become another matrix's. */
            void *values = random_weights(&table, formats[f], rows * shapes[s].columns, &state);
            const kernel_matrix w = {.format = formats[f],
                                     .rows = rows,
                                     .columns = shapes[s].columns,
                                     .values = values,
                                     .block_scales = formats[f] == KERNEL_F8 ? block_scales : NULL,
                                     .block_row = formats[f] == KERNEL_F8 ? 100 : 0,
                                     .bias = shapes[s].bias ? bias : NULL};
            check_product(&table, &w, m, x, ldx, shapes[s].gap);
            const kernel_matrix half = kernel_matrix_rows(&w, rows / 2, rows - rows / 2);
            check_product(&table, &half, m, x, ldx, shapes[s].gap);
            check_product(&table, &half, 1, x, ldx, 0); /* packed for m rows of x */
            free(x);
            free(bias);
        }
    CHECK(onednn_status() == CIUIC_OK, "%s", ciuic_last_error());
    CHECK(onednn_memory_use().packed > 0, "nothing was packed");
}

static const test_case cases[] = {
    {"products_are_what_they_should_be", products_are_what_they_should_be},
};
TEST_SUITE(onednn, cases);
