/* inputs.c - see inputs.h. */
#include "harness/audit/inputs.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "harness/audit/checkpoint_copy.h"
#include "optimizer/checkpoint/checkpoint.h"
#include "optimizer/checkpoint/safetensors_writer.h"

ciuic_status inputs_open(const audited_case *c, audit_inputs *in)
{
    char path[AUDIT_PATH + 32];
    checkpoint *opened = NULL;
    *in = (audit_inputs){0};
    CIUIC_TRY(checkpoint_open(c->order.checkpoint, &opened));
    in->vocabulary = checkpoint_config(opened)->vocabulary;
    checkpoint_release(opened);
    snprintf(path, sizeof path, "%s/streams.safetensors", c->order.checkpoint);
    if (access(path, F_OK) != 0) return CIUIC_OK;
    CIUIC_TRY(safetensors_open(path, &in->file));
    in->stream = safetensors_find(in->file, "eval_ids");
    if (in->stream != NULL && (in->stream->dtype != TENSOR_I32 || in->stream->count == 0)) in->stream = NULL;
    return CIUIC_OK;
}

void inputs_close(audit_inputs *in)
{
    safetensors_close(in->file);
    *in = (audit_inputs){0};
}

static int32_t id_at(const tensor *stream, size_t index)
{
    int32_t id;
    memcpy(&id, (const unsigned char *)stream->data + index % stream->count * sizeof id, sizeof id);
    return id;
}

void inputs_draw(audit_subject *s, const audit_inputs *in, size_t rows, size_t tokens, int32_t *ids)
{
    for (size_t row = 0; row < rows; row++) {
        const size_t start = in->stream != NULL ? subject_draw(s, in->stream->count) : 0;
        for (size_t i = 0; i < tokens; i++)
            *ids++ = in->stream != NULL ? id_at(in->stream, start + i) : (int32_t)subject_draw(s, in->vocabulary);
    }
}

/* How many ids to move on: whole rows, so that texts stay whole, and past all windows of the workload. */
static size_t draw_shift(audit_subject *s, const audited_case *c, const tensor *stream)
{
    const size_t rows = stream->dims == 2 ? stream->shape[0] : 1, length = stream->count / rows;
    const size_t used =
        rows > 1 ? c->order.windows + 1 : c->order.depth + c->order.tokens + c->order.windows * c->order.window_tokens;
    const size_t all = rows > 1 ? rows : length, unit = rows > 1 ? length : 1;
    const size_t least = used < all ? used : all / 2;
    const size_t choices = all > 2 * least ? all - 2 * least + 1 : 1;
    return (least + subject_draw(s, choices)) * unit;
}

static ciuic_status write_moved(const tensor *stream, size_t shift, const char *path)
{
    int32_t *ids = malloc(stream->count * sizeof *ids);
    if (ids == NULL) return ciuic_fail_memory("the token ids", stream->count * sizeof *ids);
    for (size_t i = 0; i < stream->count; i++) ids[i] = id_at(stream, i + shift);
    tensor moved = *stream;
    moved.data = ids;
    const ciuic_status status = safetensors_write(path, &moved, 1);
    free(ids);
    return status;
}

ciuic_status inputs_other_checkpoint(audit_subject *s, const audited_case *c, const audit_inputs *in,
                                     const char *folder, bool *moved)
{
    char path[AUDIT_PATH + 32];
    *moved = in->stream != NULL;
    if (!*moved) return CIUIC_OK;
    CIUIC_TRY(checkpoint_link(c->order.checkpoint, folder, "streams.safetensors"));
    snprintf(path, sizeof path, "%s/streams.safetensors", folder);
    return write_moved(in->stream, draw_shift(s, c, in->stream), path);
}
