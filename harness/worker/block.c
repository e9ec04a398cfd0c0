/* block.c - see block.h. Everything that a block learns goes through bench_note, so that a killed run goes on where the
 * record ends. */
#include "harness/worker/block.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/commands.h"
#include "harness/measure/case_ceiling.h"
#include "harness/measure/machine.h"
#include "harness/suite/precision.h"
#include "harness/suite/schedule.h"
#include "harness/variant_json.h"
#include "harness/worker/block_ceilings.h"
#include "harness/worker/counted_cases.h"
#include "harness/worker/load_order.h"
#include "harness/worker/packed_folders.h"
#include "harness/worker/process.h"
#include "harness/worker/reference_file.h"
#include "harness/worker/worker_clock.h"
#include "kernels/ceiling.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

/* What a measurement costs besides the measuring: a request, settling, an fsynced line. */
static const double overhead_s = 0.008;

typedef struct block {
    bench *bench;
    size_t index;
    const bench_block *plan;
    block_record *record;
    worker_process **workers; /* [slot_count], NULL where none lives */
    double *trial_s;          /* [slot_count], seconds of one iteration, NaN before the trial */
    double share_end;         /* when the next block should begin, in seconds of work */
    size_t loading;           /* slot whose worker was started last */
    char *reference;          /* path of the file of the reference's logits */
    bool reference_asked;     /* for this block: the file is there now, or `reference_failed` says why not */
    char reference_failed[WORKER_REASON_MAX];
} block;

static const bench_case *case_of(const block *k, size_t slot)
{
    return &k->bench->matrix->cases[k->plan->slots[slot].index];
}

/* ---- asking workers --------------------------------------------------------------------------------------------- */

static cJSON *slot_entry(const block *k, const char *kind, size_t slot)
{
    cJSON *entry = bench_entry(kind);
    json_add_size(entry, "block", k->index);
    json_add_size(entry, "slot", slot);
    return entry;
}

static ciuic_status note_failure(block *k, size_t slot, const char *reason)
{
    char id[SLOT_ID_MAX], line[SLOT_ID_MAX + WORKER_REASON_MAX + 16];
    cJSON *refusal = cJSON_Duplicate(worker_refusal(k->workers[slot]), true);
    worker_stop(k->workers[slot]);
    k->workers[slot] = NULL;
    matrix_slot_id(k->bench->matrix, &k->plan->slots[slot], id);
    snprintf(line, sizeof line, "%s failed: %s", id, reason);
    progress_say(k->bench->progress, line);
    cJSON *entry = slot_entry(k, "failed", slot);
    cJSON_AddStringToObject(entry, "reason", reason);
    if (refusal != NULL && !cJSON_AddItemToObject(entry, "refused", refusal)) cJSON_Delete(refusal);
    return bench_note(k->bench, entry);
}

static ciuic_status interrupted(void)
{
    return ciuic_fail(CIUIC_ERROR_INTERRUPTED, "interrupted");
}

/* Asks the slot's worker and frees the request. *answer stays NULL when the worker failed, which is noted. */
static ciuic_status ask(block *k, size_t slot, cJSON *request, cJSON **answer)
{
    char reason[WORKER_REASON_MAX] = "";
    *answer = NULL;
    if (request == NULL) return ciuic_fail_memory("a request", 0);
    const worker_outcome outcome = worker_ask(k->workers[slot], request, k->bench->suite->timeout_s, answer, reason);
    cJSON_Delete(request);
    if (outcome == WORKER_INTERRUPTED) return interrupted();
    return outcome == WORKER_FAILED ? note_failure(k, slot, reason) : CIUIC_OK;
}

static void step(const block *k, const char *doing, const char *name)
{
    char what[VARIANT_NAME_SIZE + 96];
    snprintf(what, sizeof what, "%s %s", doing, name);
    progress_step(k->bench->progress, what, bench_elapsed_s(k->bench));
}

/* ---- loading ---------------------------------------------------------------------------------------------------- */

