/* weights.c - loading, converting and quantising tensors for the weight store. */
#include "optimizer/runtime/weights.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/memory/weight_pages.h"
#include "optimizer/quantize/quantize.h"
#include "optimizer/row_blocks.h"
#include "optimizer/runtime/row_source.h"

/* One tensor in one form. Entries are allocated one by one: bound weights point into them. */
typedef struct entry {
    struct entry *next;
    char name[GRAPH_NAME + 16]; /* tensor name without ".weight" */
    char fold[GRAPH_NAME];
    bool exact, is_vector;
    kernel_matrix matrix;
    float *vector, *bias, *block_scales; /* heap */
    /* The matrix's memory, NULL when it is used where it is mapped; the entry's own unless the store's pages hold it. */
    void *values;
    uint16_t *scales, *minimums;
    bool in_pages;
} entry;

/* The parts of one bound weight, kept for freeing. */
typedef struct bound_parts {
    struct bound_parts *next;
    kernel_matrix parts[];
} bound_parts;

enum { CACHE_LINE = 64 };
enum { BUCKETS = 4096 }; /* a mixture of experts has tens of thousands of tensors */

struct weight_store {
    weight_source from;
    const checkpoint *source; /* from.checkpoint */
    ciuic_options options;
    size_t interleave;
    entry *entries[BUCKETS]; /* by hash of the name */
    bound_parts *bound;
    weight_pages *pages; /* NULL: every matrix has memory of its own */
    bool only_count;
    weight_bytes bytes;
};

ciuic_status weight_store_create(const weight_source *source, const ciuic_options *options, size_t interleave,
                                 weight_store **store)
{
    weight_store *s = calloc(1, sizeof *s);
    if (s == NULL) return ciuic_fail_memory("the weight store", sizeof *s);
    s->from = *source;
    s->source = source->checkpoint;
    s->options = *options;
    s->interleave = interleave;
    s->bytes.tables = sizeof *s;
    if (options->memory != CIUIC_MEMORY_OFF) {
        s->pages = weight_pages_create();
        if (s->pages == NULL) {
            free(s);
            return ciuic_fail_memory("the weight store", sizeof *s);
        }
    }
    *store = s;
    return CIUIC_OK;
}

/* Of the matrix, unless the pages hold it. */
static void free_memory(entry *e)
{
    if (e->in_pages) return;
    free(e->values);
    free(e->scales);
    free(e->minimums);
    e->values = NULL;
    e->scales = e->minimums = NULL;
}

static void free_entry(entry *e)
{
    if (e == NULL) return;
    free(e->vector);
    free(e->bias);
    free(e->block_scales);
    free_memory(e);
    free(e);
}

void weight_store_free(weight_store *store)
{
    if (store == NULL) return;
    for (size_t i = 0; i < BUCKETS; i++)
        for (entry *e = store->entries[i], *next; e != NULL; e = next) {
            next = e->next;
            free_entry(e);
        }
    for (bound_parts *b = store->bound, *next; b != NULL; b = next) {
        next = b->next;
        free(b);
    }
    weight_pages_free(store->pages);
    free(store);
}

weight_bytes weight_store_bytes(const weight_store *store)
{
    return store->bytes;
}

void weight_store_only_count(weight_store *store)
{
    store->only_count = true;
}

void weight_store_expect(weight_store *store, size_t bytes)
{
    if (store->pages != NULL) weight_pages_expect(store->pages, bytes);
}

static void add_packed(weight_store *store, const kernel_matrix *m)
{
    store->bytes.heap += weight_matrix_bytes(m);
    store->bytes.packed += weight_matrix_bytes(m);
}

static void note_load(weight_store *store, size_t bytes)
{
    if (bytes > store->bytes.load) store->bytes.load = bytes;
}

size_t weight_matrix_bytes(const kernel_matrix *w)
{
    const size_t scales = kernel_row_scales(w) * sizeof(uint16_t) * (w->minimums ? 2 : 1);
    const size_t blocks =
        kernel_groups(w->block_row + w->rows, KERNEL_F8_BLOCK) * kernel_groups(w->columns, KERNEL_F8_BLOCK);
    return kernel_stored_rows(w) * (kernel_row_bytes(w->format, w->columns) + scales) +
           (w->block_scales ? blocks * sizeof(float) : 0) + w->rows * (w->bias ? sizeof(float) : 0);
}

