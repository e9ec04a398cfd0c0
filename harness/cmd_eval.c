/* cmd_eval.c - `ciuic eval`: how well one variant predicts, how far it is from the reference, how large and how fast. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/commands.h"
#include "harness/eval_report.h"
#include "harness/logits_file.h"
#include "harness/optimize/find_source.h"
#include "harness/progress_line.h"
#include "harness/stage_flags.h"
#include "optimizer/error.h"
#include "optimizer/quantize/calibration_ids.h"

static const char help[] = "usage: ciuic eval CHECKPOINT [stage flags] [options]\n"
                           "\n"
                           "Accuracy of one variant on token ids, measured against the reference (FP16\n"
                           "weights, FP32 arithmetic, portable C, all stages off), which runs beside it.\n"
                           "Perplexity counts every id of a window but the first.\n"
                           "\n"
                           "  --ids F[:NAME]   token ids: an I32 tensor of a .safetensors file, [n] or\n"
                           "                   [rows, n] (a row is a window); default: eval_ids in the\n"
                           "                   checkpoint's own streams.safetensors\n"
                           "  --window N       ids in a window, each run alone; default 512, or the row,\n"
                           "                   which is the most\n"
                           "  --logits-out F   write the first window's logits, F32 [tokens, vocabulary],\n"
                           "                   as tensor `logits` of a .safetensors file\n"
                           "  --reference C    the checkpoint to compare with; default: the same one, or\n"
                           "                   what a quantised one was made from\n"
                           "  --no-reference   perplexity only: skip the comparison\n"
                           "  --per-layer      where the error enters: hidden states after every layer\n"
                           "                   against the reference's, of the layer alone and of all up\n"
                           "                   to it; weights only\n"
                           "  --needs          only say what the variant needs, and the longest context\n"
                           "                   that fits: nothing is loaded or computed; exit status 1\n"
                           "                   where it needs more than --run-limit\n"
                           "  --run-limit S    hold the process to S, such as 900MiB, from here on\n"
                           "                   (addresses, mapped weights included; not its code, libraries\n"
                           "                   and stacks); refused first where it needs more\n"
                           "  --json           one JSON object on stdout\n"
                           "\n" STAGE_FLAG_HELP "\n"
                           "example:\n"
                           "  ciuic eval datasets/deepseek-v3-tiny --stages int4,on,on,best\n";

typedef struct eval_arguments {
    const char *checkpoint, *ids, *logits_out, *reference;
    stage_flags stages;
    ciuic_options variant;
    const char *run_limit_text;
    size_t window, run_limit; /* run_limit: bytes, 0: none */
    bool json, no_reference, per_layer, needs;
} eval_arguments;

typedef struct evaluation {
    const eval_arguments *arguments;
    token_windows windows;
    ciuic_model *variant, *reference; /* reference NULL: none is run */
    logits_file logits;
    eval_report report;
    progress_line *progress;
} evaluation;

/* ---- setting up ------------------------------------------------------------------------------------------------- */

static ciuic_status read_ids(const eval_arguments *a, const char *source, const ciuic_model_info *info,
                             token_windows *windows)
{
    CIUIC_TRY(token_windows_read(source, a->window, info->vocabulary, info->max_context, windows));
    if (!windows->by_rows || a->window <= windows->row_length) return CIUIC_OK;
    return ciuic_fail(
        CIUIC_ERROR_USAGE,
        "eval: --window %zu: %.200s has rows of %zu ids, each evaluated alone; expected at most that many, "
        "or no --window",
        a->window, source, windows->row_length);
}

