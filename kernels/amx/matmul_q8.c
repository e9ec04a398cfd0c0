/* matmul_q8.c - the products of interleaved INT8 and INT4 weights with many rows of int8 activations.
 *
 * A panel interleaved by 16 holds four columns of 16 rows in each 64 bytes: 16 such runs are the right side of a tile
 * product as it wants to be. INT4 is unpacked into that form first. x is the left side; a block of its rows is copied by a
 * span of columns into whole tiles, which all panels then pass.
 *
 * A tile product sums at most 64 columns, 32 in groups of 32, for which the tiles are half as deep. The sums of a group go
 * through memory to vectors, where they are converted, multiplied by the scales of both sides and added up. */
#include "kernels/amx/kernels_amx.h"
#include "kernels/amx/tile_products.h"
#include "kernels/c/kernels_c.h"

#include <string.h>

enum {
    SPAN = 512, /* columns: whole groups, whatever their size */
    BLOCK = 256,
    ROW_OF_TILES = SPAN * TILE_ROWS, /* bytes */
};

/* How the columns of a span are divided. */
typedef struct span_shape {
    size_t first, width; /* columns; the last ones may be padding */
    size_t step;         /* columns of a tile */
    size_t steps;        /* tiles of the span; the last one is filled up with zeros */
    size_t group_steps;  /* tiles that share a scale */
    size_t group;        /* the first one's number in its row */
} span_shape;

static span_shape span_at(const kernel_matrix *w, size_t column)
{
    const size_t rest = kernel_row_bytes(KERNEL_INT8, w->columns) - column;
    span_shape s = {.first = column, .width = rest < SPAN ? rest : SPAN};
    s.step = w->group == 32 ? 32 : 64;
    s.steps = (s.width + s.step - 1) / s.step;
    s.group_steps = w->group ? w->group / s.step : s.steps;
    s.group = w->group ? column / w->group : 0;
    return s;
}

/* ---- the two sides ---- */

