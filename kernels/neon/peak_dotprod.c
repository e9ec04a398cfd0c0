/* peak_dotprod.c - the ceiling of sdot: four products in each lane. */
#include "kernels/neon/dot_product.h"

#include "kernels/neon/peak_dot.h"

double peak_dot_dotprod(size_t rounds)
{
    return 8.0 * LANES * dot_rounds(rounds, dot_product);
}
