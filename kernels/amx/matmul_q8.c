/* matmul_q8.c - the products of interleaved INT8, INT4 and INT3 weights with many rows of int8 activations.
 *
 * A panel interleaved by 16 holds four columns of 16 rows in each 64 bytes: 16 such runs are the right side of a tile
 * product as it wants to be. Codes are unpacked into that form first. x is the left side; a block of its rows by a span
 * of columns, as large as half of the L2 cache, is copied into whole tiles, which all panels then pass.
 *
 * Where a scale belongs to a whole row, SUB_STEPS of the weights stay in the L1 cache while the block of x passes, the sums
 * of a product wait in memory for the steps that follow, and vectors have little to do.
 *
 * In groups they have most of it to do: a tile product sums 64 columns at most, 32 in groups of 32, for which the tiles are
 * half as deep; then its sums go through memory to vectors, where each is converted, multiplied by the scales of both sides
 * and added up. That is three operations for each of 16 vectors, 24 cycles or 11 ns at best, for a product of 5.8 ns. Measured
 * with groups of 32: 18 ns with all loads and stores but without the scaling, 37 to 43 ns with it, hence less than a tenth of
 * what the tiles can do, and little more than vectors alone do. */
#include "kernels/amx/kernels_amx.h"
#include "kernels/amx/tile_products.h"
#include "kernels/c/kernels_c.h"
#include "kernels/simd/units.h"

#include <string.h>