/* The format of a matrix that nothing quantises. `kernel_blocks`: whether the checkpoint's FP8 blocks are those of kernels. */
static kernel_format plain_format(const ciuic_options *options, const tensor *t, bool exact, bool kernel_blocks)
{
    if (exact || options->weights_f32) return KERNEL_F32;
    /* The checkpoint's own 16-bit type is exact. FP8 times its block scale fits no 16-bit type: the reference, which errors
     * are measured against, keeps it exact in FP32, and memory = on leaves it as it is. Kernels know one size of blocks;
     * with another one FP8 is rounded to FP16, as FP32 is. */
    if (t->dtype == TENSOR_F8_E4M3 && options->memory == CIUIC_MEMORY_OFF) return KERNEL_F32;
    if (t->dtype == TENSOR_F8_E4M3 && kernel_blocks) return KERNEL_F8;
    return t->dtype == TENSOR_BF16 ? KERNEL_BF16 : KERNEL_F16;
}

static ciuic_status read_vector(const weight_store *store, const char *name, size_t width, float **out)
{
    const checkpoint *c = store->source;
    *out = NULL;
    if (store->only_count) return CIUIC_OK;
    float *vector = malloc((width > 0 ? width : 1) * sizeof *vector);
    if (vector == NULL) return ciuic_fail_memory(name, width * sizeof *vector);
    const kernel_matrix *made = quantized_set_find(store->from.set, name);
    if (made != NULL && made->format == KERNEL_F32 && made->rows == 1 && made->columns == width) {
        memcpy(vector, made->values, width * sizeof *vector);
        *out = vector;
        return CIUIC_OK;
    }
    const tensor *t = checkpoint_find_weight(c, name);
    ciuic_status status =
        t == NULL || t->count != width
            ? ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor %s: expected %zu values", checkpoint_path(c), name, width)
            : tensor_to_f32(t, 0, width, vector);
    if (status != CIUIC_OK) {
        free(vector);
        return status;
    }
    *out = vector;
    return CIUIC_OK;
}

static void *own(size_t bytes)
{
    return aligned_alloc(CACHE_LINE, (bytes + CACHE_LINE) / CACHE_LINE * CACHE_LINE);
}

static void *take(weight_store *store, size_t bytes)
{
    return weight_pages_take(store->pages, bytes);
}

/* Gives the entry memory for a matrix like e->matrix: in the store's pages, or of its own. */
static ciuic_status allocate(weight_store *store, bool in_pages, bool minimums, entry *e)
{
    const kernel_matrix *m = &e->matrix;
    const size_t stored = kernel_stored_rows(m), bytes = stored * kernel_row_bytes(m->format, m->columns);
    const size_t scales = stored * kernel_row_scales(m) * sizeof *e->scales;
    e->in_pages = in_pages && store->pages != NULL;
    e->values = e->in_pages ? take(store, bytes) : own(bytes);
    if (scales > 0) e->scales = e->in_pages ? take(store, scales) : own(scales);
    if (scales > 0 && minimums) e->minimums = e->in_pages ? take(store, scales) : own(scales);
    if (e->values == NULL || (scales > 0 && (e->scales == NULL || (minimums && e->minimums == NULL))))
        return ciuic_fail_memory(e->name, bytes + (minimums ? 2 : 1) * scales);
    e->matrix.values = e->values;
    e->matrix.scales = e->scales;
    e->matrix.minimums = e->minimums;
    return CIUIC_OK;
}

size_t weight_interleave(kernel_format format, size_t interleave, size_t slice, ciuic_activations activations)
{
    const bool panels = kernel_is_grouped(format);
    const bool whole = interleave > 0 && slice % interleave == 0;
    return panels && whole && activations == CIUIC_ACTIVATIONS_INT8 ? interleave : 0;
}

/* How the kernels in use want this matrix; 0 where they take its rows as they lie. */
static size_t wanted_interleave(const weight_store *store, const kernel_matrix *m, size_t slice)
{
    return weight_interleave(m->format, store->interleave, slice, store->options.activations);
}

