/* peers.c - see peers.h. */
#include "kernels/tests/peers.h"

#include <omp.h>
#include <stdlib.h>

#include "kernels/kernels.h"

#ifdef HAVE_CBLAS
#include <cblas.h>
#endif
#ifdef HAVE_DNNL
#include <dnnl.h>
#endif

struct peer_product {
    peer kind;
    size_t m, rows, columns;
    int threads;
    const float *weights, *x;
    float *y; /* openblas */
#ifdef HAVE_DNNL
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    dnnl_primitive_t multiply;
    dnnl_memory_t memories[3]; /* x, weights, y */
#endif
};

const char *peer_name(peer p)
{
    static const char *const names[PEERS] = {"openblas", "onednn_f32", "onednn_bf16", "onednn_u8s8s32"};
    return names[p];
}

/* ---- OpenBLAS --------------------------------------------------------------------------------------------------- */

static bool create_openblas(peer_product *p)
{
#ifdef HAVE_CBLAS
    openblas_set_num_threads(p->threads);
    p->y = malloc(p->m * p->rows * sizeof *p->y);
#endif
    return p->y != NULL;
}

static bool run_openblas(peer_product *p)
{
#ifdef HAVE_CBLAS
    const blasint m = (blasint)p->m, rows = (blasint)p->rows, columns = (blasint)p->columns;
    if (m == 1)
        cblas_sgemv(CblasRowMajor, CblasNoTrans, rows, columns, 1, p->weights, columns, p->x, 1, 0, p->y, 1);
    else
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, rows, columns, 1, p->x, columns, p->weights, columns, 0,
                    p->y, rows);
#endif
    return p->y != NULL;
}

/* ---- oneDNN ----------------------------------------------------------------------------------------------------- */

#ifdef HAVE_DNNL

static bool good(dnnl_status_t status)
{
    return status == dnnl_success;
}

static bool describe(const peer_product *p, dnnl_matmul_desc_t *d)
{
    static const dnnl_data_type_t x_types[PEERS] = {dnnl_f32, dnnl_f32, dnnl_bf16, dnnl_u8},
                                  w_types[PEERS] = {dnnl_f32, dnnl_f32, dnnl_bf16, dnnl_s8},
                                  y_types[PEERS] = {dnnl_f32, dnnl_f32, dnnl_f32, dnnl_s32};
    const dnnl_dim_t m = (dnnl_dim_t)p->m, n = (dnnl_dim_t)p->rows, k = (dnnl_dim_t)p->columns;
    const dnnl_dims_t x_dims = {m, k}, w_dims = {k, n}, y_dims = {m, n};
    dnnl_memory_desc_t x, w, y;
    return good(dnnl_memory_desc_init_by_tag(&x, 2, x_dims, x_types[p->kind], dnnl_ab)) &&
           good(dnnl_memory_desc_init_by_tag(&w, 2, w_dims, w_types[p->kind], dnnl_format_tag_any)) &&
           good(dnnl_memory_desc_init_by_tag(&y, 2, y_dims, y_types[p->kind], dnnl_ab)) &&
           good(dnnl_matmul_desc_init(d, &x, &w, NULL, &y));
}

/* Floats [first][second], the second running fastest where `tag` is ab, into `to`; bytes keep what fits them. */
static bool convert(peer_product *p, const float *from, dnnl_dim_t first, dnnl_dim_t second, dnnl_format_tag_t tag,
                    dnnl_memory_t to)
{
    const dnnl_dims_t dims = {first, second};
    const dnnl_memory_desc_t *target = NULL;
    dnnl_memory_desc_t d;
    dnnl_memory_t source = NULL;
    dnnl_primitive_desc_t description = NULL;
    dnnl_primitive_t primitive = NULL;
    bool done = good(dnnl_memory_desc_init_by_tag(&d, 2, dims, dnnl_f32, tag)) &&
                good(dnnl_memory_create(&source, &d, p->engine, (void *)(uintptr_t)from)) &&
                good(dnnl_memory_get_memory_desc(to, &target)) &&
                good(dnnl_reorder_primitive_desc_create(&description, &d, p->engine, target, p->engine, NULL)) &&
                good(dnnl_primitive_create(&primitive, description));
    const dnnl_exec_arg_t arguments[] = {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, to}};
    done =
        done && good(dnnl_primitive_execute(primitive, p->stream, 2, arguments)) && good(dnnl_stream_wait(p->stream));
    if (primitive != NULL) dnnl_primitive_destroy(primitive);
    if (description != NULL) dnnl_primitive_desc_destroy(description);
    if (source != NULL) dnnl_memory_destroy(source);
    return done;
}

