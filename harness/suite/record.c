/* record.c - see record.h. */
#include "harness/suite/record.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/json.h"

ciuic_status record_create(const suite *s, const bench_matrix *m, bench_record **out)
{
    bench_record *r = calloc(1, sizeof *r);
    if (r == NULL) return ciuic_fail_memory("the record", sizeof *r);
    r->suite = s;
    r->matrix = m;
    r->resumed = cJSON_CreateArray();
    r->bandwidths = cJSON_CreateArray();
    r->blocks = calloc(m->block_count + 1, sizeof *r->blocks); /* + 1: a matrix of skipped cases has no block */
    r->cases = calloc(m->case_count + 1, sizeof *r->cases);
    r->references = calloc(s->workload_count + 1, sizeof *r->references);
    r->packings = calloc(m->packing_count + 1, sizeof *r->packings);
    bool made = r->packings && r->resumed && r->bandwidths && r->blocks && r->cases && r->references;
    for (size_t b = 0; made && b < m->block_count; b++) {
        r->blocks[b].slots = calloc(m->blocks[b].slot_count, sizeof *r->blocks[b].slots);
        made = r->blocks[b].slots != NULL;
    }
    if (!made) {
        record_free(r);
        return ciuic_fail_memory("the record", m->case_count * sizeof(case_record));
    }
    *out = r;
    return CIUIC_OK;
}

static void free_block(block_record *b, size_t slots)
{
    for (size_t i = 0; b->slots != NULL && i < slots; i++) {
        cJSON_Delete(b->slots[i].loaded);
        cJSON_Delete(b->slots[i].finished);
        cJSON_Delete(b->slots[i].refused);
        free(b->slots[i].failed);
        free(b->slots[i].seconds);
        free(b->slots[i].cpu_seconds);
    }
    free(b->slots);
    free(b->asked);
}

void record_free(bench_record *r)
{
    if (r == NULL) return;
    for (size_t b = 0; r->blocks != NULL && b < r->matrix->block_count; b++)
        free_block(&r->blocks[b], r->matrix->blocks[b].slot_count);
    for (size_t i = 0; r->cases != NULL && i < r->matrix->case_count; i++) {
        cJSON_Delete(r->cases[i].accuracy);
        free(r->cases[i].accuracy_failed);
        cJSON_Delete(r->cases[i].counters);
        cJSON_Delete(r->cases[i].weight_check);
        cJSON_Delete(r->cases[i].search);
    }
    for (size_t i = 0; r->packings != NULL && i < r->matrix->packing_count; i++) {
        cJSON_Delete(r->packings[i].made);
        free(r->packings[i].failed);
    }
    free(r->packings);
    cJSON_Delete(r->run);
    cJSON_Delete(r->machine);
    cJSON_Delete(r->resumed);
    cJSON_Delete(r->bandwidths);
    free(r->blocks);
    free(r->cases);
    free(r->references);
    free(r);
}

/* ---- applying --------------------------------------------------------------------------------------------------- */

static const char where[] = "journal entry";

static ciuic_status out_of_memory(void)
{
    return ciuic_fail_memory("the record", 0);
}

static ciuic_status replace(cJSON **place, const cJSON *item)
{
    cJSON *copy = cJSON_Duplicate(item, 1);
    if (copy == NULL) return out_of_memory();
    cJSON_Delete(*place);
    *place = copy;
    return CIUIC_OK;
}

static ciuic_status replace_text(char **place, const char *text)
{
    char *copy = strdup(text);
    if (copy == NULL) return out_of_memory();
    free(*place);
    *place = copy;
    return CIUIC_OK;
}

static ciuic_status append(cJSON *array, const cJSON *entry)
{
    cJSON *copy = cJSON_Duplicate(entry, 1);
    return copy != NULL && cJSON_AddItemToArray(array, copy) ? CIUIC_OK : out_of_memory();
}

static ciuic_status find_block(bench_record *r, const cJSON *entry, block_record **block, size_t *slots)
{
    size_t b = 0;
    if (r->matrix->block_count == 0) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: there is no block", where);
    CIUIC_TRY(json_get_size(entry, where, "block", 0, r->matrix->block_count - 1, &b));
    *block = &r->blocks[b];
    *slots = r->matrix->blocks[b].slot_count;
    return CIUIC_OK;
}

