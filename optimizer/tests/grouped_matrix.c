/* grouped_matrix.c - see grouped_matrix.h. */
#include "optimizer/tests/grouped_matrix.h"

#include <stdio.h>
#include <stdlib.h>

#include "optimizer/tests/temporary_folder.h"

static void *zeros(size_t n, size_t size)
{
    void *memory = calloc(n + 1, size);
    if (memory == NULL) abort();
    return memory;
}

void grouped_matrix_create(grouped_matrix *g, kernel_format format, size_t rows, size_t columns, size_t group,
                           bool minimums)
{
    kernel_matrix *m = &g->m;
    *m = (kernel_matrix){.format = format, .rows = rows, .columns = columns, .group = group};
    const size_t scales = rows * kernel_row_scales(m);
    g->to.values = zeros(rows * kernel_row_bytes(format, columns), 1);
    g->to.scales = zeros(scales, sizeof *g->to.scales);
    g->to.minimums = minimums ? zeros(scales, sizeof *g->to.minimums) : NULL;
    m->values = g->to.values;
    m->scales = g->to.scales;
    m->minimums = g->to.minimums;
}

void grouped_matrix_free(grouped_matrix *g)
{
    free(g->to.values);
    free(g->to.scales);
    free(g->to.minimums);
    *g = (grouped_matrix){.m = {.rows = 0}};
}

void grouped_matrix_decode(const grouped_matrix *g, float *w)
{
    kernel_table table;
    kernel_table_fill(&table, kernel_isa_best());
    for (size_t row = 0; row < g->m.rows; row++) table.dequantize_row(&g->m, row, w + row * g->m.columns);
}

const char *grouped_matrix_name(const grouped_matrix *g)
{
    static char name[64];
    snprintf(name, sizeof name, "%s %zux%zu g%zu%s", kernel_format_name(g->m.format), g->m.rows, g->m.columns,
             g->m.group, g->to.minimums != NULL ? " asym" : "");
    return name;
}

float *floats(size_t n)
{
    return zeros(n, sizeof(float));
}

float random_uniform(unsigned long long *state)
{
    return (float)((double)(random_next(state) >> 11) * 0x1p-52 - 1);
}

void random_fill(unsigned long long *state, float magnitude, size_t n, float *x)
{
    for (size_t i = 0; i < n; i++) x[i] = magnitude * random_uniform(state);
}
