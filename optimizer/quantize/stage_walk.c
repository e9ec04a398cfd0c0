/* stage_walk.c - see stage_walk.h. */
#include "optimizer/quantize/stage_walk.h"

#include <stdio.h>
#include <string.h>

#include "optimizer/error.h"

/* Added to the diagonal of second moments, in units of its mean: GPTQ's own choice. */
static const double damping = 0.01;
/* Rows of hidden states that the head takes at once. */
enum { HEAD_ROWS = 128 };

/* ---- running the layer ------------------------------------------------------------------------------------------ */

static size_t window_of(const layer_work *w)
{
    return w->layer == checkpoint_config(w->source)->layers ? HEAD_ROWS : w->window;
}

ciuic_status layer_work_open(const layer_work *w, const quantized_set *set, layer_pass **pass)
{
    const recipe nothing = {.count = 0};
    const weight_source from = {.checkpoint = w->source, .recipe = &nothing, .set = set};
    return layer_pass_create(&from, w->layer, window_of(w), w->threads, pass);
}

static size_t rows_from(const layer_work *w, size_t total, size_t first)
{
    const size_t left = total - first, window = window_of(w);
    return left < window ? left : window;
}

ciuic_status layer_work_run(const layer_work *w, layer_pass *pass, const float *hidden, size_t total, size_t first,
                            int end, size_t *rows)
{
    *rows = rows_from(w, total, first);
    return layer_pass_run(pass, hidden + first * checkpoint_config(w->source)->hidden_size, *rows, end, NULL);
}

/* One window's operations up to `end`, from where `from` has it; kept in `to` on the way, unless that is NULL. */
static ciuic_status go_on(const layer_work *w, layer_pass *pass, const float *hidden, const frontier *from,
                          frontier *to, size_t first, size_t rows, int end, const routing *chosen)
{
    const float *x = hidden + first * checkpoint_config(w->source)->hidden_size;
    const int middle = to != NULL ? to->at : from->at;
    CIUIC_TRY(frontier_restore(from, pass, first, rows));
    CIUIC_TRY(layer_pass_resume(pass, x, rows, from->at, middle, chosen));
    if (to != NULL) CIUIC_TRY(frontier_keep(to, pass, first, rows));
    return layer_pass_resume(pass, x, rows, middle, end, chosen);
}

ciuic_status layer_work_finish(const layer_work *w, layer_pass *pass, size_t first, size_t *rows)
{
    const frontier *from = &w->kept->own;
    *rows = rows_from(w, w->ids, first);
    return go_on(w, pass, w->hidden, from, NULL, first, *rows, INT32_MAX, frontier_routing(from, first));
}

/* ---- inputs ----------------------------------------------------------------------------------------------------- */

/* One window to operation `end`, and where the drift is asked for, unquantised through the same experts. next: where to keep it
 * for the next stage; NULL: it is kept already, in w->kept. */
static ciuic_status collect_window(const layer_work *w, int end, layer_pass *pass, layer_pass *beside,
                                   layer_frontiers *next, size_t first, stage_inputs *inputs)
{
    const frontier *from = &w->kept->own;
    const size_t rows = rows_from(w, w->ids, first);
    CIUIC_TRY(go_on(w, pass, w->hidden, from, next != NULL ? &next->own : NULL, first, rows, end,
                    frontier_routing(from, first)));
    if (beside != NULL)
        CIUIC_TRY(go_on(w, beside, w->plain, &w->kept->plain, next != NULL ? &next->plain : NULL, first, rows, end,
                        layer_pass_routing(pass)));
    for (size_t i = 0; i < inputs->count; i++) CIUIC_TRY(stage_input_collect(pass, beside, rows, &inputs->inputs[i]));
    return CIUIC_OK;
}

static ciuic_status collect(const layer_work *w, int end, layer_frontiers *next, stage_inputs *inputs)
{
    layer_pass *pass = NULL, *beside = NULL;
    ciuic_status status = layer_work_open(w, w->set, &pass);
    if (status == CIUIC_OK && w->plain != NULL) status = layer_work_open(w, NULL, &beside);
    for (size_t first = 0; first < w->ids && status == CIUIC_OK; first += window_of(w))
        status = collect_window(w, end, pass, beside, next, first, inputs);
    layer_pass_free(pass);
    layer_pass_free(beside);
    return status;
}

/* Mixes into an expert's moments those of all experts, as if they were so many tokens more. */
static void mix(second_moments *own, const second_moments *pool)
{
    if (pool->tokens == 0) return;
    const float share = (float)STAGE_POOL_TOKENS / (float)pool->tokens;
    for (size_t i = 0; i < own->n * own->n; i++) own->h[i] += share * pool->h[i];
}

