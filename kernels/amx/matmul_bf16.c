/* matmul_bf16.c - the product of bfloat16 weights with many rows of x, which are rounded to bfloat16.
 *
 * A tile product wants its left side in rows and its right side in pairs of columns (VNNI). The weights are the left side, as
 * they lie. x is the right side, rounded and packed once for a block of rows by a span of columns, as large as half of the
 * L2 cache, which all of w then passes. The product is y transposed, and turned back, 16 x 16 at a time, on its way into y.
 *
 * The weights of SUB_STEPS steps are copied to where a step's rows stand one after the other. In the matrix they are a row
 * apart, which is often a multiple of 4096 bytes: then all of them meet in one set of the L1 cache. They stay there while the
 * whole block of x passes; the sums of a product wait in memory for the steps that follow. */
#include "kernels/amx/kernels_amx.h"
#include "kernels/amx/tile_products.h"

enum {
    STEP_COLUMNS = TILE_ROW_BYTES / 2,
    SPAN_STEPS = 64,
    SPAN = SPAN_STEPS * STEP_COLUMNS,
    BLOCK = 256, /* rows of x: 1 MiB of a span, on the stack, of which a thread has at least twice that */
    PRODUCTS = BLOCK / PRODUCT_ROWS,
};

/* ---- x ---- */

#ifdef __AVX512BF16__
/* The first `count` of STEP_COLUMNS floats as bfloat16, then zeros; subnormal ones become zeros, as they are to the tiles. */
static ALWAYS_INLINE vi load_rounded(const float *x, size_t count)
{
    const vf low = count >= LANES ? vf_load(x) : vf_load_part(x, count);
    vf high = vf_zero();
    if (count >= STEP_COLUMNS)
        high = vf_load(x + LANES);
    else if (count > LANES)
        high = vf_load_part(x + LANES, count - LANES);
    return (vi)_mm512_cvtne2ps_pbh(high, low);
}
#else
/* The same where the tiles are modelled, without the instruction. Rounded to nearest even, in the upper halves of the words;
 * a NaN stays one. */
static ALWAYS_INLINE vi round_to_bf16(vf a)
{
    const vi bits = vi_of_bits(a), odd = vi_and(_mm512_srli_epi32(bits, 16), vi_set1(1));
    const vi rounded = vi_add32(bits, vi_add32(vi_set1(0x7fff), odd));
    return _mm512_mask_or_epi32(rounded, _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q), bits, vi_set1(0x00400000));
}

static ALWAYS_INLINE __m256i load_half(const float *x, size_t count)
{
    const vf a = count >= LANES ? vf_load(x) : vf_load_part(x, count);
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(round_to_bf16(a), 16));
}

static ALWAYS_INLINE vi load_rounded(const float *x, size_t count)
{
    const __m256i high = count > LANES ? load_half(x + LANES, count - LANES) : _mm256_setzero_si256();
    return _mm512_inserti64x4(_mm512_castsi256_si512(load_half(x, count)), high, 1);
}
#endif

/* STEP_COLUMNS columns of 16 rows of x, of which `rows` and `columns` are there, in pairs: packed[pair][row]. */
static ALWAYS_INLINE void pack_step(const float *x, size_t ldx, size_t rows, size_t columns, uint8_t *packed)
{
    vi square[TILE_ROWS];
#pragma GCC unroll 16
    for (size_t r = 0; r < TILE_ROWS; r++) square[r] = r < rows ? load_rounded(x + r * ldx, columns) : vi_zero();
    vi_transpose(square);
#pragma GCC unroll 16
    for (size_t r = 0; r < TILE_ROWS; r++) vi_store(packed + r * TILE_ROW_BYTES, square[r]);
}

/* Of PRODUCT_ROWS rows: two tiles a step, one after the other. */
typedef uint8_t packed_rows[SPAN_STEPS][2][TILE_BYTES];

static void pack_block(const float *x, size_t ldx, size_t rows, size_t width, packed_rows *packed)
{
    for (size_t i = 0; i < rows; i += TILE_ROWS) {
        for (size_t c = 0; c < width; c += STEP_COLUMNS) {
            uint8_t *to = packed[i / PRODUCT_ROWS][c / STEP_COLUMNS][i / TILE_ROWS % 2];
            pack_step(x + i * ldx + c, ldx, rows - i, width - c, to);
        }
    }
}

