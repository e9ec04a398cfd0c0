/* cmd_optimize.c - `ciuic optimize`: a quantised checkpoint that was held against its source before it got its name. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/commands.h"
#include "harness/monotonic_clock.h"
#include "harness/optimize/explain.h"
#include "harness/optimize/tune.h"
#include "harness/progress_line.h"
#include "harness/report/sensitivity_plot.h"
#include "harness/sha256.h"
#include "harness/stage_flags.h"
#include "harness/suite/checkpoint_digest.h"
#include "harness/version.h"
#include "kernels/kernels.h"
#include "optimizer/checkpoint/finite_weights.h"
#include "optimizer/json.h"

static const char help[] = "usage: ciuic optimize CHECKPOINT -o DIR [options]\n"
                           "\n"
                           "Writes a quantised checkpoint, after holding it against the source on ids that\n"
                           "calibration has not seen. Above the limit nothing is written, and the exit\n"
                           "status is 1. The source is never touched; DIR appears whole or not at all.\n"
                           "eval, inspect and bench take DIR like any checkpoint, and quantise nothing.\n"
                           "\n"
                           "  -o, --output DIR   the folder to make\n"
                           "  --max-error E      the limit; without a setting or a budget, the cheapest\n"
                           "                     mixed precision within it is searched for\n"
                           "  --metric M         what E is about: mean_abs_error (of the logits; default),\n"
                           "                     kl or nll_rise (nats)\n"
                           "  --explain          print why each tensor got its bits; without -o that is all\n"
                           "  --plot DIR         leave sensitivity.svg and .dat in that folder; mixed only\n"
                           "  --verify F:NAME    ids to verify on; default: eval_ids in the checkpoint's\n"
                           "                     own streams.safetensors\n"
                           "  --windows N        windows to verify on, spread over all of them (16)\n"
                           "  --quantize Q       affine8, affine4, int8, int6, int5, int4, int3 or\n"
                           "                     mixed (default)\n"
                           "  --isa K            what will run it; default: best\n"
                           "  --threads N        default: all cores\n"
                           "  --json             one JSON object on stdout\n"
                           "\n" QUANTIZE_FLAG_HELP "\n"
                           "Here the quantizer is gptq unless told otherwise.\n"
                           "\n"
                           "examples:\n"
                           "  ciuic optimize datasets/deepseek-v3-tiny --bits 4.8 -o small --explain\n"
                           "  ciuic optimize datasets/deepseek-v3-tiny --max-error 0.02 --metric kl -o small\n";

enum { WINDOWS_DEFAULT = 16, WORST_SHOWN = 5 };

typedef struct optimize_arguments {
    const char *source, *output, *max_error, *metric, *verify, *plot;
    stage_flags stages;
    ciuic_options options; /* how to quantise */
    double limit;          /* 0: none */
    error_metric by;
    size_t windows;
    bool explain, json, tuned; /* tuned: bits are searched for */
} optimize_arguments;

typedef struct optimizing {
    const optimize_arguments *a;
    checkpoint *source;
    calibration_ids ids;
    token_windows windows;
    ciuic_model *reference;
    allocation_unit *units;
    size_t unit_count, budget;
    allocation allocation;
    recipe recipe;
    attempt made;
    folder_result written;
    tune_step steps[TUNE_ATTEMPTS + 2];
    size_t step_count;
    sha256_hex source_digest, ids_digest;
    char made_by[64];
    progress_line *progress;
    double began_s;
} optimizing;

/* ---- telling ---------------------------------------------------------------------------------------------------- */

/* ---- setting up ------------------------------------------------------------------------------------------------- */

static ciuic_status read_windows(optimizing *o, const ciuic_model_info *info)
{
    char *path = NULL;
    if (o->a->verify == NULL && asprintf(&path, "%s/streams.safetensors:eval_ids", o->a->source) < 0)
        return ciuic_fail_memory("a path", strlen(o->a->source));
    const char *from = o->a->verify != NULL ? o->a->verify : path;
    ciuic_status status = token_windows_read(from, 0, info->vocabulary, info->max_context, &o->windows);
    if (status == CIUIC_OK && ciuic_options_calibrate(&o->a->options))
        status = calibration_ids_check_apart(&o->ids, o->windows.ids, o->windows.rows, o->windows.row_length, from);
    free(path);
    return status;
}

