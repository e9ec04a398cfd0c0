/* init.c - the amx rung: overrides what it does better. */
#include "kernels/kernels.h"

void kernel_table_init_amx(kernel_table *table, uint32_t cpu)
{
    (void)table, (void)cpu;
}