/* Memory of a matrix to memory of one that is stored alike. */
static void copy_stored(const kernel_matrix *from, entry *e)
{
    const size_t rows = kernel_stored_rows(from), scales = rows * kernel_row_scales(from) * sizeof *e->scales;
    memcpy(e->values, from->values, rows * kernel_row_bytes(from->format, from->columns));
    if (from->scales != NULL) memcpy(e->scales, from->scales, scales);
    if (from->minimums != NULL) memcpy(e->minimums, from->minimums, scales);
}

/* Fills the entry with a copy of `from`, in panels of `interleave` rows, or rows as they lie for 0. */
static ciuic_status copy_matrix(weight_store *store, const kernel_matrix *from, size_t interleave, entry *e)
{
    e->matrix = *from;
    e->matrix.interleave = interleave;
    const bool twice = interleave != from->interleave && interleave != 0 && from->interleave != 0;
    note_load(store, twice ? weight_matrix_bytes(from) : 0);
    if (store->only_count) return CIUIC_OK;
    CIUIC_TRY(allocate(store, true, from->minimums != NULL, e));
    if (interleave == from->interleave) {
        copy_stored(from, e);
    } else if (interleave == 0) {
        kernel_deinterleave(from, e->values, e->scales, e->minimums);
    } else if (from->interleave == 0) {
        kernel_interleave(from, interleave, e->values, e->scales, e->minimums);
    } else {
        entry rows = {.matrix = *from}; /* as they lie, for as long as it takes */
        memcpy(rows.name, e->name, sizeof rows.name);
        rows.matrix.interleave = 0;
        const ciuic_status status = allocate(store, false, from->minimums != NULL, &rows);
        if (status == CIUIC_OK) {
            kernel_deinterleave(from, rows.values, rows.scales, rows.minimums);
            kernel_interleave(&rows.matrix, interleave, e->values, e->scales, e->minimums);
        }
        free_memory(&rows);
        CIUIC_TRY(status);
    }
    return CIUIC_OK;
}

/* A copy in 16 or 32 bits as the rows lay is not packed. */
static void add_copy(weight_store *store, const kernel_matrix *m)
{
    const bool plain = m->format == KERNEL_F32 || m->format == KERNEL_F16 || m->format == KERNEL_BF16;
    if (plain)
        store->bytes.heap += weight_matrix_bytes(m);
    else
        add_packed(store, m);
}

/* Fills a heap copy of the tensor in the entry's format. */
static ciuic_status load_copy(weight_store *store, const tensor *t, size_t slice, bool minimums, entry *e)
{
    const size_t interleave = wanted_interleave(store, &e->matrix, slice);
    entry rows = *e; /* as they lie; soon freed where they are to be interleaved */
    kernel_matrix *m = &rows.matrix;
    static const uint16_t some; /* stands for minimums that are yet to come */
    kernel_matrix like = e->matrix;
    like.minimums = minimums ? &some : NULL;
    const int threads = row_blocks_threads(store->options.threads, m->rows, m->columns);
    const size_t block_bytes = (size_t)threads * ROW_SOURCE_BLOCK * m->columns * sizeof(float);
    note_load(store, block_bytes + (interleave > 0 ? weight_matrix_bytes(&like) : 0));
    if (store->only_count) {
        e->matrix = like;
        e->matrix.interleave = interleave;
        add_copy(store, &e->matrix);
        return CIUIC_OK;
    }
    float *blocks = malloc(block_bytes), *fold = NULL;
    ciuic_status status =
        blocks != NULL ? allocate(store, interleave == 0, minimums, &rows) : ciuic_fail_memory(e->name, block_bytes);
    if (status == CIUIC_OK && e->fold[0] != '\0') status = read_vector(store, e->fold, m->columns, &fold);
    const bool same = fold == NULL && ((t->dtype == TENSOR_BF16 && m->format == KERNEL_BF16) ||
                                       (t->dtype == TENSOR_F16 && m->format == KERNEL_F16));
    if (status == CIUIC_OK && same) memcpy(rows.values, t->data, m->rows * kernel_row_bytes(m->format, m->columns));
    if (status == CIUIC_OK && !same) {
        const row_source reader = {
            .source = store->source, .name = t->name, .fold = fold, .columns = m->columns, .threads = threads};
        const quantized_memory to = {rows.values, rows.scales, rows.minimums};
        status = row_source_convert(&reader, to, blocks, m);
    }
    free(fold);
    free(blocks);
    tensor_drop_pages(t);
    if (status == CIUIC_OK && interleave > 0) status = copy_matrix(store, m, interleave, e);
    if (status != CIUIC_OK || interleave > 0)
        free_memory(&rows);
    else
        *e = rows;
    if (status == CIUIC_OK) add_copy(store, &e->matrix);
    return status;
}