static ciuic_status set_up(optimizing *o)
{
    const optimize_arguments *a = o->a;
    ciuic_model_info info;
    CIUIC_TRY(checkpoint_open(a->source, &o->source));
    if (checkpoint_provenance(o->source) != NULL)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: is quantised already, by %s; give its source, %s", a->source,
                          checkpoint_provenance(o->source)->made_by, checkpoint_provenance(o->source)->source_path);
    if (a->output != NULL) CIUIC_TRY(folder_writer_check(o->source, a->output));
    if (a->options.quantize == CIUIC_QUANTIZE_MIXED && !a->tuned) {
        o->budget = mixed_budget(o->source, a->options.bits, a->options.weight_bytes);
        CIUIC_TRY(mixed_check_budget(o->source, o->budget));
    }
    CIUIC_TRY(finite_weights_check(o->source));
    CIUIC_TRY(ciuic_model_load(a->source, &o->reference));
    ciuic_model_describe(o->reference, &info);
    if (ciuic_options_calibrate(&a->options))
        CIUIC_TRY(calibration_ids_read(o->source, a->options.calibration, &o->ids));
    CIUIC_TRY(read_windows(o, &info));
    snprintf(o->made_by, sizeof o->made_by, "ciuic %s (%s)", program_version(), program_git());
    if (ciuic_options_calibrate(&a->options))
        o->ids_digest = sha256_data(o->ids.ids, o->ids.rows * o->ids.length * sizeof *o->ids.ids);
    return checkpoint_digest(o->source, &o->source_digest);
}

/* ---- quantising ------------------------------------------------------------------------------------------------- */

static ciuic_status measure_units(optimizing *o, ciuic_quantizer quantizer, const quantize_setting *settings,
                                  size_t count, size_t anchor)
{
    const sensitivity_request request = {.source = o->source,
                                         .quantizer = quantizer,
                                         .ids = &o->ids,
                                         .settings = settings,
                                         .count = count,
                                         .anchor = anchor,
                                         .threads = (int)o->a->stages.threads,
                                         .progress = progress_line_tell,
                                         .progress_context = o->progress};
    return sensitivity_measure(&request, &o->units, &o->unit_count);
}

static attempt_request attempt_of(optimizing *o)
{
    const optimize_arguments *a = o->a;
    kernel_isa isa = KERNEL_ISA_C;
    kernel_table kernels;
    (void)kernel_isa_parse(a->options.isa, &isa); /* checked when the flags were read */
    kernel_table_fill(&kernels, isa);
    const ciuic_options run = {
        .graph = true, .memory = CIUIC_MEMORY_ON, .isa = a->options.isa, .activations = a->options.activations};
    const size_t count = a->windows < o->windows.count ? a->windows : o->windows.count;
    attempt_request r = {.source = o->source,
                         .output = a->output,
                         .quantizer = a->options.quantizer,
                         .windows = &o->windows,
                         .window_count = count,
                         .reference = o->reference,
                         .run = run,
                         .interleave = kernels.interleave,
                         .threads = (int)a->stages.threads,
                         .progress = progress_line_tell,
                         .progress_context = o->progress};
    r.provenance = (quantized_provenance){
        .made_by = o->made_by, .activations = a->options.activations, .source_sha256 = o->source_digest.text};
    if (ciuic_options_calibrate(&a->options)) {
        r.ids = &o->ids;
        r.provenance.calibration_ids = o->ids.source;
        r.provenance.calibration_sha256 = o->ids_digest.text;
        r.provenance.calibration_tokens = o->ids.rows * o->ids.length;
    }
    return r;
}