cJSON *block_load_request(const bench *b, const bench_block *plan, const bench_variant *v, size_t packing)
{
    const suite *s = b->suite;
    const suite_workload *w = &s->workloads[plan->workload];
    char *packed = packing != NO_PACKING ? packed_folder_path(b, packing) : NULL;
    if (packing != NO_PACKING && packed == NULL) return NULL;
    const load_order order = {.checkpoint = packed != NULL ? packed : s->checkpoints[w->checkpoint].path,
                              .phase = w->phase,
                              .tokens = w->tokens,
                              .depth = w->depth,
                              .prefix = w->prefix,
                              .windows = s->accuracy_windows,
                              .window_tokens = s->accuracy_tokens,
                              .seed = s->seed,
                              .threads = plan->threads,
                              .memory_limit = s->memory_limit,
                              .total_limit = s->total_limit,
                              .cold_start = s->cold_start,
                              .support = &b->support};
    cJSON *request = load_order_request(&order, v);
    free(packed);
    return request;
}

/* Of the worker that is loading: calibration takes minutes. */
static void show_progress(void *context, const char *what, size_t done, size_t total)
{
    const block *k = context;
    char doing[96];
    snprintf(doing, sizeof doing, "%.40s %zu/%zu,", what, done, total);
    step(k, doing, case_of(k, k->loading)->variant.name);
}

static ciuic_status start_worker(block *k, size_t slot)
{
    const bench_options *o = k->bench->options;
    char id[SLOT_ID_MAX];
    matrix_slot_id(k->bench->matrix, &k->plan->slots[slot], id);
    const bool faulty = o->fault_only != NULL && strstr(id, o->fault_only) != NULL;
    CIUIC_TRY(worker_start(faulty ? o->fault : NULL, &k->workers[slot]));
    k->loading = slot;
    worker_on_progress(k->workers[slot], show_progress, k);
    return CIUIC_OK;
}

static ciuic_status load_slot(block *k, size_t slot)
{
    cJSON *answer = NULL;
    const bench_case *c = case_of(k, slot);
    const char *unpacked = NULL;
    CIUIC_TRY(packed_folder_need(k->bench, k->plan->slots[slot].index, &unpacked));
    if (unpacked != NULL) return note_failure(k, slot, unpacked);
    step(k, "loading", c->variant.name);
    CIUIC_TRY(start_worker(k, slot));
    CIUIC_TRY(ask(k, slot, block_load_request(k->bench, k->plan, &c->variant, c->packing), &answer));
    if (answer == NULL) return CIUIC_OK;
    cJSON *entry = slot_entry(k, "loaded", slot);
    cJSON_AddItemToObject(entry, "answer", answer);
    return bench_note(k->bench, entry);
}

/* ---- accuracy --------------------------------------------------------------------------------------------------- */

/* The file as the journal remembers it, or made afresh; reference_failed is not empty when there is none to be had. */
static ciuic_status need_reference(block *k)
{
    sha256_hex digest;
    const char *known = k->bench->record->references[k->plan->workload], *path = k->reference;
    if (k->reference_asked) return CIUIC_OK;
    k->reference_asked = true;
    if (access(path, R_OK) == 0 && sha256_file(path, &digest) == CIUIC_OK && strcmp(digest.text, known) == 0)
        return CIUIC_OK;
    step(k, "computing", "the reference");
    CIUIC_TRY(reference_write(k->bench, k->plan, path, k->reference_failed));
    if (journal_no_space(k->reference_failed)) { /* no fault of any case: it is tried again when there is room */
        unlink(path);
        k->bench->disk_full = true;
        return ciuic_fail(CIUIC_ERROR_INTERRUPTED,
                          "%s; what was measured before is kept: free some space, then go on with --resume",
                          k->reference_failed);
    }
    if (k->reference_failed[0] != '\0') return CIUIC_OK;
    CIUIC_TRY(sha256_file(path, &digest));
    cJSON *entry = bench_entry("reference");
    json_add_size(entry, "workload", k->plan->workload);
    cJSON_AddStringToObject(entry, "sha256", digest.text);
    return bench_note(k->bench, entry);
}

/* Takes `answer`, which holds "accuracy" and the digest of what was scored; NULL: `failed` says why there is none. */
static ciuic_status note_accuracy(block *k, size_t slot, cJSON *answer, const char *failed)
{
    cJSON *metrics = cJSON_DetachItemFromObjectCaseSensitive(answer, "accuracy");
    cJSON *output = cJSON_DetachItemFromObjectCaseSensitive(answer, "output_sha256");
    cJSON_Delete(answer);
    cJSON *entry = bench_entry("accuracy");
    json_add_size(entry, "case", k->plan->slots[slot].index);
    if (metrics != NULL && output != NULL) {
        cJSON_AddItemToObject(entry, "accuracy", metrics);
        cJSON_AddItemToObject(entry, "output_sha256", output);
    } else {
        cJSON_Delete(metrics);
        cJSON_Delete(output);
        cJSON_AddStringToObject(entry, "failed", failed != NULL ? failed : "the worker's answer lacks it");
    }
    return bench_note(k->bench, entry);
}

