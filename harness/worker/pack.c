/* pack.c - see pack.h. */
#include "harness/worker/pack.h"

#include <stdio.h>

#include "harness/folder_removal.h"
#include "harness/monotonic_clock.h"
#include "harness/optimize/attempt.h"
#include "harness/suite/checkpoint_digest.h"
#include "harness/variant_json.h"
#include "harness/version.h"
#include "optimizer/checkpoint/finite_weights.h"
#include "optimizer/error.h"
#include "optimizer/json.h"
#include "optimizer/quantize/calibration_ids.h"
#include "optimizer/runtime/weight_check.h"

static const char where[] = "pack";

typedef struct packing {
    const char *path, *source_sha256, *output;
    ciuic_options options; /* how to quantise, for which kernels, and whom to tell */
    kernel_table kernels;
    checkpoint *source;
    recipe recipe;
    calibration_ids ids;
    folder_result written;
    char made_by[64];
} packing;

static ciuic_status read_request(const cJSON *request, packing *p)
{
    const char *quantize = NULL;
    kernel_isa isa = KERNEL_ISA_C;
    size_t threads = 0;
    CIUIC_TRY(json_get_string(request, where, "checkpoint", &p->path));
    CIUIC_TRY(json_get_string(request, where, "source_sha256", &p->source_sha256));
    CIUIC_TRY(json_get_string(request, where, "output", &p->output));
    CIUIC_TRY(json_get_string(request, where, "quantize", &quantize));
    CIUIC_TRY(json_get_string(request, where, "isa", &p->options.isa));
    CIUIC_TRY(json_get_size(request, where, "threads", 1, 1024, &threads));
    p->options.threads = (int)threads;
    if (!ciuic_quantize_parse(quantize, &p->options.quantize) || !kernel_isa_parse(p->options.isa, &isa))
        return ciuic_fail(CIUIC_ERROR_USAGE, "pack: unknown setting \"%s\" or \"%s\"", quantize, p->options.isa);
    kernel_table_fill(&p->kernels, isa);
    return variant_json_read(request, where, &p->options);
}

static ciuic_status write_folder(packing *p)
{
    const bool calibrate = ciuic_options_calibrate(&p->options);
    attempt made = {0};
    CIUIC_TRY(checkpoint_open(p->path, &p->source));
    CIUIC_TRY(finite_weights_check(p->source));
    if (calibrate) CIUIC_TRY(calibration_ids_read(p->source, NULL, &p->ids));
    CIUIC_TRY(recipe_of_options(&p->options, &p->recipe));
    snprintf(p->made_by, sizeof p->made_by, "ciuic %s (%s)", program_version(), program_git());
    const sha256_hex ids = sha256_data(p->ids.ids, p->ids.rows * p->ids.length * sizeof *p->ids.ids);
    attempt_request r = {.source = p->source,
                         .output = p->output,
                         .quantizer = p->options.quantizer,
                         .ids = calibrate ? &p->ids : NULL,
                         .interleave = p->kernels.interleave,
                         .threads = p->options.threads,
                         .progress = p->options.progress,
                         .progress_context = p->options.progress_context};
    r.provenance = (quantized_provenance){
        .made_by = p->made_by, .activations = p->options.activations, .source_sha256 = p->source_sha256};
    if (calibrate) {
        r.provenance.calibration_ids = p->ids.source;
        r.provenance.calibration_sha256 = ids.text;
        r.provenance.calibration_tokens = p->ids.rows * p->ids.length;
    }
    CIUIC_TRY(attempt_write(&r, &p->recipe, &made));
    const ciuic_status status = folder_writer_commit(made.writer, NULL, &p->written);
    attempt_free(&made);
    return status;
}

/* The folder as a variant will find it: in place where it is mapped, with the norms that it has. */
static ciuic_status check_folder(const packing *p, ciuic_weight_check *found)
{
    const ciuic_options run = {.memory = CIUIC_MEMORY_ON,
                               .isa = p->options.isa,
                               .activations = p->options.activations,
                               .threads = p->options.threads};
    ciuic_model *plain = NULL, *model = NULL;
    CIUIC_TRY(ciuic_model_load(p->output, &plain));
    ciuic_status status = ciuic_optimize(plain, &run, &model, NULL);
    if (status == CIUIC_OK) status = weights_check_against(model, p->source, &p->options, found);
    ciuic_model_free(model);
    ciuic_model_free(plain);
    return status;
}

static ciuic_status pack(packing *p, cJSON *answer)
{
    ciuic_weight_check found = {0};
    sha256_hex digest;
    const double began = monotonic_s();
    CIUIC_TRY(write_folder(p));
    const double written = monotonic_s();
    ciuic_status status = check_folder(p, &found);
    const double checked = monotonic_s();
    if (status == CIUIC_OK) status = checkpoint_digest_folder(p->output, &digest);
    if (status == CIUIC_OK &&
        (!json_add_size(answer, "bytes", p->written.bytes) || !json_add_double(answer, "seconds", written - began) ||
         !json_add_double(answer, "check_seconds", checked - written) ||
         !json_add_double(answer, "bits_per_weight", p->written.bits_per_weight) ||
         !json_add_size(answer, "weights_checked", found.checked) ||
         !json_add_size(answer, "weights_unchecked", found.unchecked) ||
         cJSON_AddStringToObject(answer, "sha256", digest.text) == NULL))
        status = ciuic_fail_memory("an answer", 0);
    if (status != CIUIC_OK) folder_remove(p->output);
    return status;
}

ciuic_status pack_folder(const cJSON *request, ciuic_progress_fn *progress, void *context, cJSON *answer)
{
    packing p = {.options = {.progress = progress, .progress_context = context}};
    ciuic_status status = read_request(request, &p);
    if (status == CIUIC_OK) status = pack(&p, answer);
    recipe_free(&p.recipe);
    calibration_ids_free(&p.ids);
    checkpoint_release(p.source);
    return status;
}