/* ---- w ---- */

typedef uint8_t copied_weights[SUB_STEPS][2][TILE_BYTES];

static const uint8_t *weights_at(const kernel_matrix *w, size_t row, size_t k)
{
    return (const uint8_t *)w->values + row * kernel_row_bytes(KERNEL_BF16, w->columns) + 2 * k;
}

/* Up to PRODUCT_ROWS rows from `row` on, `width` columns from k on; what the matrix does not fill are zeros. */
static void copy_weights(const kernel_matrix *w, size_t row, size_t k, size_t width, copied_weights copy)
{
    const size_t row_bytes = kernel_row_bytes(KERNEL_BF16, w->columns);
    const uint8_t *line = weights_at(w, row, k);
    const size_t bytes = 2 * width, whole = bytes / TILE_ROW_BYTES * TILE_ROW_BYTES;
    for (size_t r = 0; r < PRODUCT_ROWS; r++) {
        uint8_t *to = copy[0][0] + r * TILE_ROW_BYTES;
        const bool there = row + r < w->rows;
        for (size_t at = 0; at < whole; at += TILE_ROW_BYTES, to += 2 * TILE_BYTES)
            vi_store(to, there ? vi_load(line + at) : vi_zero());
        if (bytes > whole) vi_store(to, there ? vi_load_part(line + whole, bytes - whole) : vi_zero());
        if (there) line += row_bytes;
    }
}

/* The rows of w after those from n on. */
static tile_ahead weights_ahead(const kernel_matrix *w, size_t n, size_t k, size_t steps, size_t products)
{
    tile_ahead ahead = {.runs = 0};
    if (n + 2 * PRODUCT_ROWS > w->rows) return ahead; /* the last few are not worth the care */
    ahead.from[0] = weights_at(w, n + PRODUCT_ROWS, k);
    ahead.from[1] = weights_at(w, n + PRODUCT_ROWS + TILE_ROWS, k);
    ahead.runs = TILE_ROWS;
    ahead.run_bytes = kernel_row_bytes(KERNEL_BF16, w->columns);
    ahead.run_lines = steps;
    ahead.pace = (TILE_ROWS + products - 1) / products;
    return ahead;
}

/* ---- y ---- */

/* A product on its way into y. It is finished in quarters, a square of 16 x 16 each, between the steps of the next one, while
 * the tiles are at work. */
enum { QUARTERS = 4 };
typedef struct finished_product {
    tile_square *product; /* its rows are columns of y */
    size_t rows, columns; /* of y; 0: none */
    const float *start;   /* what y holds before, for every row; NULL: what is there */
    float *y;
    size_t ldy;
    bool stream; /* past the caches */
} finished_product;

static void finish_quarter(const finished_product *p, size_t quarter)
{
    const size_t n = quarter / 2 * TILE_ROWS, i = quarter % 2 * TILE_ROWS;
    if (n >= p->columns || i >= p->rows) return;
    const size_t count = p->columns - n < TILE_ROWS ? p->columns - n : TILE_ROWS;
    const size_t end = p->rows - i < TILE_ROWS ? p->rows - i : TILE_ROWS;
    vi square[TILE_ROWS];
#pragma GCC unroll 16
    for (size_t r = 0; r < TILE_ROWS; r++) square[r] = vi_load((*p->product)[quarter / 2][quarter % 2][r]);
    vi_transpose(square);
#pragma GCC unroll 16
    for (size_t r = 0; r < TILE_ROWS; r++) {
        if (r >= end) return;
        float *out = p->y + (i + r) * p->ldy + n;
        const vf before = vf_load_part(p->start ? p->start + n : out, count);
        const vf sum = vf_add(before, _mm512_castsi512_ps(square[r]));
        if (p->stream && count == LANES)
            _mm512_stream_ps(out, sum);
        else
            vf_store_part(out, count, sum);
    }
}

/* ---- the loops ---- */

