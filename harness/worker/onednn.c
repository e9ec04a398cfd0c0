/* onednn.c - see onednn.h.
 *
 * Everything but the engine belongs to one thread: the runtime gives a thread the same slices every time, so what it has
 * packed is found without a lock. oneDNN cuts a product with many outputs over threads by its outputs, too; slices of rows
 * cost it nothing.
 *
 * The library is loaded when it is asked for and not linked: 5 MB of every worker, most of them without use for it. */
#include "harness/worker/onednn.h"

#include "optimizer/error.h"

#ifndef HAVE_DNNL

bool onednn_available(void)
{
    return false;
}

ciuic_status onednn_install(kernel_table *table)
{
    (void)table;
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "built without oneDNN; install libdnnl-dev and build again");
}

ciuic_status onednn_status(void)
{
    return CIUIC_OK;
}

onednn_memory onednn_memory_use(void)
{
    return (onednn_memory){0};
}

const char *onednn_describe(void)
{
    return "none";
}

#else

#include <dlfcn.h>
#include <dnnl.h>
#include <omp.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "harness/worker/mapped_pages.h"

enum { BUCKETS = 4096, CACHE_LINE = 64 };

/* Its functions, by their own names and types. */
#define DNNL_FUNCTIONS(X)                                                                                              \
    X(engine_create)                                                                                                   \
    X(matmul_desc_init)                                                                                                \
    X(memory_create)                                                                                                   \
    X(memory_desc_get_size)                                                                                            \
    X(memory_desc_init_by_strides)                                                                                     \
    X(memory_desc_init_by_tag)                                                                                         \
    X(memory_destroy)                                                                                                  \
    X(memory_get_memory_desc)                                                                                          \
    X(memory_set_data_handle)                                                                                          \
    X(primitive_attr_create)                                                                                           \
    X(primitive_attr_destroy)                                                                                          \
    X(primitive_attr_set_scratchpad_mode)                                                                              \
    X(primitive_create)                                                                                                \
    X(primitive_desc_create)                                                                                           \
    X(primitive_desc_destroy)                                                                                          \
    X(primitive_desc_query_md)                                                                                         \
    X(primitive_destroy)                                                                                               \
    X(primitive_execute)                                                                                               \
    X(reorder_primitive_desc_create)                                                                                   \
    X(stream_create)                                                                                                   \
    X(stream_wait)                                                                                                     \
    X(version)

static struct {
#define MEMBER(function) __typeof__(&(dnnl_##function)) function;
    DNNL_FUNCTIONS(MEMBER)
#undef MEMBER
} dnnl;

/* A slice of a matrix in the library's layout. */
typedef struct packed_slice {
    struct packed_slice *next;
    const void *values; /* of the slice: with its shape, what it is found by */
    size_t rows, columns;
    dnnl_memory_t memory;
} packed_slice;

typedef struct product_key {
    size_t m, rows, columns, x_stride;
    dnnl_data_type_t type;
    int has_bias;
} product_key;

/* A product of one shape. Its primitives are made for it, which takes oneDNN some tenths of a millisecond: the worker's
 * first repetition, which is not timed, does that. */
typedef struct product {
    struct product *next;
    product_key key;
    dnnl_primitive_t convert, multiply; /* convert: NULL where x is used as it is */
    dnnl_memory_t x, x_dense, bias, y, workspace;
    size_t x_bytes, workspace_bytes;
} product;

typedef struct buffer {
    void *data;
    size_t bytes;
} buffer;

typedef struct thread_state {
    dnnl_stream_t stream;
    packed_slice *slices[BUCKETS];
    product *products[BUCKETS];
    buffer x, y, workspace;
} thread_state;

static kernel_matmul_fn *plain_matmul[KERNEL_FORMATS];
static kernel_dequantize_row_fn *dequantize_row;
static dnnl_engine_t engine;
static dnnl_data_type_t half_type; /* what weights of 16 and 8 bits are multiplied in */
static _Thread_local thread_state *own;
static atomic_size_t packed_bytes, released_bytes;
static _Atomic(const char *) refused; /* the call that oneDNN refused first */