/* Takes a matrix that was quantised before: where it lies, or a copy as the kernels in use want it. */
static ciuic_status adopt(weight_store *store, const kernel_matrix *made, const graph_weight *w, int part, entry *e)
{
    if (made->rows != w->rows[part] || made->columns != w->columns)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %zu x %zu weights were made for it; expected %zu x %zu", e->name,
                          made->rows, made->columns, w->rows[part], w->columns);
    if (store->from.set_in_place)
        e->matrix = *made;
    else
        CIUIC_TRY(copy_matrix(store, made, wanted_interleave(store, made, w->slice), e));
    add_packed(store, &e->matrix);
    return CIUIC_OK;
}

/* Takes a matrix that the checkpoint has quantised: where it is mapped, or a copy as the kernels in use want it. */
static ciuic_status load_quantised(weight_store *store, const kernel_matrix *stored, const graph_weight *w, int part,
                                   entry *e)
{
    const size_t wanted = wanted_interleave(store, stored, w->slice);
    if (stored->rows != w->rows[part] || stored->columns != w->columns)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor %s.weight: %zu x %zu; expected %zu x %zu",
                          checkpoint_path(store->source), e->name, stored->rows, stored->columns, w->rows[part],
                          w->columns);
    if (store->options.memory != CIUIC_MEMORY_OFF && stored->interleave == wanted) {
        e->matrix = *stored;
        store->bytes.mapped += weight_matrix_bytes(stored);
        return CIUIC_OK;
    }
    CIUIC_TRY(copy_matrix(store, stored, wanted, e));
    add_packed(store, &e->matrix);
    checkpoint_drop_pages(store->source, e->name);
    return CIUIC_OK;
}

/* Uses a tensor of FP8 where it is mapped, and its scales, too; those are copied where a float could not be read. */
static ciuic_status map_f8(weight_store *store, const tensor *t, entry *e)
{
    char name[sizeof e->name + 32];
    snprintf(name, sizeof name, "%s_scale_inv", t->name);
    const tensor *scales = checkpoint_find(store->source, name);
    if (scales == NULL)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor %s is missing", checkpoint_path(store->source), name);
    e->matrix.values = t->data;
    store->bytes.mapped += t->bytes;
    if ((uintptr_t)scales->data % _Alignof(float) == 0) {
        e->matrix.block_scales = (const float *)scales->data;
        store->bytes.mapped += scales->bytes;
        return CIUIC_OK;
    }
    if (store->only_count) {
        store->bytes.heap += scales->bytes;
        return CIUIC_OK;
    }
    e->block_scales = malloc(scales->bytes > 0 ? scales->bytes : 1);
    if (e->block_scales == NULL) return ciuic_fail_memory(name, scales->bytes);
    memcpy(e->block_scales, scales->data, scales->bytes);
    e->matrix.block_scales = e->block_scales;
    store->bytes.heap += scales->bytes;
    return CIUIC_OK;
}

/* How the entry's matrix is to be stored. */
static void choose_format(const weight_store *store, const tensor *t, const graph_weight *w, int part, entry *e,
                          bool *minimums)
{
    const model_config *config = checkpoint_config(store->source);
    const bool blocks =
        config->fp8_block_rows == KERNEL_F8_BLOCK && config->fp8_block_columns == KERNEL_F8_BLOCK && e->fold[0] == '\0';
    const bool keep = e->exact || store->options.weights_f32;
    const quantize_setting setting = keep ? (quantize_setting){0} : recipe_find(store->from.recipe, e->name);
    e->matrix = (kernel_matrix){.format = setting.quantised ? setting.format
                                                            : plain_format(&store->options, t, e->exact, blocks),
                                .rows = w->rows[part],
                                .columns = w->columns,
                                .group = setting.quantised ? setting.group : 0};
    *minimums = setting.quantised && setting.minimums;
}