/* Some steps of a product, its first ones or more (`go_on`); the product before is finished meanwhile. */
static ALWAYS_INLINE void multiply(const int A, const int B, tile_side a, tile_side b, size_t steps, bool go_on,
                                   tile_square *sums, tile_ahead *ahead, finished_product *before)
{
    tile_products_begin(A, B, go_on ? sums : NULL);
    for (size_t q = 0; q < QUARTERS; q++) {
        tile_products_add(KERNEL_BF16, A, B, steps * q / QUARTERS, steps * (q + 1) / QUARTERS, a, b, ahead);
        finish_quarter(before, q);
    }
    tile_products_end(A, B, sums);
    before->rows = 0;
}

/* A call's part that meets one packed block of x. */
typedef struct block_of_x {
    packed_rows packed[PRODUCTS];
    tile_square sums[PRODUCTS];
    size_t k, width, rows;
    float *y; /* its first row */
    size_t ldy;
    bool stream;
} block_of_x;

/* All of w's rows against the block. */
static void multiply_block(const kernel_matrix *w, block_of_x *x)
{
    static const float zeros[PRODUCT_ROWS];
    const size_t steps = (x->width + STEP_COLUMNS - 1) / STEP_COLUMNS;
    const size_t products = (x->rows + PRODUCT_ROWS - 1) / PRODUCT_ROWS;
    _Alignas(64) copied_weights copy;
    finished_product before = {.rows = 0};
    for (size_t n = 0; n < w->rows; n += PRODUCT_ROWS) {
        const size_t columns = w->rows - n < PRODUCT_ROWS ? w->rows - n : PRODUCT_ROWS;
        tile_ahead ahead = weights_ahead(w, n, x->k, steps, products);
        ahead.ldy = x->ldy;
        for (size_t first = 0; first < steps; first += SUB_STEPS) {
            const bool last = first + SUB_STEPS >= steps;
            const size_t end = last ? steps : first + SUB_STEPS, column = first * STEP_COLUMNS;
            copy_weights(w, n, x->k + column, (last ? x->width : end * STEP_COLUMNS) - column, copy);
            const tile_side a = {{copy[0][0], columns > TILE_ROWS ? copy[0][1] : NULL}, TILE_ROW_BYTES, 2 * TILE_BYTES};
            for (size_t p = 0; p < products; p++) {
                const size_t i = p * PRODUCT_ROWS, there = x->rows - i < PRODUCT_ROWS ? x->rows - i : PRODUCT_ROWS;
                uint8_t(*const packed)[TILE_BYTES] = x->packed[p][first];
                const tile_side b = {{packed[0], there > TILE_ROWS ? packed[1] : NULL}, TILE_ROW_BYTES, 2 * TILE_BYTES};
                float *y = x->y + i * x->ldy + n;
                ahead.y = y;
                ahead.rows = last && !x->stream ? there : 0;
                TILE_EACH_SHAPE(multiply, a, b, end - first, first > 0, &x->sums[p], &ahead, &before);
                if (!last) continue;
                const float *start = x->k > 0 ? NULL : w->bias ? w->bias + n : zeros;
                before = (finished_product){&x->sums[p], there, columns, start, y, x->ldy, x->stream};
            }
        }
    }
    for (size_t q = 0; q < QUARTERS; q++) finish_quarter(&before, q);
}

void AMX(matmul_bf16)(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    if (m < AMX_LEAST_ROWS_BF16 || w->columns == 0) {
        FEW_BF16(w, m, x, ldx, y, ldy);
        return;
    }
    _Alignas(64) block_of_x block;
    block.ldy = ldy;
    block.stream = tile_stores_stream(w, m, SPAN, y, ldy);
    const tile_config config = tile_config_for(TILE_ROW_BYTES);
    tile_configure(&config);
    for (size_t k = 0; k < w->columns; k += SPAN) {
        block.k = k;
        block.width = w->columns - k < SPAN ? w->columns - k : SPAN;
        for (size_t i = 0; i < m; i += BLOCK) {
            block.rows = m - i < BLOCK ? m - i : BLOCK;
            block.y = y + i * ldy;
            pack_block(x + i * ldx + k, ldx, block.rows, block.width, block.packed);
            multiply_block(w, &block);
        }
    }
    tile_release();
    if (block.stream) _mm_sfence(); /* other threads see all of y when they see that it is done */
}
