/* plan.c - see plan.h. */
#include "harness/synth/plan.h"

#include <stdlib.h>
#include <string.h>

#include "harness/synth/weights.h"
#include "optimizer/array_room.h"
#include "optimizer/checkpoint/architecture_tensors.h"
#include "optimizer/checkpoint/shards.h"
#include "optimizer/error.h"

/* DeepSeek-V3, the largest there is, has 45 thousand. */
enum { TENSORS_MAX = 1 << 20 };
/* 2^53: up to there sizes are exact in JSON. */
static const size_t max_bytes = (size_t)1 << 53;

typedef struct planning {
    const char *where;
    synth_plan *plan;
    size_t room;
} planning;

static ciuic_status grow(planning *p)
{
    tensor *grown = array_with_room(p->plan->tensors, p->plan->count, &p->room, sizeof *grown);
    if (grown == NULL) return ciuic_fail_memory("the table of tensors", p->plan->count * sizeof *grown);
    p->plan->tensors = grown;
    return CIUIC_OK;
}

static ciuic_status add_tensor(void *context, const needed_tensor *needed)
{
    planning *p = context;
    synth_plan *plan = p->plan;
    if (plan->count == TENSORS_MAX)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: asks for more than %d tensors; expected a model's config", p->where,
                          TENSORS_MAX);
    CIUIC_TRY(grow(p));
    tensor *t = &plan->tensors[plan->count];
    *t = (tensor){.name = strdup(needed->name), .dims = needed->dims, .count = 1};
    if (t->name == NULL) return ciuic_fail_memory("a tensor's name", strlen(needed->name));
    plan->count++;
    t->dtype = synth_dtype(needed->name);
    for (size_t i = 0; i < needed->dims; i++) {
        t->shape[i] = needed->shape[i];
        t->count *= needed->shape[i]; /* two sizes that the config's limits keep from overflowing */
    }
    t->bytes = t->count * tensor_dtype_bytes(t->dtype);
    if (t->bytes > max_bytes - plan->bytes)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: asks for more than 2^53 bytes; expected a model's config", p->where);
    plan->parameters += t->count;
    plan->bytes += t->bytes;
    return CIUIC_OK;
}

ciuic_status synth_plan_create(const char *where, const model_config *config, size_t shard_bytes, synth_plan *plan)
{
    *plan = (synth_plan){0};
    planning p = {.where = where, .plan = plan};
    ciuic_status status = architecture_tensors(config, add_tensor, &p);
    if (status == CIUIC_OK)
        status = shards_divide(plan->tensors, plan->count, shard_bytes, &plan->shards, &plan->shard_count);
    if (status != CIUIC_OK) synth_plan_free(plan);
    return status;
}

void synth_plan_free(synth_plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) free((void *)(uintptr_t)plan->tensors[i].name);
    free(plan->tensors);
    free(plan->shards);
    *plan = (synth_plan){0};
}
