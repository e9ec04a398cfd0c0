/* frontier.c - see frontier.h. */
#include "optimizer/quantize/frontier.h"

#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"

static bool reads_cache(const graph_op *op)
{
    return op->kind == GRAPH_CACHE_READ || op->kind == GRAPH_ATTENTION;
}

/* Whether what the cache holds would have to be kept as well. */
static bool cuts_cache(const graph *g, int at)
{
    bool written = false, read = false;
    for (int i = 0; i < g->op_count; i++) {
        written |= i < at && g->ops[i].kind == GRAPH_CACHE_WRITE;
        read |= i >= at && reads_cache(&g->ops[i]);
    }
    return written && read;
}

int frontier_place(const graph *g, const layer_stages *stages, int stage)
{
    int at = 0;
    while (at < g->op_count && stages->stage[at] < stage) at++;
    while (at > 0 && cuts_cache(g, at)) at--;
    return at;
}

/* Whether some operation before `at` wrote the value and one from `at` on reads it. */
static bool alive(const graph *g, int value, int at)
{
    const int producer = graph_producer(g, value);
    if (producer == GRAPH_NONE || producer >= at || g->ops[producer].kind == GRAPH_INPUT) return false;
    for (int i = at; i < g->op_count; i++)
        if (graph_reads(&g->ops[i], value)) return true;
    return g->output == value;
}

static size_t floats_of(const graph *g, int value)
{
    const graph_value *v = &g->values[value];
    return v->width * (v->rows == GRAPH_ROUTED ? g->experts_per_token : 1);
}

ciuic_status frontier_create(frontier *f, const graph *g, int at, size_t ids, size_t window)
{
    *f = (frontier){.at = at, .window = window, .windows = (ids + window - 1) / window};
    f->values = calloc((size_t)g->value_count + 1, sizeof *f->values);
    if (f->values == NULL) return ciuic_fail_memory("a layer's values", (size_t)g->value_count * sizeof *f->values);
    for (int v = 0; v < g->value_count; v++) {
        if (!alive(g, v, at)) continue;
        const size_t floats = floats_of(g, v);
        void *room = NULL;
        if (g->values[v].dtype == GRAPH_ROUTING) {
            room = f->routes = calloc(f->windows, sizeof *f->routes);
        } else {
            room = malloc(ids * floats * sizeof(float));
            f->values[f->count++] = (frontier_value){.value = v, .floats = floats, .rows = room};
        }
        if (room != NULL) continue;
        frontier_free(f);
        return ciuic_fail_memory("a layer's values for all calibration ids", ids * floats * sizeof(float));
    }
    return CIUIC_OK;
}

void frontier_free(frontier *f)
{
    for (size_t i = 0; i < f->count; i++) free(f->values[i].rows);
    for (size_t i = 0; f->routes != NULL && i < f->windows; i++) routing_free(&f->routes[i]);
    free(f->values);
    free(f->routes);
    *f = (frontier){0};
}

void layer_frontiers_free(layer_frontiers *f)
{
    frontier_free(&f->own);
    frontier_free(&f->plain);
}

ciuic_status frontier_keep(frontier *f, const layer_pass *pass, size_t first, size_t rows)
{
    for (size_t i = 0; i < f->count; i++) {
        const frontier_value *v = &f->values[i];
        memcpy(v->rows + first * v->floats, layer_pass_value(pass, v->value), rows * v->floats * sizeof *v->rows);
    }
    if (f->routes == NULL) return CIUIC_OK;
    routing *route = &f->routes[first / f->window];
    routing_free(route);
    return routing_clone(route, layer_pass_routing(pass));
}

ciuic_status frontier_restore(const frontier *f, layer_pass *pass, size_t first, size_t rows)
{
    for (size_t i = 0; i < f->count; i++) {
        const frontier_value *v = &f->values[i];
        float *to = NULL;
        CIUIC_TRY(layer_pass_room(pass, rows, v->value, &to));
        memcpy(to, v->rows + first * v->floats, rows * v->floats * sizeof *to);
    }
    return CIUIC_OK;
}

const routing *frontier_routing(const frontier *f, size_t first)
{
    return f->routes != NULL ? &f->routes[first / f->window] : NULL;
}
