/* frontier.h - how far a layer has been run for all windows: the values that its later operations still read, kept, so that a
 * stage goes on where the one before it stood and attention is computed once a layer. */
#ifndef CIUIC_QUANTIZE_FRONTIER_H
#define CIUIC_QUANTIZE_FRONTIER_H

#include "optimizer/quantize/stages.h"

typedef struct frontier_value {
    int value;
    size_t floats; /* of one id: its row, or the rows of all its experts */
    float *rows;   /* [ids][floats] */
} frontier_value;

/* Zero-initialised: nothing has run, and every window begins at the layer's input. */
typedef struct frontier {
    int at; /* operations [0, at) have run */
    frontier_value *values;
    size_t count, window; /* window: ids of one */
    routing *routes;      /* [windows]: which experts; NULL when `at` lies before the choice or there are none */
    size_t windows;
} frontier;

/* Of the two runs of a layer that calibration compares. */
typedef struct layer_frontiers {
    frontier own, plain; /* plain: the unquantised one's; nothing where there is none */
} layer_frontiers;

/* Where the run for stage `stage` may be kept: no matrix of that stage or of a later one comes before it, and no operation
 * after it reads what one before it wrote into the cache. 0: only at the beginning. */
int frontier_place(const graph *g, const layer_stages *stages, int stage);

/* What the layer's input operation wrote is not kept: it is given again. Room at `at` for `ids` ids in windows of `window`. Out of memory is CIUIC_ERROR_UNSUPPORTED and leaves nothing. */
ciuic_status frontier_create(frontier *f, const graph *g, int at, size_t ids, size_t window);
void frontier_free(frontier *f);
void layer_frontiers_free(layer_frontiers *f);

/* Copies what the last run of `pass`, up to operation f->at, left of the `rows` ids from `first` on: one window. Out of memory
 * is CIUIC_ERROR_UNSUPPORTED. */
ciuic_status frontier_keep(frontier *f, const layer_pass *pass, size_t first, size_t rows);
/* Puts it back, for a run from f->at on with the experts of frontier_routing. */
ciuic_status frontier_restore(const frontier *f, layer_pass *pass, size_t first, size_t rows);
/* The experts of the window that begins at id `first`; NULL: not chosen yet. */
const routing *frontier_routing(const frontier *f, size_t first);

#endif