static ciuic_status find_slot(bench_record *r, const cJSON *entry, block_record **block, size_t *index,
                              slot_record **slot)
{
    size_t slots = 0;
    CIUIC_TRY(find_block(r, entry, block, &slots));
    CIUIC_TRY(json_get_size(entry, where, "slot", 0, slots - 1, index));
    *slot = &(*block)->slots[*index];
    return CIUIC_OK;
}

static ciuic_status apply_run(bench_record *r, const cJSON *entry)
{
    return replace(&r->run, entry);
}

static ciuic_status apply_resume(bench_record *r, const cJSON *entry)
{
    return append(r->resumed, entry);
}

static ciuic_status apply_machine(bench_record *r, const cJSON *entry)
{
    const cJSON *machine = NULL;
    CIUIC_TRY(json_get_object(entry, where, "machine", &machine));
    r->machines++;
    return replace(&r->machine, machine);
}

static ciuic_status apply_packed(bench_record *r, const cJSON *entry)
{
    size_t index = 0;
    const cJSON *answer = NULL;
    if (r->matrix->packing_count == 0) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: nothing is packed", where);
    CIUIC_TRY(json_get_size(entry, where, "packing", 0, r->matrix->packing_count - 1, &index));
    const cJSON *failed = json_find(entry, "failed");
    if (cJSON_IsString(failed)) return replace_text(&r->packings[index].failed, failed->valuestring);
    CIUIC_TRY(json_get_object(entry, where, "answer", &answer));
    r->packings[index].times++;
    return replace(&r->packings[index].made, answer);
}

static ciuic_status apply_reference(bench_record *r, const cJSON *entry)
{
    size_t workload = 0;
    const char *digest = NULL;
    CIUIC_TRY(json_get_size(entry, where, "workload", 0, r->suite->workload_count - 1, &workload));
    CIUIC_TRY(json_get_string(entry, where, "sha256", &digest));
    if (strlen(digest) != 64) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: sha256: expected 64 digits", where);
    memcpy(r->references[workload], digest, 65);
    return CIUIC_OK;
}

static ciuic_status apply_start(bench_record *r, const cJSON *entry)
{
    block_record *block = NULL;
    size_t slots = 0;
    CIUIC_TRY(find_block(r, entry, &block, &slots));
    block->starts++;
    return CIUIC_OK;
}

static ciuic_status apply_loaded(bench_record *r, const cJSON *entry)
{
    block_record *block = NULL;
    slot_record *slot = NULL;
    size_t index = 0;
    const cJSON *answer = NULL;
    CIUIC_TRY(find_slot(r, entry, &block, &index, &slot));
    CIUIC_TRY(json_get_object(entry, where, "answer", &answer));
    return replace(&slot->loaded, answer);
}

static ciuic_status get_digest(const cJSON *entry, const char **digest)
{
    CIUIC_TRY(json_get_string(entry, where, "output_sha256", digest));
    if (strlen(*digest) == 64) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: output_sha256: expected 64 digits", where);
}

static ciuic_status apply_accuracy(bench_record *r, const cJSON *entry)
{
    size_t index = 0;
    const char *digest = NULL;
    CIUIC_TRY(json_get_size(entry, where, "case", 0, r->matrix->case_count - 1, &index));
    const cJSON *failed = json_find(entry, "failed");
    if (cJSON_IsString(failed)) return replace_text(&r->cases[index].accuracy_failed, failed->valuestring);
    const cJSON *metrics = NULL;
    CIUIC_TRY(json_get_object(entry, where, "accuracy", &metrics));
    CIUIC_TRY(get_digest(entry, &digest));
    memcpy(r->cases[index].output, digest, 65);
    return replace(&r->cases[index].accuracy, metrics);
}

static ciuic_status apply_weights(bench_record *r, const cJSON *entry)
{
    size_t index = 0;
    const cJSON *answer = NULL;
    if (r->matrix->case_count == 0) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: there is no case", where);
    CIUIC_TRY(json_get_size(entry, where, "case", 0, r->matrix->case_count - 1, &index));
    CIUIC_TRY(json_get_object(entry, where, "answer", &answer));
    return replace(&r->cases[index].weight_check, answer);
}

static ciuic_status apply_counted(bench_record *r, const cJSON *entry)
{
    size_t index = 0;
    const cJSON *counters = NULL;
    if (r->matrix->case_count == 0) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: there is no case", where);
    CIUIC_TRY(json_get_size(entry, where, "case", 0, r->matrix->case_count - 1, &index));
    CIUIC_TRY(json_get_object(entry, where, "counters", &counters));
    return replace(&r->cases[index].counters, counters);
}

