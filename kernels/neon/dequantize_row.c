/* dequantize_row.c - weights of any format as floats. */
#include "kernels/neon/vector.h"

#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/dequantize.h"

void dequantize_row_neon(const kernel_matrix *w, size_t row, float *out)
{
    span_to_float(w, row, 0, w->columns, out);
}
