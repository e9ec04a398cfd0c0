/* row_blocks.c - see row_blocks.h. */
#include "optimizer/row_blocks.h"

#include <omp.h>
#include <stdint.h>
#include <stdio.h>

#include "optimizer/error.h"

enum { PARALLEL_VALUES = 1 << 18 };

int row_blocks_threads(int threads, size_t rows, size_t columns)
{
    if (columns == 0 || rows < PARALLEL_VALUES / columns) return 1;
    return threads > 0 ? threads : omp_get_num_procs();
}

ciuic_status row_blocks_each(size_t rows, size_t step, int threads, row_block_fn *work, void *context)
{
    const size_t blocks = rows / step + (rows % step > 0);
    size_t failed = SIZE_MAX;
    ciuic_status status = CIUIC_OK;
    char why[1024] = ""; /* a message is its thread's own */
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
    for (size_t block = 0; block < blocks; block++) {
        const size_t first = block * step, count = rows - first < step ? rows - first : step;
        const ciuic_status one = work(context, omp_get_thread_num(), first, count);
        if (one == CIUIC_OK) continue;
#pragma omp critical(ciuic_row_blocks)
        if (block < failed) {
            failed = block;
            status = one;
            snprintf(why, sizeof why, "%s", ciuic_last_error());
        }
    }
    return status == CIUIC_OK ? CIUIC_OK : ciuic_fail(status, "%s", why);
}