/* Once per case, in whichever block it comes first. */
static bool unverified(const block *k, size_t slot)
{
    const case_record *known = &k->bench->record->cases[k->plan->slots[slot].index];
    return k->workers[slot] != NULL && known->accuracy == NULL && known->accuracy_failed == NULL;
}

static ciuic_status measure_errors(block *k, size_t slot)
{
    cJSON *request = NULL, *answer = NULL;
    if (k->bench->suite->no_reference) return note_accuracy(k, slot, NULL, "the suite asks for no reference");
    CIUIC_TRY(need_reference(k));
    if (k->reference_failed[0] != '\0') {
        char failed[WORKER_REASON_MAX + 32];
        snprintf(failed, sizeof failed, "no reference: %s", k->reference_failed);
        return note_accuracy(k, slot, NULL, failed);
    }
    request = worker_request("accuracy");
    step(k, "verifying", case_of(k, slot)->variant.name);
    if (request != NULL) cJSON_AddStringToObject(request, "file", k->reference);
    CIUIC_TRY(ask(k, slot, request, &answer));
    return answer != NULL ? note_accuracy(k, slot, answer, NULL) : CIUIC_OK;
}

/* Once per case, too. */
static bool weights_unread(const block *k, size_t slot)
{
    return k->workers[slot] != NULL && k->bench->record->cases[k->plan->slots[slot].index].weight_check == NULL;
}

static ciuic_status check_weights(block *k, size_t slot)
{
    cJSON *answer = NULL;
    step(k, "checking the weights of", case_of(k, slot)->variant.name);
    CIUIC_TRY(ask(k, slot, worker_request("weights"), &answer));
    if (answer == NULL) return CIUIC_OK;
    cJSON *entry = bench_entry("weights");
    json_add_size(entry, "case", k->plan->slots[slot].index);
    cJSON_AddItemToObject(entry, "answer", answer);
    return bench_note(k->bench, entry);
}

static ciuic_status verify_slot(block *k, size_t slot)
{
    if (unverified(k, slot)) CIUIC_TRY(measure_errors(k, slot));
    return weights_unread(k, slot) ? check_weights(k, slot) : CIUIC_OK;
}

/* After the rounds: what it touches would otherwise count as the workload's memory. */
static ciuic_status verify_slots(block *k)
{
    for (size_t i = 0; i < k->plan->slot_count; i++) {
        if (command_interrupted()) return interrupted();
        CIUIC_TRY(verify_slot(k, i));
    }
    return CIUIC_OK;
}

/* About how long that will take: each position costs what a timed one does, each weight what those checked before did. Before
 * any was, a case is taken to cost what the quickest of the block took to load: others may have calibrated meanwhile. */
static double verify_seconds(const block *k)
{
    const suite *s = k->bench->suite;
    const double timed = (double)s->workloads[k->plan->workload].tokens;
    const double positions = timed + (double)(s->accuracy_windows * s->accuracy_tokens);
    const double weight_s = record_weight_seconds(k->bench->record);
    double sum = 0, quickest_s = NAN;
    for (size_t i = 0; i < k->plan->slot_count; i++)
        quickest_s = fmin(quickest_s, json_number(k->record->slots[i].loaded, "load_s"));
    for (size_t i = 0; i < k->plan->slot_count; i++) {
        const double known_s = weight_s * json_number(k->record->slots[i].loaded, "parameters");
        if (unverified(k, i) && !s->no_reference && k->trial_s[i] > 0)
            sum += k->trial_s[i] * (1 + positions / timed) + overhead_s;
        if (weights_unread(k, i)) sum += overhead_s + (known_s > 0 ? known_s : fmax(quickest_s, 0));
    }
    return sum;
}

/* ---- measuring -------------------------------------------------------------------------------------------------- */