/* `rows` rows of x, from row `first` on, as tiles: [16 rows of tiles][step][16 rows][columns of the step]. */
static void copy_block(const kernel_matrix *w, const kernel_q8 *x, size_t first, size_t rows, const span_shape *s,
                       int8_t *copy)
{
    const size_t row_bytes = kernel_row_bytes(KERNEL_INT8, w->columns);
    for (size_t i = 0; i < (rows + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS; i++) {
        const int8_t *from = x->values + (first + i) * row_bytes + s->first;
        for (size_t t = 0; t < s->steps; t++) {
            int8_t *to = copy + i / TILE_ROWS * ROW_OF_TILES + (t * TILE_ROWS + i % TILE_ROWS) * s->step;
            const size_t rest = s->width - t * s->step, bytes = i >= rows ? 0 : rest < s->step ? rest : s->step;
            if (bytes) memcpy(to, from + t * s->step, bytes);
            memset(to + bytes, 0, s->step - bytes);
        }
    }
}

static tile_side block_tiles(const int8_t *copy, size_t row, size_t rows, const span_shape *s)
{
    const uint8_t *tiles = (const uint8_t *)copy + row / TILE_ROWS * ROW_OF_TILES;
    return (tile_side){{tiles, rows > TILE_ROWS ? tiles + ROW_OF_TILES : NULL}, s->step, s->step * TILE_ROWS};
}

/* KERNEL_GROUP columns of a panel: value j of 32 stands in the low, value j + 16 in the high four bits. */
static ALWAYS_INLINE void unpack_int4(const uint8_t *codes, vi zero, uint8_t *out)
{
#pragma GCC unroll 4
    for (size_t q = 0; q < 4; q++) {
        const vi both = vi_load(codes + q * TILE_ROW_BYTES);
        vi_store(out + q * TILE_ROW_BYTES, _mm512_sub_epi8(vi_and(both, vi_set1(0x0f0f0f0f)), zero));
        vi_store(out + (q + 4) * TILE_ROW_BYTES, _mm512_sub_epi8(vi_high_nibbles(both), zero));
    }
}

/* The span of one panel; in `copy` where it has to be unpacked or filled up. */
static const uint8_t *panel_tiles(kernel_format format, const kernel_matrix *w, size_t panel, const span_shape *s,
                                  uint8_t *copy)
{
    const size_t panel_bytes = kernel_row_bytes(format, w->columns) * TILE_ROWS;
    const uint8_t *values = (const uint8_t *)w->values + panel * panel_bytes;
    const size_t bytes = s->width * TILE_ROWS, whole = s->steps * s->step * TILE_ROWS;
    if (format == KERNEL_INT8) {
        values += s->first * TILE_ROWS;
        if (bytes == whole) return values;
        memcpy(copy, values, bytes);
    } else {
        const vi zero = _mm512_set1_epi8(w->minimums ? 0 : 8);
        values += s->first / 2 * TILE_ROWS;
        for (size_t at = 0; at < bytes; at += KERNEL_GROUP * TILE_ROWS) unpack_int4(values + at / 2, zero, copy + at);
    }
    memset(copy + bytes, 0, whole - bytes);
    return copy;
}

static tile_side weight_tiles(kernel_format format, const kernel_matrix *w, size_t row, const span_shape *s,
                              uint8_t copy[2][ROW_OF_TILES])
{
    tile_side side = {.stride = TILE_ROW_BYTES, .step = s->step * TILE_ROWS};
    side.tile[0] = panel_tiles(format, w, row / TILE_ROWS, s, copy[0]);
    if (w->rows - row > TILE_ROWS) side.tile[1] = panel_tiles(format, w, row / TILE_ROWS + 1, s, copy[1]);
    return side;
}

/* ---- y ---- */

/* Where a product of two by two tiles lies in y, and in x. */
typedef struct product_place {
    size_t row, rows;       /* of x and y */
    size_t column, columns; /* of y, rows of w */
    float *y;               /* its first element */
    size_t ldy;
} product_place;

static ALWAYS_INLINE size_t lanes_at(const product_place *p, size_t v)
{
    const size_t rest = p->columns - v * LANES;
    return p->columns <= v * LANES ? 0 : rest < LANES ? rest : LANES;
}

/* What y holds before: the bias in the first span. */
static void load_start(const kernel_matrix *w, const product_place *p, bool first,
                       float total[PRODUCT_ROWS][PRODUCT_ROWS])
{
    for (size_t v = 0; v < 2; v++) {
        const size_t lanes = lanes_at(p, v), at = v * LANES;
        const vf bias = w->bias && lanes ? vf_load_part(w->bias + p->column + at, lanes) : vf_zero();
        for (size_t i = 0; i < p->rows && lanes; i++)
            vf_store(total[i] + at, first ? bias : vf_load_part(p->y + i * p->ldy + at, lanes));
    }
}

static void store_total(const product_place *p, float total[PRODUCT_ROWS][PRODUCT_ROWS])
{
    for (size_t v = 0; v < 2; v++) {
        const size_t lanes = lanes_at(p, v), at = v * LANES;
        for (size_t i = 0; i < p->rows && lanes; i++)
            vf_store_part(p->y + i * p->ldy + at, lanes, vf_load(total[i] + at));
    }
}

/* total += the integer sums of group `group` times the scales of both sides; with `minimums`, the minimums times the sums of
 * x. */
static ALWAYS_INLINE void scale_group(const kernel_matrix *w, const kernel_q8 *x, const product_place *p, size_t group,
                                      const bool minimums, int32_t sums[PRODUCT_ROWS][PRODUCT_ROWS],
                                      float total[PRODUCT_ROWS][PRODUCT_ROWS])
{
    const size_t groups = kernel_row_scales(w);
    for (size_t v = 0; v < 2 && lanes_at(p, v) > 0; v++) {
        const size_t at = ((p->column / LANES + v) * groups + group) * LANES;
        const vf scale = vf_load_f16(w->scales + at), minimum = minimums ? vf_load_f16(w->minimums + at) : vf_zero();
        for (size_t i = 0; i < p->rows; i++) {
            const size_t of_x = (p->row + i) * groups + group;
            const float xs = x->scales[of_x];
            const vf sum = vf_of_vi(vi_load(sums[i] + v * LANES));
            vf all = vf_fma(sum, vf_mul(scale, vf_set1(xs)), vf_load(total[i] + v * LANES));
            if (minimums) all = vf_fma(minimum, vf_set1(xs * (float)x->sums[of_x]), all);
            vf_store(total[i] + v * LANES, all);
        }
    }
}

/* ---- the loops ---- */

static ALWAYS_INLINE void multiply_span(const kernel_matrix *w, const kernel_q8 *x, const span_shape *s, tile_side a,
                                        tile_side b, const product_place *p)
{
    _Alignas(64) int32_t sums[PRODUCT_ROWS][PRODUCT_ROWS];
    _Alignas(64) float total[PRODUCT_ROWS][PRODUCT_ROWS];
    load_start(w, p, s->first == 0, total);
    size_t group = s->group;
    for (size_t t = 0; t < s->steps; t += s->group_steps, group++) {
        const size_t steps = s->steps - t < s->group_steps ? s->steps - t : s->group_steps;
        tile_products_of(KERNEL_INT8, steps, tile_side_at(a, t), tile_side_at(b, t), sums);
        /* A row-long group has one minimum, though it may take several spans. */
        if (w->minimums && (w->group || s->first == 0))
            scale_group(w, x, p, group, true, sums, total);
        else
            scale_group(w, x, p, group, false, sums, total);
    }
    store_total(p, total);
}

static ALWAYS_INLINE void matmul_tiles(kernel_format format, const kernel_matrix *w, size_t m, const kernel_q8 *x,
                                       float *y, size_t ldy)
{
    _Alignas(64) int8_t rows_of_x[BLOCK / TILE_ROWS * ROW_OF_TILES];
    _Alignas(64) uint8_t copy[2][ROW_OF_TILES];
    const tile_config config = tile_config_for(span_at(w, 0).step);
    tile_configure(&config);
    for (size_t k = 0; k < w->columns; k += SPAN) {
        const span_shape s = span_at(w, k);
        for (size_t block = 0; block < m; block += BLOCK) {
            const size_t rows = m - block < BLOCK ? m - block : BLOCK;
            copy_block(w, x, block, rows, &s, rows_of_x);
            for (size_t n = 0; n < w->rows; n += PRODUCT_ROWS) {
                const tile_side b = weight_tiles(format, w, n, &s, copy);
                const size_t columns = w->rows - n < PRODUCT_ROWS ? w->rows - n : PRODUCT_ROWS;
                for (size_t i = 0; i < rows; i += PRODUCT_ROWS) {
                    const size_t there = rows - i < PRODUCT_ROWS ? rows - i : PRODUCT_ROWS;
                    const product_place place = {block + i, there, n, columns, y + (block + i) * ldy + n, ldy};
                    multiply_span(w, x, &s, block_tiles(rows_of_x, i, there, &s), b, &place);
                }
            }
        }
    }
    tile_release();
}

static bool pays(const kernel_matrix *w, size_t m)
{
    return m >= AMX_LEAST_ROWS && w->interleave == TILE_ROWS && w->columns > 0;
}

void AMX(matmul_int8)(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    if (pays(w, m))
        matmul_tiles(KERNEL_INT8, w, m, x, y, ldy);
    else
        FEW_INT8(w, m, x, y, ldy);
}

void AMX(matmul_int4)(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    if (pays(w, m))
        matmul_tiles(KERNEL_INT4, w, m, x, y, ldy);
    else
        FEW_INT4(w, m, x, y, ldy);
}
