/* attempt.h - one quantised folder, made under a recipe and held against its source, but not there yet: whoever asked
 * decides whether it gets its name. */
#ifndef CIUIC_ATTEMPT_H
#define CIUIC_ATTEMPT_H

#include "harness/judge/accuracy.h"
#include "harness/optimize/write_folder.h"
#include "harness/token_windows.h"

typedef struct attempt_request {
    const checkpoint *source;
    const char *output;
    ciuic_quantizer quantizer;
    const calibration_ids *ids;   /* NULL: round to nearest, without calibration */
    const token_windows *windows; /* to verify on */
    size_t window_count;          /* the first so many of them */
    ciuic_model *reference;       /* the source with every stage off */
    ciuic_options run;            /* how the folder is run: graph, memory, isa, activations */
    size_t interleave;            /* of the kernels that will run it */
    quantized_provenance provenance;
    int threads;
    ciuic_progress_fn *progress;
    void *progress_context;
} attempt_request;

typedef struct attempt {
    folder_writer *writer;
    quantize_log log;
    accuracy_result accuracy;
    double bits_per_weight;
} attempt;

/* Quantises and writes beside the output: the folder_writer is finished, and nothing is measured. `windows` and `reference`
 * are not read. On failure nothing is left. */
ciuic_status attempt_write(const attempt_request *request, const recipe *r, attempt *made);
/* The same, opens what was written, and measures it. On failure nothing is left. */
ciuic_status attempt_make(const attempt_request *request, const recipe *r, attempt *made);
/* Leaves nothing of it, unless folder_writer_commit gave it its name. All zero is allowed. */
void attempt_free(attempt *made);

#endif
