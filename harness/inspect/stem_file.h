/* stem_file.h - a convolutional stem as a JSON file: {"stem": {"channels", "height", "width", "channels_last_in",
 * "channels_last_out", "layers": [{"conv", "norm", "bias", "out_channels", "groups", "kernel": [2], "stride": [2], "padding": [2],
 * "dilation": [2], "eps", "activation": "none" | "relu" | "silu"}]}}, as optimizer/graph/stem.h has it; "norm" may be null. */
#ifndef CIUIC_STEM_FILE_H
#define CIUIC_STEM_FILE_H

#include <cjson/cJSON.h>

#include "optimizer/graph/stem.h"

typedef struct stem_file {
    cJSON *json; /* what names point into */
    stem_layer *layers;
    stem_config config;
} stem_file;

/* *found: whether the file, of JSON, describes a stem; if not, nothing of it is kept. CIUIC_ERROR_INPUT names the layer and key of what
 * is not as above. Free with stem_file_free, also after a failure. */
ciuic_status stem_file_read(const char *path, stem_file *file, bool *found);
void stem_file_free(stem_file *file);

#endif
