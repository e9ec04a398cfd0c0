/* dequantize_row.c - weights of any format as floats. */
#include "kernels/avx512/vector.h"

#include "kernels/avx512/kernels_avx512.h"
#include "kernels/simd/dequantize.h"

void dequantize_row_avx512(const kernel_matrix *w, size_t row, float *out)
{
    span_to_float(w, row, 0, w->columns, out);
}
