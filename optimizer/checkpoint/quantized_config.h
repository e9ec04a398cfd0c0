/* quantized_config.h - "quantization_config" of a checkpoint that ciuic quantised: which matrices, how, and from what.
 *
 * Such a checkpoint is a folder like any other, but for this. config.json is the source's, and has
 *
 *     "quantization_config": {
 *       "quant_method": "ciuic", "format_version": 1, "made_by": "ciuic 0.1.0",
 *       "activations": "int8" or "none",                   what the quantised matrices are to be multiplied by
 *       "weight_block_size": [128, 128],                   of the source's F8_E4M3 matrices, where some are left
 *       "source": {"path": "...", "sha256": "...", "bits_per_weight": 16},
 *       "calibration": {"ids": "FILE:NAME", "sha256": "...", "tokens": 65536} or null,
 *       "verified": {an object of metrics} or null,
 *       "tensors": {"model.layers.0.self_attn.o_proj": {"setting": "int4-g64-asym", "quantizer": "gptq",
 *           "interleave": 16, "tokens": 65536, "relative_error": 0.05, "pooled": true (if it is)}, ...} }
 *
 * A matrix NAME that "tensors" lists, N rows by K columns, is stored as kernels.h has its format:
 *
 *     int8, int4, int3   NAME.weight U8 [S, kernel_row_bytes(format, K)], NAME.weight_scale F16 [S, groups of K], and
 *                        where it is asymmetric NAME.weight_minimum, likewise. S is N; or N rounded up to whole panels,
 *                        which the three then lie in, when `interleave` is not 0
 *     affine8, affine4   NAME.weight U8 [N, kernel_row_bytes(format, K)], NAME.weight_scale and NAME.weight_minimum
 *                        F32 [1]
 *
 * Scales and minimums are finite. Any byte is a code. Everything else is as in any checkpoint; the writer stores
 * what is small and exact - norms, biases, the router - in F32. */
#ifndef CIUIC_QUANTIZED_CONFIG_H
#define CIUIC_QUANTIZED_CONFIG_H

#include <cjson/cJSON.h>

#include "optimizer/quantize/setting.h"

enum { QUANTIZED_FORMAT_VERSION = 1 };

/* One matrix. */
typedef struct quantized_tensor {
    const char *name; /* of the tensor, without ".weight" */
    quantize_setting setting;
    ciuic_quantizer quantizer;
    size_t interleave;     /* rows of a panel; 0: rows as they lie */
    size_t tokens;         /* that calibration had for it; 0: none */
    bool pooled;           /* an expert that was calibrated on what all of its layer's experts read, too */
    double relative_error; /* of its outputs in calibration, of its weights where tokens is 0; NaN: not known */
    kernel_matrix matrix;  /* checkpoint_open: where it is mapped */
} quantized_tensor;

/* Where it comes from. Strings are borrowed. */
typedef struct quantized_provenance {
    const char *made_by;
    ciuic_activations activations;
    const char *source_path, *source_sha256; /* 64 hexadecimal digits */
    double source_bits_per_weight;
    const char *calibration_ids, *calibration_sha256; /* NULL: there was no calibration */
    size_t calibration_tokens;
    const cJSON *verified; /* metrics, NULL when nobody measured them */
} quantized_provenance;

typedef struct quantized_config {
    quantized_provenance provenance;
    size_t block_rows,
        block_columns;         /* to be written: of F8_E4M3 matrices that are left, 0: none are. Read by config.h */
    quantized_tensor *tensors; /* [count], by name */
    size_t count;
    cJSON *json; /* what was read, which owns all strings; NULL when the caller does */
} quantized_config;

/* Reads and checks "quantization_config" of the config.json `path`, whose quant_method is "ciuic". */
ciuic_status quantized_config_read(const char *path, quantized_config *config);
/* Frees the list, and what was read; the caller's own strings are not. All zero is allowed. */
void quantized_config_free(quantized_config *config);
/* The matrix of that name (without ".weight"); NULL when it is not quantised. */
quantized_tensor *quantized_config_find(const quantized_config *config, const char *name);

/* The object to be written; NULL when out of memory. */
cJSON *quantized_config_json(const quantized_config *config);

#endif