/* The checkpoint's own tensor, where it is mapped or in a copy. */
static ciuic_status load_tensor(weight_store *store, entry *e, const graph_weight *w, int part)
{
    const size_t rows = w->rows[part], columns = w->columns;
    const tensor *t = checkpoint_find_weight(store->source, e->name);
    kernel_matrix quantised; /* its tensors' shapes are others; whoever reads its rows gets them decoded */
    const bool decoded = checkpoint_matrix(store->source, e->name, &quantised);
    if (t == NULL || t->dims != 2 || (decoded ? quantised.rows : t->shape[0]) != rows ||
        (decoded ? quantised.columns : t->shape[1]) != columns)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: tensor %s.weight: expected shape [%zu, %zu]",
                          checkpoint_path(store->source), e->name, rows, columns);
    bool minimums = false;
    choose_format(store, t, w, part, e, &minimums);
    const bool readable = (t->dtype == TENSOR_BF16 && e->matrix.format == KERNEL_BF16) ||
                          (t->dtype == TENSOR_F16 && e->matrix.format == KERNEL_F16) ||
                          (t->dtype == TENSOR_F32 && e->matrix.format == KERNEL_F32);
    const bool aligned = (uintptr_t)t->data % tensor_dtype_bytes(t->dtype) == 0;
    if (e->matrix.format == KERNEL_F8) return map_f8(store, t, e);
    if (store->options.memory == CIUIC_MEMORY_OFF || !readable || !aligned || e->fold[0] != '\0')
        return load_copy(store, t, w->slice, minimums, e);
    e->matrix.values = t->data;
    store->bytes.mapped += t->bytes;
    return CIUIC_OK;
}

static ciuic_status load_matrix(weight_store *store, entry *e, const graph_weight *w, int part)
{
    const size_t rows = w->rows[part];
    const kernel_matrix *made = quantized_set_find(store->from.set, e->name);
    const bool widened = e->exact || store->options.weights_f32;
    kernel_matrix stored;
    if (made != NULL)
        CIUIC_TRY(adopt(store, made, w, part, e));
    else if (!widened && checkpoint_matrix(store->source, e->name, &stored))
        CIUIC_TRY(load_quantised(store, &stored, w, part, e));
    else
        CIUIC_TRY(load_tensor(store, e, w, part));
    if (!w->bias[part]) return CIUIC_OK;
    char name[sizeof e->name + 8];
    snprintf(name, sizeof name, "%s.bias", e->name);
    CIUIC_TRY(read_vector(store, name, rows, &e->bias));
    e->matrix.bias = e->bias;
    store->bytes.heap += rows * sizeof *e->bias;
    return CIUIC_OK;
}

/* FNV-1a. */
static size_t bucket_of(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325u;
    for (; *name != '\0'; name++) hash = (hash ^ (unsigned char)*name) * 0x100000001b3u;
    return (size_t)(hash % BUCKETS);
}

/* The entry of that specification, loaded now or before. */
static ciuic_status get_entry(weight_store *store, const graph_weight *w, int part, size_t expert, entry **out)
{
    char name[GRAPH_NAME + 16];
    const char *star = strchr(w->name[part], '*');
    if (star != NULL) {
        snprintf(name, sizeof name, "%.*s%zu%s", (int)(star - w->name[part]), w->name[part], expert, star + 1);
    } else {
        snprintf(name, sizeof name, "%s", w->name[part]);
    }
    const bool is_vector = w->kind == GRAPH_VECTOR;
    entry **bucket = &store->entries[bucket_of(name)];
    for (entry *e = *bucket; e != NULL; e = e->next)
        if (strcmp(e->name, name) == 0 && strcmp(e->fold, w->fold) == 0 && e->exact == w->exact &&
            e->is_vector == is_vector) {
            *out = e;
            return CIUIC_OK;
        }
    entry *e = calloc(1, sizeof *e);
    if (e == NULL) return ciuic_fail_memory(name, sizeof *e);
    store->bytes.tables += sizeof *e;
    snprintf(e->name, sizeof e->name, "%s", name);
    snprintf(e->fold, sizeof e->fold, "%s", w->fold);
    e->exact = w->exact;
    e->is_vector = is_vector;
    ciuic_status status;
    if (is_vector) {
        status = read_vector(store, name, w->columns, &e->vector);
        store->bytes.heap += w->columns * sizeof(float);
    } else {
        status = load_matrix(store, e, w, part);
    }
    if (status != CIUIC_OK) {
        free_entry(e);
        return status;
    }
    e->next = *bucket;
    *bucket = e;
    *out = e;
    return CIUIC_OK;
}

