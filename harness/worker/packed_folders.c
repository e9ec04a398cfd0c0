/* packed_folders.c - see packed_folders.h. */
#include "harness/worker/packed_folders.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/commands.h"
#include "harness/folder_removal.h"
#include "harness/suite/checkpoint_digest.h"
#include "harness/suite/packing.h"
#include "harness/variant_json.h"
#include "harness/worker/load_order.h"
#include "harness/worker/process.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

/* A folder around each: what a killed writer left lies in there as well, and goes with it. */
static char *place_of(const bench *b, size_t packing)
{
    char *path = NULL;
    return asprintf(&path, "%s/packed-%zu", b->directory, packing) < 0 ? NULL : path;
}

char *packed_folder_path(const bench *b, size_t packing)
{
    char *path = NULL;
    const char *name = b->suite->checkpoints[b->matrix->packings[packing].checkpoint].name;
    return asprintf(&path, "%s/packed-%zu/%s", b->directory, packing, name) < 0 ? NULL : path;
}

static void remove_folder(const bench *b, size_t packing)
{
    char *place = place_of(b, packing);
    if (place != NULL) folder_remove(place);
    free(place);
}

void packed_folders_remove(const bench *b)
{
    for (size_t i = 0; i < b->matrix->packing_count; i++) remove_folder(b, i);
}

/* ---- one folder ------------------------------------------------------------------------------------------------- */

/* Whether the folder is there, and is the one that was made. */
static bool is_there(const bench *b, size_t packing, const char *expected)
{
    sha256_hex digest;
    char *path = packed_folder_path(b, packing);
    const bool known = path != NULL && expected[0] != '\0' && access(path, F_OK) == 0 &&
                       checkpoint_digest_folder(path, &digest) == CIUIC_OK;
    free(path);
    return known && strcmp(digest.text, expected) == 0;
}

static const char *source_digest(const bench *b, size_t index)
{
    return json_text(cJSON_GetArrayItem(b->checkpoints, (int)index), "sha256");
}

static cJSON *pack_request(const bench *b, const bench_packing *p, const char *output)
{
    cJSON *r = worker_request("pack");
    if (r != NULL && cJSON_AddStringToObject(r, "checkpoint", b->suite->checkpoints[p->checkpoint].path) != NULL &&
        cJSON_AddStringToObject(r, "source_sha256", source_digest(b, p->checkpoint)) != NULL &&
        cJSON_AddStringToObject(r, "output", output) != NULL &&
        cJSON_AddStringToObject(r, "quantize", ciuic_quantize_name(p->variant.options.quantize)) != NULL &&
        variant_json_add(r, &p->variant.options) &&
        cJSON_AddStringToObject(r, "isa", kernel_isa_name(p->variant.isa)) != NULL &&
        json_add_size(r, "threads", (size_t)machine_threads()))
        return r;
    cJSON_Delete(r);
    return NULL;
}

/* A large model takes minutes to pack. */
static void show_progress(void *context, const char *what, size_t done, size_t total)
{
    const bench *b = context;
    char doing[96];
    snprintf(doing, sizeof doing, "packing: %.40s %zu/%zu", what, done, total);
    progress_step(b->progress, doing, bench_elapsed_s(b));
}

/* Asks a worker of its own. *answer stays NULL when it failed, and `reason` says how. */
static ciuic_status ask(bench *b, size_t packing, const char *fault, cJSON **answer, char reason[WORKER_REASON_MAX])
{
    worker_process *w = NULL;
    char *path = packed_folder_path(b, packing);
    cJSON *request = path != NULL ? pack_request(b, &b->matrix->packings[packing], path) : NULL;
    ciuic_status status = request != NULL ? worker_start(fault, &w) : ciuic_fail_memory("a request", 0);
    if (status == CIUIC_OK) {
        worker_on_progress(w, show_progress, b);
        if (worker_ask(w, request, b->suite->timeout_s, answer, reason) == WORKER_INTERRUPTED)
            status = ciuic_fail(CIUIC_ERROR_INTERRUPTED, "interrupted");
    }
    worker_stop(w);
    cJSON_Delete(request);
    free(path);
    return status;
}

static ciuic_status note(bench *b, size_t packing, cJSON *answer, const char *reason)
{
    cJSON *entry = bench_entry("packed");
    json_add_size(entry, "packing", packing);
    if (answer != NULL)
        cJSON_AddItemToObject(entry, "answer", answer);
    else
        cJSON_AddStringToObject(entry, "failed", reason);
    return bench_note(b, entry);
}

/* What was measured on the folder before would not be what is measured on this one. */
static ciuic_status check_again(const bench *b, size_t packing, const char *before, const cJSON *answer)
{
    const char *now = json_text(answer, "sha256");
    if (before[0] == '\0' || strcmp(before, now) == 0) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT,
                      "%s/packed-%zu: made again, it has sha256 %.12s..., and had %.12s... when it was measured; start "
                      "afresh with another -o",
                      b->directory, packing, now, before);
}

static ciuic_status make(bench *b, size_t packing, const char *fault, const char *before)
{
    const bench_packing *p = &b->matrix->packings[packing];
    char why[WORKER_REASON_MAX] = "", reason[WORKER_REASON_MAX], words[VARIANT_NAME_SIZE + SUITE_NAME_MAX + 32];
    cJSON *answer = NULL;
    snprintf(words, sizeof words, "packing %s as %s", b->suite->checkpoints[p->checkpoint].name, p->weights);
    progress_step(b->progress, words, bench_elapsed_s(b));
    remove_folder(b, packing);
    ciuic_status status = ask(b, packing, fault, &answer, why);
    snprintf(reason, sizeof reason, "its packed folder could not be made: %.450s", why);
    if (status == CIUIC_OK && answer != NULL) status = check_again(b, packing, before, answer);
    if (answer == NULL || status != CIUIC_OK) remove_folder(b, packing);
    if (status == CIUIC_OK) return note(b, packing, answer, reason);
    cJSON_Delete(answer);
    return status;
}

ciuic_status packed_folder_need(bench *b, size_t index, const char **failed)
{
    const bench_case *c = &b->matrix->cases[index];
    const bench_options *o = b->options;
    *failed = NULL;
    if (c->packing == NO_PACKING) return CIUIC_OK;
    const packing_record *known = &b->record->packings[c->packing];
    const char *before = json_text(known->made, "sha256");
    const bool faulty = o->fault_only != NULL && strstr(c->id, o->fault_only) != NULL;
    if (known->failed == NULL && !b->packings_seen[c->packing] && !is_there(b, c->packing, before))
        CIUIC_TRY(make(b, c->packing, faulty ? o->fault : NULL, before));
    b->packings_seen[c->packing] = true;
    *failed = known->failed;
    return CIUIC_OK;
}

ciuic_status packed_folders_of_block(bench *b, size_t index)
{
    const bench_block *plan = &b->matrix->blocks[index];
    const slot_record *slots = b->record->blocks[index].slots;
    for (size_t i = 0; i < plan->slot_count; i++) {
        const char *failed = NULL;
        if (command_interrupted()) return ciuic_fail(CIUIC_ERROR_INTERRUPTED, "interrupted");
        if (slots[i].failed != NULL || slots[i].finished != NULL) continue;
        CIUIC_TRY(packed_folder_need(b, plan->slots[i].index, &failed));
    }
    return CIUIC_OK;
}