/* Evaluates to false after noting the refusal. */
static bool worked(dnnl_status_t status, const char *call)
{
    const char *none = NULL;
    if (status == dnnl_success) return true;
    atomic_compare_exchange_strong(&refused, &none, call);
    return false;
}
#define WORKED(call) worked(call, #call)

static bool have_bytes(buffer *b, size_t bytes)
{
    if (b->bytes >= bytes) return true;
    free(b->data);
    b->bytes = (bytes + CACHE_LINE - 1) / CACHE_LINE * CACHE_LINE;
    b->data = aligned_alloc(CACHE_LINE, b->bytes);
    if (b->data == NULL) b->bytes = 0;
    return worked(b->data != NULL ? dnnl_success : dnnl_out_of_memory, "a buffer");
}

static thread_state *this_thread(void)
{
    if (own != NULL) return own;
    thread_state *made = calloc(1, sizeof *made);
    if (!worked(made != NULL ? dnnl_success : dnnl_out_of_memory, "a thread's state")) return NULL;
    if (WORKED(dnnl.stream_create(&made->stream, engine, dnnl_stream_default_flags))) {
        own = made;
        return own;
    }
    free(made);
    return NULL;
}

/* [m][columns], rows `stride` elements apart. */
static bool describe(dnnl_memory_desc_t *d, size_t m, size_t columns, size_t stride, dnnl_data_type_t type)
{
    const dnnl_dims_t dims = {(dnnl_dim_t)m, (dnnl_dim_t)columns}, strides = {(dnnl_dim_t)stride, 1};
    return WORKED(dnnl.memory_desc_init_by_strides(d, 2, dims, type, strides));
}

/* y [m][rows] = x [m][columns] * weights [columns][rows] + bias, with the scratch memory from here. */
static bool describe_product(const product_key *k, const dnnl_memory_desc_t *weights, dnnl_primitive_desc_t *out)
{
    dnnl_memory_desc_t x, y, bias;
    dnnl_matmul_desc_t d;
    dnnl_primitive_attr_t attributes = NULL;
    bool done = describe(&x, k->m, k->columns, k->columns, k->type) && describe(&y, k->m, k->rows, k->rows, dnnl_f32) &&
                describe(&bias, 1, k->rows, k->rows, dnnl_f32) &&
                WORKED(dnnl.matmul_desc_init(&d, &x, weights, k->has_bias ? &bias : NULL, &y)) &&
                WORKED(dnnl.primitive_attr_create(&attributes)) &&
                WORKED(dnnl.primitive_attr_set_scratchpad_mode(attributes, dnnl_scratchpad_mode_user)) &&
                WORKED(dnnl.primitive_desc_create(out, &d, attributes, engine, NULL));
    if (attributes != NULL) dnnl.primitive_attr_destroy(attributes);
    return done;
}

/* ---- packing ---------------------------------------------------------------------------------------------------- */

/* The layout that oneDNN wants; of version 2.6 it is the same for 1, 2, 16 and 128 rows of x. */
static bool wanted_layout(const product_key *k, dnnl_memory_desc_t *out)
{
    dnnl_primitive_desc_t description = NULL;
    dnnl_memory_desc_t any;
    const dnnl_dims_t dims = {(dnnl_dim_t)k->columns, (dnnl_dim_t)k->rows};
    if (!WORKED(dnnl.memory_desc_init_by_tag(&any, 2, dims, k->type, dnnl_format_tag_any)) ||
        !describe_product(k, &any, &description))
        return false;
    *out = *dnnl.primitive_desc_query_md(description, dnnl_query_weights_md, 0);
    dnnl.primitive_desc_destroy(description);
    return true;
}

/* from -> to, both described by their memories. */
static bool reorder(thread_state *t, dnnl_memory_t from, dnnl_memory_t to)
{
    const dnnl_memory_desc_t *source = NULL, *target = NULL;
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_t primitive = NULL;
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, from}, {DNNL_ARG_TO, to}};
    bool done =
        WORKED(dnnl.memory_get_memory_desc(from, &source)) && WORKED(dnnl.memory_get_memory_desc(to, &target)) &&
        WORKED(dnnl.reorder_primitive_desc_create(&description, source, engine, target, engine, NULL)) &&
        WORKED(dnnl.primitive_create(&primitive, description)) &&
        WORKED(dnnl.primitive_execute(primitive, t->stream, 2, arguments)) && WORKED(dnnl.stream_wait(t->stream));
    if (primitive != NULL) dnnl.primitive_destroy(primitive);
    if (description != NULL) dnnl.primitive_desc_destroy(description);
    return done;
}

