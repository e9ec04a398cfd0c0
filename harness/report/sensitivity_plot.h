/* sensitivity_plot.h - what quantising one unit of a model costs, for each of its units. */
#ifndef CIUIC_SENSITIVITY_PLOT_H
#define CIUIC_SENSITIVITY_PLOT_H

#include <cjson/cJSON.h>

#include "harness/report/draw.h"

/* `explained` is what `ciuic optimize --explain --json` prints: {"units": [{"unit": "model.layers.0.mlp.down_proj",
 * "parameters": n, "chosen": "int8-g128", "kl_int4": x, "kl_error": y, "kl_chosen": z, "bits": b}, ...]}, KL in nats with this
 * unit alone quantised. Leaves FOLDER/sensitivity.dat and, where gnuplot can draw it, FOLDER/sensitivity.svg; `problem` is
 * "" or says why the latter is missing. The folder must exist. CIUIC_ERROR_INPUT when the object is not of that shape. */
ciuic_status sensitivity_plot(const cJSON *explained, const char *folder, char problem[DRAW_PROBLEM]);

#endif