ciuic_status weight_store_bind(weight_store *store, const graph_weight *w, bound_weight *bound)
{
    entry *e = NULL;
    if (w->kind == GRAPH_VECTOR) {
        CIUIC_TRY(get_entry(store, w, 0, 0, &e));
        *bound = (bound_weight){.vector = e->vector};
        return CIUIC_OK;
    }
    const size_t experts = w->kind == GRAPH_EXPERTS ? w->experts : 1, parts = (size_t)w->parts;
    bound_parts *b = malloc(sizeof *b + experts * parts * sizeof b->parts[0]);
    if (b == NULL) return ciuic_fail_memory("binding weights", experts * parts * sizeof b->parts[0]);
    b->next = store->bound;
    store->bound = b;
    store->bytes.tables += sizeof *b + experts * parts * sizeof b->parts[0];
    for (size_t i = 0; i < experts; i++)
        for (size_t j = 0; j < parts; j++) {
            CIUIC_TRY(get_entry(store, w, (int)j, i, &e));
            b->parts[i * parts + j] = e->matrix;
        }
    *bound = (bound_weight){.parts = b->parts};
    return CIUIC_OK;
}

ciuic_status weight_store_each(const weight_store *store, weight_visitor *visit, void *context)
{
    for (size_t i = 0; i < BUCKETS; i++)
        for (const entry *e = store->entries[i]; e != NULL; e = e->next) {
            const kernel_matrix *matrix = e->is_vector ? NULL : &e->matrix;
            CIUIC_TRY(visit(context, &(stored_weight){e->name, e->fold, matrix, e->vector}));
        }
    return CIUIC_OK;
}

/* ---- the checkpoint's pages ------------------------------------------------------------------------------------- */

/* Addresses that bound weights begin at. */
typedef struct address_list {
    uintptr_t *at;
    size_t count;
} address_list;

static int ascending(const void *a, const void *b)
{
    const uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;
    return (x > y) - (x < y);
}

/* Whether something begins inside the tensor. */
static bool is_used(const void *context, const tensor *t)
{
    const address_list *list = context;
    const uintptr_t begin = (uintptr_t)t->data, end = begin + t->bytes;
    size_t low = 0, high = list->count;
    while (low < high) { /* the first address that is not before the tensor */
        const size_t middle = low + (high - low) / 2;
        if (list->at[middle] < begin)
            low = middle + 1;
        else
            high = middle;
    }
    return low < list->count && list->at[low] < end;
}

void weight_store_drop_sources(const weight_store *store)
{
    enum { PARTS = 4 };
    size_t entries = 0;
    address_list list = {0};
    for (size_t i = 0; i < BUCKETS; i++)
        for (const entry *e = store->entries[i]; e != NULL; e = e->next) entries++;
    list.at = calloc(PARTS * entries + 1, sizeof *list.at);
    if (list.at == NULL) return;
    for (size_t i = 0; i < BUCKETS; i++)
        for (const entry *e = store->entries[i]; e != NULL; e = e->next) {
            const void *const parts[PARTS] = {e->matrix.values, e->matrix.scales, e->matrix.minimums,
                                              e->matrix.block_scales};
            for (size_t j = 0; j < PARTS; j++)
                if (parts[j] != NULL) list.at[list.count++] = (uintptr_t)parts[j];
        }
    qsort(list.at, list.count, sizeof *list.at, ascending);
    checkpoint_drop_unused(store->source, is_used, &list);
    free(list.at);
}