static ciuic_status visit_input(stage_input *input, const second_moments *pool, stage_visit_fn *visit, void *context)
{
    const size_t tokens = input->moments.tokens;
    gptq_factor factor = {0};
    if (input->expert >= 0) mix(&input->moments, pool);
    CIUIC_TRY(gptq_factorise(&input->moments, damping, &factor));
    const ciuic_status status = visit(context, input, tokens, &factor);
    gptq_factor_free(&factor);
    return status;
}

/* Floats that an input's sums take. */
static size_t sums_of(const layer_work *w, const stage_input *input)
{
    const size_t n = input->width;
    return n * n + (w->plain != NULL ? n * n + (input->residual != GRAPH_NONE ? input->rows * n : 0) : 0);
}

/* The inputs from `first` on, as many as their sums may take memory: as much as the largest of them, or the weights that read
 * them in 16 bits, whichever is more. */
static size_t batch_end(const layer_work *w, const stage_inputs *all, size_t first, size_t allowed)
{
    size_t bytes = 0, end = first;
    for (; end < all->count; end++) {
        bytes += sums_of(w, &all->inputs[end]) * sizeof(float);
        if (bytes > allowed && end > first) break;
    }
    return end;
}

/* Runs the layer for some inputs, the first time to where the next stage may go on as well. */
static ciuic_status run_to_inputs(const layer_work *w, int stage, bool again, stage_inputs *some)
{
    layer_frontiers next = {0};
    const int at = frontier_place(w->g, w->stages, stage), end = w->stages->end[stage];
    for (size_t i = 0; i < some->count; i++) CIUIC_TRY(stage_input_prepare(&some->inputs[i], w->plain != NULL));
    if (again) return collect(w, end, NULL, some);
    ciuic_status status = frontier_create(&next.own, w->g, at, w->ids, window_of(w));
    if (status == CIUIC_OK && w->plain != NULL) status = frontier_create(&next.plain, w->g, at, w->ids, window_of(w));
    if (status == CIUIC_OK) status = collect(w, end, &next, some);
    layer_frontiers_free(status == CIUIC_OK ? w->kept : &next);
    if (status == CIUIC_OK) *w->kept = next;
    return status;
}

static ciuic_status run_batch(const layer_work *w, int stage, bool again, stage_inputs some, second_moments *pool,
                              stage_visit_fn *visit, void *context)
{
    CIUIC_TRY(run_to_inputs(w, stage, again, &some));
    for (size_t i = 0; i < some.count; i++) {
        stage_input *input = &some.inputs[i];
        if (input->expert == INPUT_POOLED) { /* stays until its experts, which follow, are done */
            second_moments_free(pool);
            *pool = input->moments;
            input->moments = (second_moments){0};
        } else {
            CIUIC_TRY(visit_input(input, pool, visit, context));
        }
        stage_input_release(input);
    }
    return CIUIC_OK;
}

ciuic_status stage_walk(const layer_work *w, int stage, stage_visit_fn *visit, void *context)
{
    stage_inputs all = {0};
    second_moments pool = {0};
    CIUIC_TRY(stage_inputs_find(w->g, w->stages, stage, &all));
    const size_t allowed = stage_parameters(w->g, w->stages, stage) * sizeof(uint16_t);
    ciuic_status status = CIUIC_OK;
    for (size_t first = 0, end; first < all.count && status == CIUIC_OK; first = end) {
        end = batch_end(w, &all, first, allowed);
        const stage_inputs some = {.inputs = all.inputs + first, .count = end - first};
        status = run_batch(w, stage, first > 0, some, &pool, visit, context);
    }
    second_moments_free(&pool);
    stage_inputs_free(&all);
    return status;
}

size_t stage_parameters(const graph *g, const layer_stages *stages, int stage)
{
    size_t parameters = 0;
    for (int i = 0; i < g->op_count; i++) {
        if (stages->stage[i] != stage) continue;
        const graph_weight *weight = &g->weights[g->ops[i].weight];
        const size_t matrices = weight->kind == GRAPH_EXPERTS ? weight->experts : 1;
        parameters += matrices * graph_weight_rows(weight) * weight->columns;
    }
    return parameters;
}

void stage_tensor_name(const char *unit, int expert, char name[QUANTIZE_UNIT_NAME])
{
    const char *star = strchr(unit, '*');
    if (star != NULL)
        snprintf(name, QUANTIZE_UNIT_NAME, "%.*s%d%s", (int)(star - unit), unit, expert, star + 1);
    else
        snprintf(name, QUANTIZE_UNIT_NAME, "%s", unit);
}
