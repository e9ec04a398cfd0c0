/* pass_fuse_latent.c - MLA's projections of the normalised input, q_a (or q, where queries have no latent) and kv_a
 * become one matmul: fuse_matmuls.h says why that preserves the function, and that no rounding differs. */
#include "optimizer/graph/fuse_matmuls.h"

ciuic_status graph_pass_fuse_latent(graph *g, const graph_pass_options *options, bool *changed)
{
    static const char *const names[] = {"q_a_proj", "q_proj", "kv_a_proj_with_mqa", NULL};
    static const char *const queries[] = {"q_a_proj", "q_proj", NULL};
    return graph_fuse_matmuls(g, options, names, queries, changed);
}
