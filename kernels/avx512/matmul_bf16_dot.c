/* matmul_bf16_dot.c - bfloat16 weights against many rows of x by vdpbf16ps, where the machine has it: two multiply-adds a
 * lane. x is rounded to bfloat16, 2^-8 of each value at most; products are exact, sums are FP32, subnormals count as zero.
 *
 * As kernels/simd/panel_product.h; a word is a pair of columns. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/bf16.h"
#include "kernels/avx512/kernels_avx512.h"

#define PANEL_TARGET BF16_TARGET
#define PANEL_WORD_COLUMNS 2
#include "kernels/simd/panel_product.h"

static PANEL_INLINE vf panel_multiply(vf acc, vf weights, vf x)
{
    return bf16_dot(acc, vi_of_bits(weights), vi_of_bits(x));
}

static PANEL_INLINE void panel_pack(kernel_format format, const weight_rows *w, size_t first, size_t rows, size_t k,
                                    size_t width, float *panel)
{
    for (size_t n = 0; n < PANEL_N; n += LANES) {
        for (size_t c = 0; c < width; c += 2 * LANES) {
            const size_t count = width - c < 2 * LANES ? width - c : 2 * LANES;
            const __mmask32 mask = count == 2 * LANES ? 0xffffffffu : (1u << count) - 1;
            vi square[LANES];
#pragma GCC unroll 16
            for (size_t r = 0; r < LANES; r++) {
                const bool there = n + r < rows;
                square[r] = _mm512_maskz_loadu_epi16(there ? mask : 0,
                                                     weight_at(format, w, first + (there ? n + r : 0), k + c));
            }
            vi_transpose(square);
#pragma GCC unroll 16
            for (size_t r = 0; r < LANES; r++) vi_store(panel + (c / 2 + r) * PANEL_N + n, square[r]);
        }
    }
}

static PANEL_INLINE void panel_copy(const float *x, size_t width, float *to)
{
    bf16_round_row(x, width, (uint16_t *)(void *)to);
}

/* On its own, so that its panels take no stack where another kernel is called instead. */
static PANEL_TARGET __attribute__((noinline)) void matmul_packed(const kernel_matrix *w, size_t m, const float *x,
                                                                 size_t ldx, float *y, size_t ldy)
{
    panel_product(KERNEL_BF16, w, m, x, ldx, y, ldy);
}

PANEL_TARGET void matmul_bf16_dot(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    enum { FEW = 64 }; /* fewer rows do not pay for packing: measured on Zen 4, the two meet near this */
    if (m < KERNEL_BF16_ROWS || w->columns == 0)
        matmul_bf16_avx512(w, m, x, ldx, y, ldy);
    else if (m < FEW)
        matmul_bf16_dot_few(w, m, x, ldx, y, ldy);
    else
        matmul_packed(w, m, x, ldx, y, ldy);
}
