/* eval_report.c - see eval_report.h. */
#include "harness/eval_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "harness/commands.h"
#include "harness/layer_table.h"
#include "harness/prefix_json.h"
#include "kernels/kernels.h"
#include "optimizer/json.h"

void eval_report_name(const eval_report *r, char name[VARIANT_NAME_SIZE])
{
    char plain[VARIANT_NAME_SIZE];
    variant_name(r->variant, plain);
    if (r->info.quantised)
        snprintf(name, VARIANT_NAME_SIZE, "stored%.80s", plain + strlen("fp16"));
    else
        memcpy(name, plain, sizeof plain);
}

static size_t count_ids(const token_windows *windows)
{
    return windows->rows * windows->row_length;
}

/* ---- JSON ------------------------------------------------------------------------------------------------------- */

static bool add_text(cJSON *object, const char *key, const char *text)
{
    return (text != NULL ? cJSON_AddStringToObject(object, key, text) : cJSON_AddNullToObject(object, key)) != NULL;
}

/* The kernel counts a process as a whole: with a reference beside the variant, its figures would be those of both. NULL where
 * they are the variant's. */
static const char *kernel_sees_more(const eval_report *r)
{
    if (r->reference != NULL) return "the reference ran in the same process; use --no-reference";
    if (r->layers != NULL) return "errors by layer were measured in the same process";
    return r->memory.known ? NULL : "/proc/self does not say";
}

static bool add_memory(cJSON *object, const eval_report *r)
{
    const char *reason = kernel_sees_more(r);
    cJSON *memory = cJSON_AddObjectToObject(object, "memory_bytes");
    if (memory == NULL || !memory_use_json(memory, &r->memory.use)) return false;
    if (reason == NULL)
        return json_add_size(memory, "peak_rss", r->memory.now.peak_rss) && memory_account_json(memory, &r->memory);
    return add_text(memory, "peak_rss", NULL) && add_text(memory, "peak_rss_reason", reason);
}

static bool fill(cJSON *object, const eval_report *r)
{
    char name[VARIANT_NAME_SIZE];
    eval_report_name(r, name);
    cJSON *metrics = accuracy_json(&r->run.accuracy);
    if (metrics == NULL) return false;
    bool ok = add_text(object, "checkpoint", r->checkpoint) && add_text(object, "variant", name) &&
              add_text(object, "reference", r->self ? "self" : r->reference) &&
              json_add_size(object, "windows", r->windows->count) &&
              json_add_size(object, "ids", count_ids(r->windows));
    for (cJSON *item; ok && (item = metrics->child) != NULL;) {
        cJSON_DetachItemViaPointer(metrics, item);
        ok = cJSON_AddItemToObject(object, item->string, item);
    }
    cJSON_Delete(metrics);
    return ok && json_add_size(object, "weight_bytes", r->info.weight_bytes) &&
           json_add_double(object, "bits_per_weight", r->info.bits_per_weight) &&
           add_text(object, "isa", r->info.isa) && add_text(object, "isa_override", kernel_isa_override()) &&
           (r->run_limit == 0 || json_add_size(object, "run_limit_bytes", r->run_limit)) &&
           (r->run_limit == 0 || json_add_size(object, "needed_bytes", r->need.total)) &&
           json_add_size(object, "threads", (size_t)r->run.threads) && add_memory(object, r) &&
           prefix_json_add(object, NULL, 0) && json_add_double(object, "seconds", r->run.seconds) &&
           json_add_double(object, "tokens_per_s", (double)count_ids(r->windows) / r->run.seconds) &&
           (r->layers == NULL || layer_table_json(object, r->layers, r->info.layers));
}

ciuic_status eval_report_json(const eval_report *r)
{
    cJSON *object = cJSON_CreateObject();
    return command_print_json(object, object != NULL && fill(object, r));
}