static ciuic_status ask_measure(block *k, size_t slot, size_t iterations, cJSON **answer, double *seconds)
{
    char problem[CLOCK_PROBLEM_MAX];
    cJSON *request = worker_request("measure");
    json_add_size(request, "iterations", iterations);
    const double began_s = bench_elapsed_s(k->bench);
    CIUIC_TRY(ask(k, slot, request, answer));
    if (*answer == NULL) return CIUIC_OK;
    *seconds = json_number(*answer, "seconds");
    const sample_time time = {.seconds = *seconds * (double)iterations,
                              .cpu_s = json_number(*answer, "cpu_seconds") * (double)iterations,
                              .busy_s = json_number(*answer, "busy_seconds"),
                              .elapsed_s = bench_elapsed_s(k->bench) - began_s};
    worker_clock_judge(&time, k->plan->threads, problem);
    if (problem[0] == '\0') return CIUIC_OK;
    cJSON_Delete(*answer);
    *answer = NULL;
    return note_failure(k, slot, problem);
}

/* Single iterations that are not recorded tell how long one takes: the shorter of two, since what disturbs one only
 * makes it longer. */
static ciuic_status try_slots(block *k)
{
    enum { TRIALS = 2 };
    for (int trial = 0; trial < TRIALS; trial++)
        for (size_t i = 0; i < k->plan->slot_count; i++) {
            if (k->workers[i] == NULL) continue;
            cJSON *answer = NULL;
            double seconds = NAN;
            step(k, "trying", case_of(k, i)->variant.name);
            CIUIC_TRY(ask_measure(k, i, 1, &answer, &seconds));
            k->trial_s[i] = fmin(k->trial_s[i], seconds); /* of a NaN and a number, the number */
            cJSON_Delete(answer);
        }
    return CIUIC_OK;
}

/* One measurement: a repetition to warm up, then the timed ones. */
static double sample_seconds(const block *k, size_t slot, size_t iterations)
{
    return k->workers[slot] != NULL ? k->trial_s[slot] * (double)(1 + iterations) + overhead_s : 0;
}

static double round_seconds(const block *k)
{
    double sum = 0;
    for (size_t i = 0; i < k->plan->slot_count; i++) sum += sample_seconds(k, i, k->record->slots[i].iterations);
    return sum;
}

/* How often a slot repeats its workload in one repetition, for it to last min_time_s. The twins are the same program,
 * and must be measured in the same way: the faster trial of the two decides for both. */
static size_t plan_iterations(const block *k, size_t slot)
{
    double trial = k->trial_s[slot];
    for (size_t i = 0; i < k->plan->slot_count; i++)
        if (k->plan->slots[i].index == k->plan->slots[slot].index) trial = fmin(trial, k->trial_s[i]);
    const double repeat = trial > 0 ? ceil(k->bench->suite->min_time_s / trial) : 1;
    return repeat < 1 ? 1 : repeat > 1e6 ? 1000000 : (size_t)repeat;
}

/* As many rounds as are allowed at all; with a precision only the command line has a say. */
static size_t most_rounds(const block *k)
{
    const size_t asked = k->bench->options->rounds;
    if (asked > 0) return asked;
    return k->bench->suite->precision > 0 ? RECORD_ROUNDS_MAX : k->bench->suite->rounds;
}

/* The slots' iterations, and how many rounds the block's share of time allows; with a precision the fewest, to which
 * run_rounds adds. */
static ciuic_status plan_rounds(block *k)
{
    const suite *s = k->bench->suite;
    const size_t most = most_rounds(k);
    const size_t least = s->min_rounds < most ? s->min_rounds : most;
    double round_s = 0;
    cJSON *entry = bench_entry("plan");
    json_add_size(entry, "block", k->index);
    cJSON *iterations = cJSON_AddArrayToObject(entry, "iterations");
    for (size_t i = 0; i < k->plan->slot_count; i++) {
        const size_t count = plan_iterations(k, i);
        round_s += sample_seconds(k, i, count);
        cJSON_AddItemToArray(iterations, json_size(count));
    }
    const double allowed = (k->share_end - bench_elapsed_s(k->bench) - verify_seconds(k)) / round_s;
    const bool fewest = s->precision > 0 || !(allowed > (double)least);
    const size_t rounds = fewest ? least : allowed < (double)most ? (size_t)allowed : most;
    json_add_size(entry, "rounds", rounds);
    return bench_note(k->bench, entry);
}

