/* calibration_ids.h - the token ids that calibration runs on: windows of one length, checked against the model. */
#ifndef CIUIC_QUANTIZE_CALIBRATION_IDS_H
#define CIUIC_QUANTIZE_CALIBRATION_IDS_H

#include "optimizer/checkpoint/checkpoint.h"

typedef struct calibration_ids {
    char *source; /* "FILE.safetensors:NAME" */
    int32_t *ids; /* [rows][length] */
    size_t rows, length;
} calibration_ids;

enum {
    CALIBRATION_WINDOW = 512,    /* ids of a window, where the tensor is one stream */
    CALIBRATION_LEAST_IDS = 512, /* fewer say nothing of a matrix's inputs */
    /* As many ids in a row that are in the evaluation data, too, are no accident. Two samples of one model do share what it
     * knows by heart, a licence's words say: runs of up to a hundred ids in the streams of datasets/. */
    CALIBRATION_OVERLAP = 128
};

/* Reads `source`, FILE.safetensors:NAME, an I32 tensor [rows, n] or [n] (cut into windows; the rest is left out); NULL:
 * calib_ids of the checkpoint's own streams.safetensors. CIUIC_ERROR_INPUT: not there, of another type or shape, ids
 * outside the vocabulary, fewer than CALIBRATION_LEAST_IDS, or windows longer than the model's context. */
ciuic_status calibration_ids_read(const checkpoint *c, const char *source, calibration_ids *ids);
void calibration_ids_free(calibration_ids *ids);

/* Refuses calibration on what is evaluated: CIUIC_ERROR_INPUT when CALIBRATION_OVERLAP ids in a row (or a whole row, where
 * those are shorter) of one are in the other. other: [rows][length]; `name` is what the message calls it. */
ciuic_status calibration_ids_check_apart(const calibration_ids *ids, const int32_t *other, size_t rows, size_t length,
                                         const char *name);

#endif