/* The values as they lie, in a type that oneDNN reads, as memory [columns][rows]; *copy is to be freed afterwards. */
static bool open_values(const kernel_matrix *w, dnnl_data_type_t type, float **copy, dnnl_memory_t *out)
{
    const bool direct = w->format == KERNEL_F32 || (w->format == KERNEL_BF16 && type == dnnl_bf16);
    const dnnl_dims_t dims = {(dnnl_dim_t)w->columns, (dnnl_dim_t)w->rows};
    const void *values = w->values;
    dnnl_memory_desc_t d;
    if (!direct) {
        *copy = malloc(w->rows * w->columns * sizeof **copy);
        if (!worked(*copy != NULL ? dnnl_success : dnnl_out_of_memory, "weights in FP32")) return false;
        for (size_t i = 0; i < w->rows; i++) dequantize_row(w, i, *copy + i * w->columns);
        values = *copy;
    }
    return WORKED(dnnl.memory_desc_init_by_tag(&d, 2, dims, direct && w->format == KERNEL_BF16 ? dnnl_bf16 : dnnl_f32,
                                               dnnl_ba)) &&
           WORKED(dnnl.memory_create(out, &d, engine, (void *)(uintptr_t)values));
}

static bool pack(thread_state *t, const kernel_matrix *w, const product_key *k, packed_slice *slice)
{
    dnnl_memory_desc_t layout;
    dnnl_memory_t plain = NULL;
    float *copy = NULL;
    const bool done = wanted_layout(k, &layout) && open_values(w, k->type, &copy, &plain) &&
                      WORKED(dnnl.memory_create(&slice->memory, &layout, engine, DNNL_MEMORY_ALLOCATE)) &&
                      reorder(t, plain, slice->memory);
    if (plain != NULL) dnnl.memory_destroy(plain);
    free(copy);
    if (!done) return false;
    packed_bytes += dnnl.memory_desc_get_size(&layout);
    released_bytes += mapped_pages_release(w->values, w->rows * kernel_row_bytes(w->format, w->columns));
    return true;
}

static size_t bucket_of(uint64_t hash)
{
    return (size_t)((hash * 0x9e3779b97f4a7c15u) >> 52) % BUCKETS;
}

static packed_slice *find_slice(thread_state *t, const kernel_matrix *w, const product_key *k)
{
    packed_slice **bucket = &t->slices[bucket_of((uint64_t)(uintptr_t)w->values)];
    for (packed_slice *s = *bucket; s != NULL; s = s->next)
        if (s->values == w->values && s->rows == w->rows && s->columns == w->columns) return s;
    packed_slice *made = calloc(1, sizeof *made);
    if (!worked(made != NULL ? dnnl_success : dnnl_out_of_memory, "a packed slice")) return NULL;
    *made = (packed_slice){.next = *bucket, .values = w->values, .rows = w->rows, .columns = w->columns};
    if (pack(t, w, k, made)) {
        *bucket = made;
        return made;
    }
    if (made->memory != NULL) dnnl.memory_destroy(made->memory);
    free(made);
    return NULL;
}

/* ---- products --------------------------------------------------------------------------------------------------- */

static bool make_memory(dnnl_memory_t *memory, const dnnl_memory_desc_t *d)
{
    return WORKED(dnnl.memory_create(memory, d, engine, DNNL_MEMORY_NONE));
}

/* x to the type and the dense rows that the product reads. */
static bool make_convert(product *p, const dnnl_memory_desc_t *dense)
{
    const product_key *k = &p->key;
    dnnl_memory_desc_t given;
    dnnl_primitive_desc_t description = NULL;
    if (!describe(&given, k->m, k->columns, k->x_stride, dnnl_f32) || !make_memory(&p->x, &given)) return false;
    if (k->type == dnnl_f32 && k->x_stride == k->columns) return true;
    const bool done = WORKED(dnnl.reorder_primitive_desc_create(&description, &given, engine, dense, engine, NULL)) &&
                      WORKED(dnnl.primitive_create(&p->convert, description)) && make_memory(&p->x_dense, dense);
    if (description != NULL) dnnl.primitive_desc_destroy(description);
    return done;
}