ciuic_status eval_report_needs_json(const eval_report *r)
{
    char name[VARIANT_NAME_SIZE];
    eval_report_name(r, name);
    cJSON *object = cJSON_CreateObject();
    return command_print_json(
        object, object != NULL && add_text(object, "checkpoint", r->checkpoint) && add_text(object, "variant", name) &&
                    json_add_size(object, "context", r->windows->length) && run_need_json(object, &r->need));
}

/* ---- a table and a sentence ------------------------------------------------------------------------------------- */

/* " +- 0.012", or nothing where there is no standard error. */
static const char *plus_minus(double error, char text[32])
{
    text[0] = '\0';
    if (!isnan(error)) snprintf(text, 32, " +- %.2g", error);
    return text;
}

static void print_comparison(const accuracy_result *a)
{
    char text[32];
    printf("  %-16s %12.4f  nats (+- %.4f)\n", "NLL rise", a->nll_rise, a->nll_rise_error);
    printf("  %-16s %12.3g  nats (+- %.2g; 99%% below %.2g%s)\n", "KL divergence", a->kl, a->kl_error, a->kl_p99,
           plus_minus(a->kl_p99_error, text));
    printf("  %-16s %12.3g  of a logit (+- %.2g; largest %.3g)\n", "mean error", a->mean_abs_error,
           a->mean_abs_error_error, a->max_abs_error);
    printf("  %-16s %12.3g  of the logits' length (+- %.2g)\n", "relative L2", a->relative_l2, a->relative_l2_error);
    printf("  %-16s %12.2f  %% of positions (+- %.2f)\n", "same top token", 100.0 * a->top1_agreement,
           100.0 * a->top1_agreement_error);
}

/* The figures in one sentence, for whoever does not think in nats. */
static void print_meaning(const eval_report *r, const char *name)
{
    const accuracy_result *a = &r->run.accuracy;
    const double saved = 1.0 - r->info.bits_per_weight / 16.0;
    char text[512];
    if (r->reference == NULL)
        snprintf(text, sizeof text, "%s %s: nothing to compare it with.", name,
                 r->self ? "is the reference itself" : "ran without the reference");
    else
        snprintf(
            text, sizeof text,
            "Against the reference, %s is %+.2f%% in perplexity, picks another top token at %.2f%% of positions, and "
            "its weights take %.1f%% %s than 16 bits each.",
            name, 100.0 * expm1(a->nll_rise), 100.0 * (1.0 - a->top1_agreement), 100.0 * fabs(saved),
            saved >= 0.0 ? "less" : "more");
    putchar('\n');
    command_print_wrapped("", text);
}

void eval_report_print(const eval_report *r)
{
    const accuracy_result *a = &r->run.accuracy;
    char name[VARIANT_NAME_SIZE];
    eval_report_name(r, name);
    printf("%s, %s, %d thread%s; %zu ids in %zu window%s\n\n", r->info.path, name, r->run.threads,
           r->run.threads == 1 ? "" : "s", count_ids(r->windows), r->windows->count, r->windows->count == 1 ? "" : "s");
    if (a->tokens > 0) {
        printf("  %-16s %12.4f  nats a token (+- %.4f)\n", "NLL", a->nll, a->nll_error);
        printf("  %-16s %12.4f  (+- %.3g)\n", "perplexity", a->perplexity, a->perplexity_error);
    }
    if (r->reference != NULL) print_comparison(a);
    printf("  %-16s %12.3f  MiB (%.2f bits a weight)\n", "weights", (double)r->info.weight_bytes / 1048576.0,
           r->info.bits_per_weight);
    printf("  %-16s %12.3f  MiB\n", "KV cache", (double)r->memory.use.kv_cache / 1048576.0);
    printf("  %-16s %12.1f  tokens/s, prefill with all logits\n", "speed",
           (double)count_ids(r->windows) / r->run.seconds);
    if (kernel_sees_more(r) == NULL) memory_account_print(&r->memory);
    print_meaning(r, name);
    if (r->layers != NULL) layer_table_print(r->layers, r->info.layers);
    const char *override = kernel_isa_override();
    if (override != NULL) printf("CIUIC_ISA=%s is set.\n", override);
}