static ciuic_status measure_slot(block *k, size_t round, size_t slot)
{
    cJSON *answer = NULL;
    double seconds = 0;
    CIUIC_TRY(ask_measure(k, slot, k->record->slots[slot].iterations, &answer, &seconds));
    if (answer == NULL) return CIUIC_OK;
    const cJSON *cpu = json_find(answer, "cpu_seconds"), *output = json_find(answer, "output_sha256");
    cJSON *entry = slot_entry(k, "sample", slot);
    json_add_size(entry, "round", round);
    json_add_double(entry, "seconds", seconds);
    json_add_double(entry, "cpu_seconds", cJSON_IsNumber(cpu) ? cpu->valuedouble : 0);
    cJSON_AddStringToObject(entry, "output_sha256", cJSON_IsString(output) ? output->valuestring : "");
    cJSON_Delete(answer);
    CIUIC_TRY(bench_note(k->bench, entry));
    char problem[CLOCK_PROBLEM_MAX];
    worker_clock_judge_all(&k->record->slots[slot], k->record->begun, k->plan->threads, problem);
    return problem[0] != '\0' ? note_failure(k, slot, problem) : CIUIC_OK;
}

static bool any_lives(const block *k)
{
    for (size_t i = 0; i < k->plan->slot_count; i++)
        if (k->workers[i] != NULL) return true;
    return false;
}

static ciuic_status run_round(block *k, size_t round, size_t *order)
{
    schedule_round(k->plan->slot_count, k->bench->suite->seed + k->index, round, order);
    for (size_t i = 0; i < k->plan->slot_count; i++) {
        if (command_interrupted()) return interrupted();
        if (k->workers[order[i]] != NULL) CIUIC_TRY(measure_slot(k, round, order[i]));
    }
    cJSON *entry = bench_entry("round");
    json_add_size(entry, "block", k->index);
    json_add_size(entry, "round", round);
    return bench_note(k->bench, entry);
}

/* Whether the rounds planned are not all, and if not, why: which is noted, so that a resumed run adds none either. */
static ciuic_status add_round(block *k, bool *more)
{
    const double wanted_precision = k->bench->suite->precision;
    bool reached = false;
    *more = k->record->complete < k->record->planned;
    if (*more || !(wanted_precision > 0) || k->record->stopped[0] != '\0') return CIUIC_OK;
    if (precision_looks(k->record->planned, k->record->complete))
        CIUIC_TRY(precision_reached(k->bench->record, k->index, wanted_precision, &reached));
    const double left = k->share_end - bench_elapsed_s(k->bench) - verify_seconds(k);
    const char *why = reached                                 ? "precision"
                      : k->record->complete >= most_rounds(k) ? "rounds"
                      : left < round_seconds(k)               ? "time"
                                                              : NULL;
    *more = why == NULL;
    if (*more) return CIUIC_OK;
    cJSON *entry = bench_entry("stop");
    json_add_size(entry, "block", k->index);
    cJSON_AddStringToObject(entry, "why", why);
    return bench_note(k->bench, entry);
}

/* A round that was cut by a kill is not gone on with: its pairs would be minutes apart. It costs one round more. */
static ciuic_status run_rounds(block *k)
{
    size_t *order = calloc(k->plan->slot_count, sizeof *order);
    if (order == NULL) return ciuic_fail_memory("a schedule", k->plan->slot_count * sizeof *order);
    bool more = true;
    ciuic_status status = CIUIC_OK;
    while (status == CIUIC_OK && any_lives(k)) {
        status = add_round(k, &more);
        if (status != CIUIC_OK || !more) break;
        const size_t done = k->record->complete, planned = k->record->planned;
        progress_round(k->bench->progress, done, done < planned ? planned : done + 1, round_seconds(k),
                       bench_elapsed_s(k->bench));
        status = run_round(k, k->record->begun, order);
    }
    free(order);
    return status;
}

/* ---- ending ----------------------------------------------------------------------------------------------------- */

static ciuic_status finish_slots(block *k)
{
    for (size_t i = 0; i < k->plan->slot_count; i++) {
        if (k->workers[i] == NULL) continue;
        cJSON *answer = NULL;
        CIUIC_TRY(ask(k, i, worker_request("finish"), &answer));
        worker_stop(k->workers[i]);
        k->workers[i] = NULL;
        if (answer == NULL) continue;
        cJSON *entry = slot_entry(k, "finished", i);
        cJSON_AddItemToObject(entry, "answer", answer);
        CIUIC_TRY(bench_note(k->bench, entry));
    }
    return CIUIC_OK;
}

/* ---- the block -------------------------------------------------------------------------------------------------- */

