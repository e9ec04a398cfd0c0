/* matrix.c - see matrix.h. */
#include "harness/suite/matrix.h"

#include <fnmatch.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/suite/packing.h"
#include "harness/suite/suite_lists.h"
#include "harness/worker/onednn.h"
#include "optimizer/error.h"

int machine_threads(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    const int count = CPU_COUNT(&set);
    return count > 0 ? count : 1;
}

/* ---- variants --------------------------------------------------------------------------------------------------- */

bool variant_is_library(const bench_variant *v)
{
    return v->baseline == BASELINE_OPENBLAS || v->baseline == BASELINE_ONEDNN;
}

void variant_set_name(bench_variant *v)
{
    if (variant_is_library(v)) {
        snprintf(v->name, sizeof v->name, "%s", suite_baseline_name(v->baseline));
        return;
    }
    variant_name(&v->options, v->name);
    size_t used = strlen(v->name);
    if (v->prefix_cache > 0) snprintf(v->name + used, sizeof v->name - used, "+prefixes%zuB", v->prefix_cache);
    used = strlen(v->name);
    if (v->packed) snprintf(v->name + used, sizeof v->name - used, "+packed");
}

bool variant_same_weights(const bench_variant *a, const bench_variant *b)
{
    const ciuic_options *x = &a->options, *y = &b->options;
    const int usual = KERNEL_GROUP, group_x = x->group == 0 ? usual : x->group,
              group_y = y->group == 0 ? usual : y->group;
    return x->quantize == y->quantize && x->quantizer == y->quantizer && group_x == group_y &&
           x->asymmetric == y->asymmetric && x->layers_only == y->layers_only && x->activations == y->activations &&
           x->bits == y->bits && x->weight_bytes == y->weight_bytes;
}

static bool same_settings(const bench_variant *a, const bench_variant *b)
{
    const ciuic_options *x = &a->options, *y = &b->options;
    return variant_same_weights(a, b) && x->graph == y->graph && x->passes == y->passes && x->memory == y->memory &&
           a->isa == b->isa && a->prefix_cache == b->prefix_cache && a->packed == b->packed;
}

static bench_variant baseline_variant(suite_baseline baseline)
{
    bench_variant v = {.isa = KERNEL_ISA_C, .baseline = baseline};
    if (baseline != BASELINE_NAIVE) {
        v.options.graph = true;
        v.options.memory = CIUIC_MEMORY_ON;
        v.isa = kernel_isa_best();
    }
    v.options.isa = kernel_isa_name(v.isa);
    variant_set_name(&v);
    return v;
}

typedef struct variant_list {
    bench_variant *items;
    size_t count;
} variant_list;

/* Adds settings unless they are there already: under another name ("best"), or as a baseline. */
static ciuic_status add_variant(variant_list *list, const suite_variant *of)
{
    bench_variant v = {
        .options = of->options, .prefix_cache = of->prefix_cache, .packed = of->packed, .baseline = BASELINE_NONE};
    if (!kernel_isa_parse(of->kernels, &v.isa))
        return ciuic_fail(CIUIC_ERROR_USAGE, "no kernels are called \"%s\"; 'ciuic doctor' lists what there is",
                          of->kernels);
    for (size_t i = 0; i < list->count; i++)
        if (!variant_is_library(&list->items[i]) && same_settings(&list->items[i], &v)) return CIUIC_OK;
    v.options.isa = kernel_isa_name(v.isa);
    variant_set_name(&v);
    for (size_t i = 0; i < list->count; i++) /* 4.80001 and 4.8 bits are written alike */
        if (strcmp(list->items[i].name, v.name) == 0)
            return ciuic_fail(CIUIC_ERROR_INPUT, "two variants that differ are both called \"%s\"; leave one out",
                              v.name);
    list->items[list->count++] = v;
    return CIUIC_OK;
}

/* Baselines first, then the product with quantize outermost, then the extras. */
static ciuic_status list_variants(const suite *s, const matrix_filter *filter, variant_list *list)
{
    const size_t kernels_count = filter->kernels_count > 0 ? filter->kernels_count : s->kernels_count;
    const char *const *kernels = filter->kernels_count > 0 ? filter->kernels : s->kernels;
    const size_t most = BASELINE_COUNT + s->product_count * kernels_count + s->extra_count;
    list->items = calloc(most, sizeof *list->items);
    if (list->items == NULL) return ciuic_fail_memory("the variants", most * sizeof *list->items);
    for (int b = 0; b < BASELINE_COUNT; b++)
        if (s->baselines[b]) list->items[list->count++] = baseline_variant((suite_baseline)b);
    for (size_t i = 0; i < s->product_count; i++)
        for (size_t k = 0; k < kernels_count; k++) {
            const suite_variant v = {.options = s->product[i], .kernels = kernels[k]};
            CIUIC_TRY(add_variant(list, &v));
        }
    for (size_t i = 0; i < s->extra_count; i++) CIUIC_TRY(add_variant(list, &s->extra[i]));
    return CIUIC_OK;
}

/* ---- cases ------------------------------------------------------------------------------------------------------ */