static ciuic_status choose_recipe(optimizing *o)
{
    const optimize_arguments *a = o->a;
    if (a->options.quantize != CIUIC_QUANTIZE_MIXED) return recipe_of_options(&a->options, &o->recipe);
    CIUIC_TRY(measure_units(o, a->options.quantizer, mixed_settings, mixed_setting_count, mixed_anchor));
    if (a->tuned) return CIUIC_OK;
    return mixed_choose(o->source, o->units, o->unit_count, o->budget, &o->allocation, &o->recipe);
}

static ciuic_status search_bits(optimizing *o)
{
    const tune_request request = {
        .attempt = attempt_of(o), .units = o->units, .count = o->unit_count, .metric = o->a->by, .limit = o->a->limit};
    tuned found = {0};
    CIUIC_TRY(tune_bits(&request, &found));
    o->made = found.best;
    o->recipe = found.recipe;
    o->allocation = found.allocation;
    o->budget = found.budget;
    o->step_count = found.step_count;
    memcpy(o->steps, found.steps, sizeof o->steps);
    return CIUIC_OK;
}

/* ---- above the limit -------------------------------------------------------------------------------------------- */

static int by_loss(const void *a, const void *b)
{
    const allocation_unit *x = *(const allocation_unit *const *)a, *y = *(const allocation_unit *const *)b;
    const double left = x->choices[x->chosen].kl, right = y->choices[y->chosen].kl;
    return (left < right) - (left > right);
}

/* The units that lose most alone, on stderr, worst first. */
static ciuic_status tell_worst(optimizing *o)
{
    const quantize_setting setting = o->recipe.otherwise;
    if (o->units == NULL && ciuic_options_calibrate(&o->a->options))
        CIUIC_TRY(measure_units(o, o->a->options.quantizer, &setting, 1, 0));
    progress_line_end(o->progress);
    if (o->units == NULL) return CIUIC_OK;
    const allocation_unit **sorted = malloc(o->unit_count * sizeof *sorted);
    if (sorted == NULL) return ciuic_fail_memory("the worst units", o->unit_count * sizeof *sorted);
    size_t count = 0;
    for (size_t i = 0; i < o->unit_count; i++) /* what is left as it was hurts nothing */
        if (recipe_find(&o->recipe, o->units[i].unit).quantised) sorted[count++] = &o->units[i];
    qsort(sorted, count, sizeof *sorted, by_loss);
    fprintf(stderr, "the tensors that hurt most, each alone (KL in nats):\n");
    for (size_t i = 0; i < count && i < WORST_SHOWN; i++) {
        char name[SETTING_NAME];
        const allocation_choice *c = &sorted[i]->choices[sorted[i]->chosen];
        fprintf(stderr, "  %-44s %-12s %.2g\n", sorted[i]->unit, quantize_setting_name(&c->setting, name), c->kl);
    }
    free(sorted);
    return CIUIC_OK;
}

static ciuic_status check_limit(optimizing *o)
{
    const optimize_arguments *a = o->a;
    const double error = error_metric_of(a->by, &o->made.accuracy);
    if (o->made.accuracy.finite && (a->limit == 0 || error <= a->limit)) return CIUIC_OK;
    CIUIC_TRY(tell_worst(o));
    if (!o->made.accuracy.finite)
        return ciuic_fail(CIUIC_ERROR_LIMIT,
                          "%s: the quantised model's logits hold NaN or infinity; nothing was written", a->source);
    return ciuic_fail(CIUIC_ERROR_LIMIT,
                      "%s: %s is %.4g over %zu positions at %.2f bits a weight%s, above the limit of %.4g; nothing was "
                      "written: raise the limit%s",
                      a->source, error_metric_names[a->by], error, o->made.accuracy.positions, o->made.bits_per_weight,
                      a->tuned ? ", the most that is tried" : "", a->limit, a->tuned ? "" : " or the bits");
}

/* ---- results ---------------------------------------------------------------------------------------------------- */

static explanation explanation_of(const optimizing *o)
{
    return (explanation){.units = o->units,
                         .count = o->unit_count,
                         .parameters = checkpoint_parameters(o->source),
                         .fixed_bytes = mixed_fixed_bytes(o->source, o->units, o->unit_count),
                         .budget = o->budget,
                         .result = o->allocation};
}

