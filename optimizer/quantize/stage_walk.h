/* stage_walk.h - the inputs of one stage, measured and factorised one after the other: what calibration and the measurement of
 * sensitivity have in common. */
#ifndef CIUIC_QUANTIZE_STAGE_WALK_H
#define CIUIC_QUANTIZE_STAGE_WALK_H

#include "optimizer/quantize/calibration_ids.h"
#include "optimizer/quantize/frontier.h"
#include "optimizer/quantize/gptq.h"
#include "optimizer/quantize/stages.h"

/* An expert that saw fewer tokens is calibrated mostly on what all experts of its layer read. */
enum { STAGE_POOL_TOKENS = 1024 };

/* One layer, and what goes into it. */
typedef struct layer_work {
    const checkpoint *source;
    const quantized_set *set; /* tensors of this layer that are quantised already; NULL: it runs unquantised */
    const float *hidden;      /* [ids][hidden size]: its inputs */
    const float *plain;       /* the same in the unquantised model; NULL: nobody asks how far they are apart */
    size_t ids, window;       /* window: ids of a sequence */
    size_t layer;             /* the number of layers: the head */
    int threads;              /* 0: all cores */
    const graph *g;           /* of the layer */
    const layer_stages *stages;
    layer_frontiers *kept; /* how far stages have run it; empty before the first */
} layer_work;

/* One input of the stage is known: quantise what reads it. tokens: that it saw, of an expert its own. */
typedef ciuic_status stage_visit_fn(void *context, const stage_input *input, size_t tokens, const gptq_factor *factor);

/* Visits all inputs of a stage, experts each for themselves; goes on from w->kept as often as memory for their second moments
 * demands, and leaves there where the next stage may go on. Stages come in their order. */
ciuic_status stage_walk(const layer_work *w, int stage, stage_visit_fn *visit, void *context);

/* A pass over the work's layer, unquantised or with the tensors of `set`. */
ciuic_status layer_work_open(const layer_work *w, const quantized_set *set, layer_pass **pass);
/* Runs operations [0, end) on the rows of one window from row `first` of `hidden` on, of `total` rows; *rows of them. The head
 * takes fewer rows at once, logits are wide. */
ciuic_status layer_work_run(const layer_work *w, layer_pass *pass, const float *hidden, size_t total, size_t first,
                            int end, size_t *rows);
/* The rest of the layer for one window of w->hidden, from where the last stage left it. */
ciuic_status layer_work_finish(const layer_work *w, layer_pass *pass, size_t first, size_t *rows);

/* Weights of the matrices that read inputs of the stage. */
size_t stage_parameters(const graph *g, const layer_stages *stages, int stage);
/* The tensor of unit `unit`: with the expert's number for '*'. */
void stage_tensor_name(const char *unit, int expert, char name[QUANTIZE_UNIT_NAME]);

#endif