/* What the block still has to do with a slot: nothing when it failed, or has said its last word. */
static bool wanted(const block *k, size_t slot)
{
    return k->record->slots[slot].failed == NULL && k->record->slots[slot].finished == NULL;
}

static ciuic_status start_slots(block *k)
{
    cJSON *entry = bench_entry("start");
    json_add_size(entry, "block", k->index);
    CIUIC_TRY(bench_note(k->bench, entry));
    for (size_t i = 0; i < k->plan->slot_count; i++) {
        if (command_interrupted()) return interrupted();
        if (wanted(k, i)) CIUIC_TRY(load_slot(k, i));
    }
    return CIUIC_OK;
}

/* Nothing is timed: errors and bytes need no neighbours, so that each worker is gone before the next one comes. */
static ciuic_status run_untimed(block *k)
{
    for (size_t i = 0; i < k->plan->slot_count; i++) {
        if (command_interrupted()) return interrupted();
        if (!wanted(k, i)) continue;
        CIUIC_TRY(load_slot(k, i));
        CIUIC_TRY(verify_slot(k, i));
        CIUIC_TRY(finish_slots(k));
    }
    CIUIC_TRY(counted_cases(k->bench, k->index));
    cJSON *entry = bench_entry("done");
    json_add_size(entry, "block", k->index);
    json_add_double(entry, "stolen_s", 0);
    return bench_note(k->bench, entry);
}

static ciuic_status run_all(block *k)
{
    if (k->bench->suite->rounds == 0) return run_untimed(k);
    const double stolen_before = machine_stolen_s();
    CIUIC_TRY(start_slots(k));
    CIUIC_TRY(try_slots(k));
    if (k->record->planned == 0) CIUIC_TRY(plan_rounds(k));
    CIUIC_TRY(run_rounds(k));
    CIUIC_TRY(verify_slots(k));
    CIUIC_TRY(finish_slots(k));
    CIUIC_TRY(block_ceilings_measure(k->bench, k->index));
    CIUIC_TRY(counted_cases(k->bench, k->index));
    cJSON *entry = bench_entry("done");
    json_add_size(entry, "block", k->index);
    json_add_double(entry, "stolen_s", machine_stolen_s() - stolen_before);
    return bench_note(k->bench, entry);
}

static void announce(const block *k)
{
    const suite *s = k->bench->suite;
    const suite_workload *w = &s->workloads[k->plan->workload];
    char title[128];
    int used = snprintf(title, sizeof title, "%s %s %zu", s->checkpoints[w->checkpoint].name,
                        suite_phase_name(w->phase), w->tokens);
    if (w->phase == PHASE_DECODE && used > 0 && used < (int)sizeof title)
        used += snprintf(title + used, sizeof title - (size_t)used, " at depth %zu", w->depth);
    if (used > 0 && used < (int)sizeof title)
        snprintf(title + used, sizeof title - (size_t)used, ", %d threads", k->plan->threads);
    progress_block(k->bench->progress, k->index, title);
}

ciuic_status block_run(bench *b, size_t index)
{
    CIUIC_TRY(packed_folders_of_block(b, index)); /* before the block's share of time begins */
    const double elapsed = bench_elapsed_s(b);
    const double left = b->suite->time_budget_s - elapsed;
    block k = {.bench = b, .index = index, .plan = &b->matrix->blocks[index], .record = &b->record->blocks[index]};
    k.share_end = elapsed + (left > 0 ? left / (double)(b->matrix->block_count - index) : 0);
    k.workers = calloc(k.plan->slot_count, sizeof(worker_process *));
    k.trial_s = calloc(k.plan->slot_count, sizeof *k.trial_s);
    ciuic_status status = CIUIC_OK;
    if (asprintf(&k.reference, "%s/reference-%zu.f32", b->directory, k.plan->workload) < 0) k.reference = NULL;
    if (k.workers == NULL || k.trial_s == NULL || k.reference == NULL)
        status = ciuic_fail_memory("a block", k.plan->slot_count);
    for (size_t i = 0; status == CIUIC_OK && i < k.plan->slot_count; i++) k.trial_s[i] = NAN;
    if (status == CIUIC_OK) {
        announce(&k);
        status = run_all(&k);
    }
    for (size_t i = 0; k.workers != NULL && i < k.plan->slot_count; i++) worker_stop(k.workers[i]);
    free(k.workers);
    free(k.trial_s);
    free(k.reference);
    return status;
}