static bool make_product(product *p, dnnl_memory_t weights)
{
    const dnnl_memory_desc_t *layout = NULL;
    dnnl_primitive_desc_t description = NULL;
    if (!WORKED(dnnl.memory_get_memory_desc(weights, &layout)) || !describe_product(&p->key, layout, &description))
        return false;
    const dnnl_memory_desc_t *x = dnnl.primitive_desc_query_md(description, dnnl_query_src_md, 0);
    const dnnl_memory_desc_t *workspace = dnnl.primitive_desc_query_md(description, dnnl_query_scratchpad_md, 0);
    dnnl_memory_desc_t bias;
    p->x_bytes = dnnl.memory_desc_get_size(x);
    p->workspace_bytes = dnnl.memory_desc_get_size(workspace);
    const bool done = WORKED(dnnl.primitive_create(&p->multiply, description)) && make_convert(p, x) &&
                      make_memory(&p->y, dnnl.primitive_desc_query_md(description, dnnl_query_dst_md, 0)) &&
                      make_memory(&p->workspace, workspace) && describe(&bias, 1, p->key.rows, p->key.rows, dnnl_f32) &&
                      make_memory(&p->bias, &bias);
    dnnl.primitive_desc_destroy(description);
    return done;
}

static void free_product(product *p)
{
    const dnnl_memory_t memories[] = {p->x, p->x_dense, p->bias, p->y, p->workspace};
    for (size_t i = 0; i < sizeof memories / sizeof memories[0]; i++)
        if (memories[i] != NULL) dnnl.memory_destroy(memories[i]);
    if (p->convert != NULL) dnnl.primitive_destroy(p->convert);
    if (p->multiply != NULL) dnnl.primitive_destroy(p->multiply);
    free(p);
}

static bool same_key(const product_key *a, const product_key *b)
{
    return a->m == b->m && a->rows == b->rows && a->columns == b->columns && a->x_stride == b->x_stride &&
           a->type == b->type && a->has_bias == b->has_bias;
}

static product *find_product(thread_state *t, const product_key *k, dnnl_memory_t weights)
{
    product **bucket = &t->products[bucket_of(k->m ^ (uint64_t)k->rows << 20 ^ (uint64_t)k->columns << 40)];
    for (product *p = *bucket; p != NULL; p = p->next)
        if (same_key(&p->key, k)) return p;
    product *made = calloc(1, sizeof *made);
    if (!worked(made != NULL ? dnnl_success : dnnl_out_of_memory, "a product")) return NULL;
    made->key = *k;
    if (make_product(made, weights)) {
        made->next = *bucket;
        *bucket = made;
        return made;
    }
    free_product(made);
    return NULL;
}

static bool point(dnnl_memory_t memory, const void *data)
{
    return WORKED(dnnl.memory_set_data_handle(memory, (void *)(uintptr_t)data));
}

static bool convert_x(thread_state *t, product *p)
{
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, p->x}, {DNNL_ARG_TO, p->x_dense}};
    return have_bytes(&t->x, p->x_bytes) && point(p->x_dense, t->x.data) &&
           WORKED(dnnl.primitive_execute(p->convert, t->stream, 2, arguments));
}

/* The rows of y are rarely next to each other, and oneDNN's fast products want them so: they are made elsewhere. */
static bool run_product(thread_state *t, product *p, dnnl_memory_t weights, const kernel_matrix *w, const float *x,
                        float *y, size_t ldy)
{
    const size_t m = p->key.m, rows = p->key.rows;
    const bool dense = m == 1 || ldy == rows;
    if (!have_bytes(&t->workspace, p->workspace_bytes) || (!dense && !have_bytes(&t->y, m * rows * sizeof *y)))
        return false;
    float *out = dense ? y : t->y.data;
    if (!point(p->x, x) || !point(p->y, out) || !point(p->workspace, t->workspace.data) || !point(p->bias, w->bias) ||
        (p->convert != NULL && !convert_x(t, p)))
        return false;
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_SRC, p->convert != NULL ? p->x_dense : p->x},
                                         {DNNL_ARG_WEIGHTS, weights},
                                         {DNNL_ARG_DST, p->y},
                                         {DNNL_ARG_SCRATCHPAD, p->workspace},
                                         {DNNL_ARG_BIAS, p->bias}};
    if (!WORKED(dnnl.primitive_execute(p->multiply, t->stream, w->bias != NULL ? 5 : 4, arguments)) ||
        !WORKED(dnnl.stream_wait(t->stream)))
        return false;
    for (size_t i = 0; !dense && i < m; i++) memcpy(y + i * ldy, out + i * rows, rows * sizeof *y);
    return true;
}