bool case_id_matches(const char *id, const char *only)
{
    char anywhere[CASE_ID_MAX];
    if (only == NULL) return true;
    if (strpbrk(only, "*?[") == NULL) return strstr(id, only) != NULL;
    const int length = snprintf(anywhere, sizeof anywhere, "*%s*", only);
    return length < (int)sizeof anywhere && fnmatch(anywhere, id, 0) == 0;
}

static void fill_case(bench_case *c, const suite *s, size_t workload, int threads, const bench_variant *v)
{
    const suite_workload *w = &s->workloads[workload];
    c->variant = *v;
    c->workload = workload;
    c->threads = threads;
    snprintf(c->id, sizeof c->id, "%s/%s%zu@%zu/b1/t%d/%s", s->checkpoints[w->checkpoint].name,
             suite_phase_name(w->phase), w->tokens, w->depth, threads, v->name);
    if (threads > machine_threads())
        snprintf(c->skip, sizeof c->skip, "this process may use %d cores, the case asks for %d threads",
                 machine_threads(), threads);
    else if (!kernel_isa_available(v->isa))
        snprintf(c->skip, sizeof c->skip, "this machine cannot run %s", kernel_isa_name(v->isa));
    else if (v->baseline == BASELINE_ONEDNN && !onednn_available())
        snprintf(c->skip, sizeof c->skip, "no oneDNN: install libdnnl-dev and build again");
}

/* ---- blocks ----------------------------------------------------------------------------------------------------- */

static ciuic_status new_block(bench_matrix *m, size_t workload, int threads, size_t slots, bench_block **out)
{
    bench_block *grown = realloc(m->blocks, (m->block_count + 1) * sizeof *grown);
    if (grown == NULL) return ciuic_fail_memory("the blocks", (m->block_count + 1) * sizeof *grown);
    m->blocks = grown;
    bench_block *b = &m->blocks[m->block_count];
    *b = (bench_block){.workload = workload, .threads = threads};
    b->slots = calloc(slots, sizeof *b->slots);
    if (b->slots == NULL) return ciuic_fail_memory("a block", slots * sizeof *b->slots);
    m->block_count++;
    *out = b;
    return CIUIC_OK;
}

/* Every block holds all baselines of its workload, and the tuned one twice: ratios and noise are of one block. */
static void add_baselines(const bench_matrix *m, bench_block *b, size_t first, size_t end, bool timed)
{
    for (size_t i = first; i < end; i++) {
        const bench_case *c = &m->cases[i];
        if (c->variant.baseline == BASELINE_NONE || c->skip[0] != '\0') continue;
        b->slots[b->slot_count++].index = i;
        if (timed && c->variant.baseline == BASELINE_TUNED)
            b->slots[b->slot_count++] = (bench_slot){.index = i, .again = true};
    }
}

static size_t group_size(const bench_matrix *m, size_t first, size_t end, ciuic_quantize quantize)
{
    size_t n = 0;
    for (size_t i = first; i < end; i++) {
        const bench_case *c = &m->cases[i];
        if (c->variant.baseline == BASELINE_NONE && c->variant.options.quantize == quantize && c->skip[0] == '\0') n++;
    }
    return n;
}

/* Nothing is timed: one block holds everything, one worker alive at a time. */
static ciuic_status place_untimed(bench_matrix *m, size_t first, size_t end)
{
    bench_block *block = NULL;
    if (first == end || m->cases[first].threads > machine_threads()) return CIUIC_OK;
    CIUIC_TRY(new_block(m, m->cases[first].workload, m->cases[first].threads, end - first, &block));
    add_baselines(m, block, first, end, false);
    for (size_t i = first; i < end; i++)
        if (m->cases[i].variant.baseline == BASELINE_NONE && m->cases[i].skip[0] == '\0')
            block->slots[block->slot_count++].index = i;
    return CIUIC_OK;
}

/* Puts the variants of one `quantize` into the first block of this workload (from `first_block` on) that has room for
 * all of them, so that what a stage adds is seen within one block; a group larger than a block is cut. */
static ciuic_status place_group(bench_matrix *m, size_t first_block, size_t first, size_t end, ciuic_quantize quantize,
                                size_t limit)
{
    const size_t group = group_size(m, first, end, quantize);
    bench_block *block = NULL;
    for (size_t b = first_block; b < m->block_count && block == NULL; b++)
        if (m->blocks[b].slot_count + group <= limit) block = &m->blocks[b];
    for (size_t i = first; i < end; i++) {
        const bench_case *c = &m->cases[i];
        if (c->variant.baseline != BASELINE_NONE || c->variant.options.quantize != quantize || c->skip[0] != '\0')
            continue;
        if (block == NULL || block->slot_count == limit) {
            CIUIC_TRY(new_block(m, c->workload, c->threads, limit, &block));
            add_baselines(m, block, first, end, true);
        }
        block->slots[block->slot_count++].index = i;
    }
    return CIUIC_OK;
}

