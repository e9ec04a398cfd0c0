/* table.c - the table of kernels, filled by a ladder that only climbs, and the arithmetic of weight formats. */
#include "kernels/kernels.h"

#include <string.h>

void kernel_table_fill_for(kernel_table *table, kernel_isa isa, uint32_t cpu)
{
    memset(table, 0, sizeof *table);
    table->isa = KERNEL_ISA_C;
    kernel_table_init_c(table);
#if defined(__x86_64__)
    static const struct {
        kernel_isa isa;
        void (*init)(kernel_table *table, uint32_t cpu);
    } ladder[] = {{KERNEL_ISA_AVX2, kernel_table_init_avx2},
                  {KERNEL_ISA_AVX512, kernel_table_init_avx512},
                  {KERNEL_ISA_AMX, kernel_table_init_amx}};
    for (size_t i = 0; i < sizeof ladder / sizeof ladder[0] && ladder[i].isa <= isa; i++) {
        table->isa = ladder[i].isa;
        ladder[i].init(table, cpu);
    }
#elif defined(__aarch64__)
    if (isa == KERNEL_ISA_NEON) {
        table->isa = KERNEL_ISA_NEON;
        kernel_table_init_neon(table, cpu);
    }
#else
    (void)isa, (void)cpu;
#endif
}

void kernel_table_fill(kernel_table *table, kernel_isa isa)
{
    kernel_table_fill_for(table, isa, cpu_flags());
}

static size_t padded(size_t columns)
{
    return (columns / KERNEL_GROUP + (columns % KERNEL_GROUP != 0)) * KERNEL_GROUP;
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
        return padded(columns);
    case KERNEL_INT4:
        return padded(columns) / 2;
    case KERNEL_INT3:
        return padded(columns) / 8 * 3;
    case KERNEL_F8:
    case KERNEL_AFFINE8:
        return columns;
    case KERNEL_AFFINE4:
        return columns / 2 + columns % 2;
    case KERNEL_FORMATS:
        break;
    }
    return 0;
}

bool kernel_is_grouped(kernel_format format)
{
    return format == KERNEL_INT8 || format == KERNEL_INT4 || format == KERNEL_INT3;
}

bool kernel_group_supported(size_t columns, size_t group)
{
    return group == 0 ? columns <= KERNEL_GROUP_COLUMNS : group == 32 || group == 64 || group == 128;
}

size_t kernel_groups(size_t columns, size_t group)
{
    if (group == 0) return columns > 0;
    return columns / group + (columns % group != 0);
}

size_t kernel_row_scales(const kernel_matrix *w)
{
    return kernel_is_grouped(w->format) ? kernel_groups(w->columns, w->group) : 0;
}

size_t kernel_stored_rows(const kernel_matrix *w)
{
    if (w->interleave == 0) return w->rows;
    return (w->rows / w->interleave + (w->rows % w->interleave != 0)) * w->interleave;
}

kernel_matrix kernel_matrix_rows(const kernel_matrix *w, size_t first, size_t count)
{
    kernel_matrix slice = *w;
    slice.rows = count;
    slice.values = (const unsigned char *)w->values + first * kernel_row_bytes(w->format, w->columns);
    const size_t scales = first * kernel_row_scales(w);
    if (w->scales) slice.scales = w->scales + scales;
    if (w->minimums) slice.minimums = w->minimums + scales;
    if (w->block_scales) {
        const size_t row = w->block_row + first;
        slice.block_scales = w->block_scales + row / KERNEL_F8_BLOCK * kernel_groups(w->columns, KERNEL_F8_BLOCK);
        slice.block_row = row % KERNEL_F8_BLOCK;
    }
    if (w->bias) slice.bias = w->bias + first;
    return slice;
}

const char *kernel_format_name(kernel_format format)
{
    static const char *const names[KERNEL_FORMATS] = {"f32",  "f16",  "bf16",    "f8",     "int8",
                                                      "int4", "int3", "affine8", "affine4"};
    return (unsigned)format < KERNEL_FORMATS ? names[format] : "unknown";
}

size_t kernel_attention_workspace(size_t heads, size_t tokens, size_t keys)
{
    return heads * (keys + tokens) + 64;
}
