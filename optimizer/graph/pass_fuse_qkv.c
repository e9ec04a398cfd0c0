/* pass_fuse_qkv.c - q, k and v of grouped-query attention
 * become one matmul: fuse_matmuls.h says why that preserves the function, and that no rounding differs. */
#include "optimizer/graph/fuse_matmuls.h"

ciuic_status graph_pass_fuse_qkv(graph *g, const graph_pass_options *options, bool *changed)
{
    static const char *const names[] = {"q_proj", "k_proj", "v_proj", NULL};
    static const char *const queries[] = {"q_proj", NULL};
    return graph_fuse_matmuls(g, options, names, queries, changed);
}