static ciuic_status apply_plan(bench_record *r, const cJSON *entry)
{
    block_record *block = NULL;
    size_t slots = 0, rounds = 0, index = 0;
    const cJSON *iterations = NULL, *item = NULL;
    CIUIC_TRY(find_block(r, entry, &block, &slots));
    CIUIC_TRY(json_get_size(entry, where, "rounds", 1, RECORD_ROUNDS_MAX, &rounds));
    CIUIC_TRY(json_get_array(entry, where, "iterations", &iterations));
    if ((size_t)cJSON_GetArraySize(iterations) != slots)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: iterations: expected %zu numbers", where, slots);
    cJSON_ArrayForEach(item, iterations)
    {
        if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble <= 1u << 30))
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: iterations[%zu]: expected a number", where, index);
        block->slots[index++].iterations = (size_t)item->valuedouble;
    }
    block->planned = rounds;
    return CIUIC_OK;
}

/* Makes place for the samples of `rounds` rounds in every slot. */
static ciuic_status grow_rounds(block_record *block, size_t slots, size_t rounds)
{
    if (rounds <= block->begun) return CIUIC_OK;
    for (size_t i = 0; i < slots; i++) {
        slot_record *s = &block->slots[i];
        double *seconds = realloc(s->seconds, rounds * sizeof *seconds);
        if (seconds != NULL) s->seconds = seconds;
        double *cpu = realloc(s->cpu_seconds, rounds * sizeof *cpu);
        if (cpu != NULL) s->cpu_seconds = cpu;
        if (seconds == NULL || cpu == NULL) return out_of_memory();
        for (size_t k = block->begun; k < rounds; k++) s->seconds[k] = s->cpu_seconds[k] = NAN;
    }
    block->begun = rounds;
    return CIUIC_OK;
}

static ciuic_status apply_sample(bench_record *r, const cJSON *entry)
{
    block_record *block = NULL;
    slot_record *slot = NULL;
    size_t index = 0, slots = 0, round = 0;
    const char *digest = NULL;
    double seconds = 0, cpu = 0;
    CIUIC_TRY(find_slot(r, entry, &block, &index, &slot));
    CIUIC_TRY(find_block(r, entry, &block, &slots));
    CIUIC_TRY(json_get_size(entry, where, "round", 0, RECORD_ROUNDS_MAX, &round));
    CIUIC_TRY(json_get_double(entry, where, "seconds", 0, 1e9, &seconds));
    if (!(seconds > 0)) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: seconds: found 0, expected more", where);
    CIUIC_TRY(json_get_double(entry, where, "cpu_seconds", 0, 1e12, &cpu));
    CIUIC_TRY(get_digest(entry, &digest));
    CIUIC_TRY(grow_rounds(block, slots, round + 1));
    asked_slot *asked = realloc(block->asked, (block->asked_count + 1) * sizeof *asked);
    if (asked == NULL) return out_of_memory();
    block->asked = asked;
    block->asked[block->asked_count++] = (asked_slot){.round = round, .slot = index};
    slot->seconds[round] = seconds;
    slot->cpu_seconds[round] = cpu;
    slot->samples++;
    if (slot->output[0] == '\0') memcpy(slot->output, digest, 65);
    if (strcmp(slot->output, digest) != 0) slot->other_output = true;
    return CIUIC_OK;
}

static ciuic_status apply_round(bench_record *r, const cJSON *entry)
{
    block_record *block = NULL;
    size_t slots = 0, round = 0;
    CIUIC_TRY(find_block(r, entry, &block, &slots));
    CIUIC_TRY(json_get_size(entry, where, "round", 0, RECORD_ROUNDS_MAX, &round));
    CIUIC_TRY(grow_rounds(block, slots, round + 1));
    for (size_t i = 0; i < slots; i++) {
        const slot_record *s = &block->slots[i];
        if (isnan(s->seconds[round]) && s->failed == NULL && s->finished == NULL)
            return ciuic_fail(CIUIC_ERROR_INPUT,
                              "%s: round %zu is complete, and slot %zu has neither a sample nor failed", where, round,
                              i);
    }
    block->complete++;
    return CIUIC_OK;
}

static ciuic_status apply_stop(bench_record *r, const cJSON *entry)
{
    static const char *const reasons[] = {"precision", "time", "rounds"};
    block_record *block = NULL;
    size_t slots = 0;
    const char *why = NULL;
    CIUIC_TRY(find_block(r, entry, &block, &slots));
    CIUIC_TRY(json_get_string(entry, where, "why", &why));
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        if (strcmp(reasons[i], why) != 0) continue;
        snprintf(block->stopped, sizeof block->stopped, "%s", why);
        return CIUIC_OK;
    }
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: why: found \"%s\", expected precision, time or rounds", where, why);
}