static bool add_pooled(cJSON *object, const quantize_log *log)
{
    size_t pooled = 0;
    for (size_t i = 0; i < log->count; i++) pooled += log->records[i].pooled ? 1 : 0;
    return json_add_size(object, "pooled_expert_matrices", pooled);
}

static bool fill_json(cJSON *object, const optimizing *o)
{
    const optimize_arguments *a = o->a;
    bool good = cJSON_AddStringToObject(object, "source", a->source) != NULL &&
                cJSON_AddStringToObject(object, "source_sha256", o->source_digest.text) != NULL &&
                cJSON_AddStringToObject(object, "made_by", o->made_by) != NULL;
    if (good && o->units != NULL) {
        const explanation e = explanation_of(o);
        cJSON *explained = explain_json(&e);
        good = explained != NULL;
        for (cJSON *item; good && (item = explained->child) != NULL;) {
            cJSON_DetachItemViaPointer(explained, item);
            good = cJSON_AddItemToObject(object, item->string, item);
        }
        cJSON_Delete(explained);
    }
    if (good && o->made.writer != NULL) {
        cJSON *verified = accuracy_json(&o->made.accuracy);
        good = verified != NULL && cJSON_AddItemToObject(object, "verified", verified) &&
               cJSON_AddStringToObject(object, "output", a->output) != NULL &&
               json_add_size(object, "file_bytes", o->written.bytes) && add_pooled(object, &o->made.log);
        cJSON *bits = cJSON_GetObjectItemCaseSensitive(object, "bits_per_weight");
        if (bits != NULL) cJSON_DeleteItemFromObjectCaseSensitive(object, "bits_per_weight");
        good = good && json_add_double(object, "bits_per_weight", o->made.bits_per_weight);
        cJSON *layers = good ? cJSON_AddArrayToObject(object, "layer_error") : NULL;
        for (size_t i = 0; layers != NULL && o->made.log.layer_error != NULL && i <= o->made.log.layers; i++)
            good = good && cJSON_AddItemToArray(layers, json_double(o->made.log.layer_error[i]));
    }
    cJSON *steps = good && o->step_count > 0 ? cJSON_AddArrayToObject(object, "tried") : NULL;
    for (size_t i = 0; steps != NULL && i < o->step_count && good; i++) {
        cJSON *step = cJSON_CreateObject();
        good = step != NULL && cJSON_AddItemToArray(steps, step) && json_add_double(step, "bits", o->steps[i].bits) &&
               json_add_double(step, "error", o->steps[i].error);
    }
    return good && json_add_double(object, "seconds", monotonic_s() - o->began_s);
}

static void print_tuning(const optimizing *o)
{
    if (o->step_count == 0) return;
    printf("tried, bits a weight: %s\n", error_metric_names[o->a->by]);
    for (size_t i = 0; i < o->step_count; i++) printf("  %6.3f: %.4g\n", o->steps[i].bits, o->steps[i].error);
}

/* Experts that were calibrated on more than they read are said aloud. */
static void print_pooled(const quantize_log *log)
{
    size_t pooled = 0, experts = 0;
    for (size_t i = 0; i < log->count; i++) {
        pooled += log->records[i].pooled ? 1 : 0;
        experts += strstr(log->records[i].tensor, ".experts.") != NULL ? 1 : 0;
    }
    if (pooled > 0)
        printf("%zu of %zu expert matrices saw too few tokens and were calibrated on those of all experts of their "
               "layer,\n"
               "too; more calibration ids would help them.\n",
               pooled, experts);
}

static void print_result(const optimizing *o)
{
    const accuracy_result *r = &o->made.accuracy;
    printf("%s: %.3f bits a weight, %.2f MB, in %.0f s\n", o->a->output, o->made.bits_per_weight,
           (double)o->written.bytes * 1e-6, monotonic_s() - o->began_s);
    printf("verified on %zu positions that calibration has not seen: KL %.4g (+- %.2g) nats, NLL %+.4f (+- %.4f),\n"
           "same top token %.2f%%, mean error of a logit %.3g\n",
           r->positions, r->kl, r->kl_error, r->nll_rise, r->nll_rise_error, 100 * r->top1_agreement,
           r->mean_abs_error);
    print_pooled(&o->made.log);
}

