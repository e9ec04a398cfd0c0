/* attempt.c - see attempt.h. */
#include "harness/optimize/attempt.h"

#include "harness/judge/compare.h"
#include "optimizer/error.h"
#include "optimizer/quantize/calibrate.h"

static ciuic_status quantise(const attempt_request *request, const recipe *r, attempt *a)
{
    const folder_request folder = {.source = request->source,
                                   .output = request->output,
                                   .recipe = r,
                                   .interleave = request->interleave,
                                   .provenance = request->provenance,
                                   .threads = request->threads,
                                   .progress = request->progress,
                                   .progress_context = request->progress_context};
    CIUIC_TRY(folder_writer_open(&folder, &a->writer));
    if (request->ids != NULL) {
        quantized_set *set = quantized_set_create();
        if (set == NULL) return ciuic_fail_memory("quantised weights", 1);
        const quantize_request calibrated = {.source = request->source,
                                             .recipe = r,
                                             .quantizer = request->quantizer,
                                             .ids = request->ids,
                                             .threads = request->threads,
                                             .progress = request->progress,
                                             .progress_context = request->progress_context,
                                             .done = folder_writer_take,
                                             .done_context = a->writer};
        const ciuic_status status = quantize_calibrate(&calibrated, set, &a->log);
        quantized_set_free(set);
        CIUIC_TRY(status);
    }
    return folder_writer_finish(a->writer);
}

static ciuic_status measure(const attempt_request *request, attempt *a)
{
    ciuic_model *plain = NULL, *made = NULL;
    ciuic_model_info info;
    ciuic_status status = ciuic_model_load(folder_writer_path(a->writer), &plain);
    if (status == CIUIC_OK) status = ciuic_optimize(plain, &request->run, &made, NULL);
    if (status == CIUIC_OK) {
        ciuic_model_describe(made, &info);
        a->bits_per_weight = info.bits_per_weight;
        comparison_result compared;
        const comparison c = {.variant = made,
                              .reference = request->reference,
                              .windows = request->windows,
                              .count = request->window_count,
                              .threads = request->threads,
                              .what = "verifying",
                              .progress = request->progress,
                              .progress_context = request->progress_context};
        status = compare_models(&c, &compared);
        if (status == CIUIC_OK) a->accuracy = compared.accuracy;
    }
    ciuic_model_free(made);
    ciuic_model_free(plain);
    return status;
}

ciuic_status attempt_write(const attempt_request *request, const recipe *r, attempt *made)
{
    attempt a = {0};
    const ciuic_status status = quantise(request, r, &a);
    if (status != CIUIC_OK)
        attempt_free(&a);
    else
        *made = a;
    return status;
}

ciuic_status attempt_make(const attempt_request *request, const recipe *r, attempt *made)
{
    attempt a = {0};
    ciuic_status status = attempt_write(request, r, &a);
    if (status == CIUIC_OK) status = measure(request, &a);
    if (status != CIUIC_OK)
        attempt_free(&a);
    else
        *made = a;
    return status;
}

void attempt_free(attempt *made)
{
    folder_writer_free(made->writer);
    quantize_log_free(&made->log);
    *made = (attempt){0};
}
