/* table.c - the table of kernels, filled by a ladder that only climbs, and the arithmetic of weight formats. */
#include "kernels/kernels.h"

#include <string.h>

void kernel_table_fill(kernel_table *table, kernel_isa isa)
{
    memset(table, 0, sizeof *table);
    table->isa = KERNEL_ISA_C;
    kernel_table_init_c(table);
#if defined(__x86_64__)
    const uint32_t cpu = cpu_flags();
    if (isa < KERNEL_ISA_AVX2) return;
    table->isa = KERNEL_ISA_AVX2;
    kernel_table_init_avx2(table, cpu);

    if (isa < KERNEL_ISA_AVX512) return;
    table->isa = KERNEL_ISA_AVX512;
    kernel_table_init_avx512(table, cpu);
#else
    (void)isa;
#endif
}

static size_t groups(size_t columns)
{
    return columns / KERNEL_GROUP + (columns % KERNEL_GROUP != 0);
}

size_t kernel_row_bytes(kernel_format format, size_t columns)
{
    switch (format) {
    case KERNEL_F32:
        return columns * sizeof(float);
    case KERNEL_F16:
    case KERNEL_BF16:
        return columns * sizeof(uint16_t);
    case KERNEL_INT8:
        return groups(columns) * KERNEL_GROUP;
    case KERNEL_INT4:
        return groups(columns) * (KERNEL_GROUP / 2);
    case KERNEL_AFFINE8:
        return columns;
    case KERNEL_AFFINE4:
        return columns / 2 + columns % 2;
    case KERNEL_FORMATS:
        break;
    }
    return 0;
}

size_t kernel_row_scales(kernel_format format, size_t columns)
{
    return format == KERNEL_INT8 || format == KERNEL_INT4 ? groups(columns) : 0;
}

kernel_matrix kernel_matrix_rows(const kernel_matrix *w, size_t first, size_t count)
{
    kernel_matrix slice = *w;
    slice.rows = count;
    slice.values = (const unsigned char *)w->values + first * kernel_row_bytes(w->format, w->columns);
    if (w->scales) slice.scales = w->scales + first * kernel_row_scales(w->format, w->columns);
    if (w->bias) slice.bias = w->bias + first;
    return slice;
}

const char *kernel_format_name(kernel_format format)
{
    static const char *const names[KERNEL_FORMATS] = {"f32", "f16", "bf16", "int8", "int4", "affine8", "affine4"};
    return (unsigned)format < KERNEL_FORMATS ? names[format] : "unknown";
}

size_t kernel_attention_workspace(size_t heads, size_t tokens, size_t keys)
{
    return heads * (keys + tokens) + 64;
}
