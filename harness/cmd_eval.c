/* cmd_eval.c - `ciuic eval`: how well one variant predicts, how far it is from the reference, how large and how fast. */
#include <libgen.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "harness/commands.h"
#include "harness/judge/accuracy.h"
#include "harness/layer_table.h"
#include "harness/measure/memory_account.h"
#include "harness/optimize/find_source.h"
#include "harness/progress_line.h"
#include "harness/run_limit.h"
#include "harness/stage_flags.h"
#include "harness/token_windows.h"
#include "kernels/kernels.h"
#include "optimizer/atomic_file.h"
#include "optimizer/checkpoint/safetensors_writer.h"
#include "optimizer/json.h"
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
                           "  --window N       ids in a window, each run alone; default 512, or the row\n"
                           "  --logits-out F   write the first window's logits, F32 [tokens, vocabulary],\n"
                           "                   as tensor `logits` of a .safetensors file\n"
                           "  --reference C    the checkpoint to compare with; default: the same one, or\n"
                           "                   what a quantised one was made from\n"
                           "  --no-reference   perplexity only: skip the comparison\n"
                           "  --per-layer      where the error enters: hidden states after every layer\n"
                           "                   against the reference's, of the layer alone and of all up\n"
                           "                   to it; weights only\n"
                           "  --needs          only say what the variant needs, and the longest context\n"
                           "                   that fits: nothing is loaded or computed\n"
                           "  --run-limit S    hold the process to S, such as 900MiB, from here on\n"
                           "                   (addresses, mapped weights included; not its code, libraries\n"
                           "                   and stacks); refused first where it needs more\n"
                           "  --json           one JSON object on stdout\n"
                           "\n" STAGE_FLAG_HELP "\n"
                           "example:\n"
                           "  ciuic eval datasets/deepseek-v3-tiny --stages int4,on,on,best\n";

/* Logits are computed in pieces of at most this many bytes: a window of a large vocabulary is hundreds of MiB. */
static const size_t logits_piece_bytes = (size_t)64 << 20;

typedef struct eval_arguments {
    const char *checkpoint, *ids, *logits_out, *reference;
    stage_flags stages;
    ciuic_options variant;
    const char *run_limit_text;
    size_t window, run_limit; /* run_limit: bytes, 0: none */
    bool json, no_reference, per_layer, needs;
} eval_arguments;

/* One model, its session, and room for the logits of a piece. */
typedef struct eval_side {
    ciuic_model *model;
    ciuic_session *session;
    float *logits; /* [piece][vocabulary] */
    double seconds;
} eval_side;

typedef struct evaluation {
    const eval_arguments *arguments;
    token_windows windows;
    ciuic_model_info info;
    eval_side variant, reference; /* reference.session is NULL when there is none to run */
    bool elsewhere;               /* the reference is another checkpoint */
    bool stored;                  /* the checkpoint is quantised: its weights are as they are stored */
    size_t piece;                 /* tokens */
    accuracy *accuracy;
    float *first; /* logits of the first window, [tokens][vocabulary]; NULL unless they are wanted */
    accuracy_result result;
    ciuic_layer_error *layers; /* [layers + 2]; NULL unless they are wanted */
    memory_account memory;
    run_need need; /* under a limit, or where that is asked for */
    progress_line *progress;
} evaluation;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* ---- setting up ------------------------------------------------------------------------------------------------- */