static ciuic_status plot(const optimizing *o)
{
    if (o->a->plot == NULL) return CIUIC_OK;
    const explanation e = explanation_of(o);
    cJSON *json = explain_json(&e);
    char problem[DRAW_PROBLEM];
    if (json == NULL) return ciuic_fail_memory("the plot", o->unit_count);
    const ciuic_status status = sensitivity_plot(json, o->a->plot, problem);
    cJSON_Delete(json);
    if (status == CIUIC_OK && problem[0] != '\0') fprintf(stderr, "ciuic: optimize: no plot: %s\n", problem);
    return status;
}

static ciuic_status tell(optimizing *o)
{
    progress_line_end(o->progress);
    CIUIC_TRY(plot(o));
    if (o->a->json) {
        cJSON *object = cJSON_CreateObject();
        return command_print_json(object, object != NULL && fill_json(object, o));
    }
    if (o->a->explain && o->units != NULL) {
        const explanation e = explanation_of(o);
        explain_print(&e);
    }
    if (o->made.writer == NULL) return CIUIC_OK;
    if (o->a->explain && o->units != NULL) putchar('\n');
    print_tuning(o);
    print_result(o);
    return CIUIC_OK;
}

static ciuic_status commit(optimizing *o)
{
    cJSON *verified = accuracy_json(&o->made.accuracy);
    if (verified == NULL) return ciuic_fail_memory("config.json", 1);
    const ciuic_status status = folder_writer_commit(o->made.writer, verified, &o->written);
    cJSON_Delete(verified);
    return status;
}

static ciuic_status optimize(optimizing *o)
{
    CIUIC_TRY(set_up(o));
    CIUIC_TRY(choose_recipe(o));
    if (o->a->output != NULL) {
        const attempt_request request = attempt_of(o);
        CIUIC_TRY(o->a->tuned ? search_bits(o) : attempt_make(&request, &o->recipe, &o->made));
        CIUIC_TRY(check_limit(o));
        CIUIC_TRY(commit(o));
    }
    return tell(o);
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

static ciuic_status read_limit(optimize_arguments *a)
{
    if (a->max_error != NULL) {
        char *end = NULL;
        a->limit = strtod(a->max_error, &end);
        if (*end != '\0' || end == a->max_error || !(a->limit > 0) || !isfinite(a->limit))
            return ciuic_fail(CIUIC_ERROR_USAGE, "optimize: --max-error '%s': expected a number above 0", a->max_error);
    }
    a->by = ERROR_MEAN_ABS;
    if (a->metric == NULL) return CIUIC_OK;
    if (a->max_error == NULL)
        return ciuic_fail(CIUIC_ERROR_USAGE, "optimize: --metric says what --max-error is about; it is missing");
    for (a->by = 0; a->by < ERROR_METRICS; a->by++)
        if (strcmp(a->metric, error_metric_names[a->by]) == 0) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_USAGE, "optimize: --metric '%s': expected mean_abs_error, kl or nll_rise", a->metric);
}

