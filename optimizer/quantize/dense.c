/* dense.c - see dense.h. */
#include "optimizer/quantize/dense.h"

#include <cblas.h>
#include <omp.h>

/* LAPACK's Cholesky factorisation, which OpenBLAS carries and cblas.h does not declare. */
extern void spotrf_(const char *uplo, const blasint *n, float *a, const blasint *lda, blasint *info, size_t);

enum { BLOCK = 256, ROWS = 64 };

void dense_single_thread(void)
{
    openblas_set_num_threads(1);
}

size_t dense_rows_at_once(size_t rows)
{
    enum { SHARES = 3, MOST = 256 }; /* of a thread, so that one that was held up leaves some to the others */
    const size_t share = rows / ((size_t)omp_get_max_threads() * SHARES) / ROWS * ROWS;
    return share < ROWS ? ROWS : share < MOST ? share : MOST;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

void dense_add_gram(float *h, size_t n, size_t rows, const float *x, size_t ldx)
{
    const size_t step = n >= 4 * BLOCK ? BLOCK : ROWS;
    dense_single_thread();
#pragma omp parallel for schedule(dynamic)
    for (size_t block = 0; block < (n + step - 1) / step; block++) {
        const size_t first = block * step, count = smaller(step, n - first);
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)count, (blasint)(first + count), (blasint)rows,
                    1.0F, x + first, (blasint)ldx, x, (blasint)ldx, 1.0F, h + first * n, (blasint)n);
    }
}

void dense_add_transposed(size_t m, size_t n, size_t rows, const float *a, size_t lda, const float *b, size_t ldb,
                          float *c, size_t ldc)
{
    dense_single_thread();
#pragma omp parallel for schedule(dynamic)
    for (size_t block = 0; block < (m + ROWS - 1) / ROWS; block++) {
        const size_t first = block * ROWS, count = smaller(ROWS, m - first);
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (blasint)count, (blasint)n, (blasint)rows, 1.0F, a + first,
                    (blasint)lda, b, (blasint)ldb, 1.0F, c + first * ldc, (blasint)ldc);
    }
}

void dense_product(size_t rows, size_t n, size_t k, float alpha, const float *a, size_t lda, const float *b, size_t ldb,
                   float beta, float *c, size_t ldc)
{
    dense_single_thread();
#pragma omp parallel for schedule(dynamic)
    for (size_t block = 0; block < (rows + ROWS - 1) / ROWS; block++) {
        const size_t first = block * ROWS, count = smaller(ROWS, rows - first);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (blasint)count, (blasint)n, (blasint)k, alpha,
                    a + first * lda, (blasint)lda, b, (blasint)ldb, beta, c + first * ldc, (blasint)ldc);
    }
}

/* Right-looking: the diagonal block, the panel below it, and what the panel leaves of the rest. Row-major lower triangles are
 * column-major upper ones. */
bool dense_cholesky(float *l, size_t n)
{
    const size_t blocks = (n + BLOCK - 1) / BLOCK;
    const blasint stride = (blasint)n;
    dense_single_thread();
    for (size_t k = 0; k < blocks; k++) {
        const size_t at = k * BLOCK, width = smaller(BLOCK, n - at);
        const blasint w = (blasint)width;
        float *diagonal = l + at * n + at;
        blasint info = 0;
        spotrf_("U", &w, diagonal, &stride, &info, 1);
        if (info != 0) return false;
#pragma omp parallel
        {
#pragma omp for schedule(dynamic)
            for (size_t i = k + 1; i < blocks; i++) {
                const size_t row = i * BLOCK;
                cblas_strsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit,
                            (blasint)smaller(BLOCK, n - row), w, 1.0F, diagonal, stride, l + row * n + at, stride);
            }
#pragma omp for schedule(dynamic)
            for (size_t i = k + 1; i < blocks; i++) {
                const size_t row = i * BLOCK, rows = smaller(BLOCK, n - row), columns = row + rows - (at + width);
                cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)rows, (blasint)columns, w, -1.0F,
                            l + row * n + at, stride, l + (at + width) * n + at, stride, 1.0F, l + row * n + at + width,
                            stride);
            }
        }
    }
    return true;
}