static ciuic_status apply_failed(bench_record *r, const cJSON *entry)
{
    block_record *block = NULL;
    slot_record *slot = NULL;
    size_t index = 0;
    const char *reason = NULL;
    CIUIC_TRY(find_slot(r, entry, &block, &index, &slot));
    CIUIC_TRY(json_get_string(entry, where, "reason", &reason));
    const cJSON *refused = json_find(entry, "refused");
    if (cJSON_IsObject(refused)) CIUIC_TRY(replace(&slot->refused, refused));
    return replace_text(&slot->failed, reason);
}

static ciuic_status apply_finished(bench_record *r, const cJSON *entry)
{
    block_record *block = NULL;
    slot_record *slot = NULL;
    size_t index = 0;
    const cJSON *answer = NULL;
    CIUIC_TRY(find_slot(r, entry, &block, &index, &slot));
    CIUIC_TRY(json_get_object(entry, where, "answer", &answer));
    return replace(&slot->finished, answer);
}

static ciuic_status apply_bandwidth(bench_record *r, const cJSON *entry)
{
    return append(r->bandwidths, entry);
}

static ciuic_status apply_search(bench_record *r, const cJSON *entry)
{
    size_t index = 0;
    const cJSON *found = NULL;
    CIUIC_TRY(json_get_size(entry, where, "case", 0, r->matrix->case_count - 1, &index));
    CIUIC_TRY(json_get_object(entry, where, "found", &found));
    return replace(&r->cases[index].search, found);
}

static ciuic_status apply_done(bench_record *r, const cJSON *entry)
{
    block_record *block = NULL;
    size_t slots = 0;
    CIUIC_TRY(find_block(r, entry, &block, &slots));
    CIUIC_TRY(json_get_double(entry, where, "stolen_s", 0, 1e12, &block->stolen_s));
    block->done = true;
    return CIUIC_OK;
}

ciuic_status record_apply(bench_record *r, const cJSON *entry)
{
    static const struct {
        const char *kind;
        ciuic_status (*apply)(bench_record *r, const cJSON *entry);
    } kinds[] = {
        {"run", apply_run},
        {"resume", apply_resume},
        {"machine", apply_machine},
        {"reference", apply_reference},
        {"packed", apply_packed},
        {"start", apply_start},
        {"loaded", apply_loaded},
        {"accuracy", apply_accuracy},
        {"plan", apply_plan},
        {"sample", apply_sample},
        {"round", apply_round},
        {"stop", apply_stop},
        {"failed", apply_failed},
        {"finished", apply_finished},
        {"bandwidth", apply_bandwidth},
        {"counted", apply_counted},
        {"search", apply_search},
        {"done", apply_done},
        {"weights", apply_weights},
    };
    const char *kind = NULL;
    CIUIC_TRY(json_get_string(entry, where, "kind", &kind));
    CIUIC_TRY(json_get_double(entry, where, "t", 0, 1e12, &r->elapsed_s));
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].kind, kind) == 0) return kinds[i].apply(r, entry);
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: kind \"%s\" is unknown", where, kind);
}

double record_bandwidth(const bench_record *r, int threads, size_t bytes)
{
    double best = NAN;
    const cJSON *entry = NULL;
    /* What a larger buffer was read at, a smaller one can be: it lies in the same caches or in nearer ones. */
    cJSON_ArrayForEach(entry, r->bandwidths)
    {
        const cJSON *t = json_find(entry, "threads"), *b = json_find(entry, "bytes");
        const cJSON *value = json_find(entry, "bytes_per_s");
        if (cJSON_IsNumber(t) && cJSON_IsNumber(b) && cJSON_IsNumber(value) && t->valuedouble == threads &&
            b->valuedouble >= (double)bytes)
            best = fmax(best, value->valuedouble); /* of a NaN and a number, the number */
    }
    return best;
}

double record_weight_seconds(const bench_record *r)
{
    double longest = NAN;
    for (size_t i = 0; i < r->matrix->case_count; i++) {
        const cJSON *check = r->cases[i].weight_check;
        const double weights = json_number(check, "checked"), seconds = json_number(check, "seconds");
        if (weights > 0 && seconds >= 0) longest = fmax(longest, seconds / weights);
    }
    return longest;
}
