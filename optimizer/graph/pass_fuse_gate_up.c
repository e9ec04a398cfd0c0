/* pass_fuse_gate_up.c - gate and up of an MLP, of the shared experts, and of all routed experts
 * become one matmul: fuse_matmuls.h says why that preserves the function, and that no rounding differs. */
#include "optimizer/graph/fuse_matmuls.h"

ciuic_status graph_pass_fuse_gate_up(graph *g, const graph_pass_options *options, bool *changed)
{
    static const char *const names[] = {"gate_proj", "up_proj", NULL};
    return graph_fuse_matmuls(g, options, names, NULL, changed);
}