/* Cases [first, end) are those of one workload and thread count. */
static ciuic_status place_cases(bench_matrix *m, size_t first, size_t end, size_t limit)
{
    const size_t first_block = m->block_count;
    if (first == end || m->cases[first].threads > machine_threads()) return CIUIC_OK;
    for (int q = 0; q < CIUIC_QUANTIZE_COUNT; q++)
        CIUIC_TRY(place_group(m, first_block, first, end, (ciuic_quantize)q, limit));
    if (m->block_count > first_block) return CIUIC_OK;
    bench_block *block = NULL; /* baselines only */
    CIUIC_TRY(new_block(m, m->cases[first].workload, m->cases[first].threads, limit, &block));
    add_baselines(m, block, first, end, true);
    return CIUIC_OK;
}

/* ---- all of it -------------------------------------------------------------------------------------------------- */

/* Thread counts with "all" resolved, each once. */
static size_t list_threads(const suite *s, const matrix_filter *filter, int *threads)
{
    const size_t given = filter->thread_count > 0 ? filter->thread_count : s->thread_count;
    const size_t *list = filter->thread_count > 0 ? filter->threads : s->threads;
    size_t count = 0;
    for (size_t i = 0; i < given; i++) {
        const int n = list[i] == 0 ? machine_threads() : (int)list[i];
        bool known = false;
        for (size_t j = 0; j < count; j++) known = known || threads[j] == n;
        if (!known) threads[count++] = n;
    }
    return count;
}

static ciuic_status add_cases(bench_matrix *m, const suite *s, const matrix_filter *filter, const variant_list *list,
                              size_t workload, int threads, size_t *matched)
{
    const size_t first = m->case_count;
    size_t found = 0;
    for (size_t i = 0; i < list->count; i++) {
        bench_case *c = &m->cases[m->case_count];
        *c = (bench_case){0};
        fill_case(c, s, workload, threads, &list->items[i]);
        const bool wanted = case_id_matches(c->id, filter->only);
        if (wanted) found++;
        if (wanted || list->items[i].baseline != BASELINE_NONE) m->case_count++;
    }
    if (found == 0) m->case_count = first; /* nothing to compare the baselines with */
    *matched += found;
    if (found == 0) return CIUIC_OK;
    return s->rounds == 0 ? place_untimed(m, first, m->case_count)
                          : place_cases(m, first, m->case_count, s->worker_limit);
}

static ciuic_status digest(bench_matrix *m)
{
    char *ids = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&ids, &bytes);
    if (stream == NULL) return ciuic_fail_memory("the case ids", m->case_count * CASE_ID_MAX);
    for (size_t b = 0; b < m->block_count; b++)
        for (size_t i = 0; i < m->blocks[b].slot_count; i++) {
            char id[SLOT_ID_MAX];
            matrix_slot_id(m, &m->blocks[b].slots[i], id);
            fprintf(stream, "%zu %s\n", b, id);
        }
    if (fclose(stream) != 0) return ciuic_fail_memory("the case ids", m->case_count * CASE_ID_MAX);
    m->sha256 = sha256_data(ids, bytes);
    free(ids);
    return CIUIC_OK;
}

static ciuic_status expand(const suite *s, const matrix_filter *filter, bench_matrix *m, variant_list *list)
{
    CIUIC_TRY(list_variants(s, filter, list));
    int threads[SUITE_LIST_MAX];
    const size_t thread_count = list_threads(s, filter, threads);
    const size_t most = s->workload_count * thread_count * list->count;
    m->cases = calloc(most, sizeof *m->cases);
    if (m->cases == NULL) return ciuic_fail_memory("the cases", most * sizeof *m->cases);
    size_t matched = 0;
    for (size_t w = 0; w < s->workload_count; w++)
        for (size_t t = 0; t < thread_count; t++) CIUIC_TRY(add_cases(m, s, filter, list, w, threads[t], &matched));
    if (matched == 0)
        return ciuic_fail(CIUIC_ERROR_USAGE,
                          "--only '%s' matches no case of %s; ids look like '%s/decode32@256/b1/t2/int4+graph+c'",
                          filter->only ? filter->only : "", s->file, s->checkpoints[0].name);
    CIUIC_TRY(packings_list(s, m));
    return digest(m);
}

ciuic_status matrix_expand(const suite *s, const matrix_filter *filter, bench_matrix **out)
{
    variant_list list = {0};
    bench_matrix *m = calloc(1, sizeof *m);
    if (m == NULL) return ciuic_fail_memory("the matrix of cases", sizeof *m);
    const ciuic_status status = expand(s, filter, m, &list);
    free(list.items);
    if (status == CIUIC_OK)
        *out = m;
    else
        matrix_free(m);
    return status;
}

void matrix_free(bench_matrix *m)
{
    if (m == NULL) return;
    for (size_t b = 0; b < m->block_count; b++) free(m->blocks[b].slots);
    free(m->blocks);
    free(m->packings);
    free(m->cases);
    free(m);
}

void matrix_slot_id(const bench_matrix *m, const bench_slot *slot, char id[SLOT_ID_MAX])
{
    snprintf(id, SLOT_ID_MAX, "%s%s", m->cases[slot->index].id, slot->again ? "#again" : "");
}
