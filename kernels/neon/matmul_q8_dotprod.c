/* matmul_q8_dotprod.c - the integer products by sdot, where the machine has it: four multiply-adds a lane. */
#include "kernels/neon/vector.h"

#include "kernels/neon/dot_product.h"
#include "kernels/neon/kernels_neon.h"
#include "kernels/simd/matmul_q8_many.h"

Q8_KERNEL(matmul_int8_dotprod, KERNEL_INT8)
Q8_KERNEL(matmul_int4_dotprod, KERNEL_INT4)
Q8_KERNEL(matmul_int3_dotprod, KERNEL_INT3)
Q8_KERNEL(matmul_int5_dotprod, KERNEL_INT5)
Q8_KERNEL(matmul_int6_dotprod, KERNEL_INT6)