static bool create_dnnl(peer_product *p)
{
    static const dnnl_query_t queries[] = {dnnl_query_src_md, dnnl_query_weights_md, dnnl_query_dst_md};
    dnnl_matmul_desc_t d;
    dnnl_primitive_desc_t description = NULL;
    if (p->kind == PEER_DNNL_BF16 && !(cpu_flags() & (CPU_AVX512_BF16 | CPU_AMX_BF16))) return false; /* emulated */
    omp_set_num_threads(p->threads);
    if (!good(dnnl_engine_create(&p->engine, dnnl_cpu, 0)) ||
        !good(dnnl_stream_create(&p->stream, p->engine, dnnl_stream_default_flags)) || !describe(p, &d) ||
        !good(dnnl_primitive_desc_create(&description, &d, NULL, p->engine, NULL)))
        return false;
    bool done = good(dnnl_primitive_create(&p->multiply, description));
    for (int i = 0; i < 3; i++)
        done =
            done && good(dnnl_memory_create(&p->memories[i], dnnl_primitive_desc_query_md(description, queries[i], 0),
                                            p->engine, DNNL_MEMORY_ALLOCATE));
    dnnl_primitive_desc_destroy(description);
    const dnnl_dim_t m = (dnnl_dim_t)p->m, n = (dnnl_dim_t)p->rows, k = (dnnl_dim_t)p->columns;
    return done && convert(p, p->x, m, k, dnnl_ab, p->memories[0]) &&
           convert(p, p->weights, k, n, dnnl_ba, p->memories[1]);
}

static bool run_dnnl(peer_product *p)
{
    const dnnl_exec_arg_t arguments[] = {
        {DNNL_ARG_SRC, p->memories[0]}, {DNNL_ARG_WEIGHTS, p->memories[1]}, {DNNL_ARG_DST, p->memories[2]}};
    return good(dnnl_primitive_execute(p->multiply, p->stream, 3, arguments)) && good(dnnl_stream_wait(p->stream));
}

static void free_dnnl(peer_product *p)
{
    for (int i = 0; i < 3; i++)
        if (p->memories[i] != NULL) dnnl_memory_destroy(p->memories[i]);
    if (p->multiply != NULL) dnnl_primitive_destroy(p->multiply);
    if (p->stream != NULL) dnnl_stream_destroy(p->stream);
    if (p->engine != NULL) dnnl_engine_destroy(p->engine);
}

#else

static bool create_dnnl(peer_product *p)
{
    (void)p;
    return false;
}

static bool run_dnnl(peer_product *p)
{
    (void)p;
    return false;
}

static void free_dnnl(peer_product *p)
{
    (void)p;
}

#endif

/* ---- the interface ---------------------------------------------------------------------------------------------- */

peer_product *peer_product_create(peer kind, size_t m, size_t rows, size_t columns, const float *weights,
                                  const float *x, int threads)
{
    peer_product *p = calloc(1, sizeof *p);
    if (p == NULL) return NULL;
    *p = (peer_product){
        .kind = kind, .m = m, .rows = rows, .columns = columns, .threads = threads, .weights = weights, .x = x};
    if (kind == PEER_OPENBLAS ? create_openblas(p) : create_dnnl(p)) return p;
    peer_product_free(p);
    return NULL;
}

bool peer_product_run(peer_product *p)
{
    return p->kind == PEER_OPENBLAS ? run_openblas(p) : run_dnnl(p);
}

void peer_product_free(peer_product *p)
{
    if (p == NULL) return;
    if (p->kind != PEER_OPENBLAS) free_dnnl(p);
    free(p->y);
    free(p);
}
