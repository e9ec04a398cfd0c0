/* calibrate.h - quantises a model layer by layer by what its matrices really read.
 *
 * Calibration ids run through one layer at a time. Within a layer, matrices are taken in the order in which data meets
 * them: the inputs of each are those that the already quantised ones before it make. Memory holds the hidden states of the
 * calibration ids, one layer's weights and the second moments of a few inputs, whatever the size of the model. */
#ifndef CIUIC_QUANTIZE_CALIBRATE_H
#define CIUIC_QUANTIZE_CALIBRATE_H

#include "optimizer/quantize/calibration_ids.h"
#include "optimizer/quantize/quantized_set.h"
#include "optimizer/quantize/setting.h"

/* What was done to one tensor. */
typedef struct quantize_record {
    char tensor[QUANTIZE_UNIT_NAME]; /* without ".weight" */
    quantize_setting setting;
    ciuic_quantizer quantizer; /* the one that made it: another than asked for where that could not */
    size_t rows, columns;
    size_t tokens; /* that reached it in calibration; 0 for the embedding */
    bool pooled;   /* an expert that saw too few: calibrated on what all of its layer's experts read */
    double
        relative_error; /* |W x - Q x| / |W x| over the calibration inputs; for the embedding of the weights themselves */
    double squared_error; /* |W x - Q x|^2 summed over the calibration inputs */
} quantize_record;

/* How far the hidden states are from those of the unquantised model, after each layer. */
typedef struct quantize_log {
    quantize_record *records; /* [count], in the order of the work */
    size_t count, capacity;
    double *layer_error; /* [layers + 1]: relative L2 of the output of layer i; the last of the logits */
    size_t layers;
} quantize_log;
void quantize_log_free(quantize_log *log); /* all zero is allowed */

typedef struct quantize_request {
    const checkpoint *source;
    const recipe *recipe; /* units without INT8 to INT3 are left alone */
    ciuic_quantizer quantizer;
    const calibration_ids *ids;
    int threads;                 /* 0: all cores */
    ciuic_progress_fn *progress; /* NULL: nobody waits */
    void *progress_context;
    /* Called when a layer's tensors are all in the set, and may empty it; NULL: they stay there. */
    ciuic_status (*done)(void *context, quantized_set *set, const quantize_log *log);
    void *done_context;
} quantize_request;

/* Puts into `set` a matrix for every tensor that the recipe quantises, and vectors where scaling changed them. */
ciuic_status quantize_calibrate(const quantize_request *request, quantized_set *set, quantize_log *log);

#endif