static ciuic_status read_windows(const eval_arguments *a, const ciuic_model_info *info, token_windows *windows)
{
    char source[4096];
    if (a->ids != NULL) return token_windows_read(a->ids, a->window, info->vocabulary, info->max_context, windows);
    int n = snprintf(source, sizeof source, "%s/streams.safetensors", a->checkpoint);
    if (n < 0 || (size_t)n + sizeof ":eval_ids" > sizeof source)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%.64s...: the path is too long", a->checkpoint);
    if (access(source, F_OK) != 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: not there; give token ids with --ids FILE.safetensors:NAME", source);
    strcat(source, ":eval_ids");
    return token_windows_read(source, a->window, info->vocabulary, info->max_context, windows);
}

static ciuic_status open_side(eval_side *side, const evaluation *e)
{
    const ciuic_session_options options = {.context = e->windows.length, .threads = (int)e->arguments->stages.threads};
    side->logits = reallocarray(NULL, e->piece * e->info.vocabulary, sizeof(float));
    if (side->logits == NULL) return ciuic_fail_memory("logits", e->piece * e->info.vocabulary * sizeof(float));
    return ciuic_session_create(side->model, &options, &side->session);
}

static void close_side(eval_side *side)
{
    ciuic_session_free(side->session);
    ciuic_model_free(side->model);
    free(side->logits);
}

/* Whether two paths lead to one existing file or folder. */
static bool same_file(const char *a, const char *b)
{
    struct stat first, second;
    return stat(a, &first) == 0 && stat(b, &second) == 0 && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

/* Nothing is ever written into a checkpoint, so that a slip of the hand cannot replace a model by its logits. */
static ciuic_status check_place(const char *path, const char *folder)
{
    char *copy = strdup(path);
    if (copy == NULL) return ciuic_fail_memory("a file's name", strlen(path));
    const bool inside = same_file(dirname(copy), folder);
    free(copy);
    if (!inside) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_USAGE, "eval: --logits-out '%s' lies in the checkpoint; expected a place outside it",
                      path);
}

/* An output that cannot be written is worth knowing before the minutes of work, not after. */
static ciuic_status check_writable(const char *path)
{
    atomic_file file;
    CIUIC_TRY(atomic_file_open(path, &file));
    atomic_file_abort(&file);
    return CIUIC_OK;
}

/* Calibrating on what is evaluated would be cheating. */
static ciuic_status check_calibration(const evaluation *e)
{
    const eval_arguments *a = e->arguments;
    if (!ciuic_options_calibrate(&a->variant)) return CIUIC_OK;
    checkpoint *source = NULL;
    calibration_ids ids = {0};
    CIUIC_TRY(checkpoint_open(a->checkpoint, &source));
    ciuic_status status = calibration_ids_read(source, a->variant.calibration, &ids);
    if (status == CIUIC_OK)
        status = calibration_ids_check_apart(&ids, e->windows.ids, e->windows.rows, e->windows.row_length,
                                             a->ids != NULL ? a->ids : "the checkpoint's eval_ids");
    calibration_ids_free(&ids);
    checkpoint_release(source);
    return status;
}

/* The model that errors are measured against; without one e->reference.model stays NULL. */
static ciuic_status load_reference(evaluation *e)
{
    const eval_arguments *a = e->arguments;
    char *path = NULL;
    if (a->no_reference) return CIUIC_OK;
    CIUIC_TRY(find_source(a->checkpoint, a->reference, &path));
    e->elsewhere = path != NULL && !same_file(path, a->checkpoint);
    if (path == NULL)
        fprintf(stderr,
                "ciuic: eval: %s: what it was made from is not there; give it with --reference to learn how far it "
                "is from that\n",
                a->checkpoint);
    ciuic_status status = CIUIC_OK;
    if (path != NULL && (e->elsewhere || !variant_is_reference(&a->variant)))
        status = ciuic_model_load(path, &e->reference.model);
    free(path);
    return status;
}

/* Tokens whose logits are held at once. */
static void choose_piece(evaluation *e)
{
    const size_t fitting = logits_piece_bytes / sizeof(float) / e->info.vocabulary;
    e->piece = fitting < 1 ? 1 : fitting < e->windows.length ? fitting : e->windows.length;
}

static void name_of(const evaluation *e, char name[VARIANT_NAME_SIZE]);

/* What the run needs, before anything of it is loaded; under a limit, whether that fits, and then the limit itself. */
static ciuic_status plan_run(evaluation *e, const ciuic_model *plain, run_need *need)
{
    const eval_arguments *a = e->arguments;
    const ciuic_session_options session = {.context = e->windows.length, .threads = (int)a->stages.threads};
    const ciuic_work work = {.prefill = e->piece, .all_logits = true};
    size_t tokens = 0;
    token_windows_at(&e->windows, 0, &tokens);
    const size_t rows = e->piece + (a->logits_out != NULL ? tokens : 0);
    const size_t caller =
        rows * e->info.vocabulary * sizeof(float) + e->windows.rows * e->windows.row_length * sizeof(int32_t);
    char name[VARIANT_NAME_SIZE], who[VARIANT_NAME_SIZE + 512];
    name_of(e, name);
    snprintf(who, sizeof who, "%.400s: %s", a->checkpoint, name);
    CIUIC_TRY(run_limit_plan(plain, &a->variant, &session, &work, caller, a->run_limit, need));
    if (a->needs) return CIUIC_OK;
    CIUIC_TRY(run_limit_check(who, need, a->run_limit));
    return run_limit_set(a->run_limit);
}

static ciuic_status set_up(evaluation *e)
{
    const eval_arguments *a = e->arguments;
    ciuic_model *plain = NULL;
    if (a->logits_out != NULL) {
        CIUIC_TRY(check_place(a->logits_out, a->checkpoint));
        CIUIC_TRY(check_writable(a->logits_out));
    }
    CIUIC_TRY(ciuic_model_load(a->checkpoint, &plain));
    ciuic_model_describe(plain, &e->info);
    e->stored = e->info.quantised;
    ciuic_status status = read_windows(a, &e->info, &e->windows);
    if (status == CIUIC_OK) choose_piece(e);
    if (status == CIUIC_OK && (a->needs || a->run_limit > 0)) status = plan_run(e, plain, &e->need);
    if (status != CIUIC_OK || a->needs) {
        ciuic_model_free(plain);
        return status;
    }
    status = check_calibration(e);
    ciuic_options options = a->variant;
    options.progress = progress_line_tell;
    options.progress_context = e->progress;
    if (status == CIUIC_OK) status = ciuic_optimize(plain, &options, &e->variant.model, NULL);
    ciuic_model_free(plain);
    progress_line_end(e->progress);
    CIUIC_TRY(status);
    ciuic_model_describe(e->variant.model, &e->info);
    CIUIC_TRY(load_reference(e));

    CIUIC_TRY(open_side(&e->variant, e));
    if (e->reference.model != NULL) CIUIC_TRY(open_side(&e->reference, e));
    e->accuracy = accuracy_create(e->info.vocabulary);
    if (e->accuracy == NULL) return ciuic_fail_memory("accuracy", 1);
    if (a->logits_out == NULL) return CIUIC_OK;

    size_t tokens;
    token_windows_at(&e->windows, 0, &tokens);
    e->first = reallocarray(NULL, tokens * e->info.vocabulary, sizeof *e->first);
    return e->first != NULL ? CIUIC_OK : ciuic_fail_memory("logits", tokens * e->info.vocabulary * sizeof *e->first);
}

/* ---- running ---------------------------------------------------------------------------------------------------- */

static ciuic_status run_piece(eval_side *side, const int32_t *ids, size_t n)
{
    if (side->session == NULL) return CIUIC_OK;
    const double start = now();
    CIUIC_TRY(ciuic_prefill(side->session, ids, n, true, side->logits));
    side->seconds += now() - start;
    return CIUIC_OK;
}

static ciuic_status run_window(evaluation *e, size_t index)
{
    const size_t vocabulary = e->info.vocabulary;
    size_t n;
    const int32_t *ids = token_windows_at(&e->windows, index, &n);
    CIUIC_TRY(ciuic_session_truncate(e->variant.session, 0));
    if (e->reference.session != NULL) CIUIC_TRY(ciuic_session_truncate(e->reference.session, 0));
    for (size_t done = 0, piece; done < n; done += piece) {
        piece = n - done < e->piece ? n - done : e->piece;
        CIUIC_TRY(run_piece(&e->variant, ids + done, piece));
        CIUIC_TRY(run_piece(&e->reference, ids + done, piece));
        for (size_t i = 0; i < piece; i++) {
            const float *reference = e->reference.session != NULL ? e->reference.logits + i * vocabulary : NULL;
            const int32_t next = done + i + 1 < n ? ids[done + i + 1] : -1;
            if (!accuracy_add(e->accuracy, e->variant.logits + i * vocabulary, reference, next))
                return ciuic_fail_memory("accuracy", e->windows.count * e->windows.length * sizeof(double));
        }
        if (index == 0 && e->first != NULL)
            memcpy(e->first + done * vocabulary, e->variant.logits, piece * vocabulary * sizeof *e->first);
    }
    return CIUIC_OK;
}

static void show_progress(size_t done, size_t count, double seconds)
{
    if (!isatty(STDERR_FILENO)) return;
    if (done == count)
        fprintf(stderr, "\r\033[K");
    else
        fprintf(stderr, "\r\033[Keval: window %zu of %zu, %.0f s left", done, count,
                seconds / (double)done * (double)(count - done));
    fflush(stderr);
}

static ciuic_status run_windows(evaluation *e)
{
    const double start = now();
    for (size_t i = 0; i < e->windows.count; i++) {
        CIUIC_TRY(run_window(e, i));
        if (command_interrupted()) {
            show_progress(1, 1, 0.0);
            return ciuic_fail(CIUIC_ERROR_INTERRUPTED,
                              "eval: interrupted after %zu of %zu windows; nothing was written", i + 1,
                              e->windows.count);
        }
        show_progress(i + 1, e->windows.count, now() - start);
    }
    accuracy_finish(e->accuracy, &e->result);
    return CIUIC_OK;
}

/* The variant's own handle leads to the reference's checkpoint as well, where there is no other. */
static ciuic_status run_layers(evaluation *e)
{
    const size_t parts = e->info.layers + 2, count = e->windows.count;
    const ciuic_layer_errors_options options = {
        .threads = (int)e->arguments->stages.threads, .progress = progress_line_tell, .progress_context = e->progress};
    ciuic_window *windows = calloc(count, sizeof *windows);
    e->layers = calloc(parts, sizeof *e->layers);
    ciuic_status status = windows && e->layers ? CIUIC_OK
                                               : ciuic_fail_memory("errors by layer",
                                                                   count * sizeof *windows + parts * sizeof *e->layers);
    for (size_t i = 0; i < count && status == CIUIC_OK; i++)
        windows[i].ids = token_windows_at(&e->windows, i, &windows[i].n);
    const ciuic_model *reference = e->reference.model != NULL ? e->reference.model : e->variant.model;
    if (status == CIUIC_OK)
        status = ciuic_layer_errors(e->variant.model, reference, windows, count, &options, e->layers);
    free(windows);
    progress_line_end(e->progress);
    return status;
}

static ciuic_status write_logits(const evaluation *e)
{
    size_t tokens;
    token_windows_at(&e->windows, 0, &tokens);
    const size_t count = tokens * e->info.vocabulary;
    const tensor logits = {.name = "logits",
                           .dtype = TENSOR_F32,
                           .dims = 2,
                           .shape = {tokens, e->info.vocabulary},
                           .count = count,
                           .bytes = count * sizeof *e->first,
                           .data = e->first};
    return safetensors_write(e->arguments->logits_out, &logits, 1);
}

/* ---- telling ---------------------------------------------------------------------------------------------------- */

/* The variant's name; weights that were quantised before are "stored". */
static void name_of(const evaluation *e, char name[VARIANT_NAME_SIZE])
{
    char plain[VARIANT_NAME_SIZE];
    variant_name(&e->arguments->variant, plain);
    if (e->stored)
        snprintf(name, VARIANT_NAME_SIZE, "stored%.80s", plain + strlen("fp16"));
    else
        memcpy(name, plain, sizeof plain);
}

static size_t count_ids(const token_windows *windows)
{
    return windows->rows * windows->row_length;
}

static bool add_text(cJSON *object, const char *key, const char *text)
{
    return (text != NULL ? cJSON_AddStringToObject(object, key, text) : cJSON_AddNullToObject(object, key)) != NULL;
}

/* The kernel counts a process as a whole: with a reference beside the variant, its figures would be those of both. NULL where
 * they are the variant's. */
static const char *kernel_sees_more(const evaluation *e)
{
    if (e->reference.session != NULL) return "the reference ran in the same process; use --no-reference";
    if (e->layers != NULL) return "errors by layer were measured in the same process";
    return e->memory.known ? NULL : "/proc/self does not say";
}

static bool add_memory(cJSON *object, const evaluation *e)
{
    const char *reason = kernel_sees_more(e);
    cJSON *memory = cJSON_AddObjectToObject(object, "memory_bytes");
    if (memory == NULL || !memory_use_json(memory, &e->memory.use)) return false;
    if (reason == NULL)
        return json_add_size(memory, "peak_rss", e->memory.now.peak_rss) && memory_account_json(memory, &e->memory);
    return add_text(memory, "peak_rss", NULL) && add_text(memory, "peak_rss_reason", reason);
}

/* While the session and the buffers are there. */
static void finish_memory(evaluation *e)
{
    ciuic_memory_use use;
    size_t tokens = 0;
    ciuic_session_memory(e->variant.session, &use);
    token_windows_at(&e->windows, 0, &tokens);
    const size_t rows = e->piece + (e->first != NULL ? tokens : 0);
    memory_account_finish(&e->memory, &use, rows * e->info.vocabulary * sizeof(float));
}

static const char *reference_name(const evaluation *e)
{
    if (e->reference.model == NULL && !e->arguments->no_reference && !e->elsewhere &&
        variant_is_reference(&e->arguments->variant))
        return "self";
    return e->reference.model == NULL ? NULL : "fp16+c";
}

static bool fill_json(cJSON *object, const evaluation *e)
{
    char name[VARIANT_NAME_SIZE];
    name_of(e, name);
    cJSON *metrics = accuracy_json(&e->result);
    if (metrics == NULL) return false;
    bool ok = add_text(object, "checkpoint", e->arguments->checkpoint) && add_text(object, "variant", name) &&
              add_text(object, "reference", reference_name(e)) && json_add_size(object, "windows", e->windows.count) &&
              json_add_size(object, "ids", count_ids(&e->windows));
    for (cJSON *item; ok && (item = metrics->child) != NULL;) {
        cJSON_DetachItemViaPointer(metrics, item);
        ok = cJSON_AddItemToObject(object, item->string, item);
    }
    cJSON_Delete(metrics);
    return ok && json_add_size(object, "weight_bytes", e->info.weight_bytes) &&
           json_add_double(object, "bits_per_weight", e->info.bits_per_weight) &&
           add_text(object, "isa", e->info.isa) && add_text(object, "isa_override", kernel_isa_override()) &&
           (e->arguments->run_limit == 0 || json_add_size(object, "run_limit_bytes", e->arguments->run_limit)) &&
           (e->arguments->run_limit == 0 || json_add_size(object, "needed_bytes", e->need.total)) &&
           json_add_size(object, "threads", (size_t)ciuic_session_threads(e->variant.session)) &&
           add_memory(object, e) && add_text(object, "prefix_cache", NULL) &&
           json_add_double(object, "seconds", e->variant.seconds) &&
           json_add_double(object, "tokens_per_s", (double)count_ids(&e->windows) / e->variant.seconds) &&
           (e->layers == NULL || layer_table_json(object, e->layers, e->info.layers));
}

static ciuic_status print_json(const evaluation *e)
{
    cJSON *object = cJSON_CreateObject();
    return command_print_json(object, object != NULL && fill_json(object, e));
}

/* " +- 0.012", or nothing where there is no standard error. */
static const char *plus_minus(double error, char text[32])
{
    text[0] = '\0';
    if (!isnan(error)) snprintf(text, 32, " +- %.2g", error);
    return text;
}

static void print_comparison(const evaluation *e)
{
    const accuracy_result *r = &e->result;
    char text[32];
    printf("  %-16s %12.4f  nats (+- %.4f)\n", "NLL rise", r->nll_rise, r->nll_rise_error);
    printf("  %-16s %12.3g  nats (+- %.2g; 99%% below %.2g%s)\n", "KL divergence", r->kl, r->kl_error, r->kl_p99,
           plus_minus(r->kl_p99_error, text));
    printf("  %-16s %12.3g  of a logit (+- %.2g; largest %.3g)\n", "mean error", r->mean_abs_error,
           r->mean_abs_error_error, r->max_abs_error);
    printf("  %-16s %12.3g  of the logits' length (+- %.2g)\n", "relative L2", r->relative_l2, r->relative_l2_error);
    printf("  %-16s %12.2f  %% of positions (+- %.2f)\n", "same top token", 100.0 * r->top1_agreement,
           100.0 * r->top1_agreement_error);
}

/* The figures in one sentence, for whoever does not think in nats. */
static void print_meaning(const evaluation *e, const char *name)
{
    const accuracy_result *r = &e->result;
    const double saved = 1.0 - e->info.bits_per_weight / 16.0;
    char text[512];
    if (e->reference.session == NULL)
        snprintf(text, sizeof text, "%s %s: nothing to compare it with.", name,
                 variant_is_reference(&e->arguments->variant) ? "is the reference itself"
                                                              : "ran without the reference");
    else
        snprintf(
            text, sizeof text,
            "Against the reference, %s is %+.2f%% in perplexity, picks another top token at %.2f%% of positions, and "
            "its weights take %.1f%% %s than 16 bits each.",
            name, 100.0 * expm1(r->nll_rise), 100.0 * (1.0 - r->top1_agreement), 100.0 * fabs(saved),
            saved >= 0.0 ? "less" : "more");
    putchar('\n');
    command_print_wrapped("", text);
}

static void print_table(const evaluation *e)
{
    const accuracy_result *r = &e->result;
    char name[VARIANT_NAME_SIZE];
    const int threads = ciuic_session_threads(e->variant.session);
    name_of(e, name);
    printf("%s, %s, %d thread%s; %zu ids in %zu window%s\n\n", e->info.path, name, threads, threads == 1 ? "" : "s",
           count_ids(&e->windows), e->windows.count, e->windows.count == 1 ? "" : "s");
    if (r->tokens > 0) {
        printf("  %-16s %12.4f  nats a token (+- %.4f)\n", "NLL", r->nll, r->nll_error);
        printf("  %-16s %12.4f  (+- %.3g)\n", "perplexity", r->perplexity, r->perplexity_error);
    }
    if (e->reference.session != NULL) print_comparison(e);
    printf("  %-16s %12.3f  MiB (%.2f bits a weight)\n", "weights", (double)e->info.weight_bytes / 1048576.0,
           e->info.bits_per_weight);
    printf("  %-16s %12.3f  MiB\n", "KV cache", (double)e->memory.use.kv_cache / 1048576.0);
    printf("  %-16s %12.1f  tokens/s, prefill with all logits\n", "speed",
           (double)count_ids(&e->windows) / e->variant.seconds);
    if (kernel_sees_more(e) == NULL) memory_account_print(&e->memory);
    print_meaning(e, name);
    if (e->layers != NULL) layer_table_print(e->layers, e->info.layers);
    const char *override = kernel_isa_override();
    if (override != NULL) printf("CIUIC_ISA=%s is set.\n", override);
}

static ciuic_status print_needs(const evaluation *e)
{
    if (e->arguments->json) {
        char name[VARIANT_NAME_SIZE];
        name_of(e, name);
        cJSON *object = cJSON_CreateObject();
        const bool ok = object != NULL && add_text(object, "checkpoint", e->arguments->checkpoint) &&
                        add_text(object, "variant", name) && json_add_size(object, "context", e->windows.length) &&
                        run_need_json(object, &e->need);
        return command_print_json(object, ok);
    }
    run_need_print(&e->need, e->arguments->run_limit);
    return CIUIC_OK;
}

static ciuic_status evaluate(evaluation *e)
{
    if (e->arguments->run_limit > 0) run_limit_begin((int)e->arguments->stages.threads);
    memory_account_start(&e->memory);
    CIUIC_TRY(set_up(e));
    if (e->arguments->needs) return print_needs(e);
    if (e->arguments->per_layer) CIUIC_TRY(run_layers(e)); /* first: what it refuses is known before the windows run */
    CIUIC_TRY(run_windows(e));
    finish_memory(e);
    if (e->first != NULL && e->result.finite) CIUIC_TRY(write_logits(e));
    if (e->arguments->json) CIUIC_TRY(print_json(e));
    if (!e->result.finite)
        return ciuic_fail(CIUIC_ERROR_LIMIT, "%s: the logits hold NaN or infinity; no logits were written",
                          e->arguments->checkpoint);
    if (!e->arguments->json) print_table(e);
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
    close_side(&e.variant);
    close_side(&e.reference);
    accuracy_free(e.accuracy);
    token_windows_free(&e.windows);
    free(e.first);
    free(e.layers);
    return command_exit(status);
}