enum {
    SPAN = 2048, /* columns: whole groups, whatever their size; a row-long group is summed exactly up to here */
    BLOCK = 512, /* rows of x: 1 MiB of a span, on the stack, of which a thread has at least twice that */
    PRODUCTS = BLOCK / PRODUCT_ROWS,
    ROW_OF_TILES = SPAN * TILE_ROWS, /* bytes */
    BATCH = 2,                       /* groups whose sums are scaled together */
    RING = 3,                        /* batches under way */
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

/* `rows` rows of x, from row `first` on, as tiles: [32 rows][step][2][16 rows][columns of the step]. */
static void copy_block(const kernel_matrix *w, const kernel_q8 *x, size_t first, size_t rows, const span_shape *s,
                       int8_t *copy)
{
    const size_t row_bytes = kernel_row_bytes(KERNEL_INT8, w->columns);
    for (size_t i = 0; i < (rows + TILE_ROWS - 1) / TILE_ROWS * TILE_ROWS; i++) {
        const int8_t *from = x->values + (first + i) * row_bytes + s->first;
        int8_t *to = copy + i / PRODUCT_ROWS * 2 * ROW_OF_TILES + i % PRODUCT_ROWS * s->step;
        for (size_t t = 0; t < s->steps; t++, to += PRODUCT_ROWS * s->step) {
            const size_t rest = s->width - t * s->step, bytes = i >= rows ? 0 : rest < s->step ? rest : s->step;
            if (bytes) memcpy(to, from + t * s->step, bytes);
            if (bytes < s->step) memset(to + bytes, 0, s->step - bytes);
        }
    }
}

static tile_side block_tiles(const int8_t *copy, size_t row, size_t rows, const span_shape *s)
{
    const size_t tile_bytes = s->step * TILE_ROWS;
    const uint8_t *tiles =
        (const uint8_t *)copy + row / PRODUCT_ROWS * 2 * ROW_OF_TILES + row / TILE_ROWS % 2 * tile_bytes;
    return (tile_side){{tiles, rows > TILE_ROWS ? tiles + tile_bytes : NULL}, s->step, 2 * tile_bytes};
}

/* KERNEL_GROUP columns of a panel of codes. */
static ALWAYS_INLINE void unpack(kernel_format format, const uint8_t *block, vi zero, uint8_t *out)
{
#pragma GCC unroll 8
    for (int u = 0; u < BLOCK_UNITS; u++) vi_store(out + u * UNIT_VECTOR, vi_sub8(block_unit(format, block, u), zero));
}

/* Of `columns` columns of a panel, whole blocks. */
static ALWAYS_INLINE size_t span_bytes(kernel_format format, size_t columns)
{
    return columns / KERNEL_GROUP * panel_block_bytes(format);
}

/* The span of one panel; in `copy` where it has to be unpacked or filled up. */
static const uint8_t *panel_tiles(kernel_format format, const kernel_matrix *w, size_t panel, const span_shape *s,
                                  uint8_t *copy)
{
    const size_t panel_bytes = kernel_row_bytes(format, w->columns) * TILE_ROWS;
    const uint8_t *values = (const uint8_t *)w->values + panel * panel_bytes + span_bytes(format, s->first);
    const size_t bytes = s->width * TILE_ROWS, whole = s->steps * s->step * TILE_ROWS;
    if (format == KERNEL_INT8) {
        if (bytes == whole) return values;
        memcpy(copy, values, bytes);
    } else {
        const vi zero = _mm512_set1_epi8((char)zero_code(format, w->minimums));
        for (size_t at = 0; at < bytes; at += KERNEL_GROUP * TILE_ROWS, values += panel_block_bytes(format))
            unpack(format, values, zero, copy + at);
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

/* The span of the panels from `row` on, in runs of a line a step, for so many passes over the steps. */
static tile_ahead panels_ahead(kernel_format format, const kernel_matrix *w, size_t row, const span_shape *s,
                               size_t passes)
{
    const size_t panel_bytes = kernel_row_bytes(format, w->columns) * TILE_ROWS;
    tile_ahead ahead = {.runs = 0};
    if (row >= w->rows) return ahead;
    ahead.from[0] = (const uint8_t *)w->values + row / TILE_ROWS * panel_bytes + span_bytes(format, s->first);
    ahead.from[1] = ahead.from[0] + (w->rows - row > TILE_ROWS ? panel_bytes : 0);
    ahead.runs = span_bytes(format, s->step) / TILE_ROW_BYTES;
    ahead.run_bytes = s->steps * TILE_ROW_BYTES;
    ahead.run_lines = s->steps;
    ahead.pace = (ahead.runs + passes - 1) / passes;
    return ahead;
}

/* ---- y ---- */

/* Where a product of two by two tiles lies in y, and in x. */
typedef struct product_place {
    size_t row, rows;       /* of x and y */
    size_t column, columns; /* of y, rows of w */
    float *y;               /* its first element */
    size_t ldy;
    bool stream; /* y goes past the caches */
} product_place;

/* The integer sums of up to BATCH groups of a product, on their way into y. They are scaled in parts, some rows each, between
 * the steps that follow, while the tiles are at work. */
typedef struct finished_batch {
    tile_square *sums; /* of its groups */
    size_t count;      /* of its groups; 0: none */
    size_t groups;     /* of a row */
    size_t group;      /* the first one's number in its row */
    bool minimums;     /* to be added, too */
    product_place place;
    const float *from; /* what the scaled sums are added to, */
    float *to;         /* and where that is written */
    size_t from_stride, to_stride;
    bool stream; /* past the caches */
} finished_batch;

/* Some rows of G groups, from number g of the batch on, all within one of the two tiles above each other: V vectors each,
 * the last of `last` lanes. G, V, whole (last is LANES) and minimums are constants at every call. */
static ALWAYS_INLINE void scale_rows(const kernel_matrix *w, const kernel_q8 *x, const finished_batch *f,
                                     bool first_of_batch, size_t g, const int G, const int V, const bool whole,
                                     const bool minimums, size_t first, size_t end)
{
    const product_place *p = &f->place;
    const size_t groups = f->groups, group = f->group + g, half = first / TILE_ROWS;
    const size_t last = whole ? LANES : p->columns - (size_t)(V - 1) * LANES;
    const float *from = first_of_batch ? f->from : f->to;
    const size_t from_stride = first_of_batch ? f->from_stride : f->to_stride;
    vf scale[BATCH][2], minimum[BATCH][2];
#pragma GCC unroll 4
    for (int v = 0; v < V; v++) {
#pragma GCC unroll 8
        for (int j = 0; j < G; j++) {
            const size_t at = ((p->column / LANES + (size_t)v) * groups + group + (size_t)j) * LANES;
            scale[j][v] = vf_load_f16(w->scales + at);
            if (minimums) minimum[j][v] = vf_load_f16(w->minimums + at);
        }
    }
    from += first * from_stride;
    float *to = f->to + first * f->to_stride;
    const float *of_x = x->scales + (p->row + first) * groups + group;
    const int32_t *sums_of_x = x->sums + (p->row + first) * groups + group;
    const uint32_t *sums = f->sums[g][half][0][first % TILE_ROWS];
    for (size_t i = first; i < end; i++) {
        vf all[2];
#pragma GCC unroll 4
        for (int v = 0; v < V; v++)
            all[v] = whole || v < V - 1 ? vf_load(from + v * LANES) : vf_load_part(from + v * LANES, last);
#pragma GCC unroll 8
        for (int j = 0; j < G; j++) {
            const vf xs = vf_set1(of_x[j]);
            const vf of_sums = minimums ? vf_set1(of_x[j] * (float)sums_of_x[j]) : xs;
#pragma GCC unroll 4
            for (int v = 0; v < V; v++) {
                const vf sum = vf_of_vi(vi_load(sums + (j * 4 + v) * (TILE_BYTES / 4)));
                all[v] = vf_fma(sum, vf_mul(scale[j][v], xs), all[v]);
                if (minimums) all[v] = vf_fma(minimum[j][v], of_sums, all[v]);
            }
        }
#pragma GCC unroll 4
        for (int v = 0; v < V; v++) {
            if (whole || v < V - 1) {
                if (f->stream)
                    _mm512_stream_ps(to + v * LANES, all[v]);
                else
                    vf_store(to + v * LANES, all[v]);
            } else
                vf_store_part(to + v * LANES, last, all[v]);
        }
        from += from_stride;
        to += f->to_stride;
        of_x += groups;
        sums_of_x += groups;
        sums += TILE_ROW_BYTES / 4;
    }
}

static ALWAYS_INLINE void finish_rows(const kernel_matrix *w, const kernel_q8 *x, const finished_batch *f,
                                      const bool minimums, size_t first, size_t end)
{
    if (f->count == BATCH && f->place.columns == PRODUCT_ROWS) {
        scale_rows(w, x, f, true, 0, BATCH, 2, true, minimums, first, end);
        return;
    }
    for (size_t g = 0; g < f->count; g++) {
        if (f->place.columns == PRODUCT_ROWS)
            scale_rows(w, x, f, g == 0, g, 1, 2, true, minimums, first, end);
        else if (f->place.columns > LANES)
            scale_rows(w, x, f, g == 0, g, 1, 2, false, minimums, first, end);
        else
            scale_rows(w, x, f, g == 0, g, 1, 1, false, minimums, first, end);
    }
}

/* Part `part` of `parts` of `rows` rows; no part lies in two tiles. */
static void finish_part(const kernel_matrix *w, const kernel_q8 *x, const finished_batch *f, size_t part, size_t parts,
                        size_t rows)
{
    const size_t first = part * rows / parts, most = (part + 1) * rows / parts;
    const size_t end = f->place.rows < most ? f->place.rows : most;
    if (f->count == 0 || first >= end) return;
    if (f->minimums)
        finish_rows(w, x, f, true, first, end);
    else
        finish_rows(w, x, f, false, first, end);
}

/* ---- the loops ---- */

/* In which a product is finished, each between some of the steps of the next. */
enum { PARTS = 4 };
_Static_assert((int)PRODUCTS >= (int)RING * BATCH, "the sums under way have room");

/* What all products of a call share. */
typedef struct q8_call {
    const kernel_matrix *w;
    const kernel_q8 *x;
    size_t groups; /* of a row */
    finished_batch before;
    tile_square sums[PRODUCTS];              /* of products, or of groups under way */
    float total[PRODUCT_ROWS][PRODUCT_ROWS]; /* of a product in groups, but for its last batch */
} q8_call;

/* Where the groups from `group` on are added to what y holds before, which is the bias in the first span. */
static ALWAYS_INLINE finished_batch batch_at(const q8_call *c, const span_shape *s, const product_place *p,
                                             tile_square *sums)
{
    static const float zeros[PRODUCT_ROWS];
    const kernel_matrix *w = c->w;
    finished_batch f = {
        .count = 1, .groups = c->groups, .group = s->group, .place = *p, .from = p->y, .from_stride = p->ldy};
    f.sums = sums;
    f.to = p->y;
    f.stream = p->stream;
    f.to_stride = p->ldy;
    if (s->first == 0) {
        f.from = w->bias ? w->bias + p->column : zeros;
        f.from_stride = 0;
    }
    /* A row-long group has one minimum, though it may take several spans. */
    f.minimums = w->minimums && (w->group || s->first == 0);
    return f;
}

/* Some steps of a row-long group, its first ones or more (`go_on`); the product before is finished meanwhile. */
static ALWAYS_INLINE void multiply_rows(const int A, const int B, tile_side a, tile_side b, size_t steps, bool go_on,
                                        tile_square *sums, tile_ahead *ahead, q8_call *c)
{
    tile_products_begin(A, B, go_on ? sums : NULL);
    for (size_t part = 0; part < PARTS; part++) {
        tile_products_add(KERNEL_INT8, A, B, steps * part / PARTS, steps * (part + 1) / PARTS, a, b, ahead);
        finish_part(c->w, c->x, &c->before, part, PARTS, PRODUCT_ROWS);
    }
    tile_products_end(A, B, sums);
    c->before.count = 0;
}

/* The products of one group: x is one tile high, w B wide. Its sums are formed in tiles 0 and 1, or 2 and 3. */
#define GROUP_PRODUCTS(zero, one)                                                                                      \
    do {                                                                                                               \
        tile_zero(zero);                                                                                               \
        if (B > 1) tile_zero(one);                                                                                     \
        for (size_t t = step; t < end; t++) {                                                                          \
            tile_load(TILE_A0, a.tile[0] + t * a.step, a.stride);                                                      \
            tile_load(TILE_B0, b.tile[0] + t * b.step, b.stride);                                                      \
            if (B > 1) tile_load(TILE_B1, b.tile[1] + t * b.step, b.stride);                                           \
            tile_dot_int8(zero, TILE_A0, TILE_B0);                                                                     \
            if (B > 1) tile_dot_int8(one, TILE_A0, TILE_B1);                                                           \
            tile_ahead_step(ahead, t);                                                                                 \
        }                                                                                                              \
    } while (0)
#define GROUP_STORE(zero, one)                                                                                         \
    do {                                                                                                               \
        tile_square *sums = &c->sums[(g - 1) / BATCH % RING * BATCH + (g - 1) % BATCH];                                \
        tile_store(zero, (*sums)[0][0], TILE_ROW_BYTES);                                                               \
        if (B > 1) tile_store(one, (*sums)[0][1], TILE_ROW_BYTES);                                                     \
    } while (0)

/* All groups of the span for up to 16 rows of x. A group's sums leave the tiles after the products of the next one have been
 * begun, and are scaled when those of two more have been: nothing waits for the result of what was just begun. */
static ALWAYS_INLINE void multiply_groups(const int B, const span_shape *s, tile_side a, tile_side b,
                                          const product_place *p, tile_ahead *ahead, q8_call *c)
{
    const size_t count = (s->steps + s->group_steps - 1) / s->group_steps;
    const size_t batches = (count + BATCH - 1) / BATCH;
    finished_batch f = batch_at(c, s, p, c->sums);
    const float *from = f.from;
    const size_t from_stride = f.from_stride;
    for (size_t g = 0; g < BATCH * (batches + 1) + 1; g++) {
        const size_t step = g * s->group_steps, most = step + s->group_steps, end = most < s->steps ? most : s->steps;
        if (g < count) {
            if (g % 2 == 0)
                GROUP_PRODUCTS(TILE_C00, TILE_C01);
            else
                GROUP_PRODUCTS(TILE_C10, TILE_C11);
        }
        if (g > BATCH) {
            const size_t batch = (g - 1) / BATCH - 1, part = (g - 1) % BATCH;
            f.sums = &c->sums[batch % RING * BATCH];
            f.count = count - batch * BATCH < BATCH ? count - batch * BATCH : BATCH;
            f.group = s->group + batch * BATCH;
            f.from = batch ? c->total[0] : from;
            f.from_stride = batch ? PRODUCT_ROWS : from_stride;
            f.to = batch + 1 < batches ? c->total[0] : p->y;
            f.to_stride = batch + 1 < batches ? PRODUCT_ROWS : p->ldy;
            f.stream = batch + 1 == batches && p->stream;
            finish_part(c->w, c->x, &f, part, BATCH, TILE_ROWS);
        }
        if (g > 0 && g <= count) {
            if (g % 2)
                GROUP_STORE(TILE_C00, TILE_C01);
            else
                GROUP_STORE(TILE_C10, TILE_C11);
        }
    }
}

/* The product at row i of a block: `most` rows, or what there is. */
static product_place place_at(const product_place *block, size_t i, size_t most, tile_ahead *ahead, bool last)
{
    product_place p = *block;
    p.row += i;
    p.rows = block->rows - i < most ? block->rows - i : most;
    p.y += i * p.ldy;
    ahead->y = p.y;
    ahead->ldy = p.ldy;
    ahead->rows = last && !p.stream ? p.rows : 0;
    return p;
}

static ALWAYS_INLINE void multiply_panels_by_rows(const span_shape *s, const int8_t *copy, tile_side b,
                                                  tile_ahead *ahead, const product_place *block, q8_call *c)
{
    for (size_t first = 0; first < s->steps; first += SUB_STEPS, b = tile_side_at(b, SUB_STEPS)) {
        const bool last = first + SUB_STEPS >= s->steps;
        const size_t steps = last ? s->steps - first : SUB_STEPS;
        for (size_t i = 0; i < block->rows; i += PRODUCT_ROWS) {
            const product_place p = place_at(block, i, PRODUCT_ROWS, ahead, last);
            const tile_side a = tile_side_at(block_tiles(copy, i, p.rows, s), first);
            tile_square *sums = &c->sums[i / PRODUCT_ROWS];
            TILE_EACH_SHAPE(multiply_rows, a, b, steps, first > 0, sums, ahead, c);
            if (last) c->before = batch_at(c, s, &p, sums);
        }
    }
}

static ALWAYS_INLINE void multiply_panels_by_groups(const span_shape *s, const int8_t *copy, tile_side b,
                                                    tile_ahead *ahead, const product_place *block, q8_call *c)
{
    for (size_t i = 0; i < block->rows; i += TILE_ROWS) {
        const product_place p = place_at(block, i, TILE_ROWS, ahead, true);
        const tile_side a = block_tiles(copy, i, p.rows, s);
        if (b.tile[1])
            multiply_groups(2, s, a, b, &p, ahead, c);
        else
            multiply_groups(1, s, a, b, &p, ahead, c);
    }
}

static ALWAYS_INLINE void matmul_tiles(kernel_format format, const kernel_matrix *w, size_t m, const kernel_q8 *x,
                                       float *y, size_t ldy)
{
    _Alignas(64) int8_t rows_of_x[BLOCK / TILE_ROWS * ROW_OF_TILES];
    _Alignas(64) uint8_t copy[2][ROW_OF_TILES];
    _Alignas(64) q8_call c;
    c.w = w;
    c.x = x;
    c.groups = kernel_row_scales(w);
    c.before.count = 0;
    const bool stream = tile_stores_stream(w, m, SPAN, y, ldy);
    const tile_config config = tile_config_for(span_at(w, 0).step);
    tile_configure(&config);
    for (size_t k = 0; k < w->columns; k += SPAN) {
        const span_shape s = span_at(w, k);
        for (size_t i = 0; i < m; i += BLOCK) {
            const size_t rows = m - i < BLOCK ? m - i : BLOCK, most = w->group ? TILE_ROWS : PRODUCT_ROWS;
            copy_block(w, x, i, rows, &s, rows_of_x);
            for (size_t n = 0; n < w->rows; n += PRODUCT_ROWS) {
                const tile_side b = weight_tiles(format, w, n, &s, copy);
                tile_ahead ahead = panels_ahead(format, w, n + PRODUCT_ROWS, &s, (rows + most - 1) / most);
                const size_t columns = w->rows - n < PRODUCT_ROWS ? w->rows - n : PRODUCT_ROWS;
                const product_place block = {i, rows, n, columns, y + i * ldy + n, ldy, stream};
                if (w->group)
                    multiply_panels_by_groups(&s, rows_of_x, b, &ahead, &block, &c);
                else
                    multiply_panels_by_rows(&s, rows_of_x, b, &ahead, &block, &c);
            }
        }
    }
    tile_release();
    for (size_t part = 0; part < PARTS; part++) finish_part(w, x, &c.before, part, PARTS, PRODUCT_ROWS);
    if (stream) _mm_sfence(); /* other threads see all of y when they see that it is done */
}

static bool pays(const kernel_matrix *w, size_t m)
{
    return m >= (w->group ? AMX_LEAST_ROWS_GROUPS : AMX_LEAST_ROWS) && w->interleave == TILE_ROWS && w->columns > 0;
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

void AMX(matmul_int3)(const kernel_matrix *w, size_t m, const kernel_q8 *x, float *y, size_t ldy)
{
    if (pays(w, m))
        matmul_tiles(KERNEL_INT3, w, m, x, y, ldy);
    else
        FEW_INT3(w, m, x, y, ldy);
}
