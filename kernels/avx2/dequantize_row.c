/* dequantize_row.c - weights of any format as floats. */
#include "kernels/avx2/vector.h"

#include "kernels/avx2/kernels_avx2.h"
#include "kernels/simd/dequantize.h"

void dequantize_row_avx2(const kernel_matrix *w, size_t row, float *out)
{
    span_to_float(w, row, 0, w->columns, out);
}