static ciuic_status read_windows(const eval_arguments *a, const ciuic_model_info *info, token_windows *windows)
{
    char source[4096];
    if (a->ids != NULL) return read_ids(a, a->ids, info, windows);
    int n = snprintf(source, sizeof source, "%s/streams.safetensors", a->checkpoint);
    if (n < 0 || (size_t)n + sizeof ":eval_ids" > sizeof source)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%.64s...: the path is too long", a->checkpoint);
    if (access(source, F_OK) != 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: not there; give token ids with --ids FILE.safetensors:NAME", source);
    strcat(source, ":eval_ids");
    return read_ids(a, source, info, windows);
}

/* Whether two paths lead to one existing file or folder. */
static bool same_file(const char *a, const char *b)
{
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/* Calibrating on what is evaluated would be cheating. */
static ciuic_status check_calibration(const evaluation *e)
{
    const eval_arguments *a = e->arguments;
    checkpoint *source = NULL;
    calibration_ids ids = {0};
    CIUIC_TRY(checkpoint_open(a->checkpoint, &source));
    /* A folder says what it was calibrated on. */
    const quantized_provenance *made = checkpoint_provenance(source);
    const char *stored = made != NULL ? made->calibration_ids : NULL;
    if (stored == NULL && !ciuic_options_calibrate(&a->variant)) {
        checkpoint_release(source);
        return CIUIC_OK;
    }
    ciuic_status status = calibration_ids_read(source, stored != NULL ? stored : a->variant.calibration, &ids);
    if (status != CIUIC_OK && stored != NULL) {
        fprintf(stderr,
                "ciuic: eval: %s: the ids that it was calibrated on, %s, are not there: whether they are evaluated "
                "here cannot be told\n",
                a->checkpoint, stored);
        checkpoint_release(source);
        return CIUIC_OK;
    }
    if (status == CIUIC_OK)
        status = calibration_ids_check_apart(&ids, e->windows.ids, e->windows.rows, e->windows.row_length,
                                             a->ids != NULL ? a->ids : "the checkpoint's eval_ids");
    calibration_ids_free(&ids);
    checkpoint_release(source);
    return status;
}

/* What the run needs, before anything of it is loaded; under a limit, whether that fits, and then the limit itself. */
static ciuic_status plan_run(evaluation *e, const ciuic_model *plain)
{
    const eval_arguments *a = e->arguments;
    const size_t vocabulary = e->report.info.vocabulary, piece = comparison_piece(vocabulary, &e->windows);
    const ciuic_session_options session = {.context = e->windows.length, .threads = (int)a->stages.threads};
    const ciuic_work work = {.prefill = piece, .all_logits = true};
    size_t tokens = 0;
    if (!a->needs && a->run_limit == 0) return CIUIC_OK;
    token_windows_at(&e->windows, 0, &tokens);
    const size_t rows = piece + (a->logits_out != NULL ? tokens : 0);
    const size_t caller = rows * vocabulary * sizeof(float) + e->windows.rows * e->windows.row_length * sizeof(int32_t);
    char name[VARIANT_NAME_SIZE];
    eval_report_name(&e->report, name);
    CIUIC_TRY(run_limit_plan(plain, &a->variant, &session, &work, caller, a->run_limit, &e->report.need));
    if (a->needs) return CIUIC_OK;
    return run_limit_hold(a->checkpoint, name, &e->report.need, a->run_limit);
}

/* The model that errors are measured against, where there is one to run. */
static ciuic_status load_reference(evaluation *e)
{
    const eval_arguments *a = e->arguments;
    char *path = NULL;
    bool gone = false;
    if (a->no_reference) return CIUIC_OK;
    CIUIC_TRY(find_source(a->checkpoint, a->reference, &path, &gone));
    ciuic_status status = CIUIC_OK;
    e->report.self = !gone && same_file(path, a->checkpoint) && variant_is_reference(&a->variant);
    if (gone && a->per_layer)
        status = ciuic_fail(CIUIC_ERROR_INPUT,
                            "%s: what it was made from, %s, is not there, and --per-layer compares with that; give it "
                            "with --reference",
                            a->checkpoint, path);
    else if (gone)
        fprintf(stderr,
                "ciuic: eval: %s: what it was made from, %s, is not there; give it with --reference to learn how far "
                "it is from that\n",
                a->checkpoint, path);
    else if (!e->report.self)
        status = ciuic_model_load(path, &e->reference);
    free(path);
    if (status != CIUIC_OK || e->reference == NULL) return status;
    ciuic_model_info info;
    ciuic_model_describe(e->reference, &info);
    e->report.reference = info.quantised ? "stored+c" : "fp16+c";
    return CIUIC_OK;
}

/* Quantises, which may take long: whatever can be refused was refused before. */
static ciuic_status make_variant(evaluation *e, const ciuic_model *plain)
{
    ciuic_options options = e->arguments->variant;
    options.progress = progress_line_tell;
    options.progress_context = e->progress;
    CIUIC_TRY(ciuic_optimize(plain, &options, &e->variant, NULL));
    progress_line_end(e->progress);
    ciuic_model_describe(e->variant, &e->report.info);
    return CIUIC_OK;
}

static ciuic_status make_models(evaluation *e, const ciuic_model *plain)
{
    size_t tokens = 0;
    CIUIC_TRY(check_calibration(e));
    CIUIC_TRY(load_reference(e));
    CIUIC_TRY(make_variant(e, plain));
    token_windows_at(&e->windows, 0, &tokens);
    return logits_file_reserve(&e->logits, tokens, e->report.info.vocabulary);
}

/* With --needs, all but the models. */
static ciuic_status set_up(evaluation *e)
{
    const eval_arguments *a = e->arguments;
    ciuic_model *plain = NULL;
    CIUIC_TRY(logits_file_open(a->logits_out, a->checkpoint, &e->logits));
    CIUIC_TRY(ciuic_model_load(a->checkpoint, &plain));
    ciuic_model_describe(plain, &e->report.info);
    ciuic_status status = read_windows(a, &e->report.info, &e->windows);
    if (status == CIUIC_OK) status = plan_run(e, plain);
    if (status == CIUIC_OK && !a->needs) status = make_models(e, plain);
    ciuic_model_free(plain);
    return status;
}

/* ---- running ---------------------------------------------------------------------------------------------------- */

static void account(void *context, const ciuic_session *variant, size_t buffers)
{
    evaluation *e = context;
    ciuic_memory_use use;
    ciuic_session_memory(variant, &use);
    memory_account_finish(&e->report.memory, &use, buffers + logits_file_bytes(&e->logits));
}

static ciuic_status run_windows(evaluation *e)
{
    const comparison c = {.variant = e->variant,
                          .reference = e->reference,
                          .windows = &e->windows,
                          .count = e->windows.count,
                          .threads = (int)e->arguments->stages.threads,
                          .what = "evaluating",
                          .progress = progress_line_tell,
                          .progress_context = e->progress,
                          .logits = logits_file_take,
                          .logits_context = &e->logits,
                          .ran = account,
                          .ran_context = e};
    const ciuic_status status = compare_models(&c, &e->report.run);
    progress_line_end(e->progress);
    return status;
}

/* The variant's own handle leads to the reference's checkpoint as well, where there is no other. */
static ciuic_status run_layers(evaluation *e)
{
    const size_t parts = e->report.info.layers + 2, count = e->windows.count;
    const ciuic_layer_errors_options options = {
        .threads = (int)e->arguments->stages.threads, .progress = progress_line_tell, .progress_context = e->progress};
    ciuic_window *windows = calloc(count, sizeof *windows);
    e->report.layers = calloc(parts, sizeof *e->report.layers);
    ciuic_status status =
        windows && e->report.layers
            ? CIUIC_OK
            : ciuic_fail_memory("errors by layer", count * sizeof *windows + parts * sizeof *e->report.layers);
    for (size_t i = 0; i < count && status == CIUIC_OK; i++)
        windows[i].ids = token_windows_at(&e->windows, i, &windows[i].n);
    const ciuic_model *reference = e->reference != NULL ? e->reference : e->variant;
    if (status == CIUIC_OK)
        status = ciuic_layer_errors(e->variant, reference, windows, count, &options, e->report.layers);
    free(windows);
    progress_line_end(e->progress);
    return status;
}

static ciuic_status tell_needs(const evaluation *e)
{
    const eval_arguments *a = e->arguments;
    char name[VARIANT_NAME_SIZE];
    if (a->json)
        CIUIC_TRY(eval_report_needs_json(&e->report));
    else
        run_need_print(&e->report.need, a->run_limit);
    eval_report_name(&e->report, name);
    return run_limit_answer(a->checkpoint, name, &e->report.need, a->run_limit);
}

static ciuic_status evaluate(evaluation *e)
{
    const eval_arguments *a = e->arguments;
    const accuracy_result *found = &e->report.run.accuracy;
    e->report = (eval_report){
        .checkpoint = a->checkpoint, .variant = &a->variant, .windows = &e->windows, .run_limit = a->run_limit};
    if (a->run_limit > 0) run_limit_begin((int)a->stages.threads);
    memory_account_start(&e->report.memory);
    CIUIC_TRY(set_up(e));
    if (a->needs) return tell_needs(e);
    if (a->per_layer) CIUIC_TRY(run_layers(e)); /* first: what it refuses is known before the windows run */
    CIUIC_TRY(run_windows(e));
    if (found->finite) CIUIC_TRY(logits_file_write(&e->logits));
    if (a->json) CIUIC_TRY(eval_report_json(&e->report));
    if (!found->finite)
        return ciuic_fail(CIUIC_ERROR_LIMIT, "%s: the logits hold NaN or infinity; no logits were written",
                          a->checkpoint);
    if (!a->json) eval_report_print(&e->report);
    return CIUIC_OK;
}

/* ---- the command ------------------------------------------------------------------------------------------------ */

int cmd_eval(int argc, char **argv)
{
    eval_arguments a = {0};
    const command_option options[] = {
        STAGE_FLAG_OPTIONS(&a.stages),
        {.name = "--ids", .kind = OPTION_TEXT, .value = &a.ids},
        {.name = "--window", .kind = OPTION_SIZE, .value = &a.window, .min = 1, .max = (size_t)1 << 30},
        {.name = "--logits-out", .kind = OPTION_TEXT, .value = &a.logits_out},
        {.name = "--reference", .kind = OPTION_TEXT, .value = &a.reference},
        {.name = "--no-reference", .kind = OPTION_SWITCH, .value = &a.no_reference},
        {.name = "--per-layer", .kind = OPTION_SWITCH, .value = &a.per_layer},
        {.name = "--needs", .kind = OPTION_SWITCH, .value = &a.needs},
        {.name = "--run-limit", .kind = OPTION_TEXT, .value = &a.run_limit_text},
        {.name = "--json", .kind = OPTION_SWITCH, .value = &a.json},
    };
    command_operands operands;
    ciuic_status status = command_parse(argc, argv, help, options, sizeof options / sizeof options[0], 1, 1, &operands);
    if (status != CIUIC_OK || operands.help) return command_exit(status);
    a.checkpoint = operands.names[0];
    status = stage_flags_resolve(argv[0], &a.stages, &a.variant);
    if (status == CIUIC_OK && a.run_limit_text != NULL)
        status = stage_flags_bytes(argv[0], "--run-limit", a.run_limit_text, &a.run_limit);
    if (status != CIUIC_OK) return command_exit(status);

    if (a.run_limit > 0 && !a.no_reference && !a.needs)
        return command_exit(
            ciuic_fail(CIUIC_ERROR_USAGE,
                       "eval: --run-limit is for the variant alone; add --no-reference to leave the other out"));
    if (a.per_layer && a.no_reference)
        return command_exit(
            ciuic_fail(CIUIC_ERROR_USAGE, "eval: --per-layer compares with the reference; leave out --no-reference"));
    progress_line progress = {.command = argv[0]};
    evaluation e = {.arguments = &a, .progress = &progress};
    command_catch_interrupts();
    status = evaluate(&e);
    progress_line_end(&progress);
    ciuic_model_free(e.variant);
    ciuic_model_free(e.reference);
    token_windows_free(&e.windows);
    logits_file_free(&e.logits);
    free(e.report.layers);
    return command_exit(status);
}
