/* packing.c - see packing.h. */
#include "harness/suite/packing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"

static size_t interleave_of(kernel_isa isa)
{
    kernel_table kernels;
    kernel_table_fill(&kernels, isa);
    return kernels.interleave;
}

static bool same_folder(const bench_packing *a, const bench_packing *b)
{
    return a->checkpoint == b->checkpoint && a->interleave == b->interleave &&
           variant_same_weights(&a->variant, &b->variant);
}

static bench_packing packing_of(const suite *s, const bench_case *c)
{
    bench_packing p = {.checkpoint = s->workloads[c->workload].checkpoint,
                       .variant = c->variant,
                       .interleave = interleave_of(c->variant.isa)};
    snprintf(p.weights, sizeof p.weights, "%.*s", (int)strcspn(c->variant.name, "+"), c->variant.name);
    return p;
}

ciuic_status packings_list(const suite *s, bench_matrix *m)
{
    m->packings = calloc(m->case_count + 1, sizeof *m->packings);
    if (m->packings == NULL) return ciuic_fail_memory("the packed folders", m->case_count * sizeof *m->packings);
    for (size_t i = 0; i < m->case_count; i++) {
        bench_case *c = &m->cases[i];
        c->packing = NO_PACKING;
        if (!c->variant.packed || c->skip[0] != '\0') continue;
        const bench_packing wanted = packing_of(s, c);
        for (c->packing = 0; c->packing < m->packing_count; c->packing++)
            if (same_folder(&m->packings[c->packing], &wanted)) break;
        if (c->packing == m->packing_count) m->packings[m->packing_count++] = wanted;
    }
    return CIUIC_OK;
}