static bool multiply(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    const product_key key = {.m = m,
                             .rows = w->rows,
                             .columns = w->columns,
                             .x_stride = m == 1 ? w->columns : ldx,
                             .type = w->format == KERNEL_F32 ? dnnl_f32 : half_type,
                             .has_bias = w->bias != NULL};
    thread_state *t = this_thread();
    if (t == NULL) return false;
    const packed_slice *slice = find_slice(t, w, &key);
    product *p = slice != NULL ? find_product(t, &key, slice->memory) : NULL;
    return p != NULL && run_product(t, p, slice->memory, w, x, y, ldy);
}

static void onednn_matmul(const kernel_matrix *w, size_t m, const float *x, size_t ldx, float *y, size_t ldy)
{
    if (m == 0 || w->rows == 0 || w->columns == 0 || !multiply(w, m, x, ldx, y, ldy))
        plain_matmul[w->format](w, m, x, ldx, y, ldy);
}

/* ---- the interface ---------------------------------------------------------------------------------------------- */

static bool load_function(void *library, const char *name, void *place, size_t size)
{
    void *const address = dlsym(library, name);
    memcpy(place, &address, size); /* ISO C has no cast from an object's address to a function's */
    return address != NULL;
}

/* Loads the library once and for good. */
bool onednn_available(void)
{
    static bool complete;
    char name[32];
    if (complete) return true;
    snprintf(name, sizeof name, "libdnnl.so.%d", DNNL_VERSION_MAJOR);
    void *const library = dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) return false;
    complete = true;
#define LOAD(function)                                                                                                 \
    complete = load_function(library, "dnnl_" #function, &dnnl.function, sizeof dnnl.function) && complete;
    DNNL_FUNCTIONS(LOAD)
#undef LOAD
    return complete;
}

ciuic_status onednn_install(kernel_table *table)
{
    static const kernel_format formats[] = {KERNEL_F32, KERNEL_F16, KERNEL_BF16, KERNEL_F8};
    if (!onednn_available())
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "oneDNN, which this program was built with, cannot be loaded");
    if (engine == NULL && dnnl.engine_create(&engine, dnnl_cpu, 0) != dnnl_success)
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "oneDNN has no engine for this CPU");
    /* With the instruction, bfloat16 is the faster of the two in oneDNN: half the bytes and twice the products an
     * instruction. Without it, oneDNN emulates or refuses it. */
    half_type = cpu_flags() & (CPU_AVX512_BF16 | CPU_AMX_BF16) ? dnnl_bf16 : dnnl_f32;
    omp_set_num_threads(1); /* what it reads where no parallel region is around it; the runtime names its number */
    dequantize_row = table->dequantize_row;
    for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
        if (table->matmul[formats[i]] == onednn_matmul) continue;
        plain_matmul[formats[i]] = table->matmul[formats[i]];
        table->matmul[formats[i]] = onednn_matmul;
    }
    return CIUIC_OK;
}

ciuic_status onednn_status(void)
{
    const char *call = atomic_load(&refused);
    if (call == NULL) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "oneDNN failed in %.*s", (int)strcspn(call, "("), call);
}

onednn_memory onednn_memory_use(void)
{
    return (onednn_memory){.packed = packed_bytes, .released = released_bytes};
}

const char *onednn_describe(void)
{
    static char text[64];
    if (!onednn_available()) return "none";
    const dnnl_version_t *v = dnnl.version();
    snprintf(text, sizeof text, "oneDNN %d.%d.%d, 16-bit weights in %s", v->major, v->minor, v->patch,
             cpu_flags() & (CPU_AVX512_BF16 | CPU_AMX_BF16) ? "bf16" : "FP32");
    return text;
}

#endif
