/* openblas.c - see openblas.h. */
#include "harness/worker/openblas.h"

#include <cblas.h>
#include <limits.h>
#include <string.h>

/* Where the sizes are beyond BLAS's int, or nothing is to be multiplied: the kernel that was there before. */
static kernel_matmul_fn *plain_matmul;

static void openblas_matmul(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    if (m == 0 || w->rows == 0 || w->columns == 0 || m > INT_MAX || w->rows > INT_MAX || w->columns > INT_MAX ||
        ldx > INT_MAX || ldy > INT_MAX) {
        plain_matmul(w, m, x, ldx, y, ldy);
        return;
    }
    const blasint rows = (blasint)w->rows, columns = (blasint)w->columns;
    const float beta = w->bias != NULL ? 1.0F : 0.0F;
    if (w->bias != NULL)
        for (size_t i = 0; i < m; i++) memcpy(y + i * ldy, w->bias, w->rows * sizeof *y);
    if (m == 1)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, rows, columns, 1.0F, w->values, columns, x, 1, beta, y, 1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (blasint)m, rows, columns, 1.0F, x, (blasint)ldx,
                    w->values, columns, beta, y, (blasint)ldy);
}

void openblas_install(kernel_table *table)
{
    openblas_set_num_threads(1);
    if (table->matmul[KERNEL_F32] == openblas_matmul) return;
    plain_matmul = table->matmul[KERNEL_F32];
    table->matmul[KERNEL_F32] = openblas_matmul;
}

/* Not in cblas.h. A build of OpenBLAS without threads of its own need not have it. */
extern int blas_thread_shutdown_(void) __attribute__((weak));

void openblas_end_threads(void)
{
    if (blas_thread_shutdown_ != NULL) blas_thread_shutdown_();
}

const char *openblas_describe(void)
{
    return openblas_get_config();
}