/* Mixed precision by GPTQ on the best kernels, unless told otherwise. */
static ciuic_status resolve(optimize_arguments *a)
{
    stage_flags *f = &a->stages;
    CIUIC_TRY(read_limit(a));
    if (f->quantize == NULL) f->quantize = "mixed";
    if (f->isa == NULL) f->isa = "best";
    const bool affine = strncmp(f->quantize, "affine", 6) == 0;
    if (f->quantizer == NULL && !affine) f->quantizer = "gptq";
    CIUIC_TRY(stage_flags_resolve("optimize", f, &a->options));
    if (a->options.quantize == CIUIC_QUANTIZE_NONE)
        return ciuic_fail(CIUIC_ERROR_USAGE,
                          "optimize: --quantize none leaves nothing to do; expected another setting");
    const bool mixed = a->options.quantize == CIUIC_QUANTIZE_MIXED;
    const bool budget = a->options.bits > 0 || a->options.weight_bytes > 0;
    a->tuned = mixed && !budget && a->limit > 0;
    if (mixed && !budget && !a->tuned)
        return ciuic_fail(CIUIC_ERROR_USAGE, "optimize: expected a budget (--bits 4.8, --memory-limit 900MiB), a limit "
                                             "(--max-error 0.02 --metric kl) or a setting (--quantize int4)");
    if (a->tuned && a->output == NULL)
        return ciuic_fail(CIUIC_ERROR_USAGE,
                          "optimize: --max-error without a budget makes and measures models; it needs -o");
    if (a->output == NULL && !(a->explain && mixed))
        return ciuic_fail(CIUIC_ERROR_USAGE, "optimize: -o is missing; without it, --explain of mixed precision is all "
                                             "there is to do");
    if (a->explain && !mixed)
        return ciuic_fail(CIUIC_ERROR_USAGE,
                          "optimize: --explain is of mixed precision; quantize %s treats every matrix alike",
                          ciuic_quantize_name(a->options.quantize));
    if (a->plot != NULL && !mixed)
        return ciuic_fail(CIUIC_ERROR_USAGE,
                          "optimize: --plot shows what mixed precision measured; expected --quantize mixed");
    if (a->plot != NULL && access(a->plot, W_OK) != 0)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "optimize: --plot '%s': cannot be written to; expected a folder that is there", a->plot);
    ciuic_options checked = a->options;
    if (a->tuned) checked.bits = 32; /* any budget: the one that is found stands in for it */
    return ciuic_options_check(&checked);
}

int cmd_optimize(int argc, char **argv)
{
    optimize_arguments a = {.windows = WINDOWS_DEFAULT};
    const command_option options[] = {
        {.name = "--output", .letter = "-o", .kind = OPTION_TEXT, .value = (void *)&a.output},
        {.name = "--max-error", .kind = OPTION_TEXT, .value = (void *)&a.max_error},
        {.name = "--metric", .kind = OPTION_TEXT, .value = (void *)&a.metric},
        {.name = "--explain", .kind = OPTION_SWITCH, .value = &a.explain},
        {.name = "--plot", .kind = OPTION_TEXT, .value = (void *)&a.plot},
        {.name = "--verify", .kind = OPTION_TEXT, .value = (void *)&a.verify},
        {.name = "--windows", .kind = OPTION_SIZE, .value = &a.windows, .min = 1, .max = (size_t)1 << 30},
        {.name = "--quantize", .kind = OPTION_TEXT, .value = (void *)&a.stages.quantize},
        {.name = "--isa", .kind = OPTION_TEXT, .value = (void *)&a.stages.isa},
        {.name = "--threads", .kind = OPTION_SIZE, .value = &a.stages.threads, .min = 1, .max = STAGE_THREADS_MAX},
        {.name = "--json", .kind = OPTION_SWITCH, .value = &a.json},
        QUANTIZE_FLAG_OPTIONS(&a.stages),
    };
    command_operands operands;
    ciuic_status status = command_parse(argc, argv, help, options, sizeof options / sizeof options[0], 1, 1, &operands);
    if (status != CIUIC_OK || operands.help) return command_exit(status);
    a.source = operands.names[0];
    status = resolve(&a);
    if (status != CIUIC_OK) return command_exit(status);

    progress_line progress = {.command = argv[0]};
    optimizing o = {.a = &a, .progress = &progress, .began_s = monotonic_s()};
    command_catch_interrupts();
    status = optimize(&o);
    progress_line_end(&progress);
    attempt_free(&o.made);
    recipe_free(&o.recipe);
    free(o.units);
    token_windows_free(&o.windows);
    calibration_ids_free(&o.ids);
    ciuic_model_free(o.reference);
    checkpoint_release(o.source);
    return command_exit(status);
}
