/* write_folder.c - see write_folder.h. */
#include "harness/optimize/write_folder.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "harness/lies_within.h"
#include "harness/optimize/folder_plan.h"
#include "harness/optimize/folder_rows.h"
#include "optimizer/atomic_file.h"
#include "optimizer/atomic_folder.h"
#include "optimizer/checkpoint/shards.h"
#include "optimizer/error.h"
#include "optimizer/json.h"
#include "optimizer/quantize/quantize.h"

/* Values or bytes that are copied at once. */
enum { PIECE = 1 << 20 };

struct folder_writer {
    folder_request request;
    folder_plan plan;
    atomic_folder folder;
    shards_writer *files; /* NULL once they are whole */
    size_t shards;
    size_t taken; /* records of the log that were looked at */
    size_t done_bytes;
    bool finished, committed;
};

/* ---- the place -------------------------------------------------------------------------------------------------- */

static ciuic_status check_place(const char *path, const checkpoint *source, const char *output)
{
    if (!lies_within(path, checkpoint_path(source))) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_USAGE, "%s: lies in the checkpoint %s; expected a place outside it", output,
                      checkpoint_path(source));
}

ciuic_status folder_writer_check(const checkpoint *source, const char *output)
{
    atomic_folder folder = {0};
    CIUIC_TRY(check_place(output, source, output));
    CIUIC_TRY(atomic_folder_open(output, &folder));
    const ciuic_status status = check_place(folder.temporary, source, output);
    atomic_folder_abort(&folder);
    return status;
}

/* Better said now than after hours of calibration. Headers and config.json are less than a hundredth of a model. */
static ciuic_status check_space(const folder_writer *w)
{
    struct statvfs disk;
    if (statvfs(w->folder.temporary, &disk) != 0 || disk.f_frsize == 0)
        return CIUIC_OK; /* then a full disk will tell */
    if (w->plan.bytes / disk.f_frsize + 1 <= disk.f_bavail) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED,
                      "%s: needs %.1f MB of disk, and %.1f MB are free there; choose another place", w->folder.path,
                      (double)w->plan.bytes * 1e-6, (double)disk.f_bavail * (double)disk.f_frsize * 1e-6);
}

/* ---- what calibration made -------------------------------------------------------------------------------------- */

/* F32 values of a tensor that the folder stores in its source's dtype: only where that loses nothing. */
static ciuic_status append_narrow(folder_writer *w, const planned_tensor *item, const float *values, size_t n)
{
    const kernel_format format = item->dtype == TENSOR_BF16 ? KERNEL_BF16 : KERNEL_F16;
    const kernel_matrix piece = {.format = format, .rows = 1, .columns = n};
    kernel_table portable;
    uint16_t *codes = malloc(n * sizeof *codes + 1);
    float *back = malloc(n * sizeof *back + 1);
    ciuic_status status = codes != NULL && back != NULL ? CIUIC_OK : ciuic_fail_memory(item->name, n * sizeof *back);
    if (status == CIUIC_OK) status = quantize_rows(&piece, (quantized_memory){.values = codes}, 0, 1, values);
    if (status == CIUIC_OK) {
        kernel_matrix stored = piece;
        stored.values = codes;
        kernel_table_fill(&portable, KERNEL_ISA_C);
        portable.dequantize_row(&stored, 0, back);
        if (memcmp(back, values, n * sizeof *back) == 0)
            status = shards_writer_append(w->files, item->name, codes, n * sizeof *codes);
        else
            status = ciuic_fail(CIUIC_ERROR_UNSUPPORTED,
                                "%s: the values made for it do not fit %s, in which the source has it; quantise it, or "
                                "leave what is scaled with it alone",
                                item->name, tensor_dtype_name(item->dtype));
    }
    free(codes);
    free(back);
    return status;
}

/* A vector or matrix of F32 in place of the source's. */
static ciuic_status take_plain(folder_writer *w, const planned_tensor *item, const kernel_matrix *m)
{
    const size_t count = m->rows * m->columns;
    const bool vector = item->source->dims == 1;
    if (m->format != KERNEL_F32 ||
        (vector ? m->rows != 1 || m->columns != item->rows : m->rows != item->rows || m->columns != item->columns))
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: made as %zu x %zu %s; expected %zu x %zu f32", item->name, m->rows,
                          m->columns, kernel_format_name(m->format), vector ? 1 : item->rows,
                          vector ? item->rows : item->columns);
    if (item->dtype == TENSOR_F32) return shards_writer_append(w->files, item->name, m->values, count * sizeof(float));
    if (item->dtype == TENSOR_F8_E4M3)
        return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s: values made for it cannot stand in for FP8 ones; quantise it",
                          item->name);
    for (size_t row = 0; row < m->rows; row++)
        CIUIC_TRY(append_narrow(w, item, (const float *)m->values + row * m->columns, m->columns));
    return CIUIC_OK;
}

static ciuic_status take_matrix(folder_writer *w, const planned_tensor *item, const kernel_matrix *m)
{
    const quantize_setting *s = &item->listed.setting,
                           made = {true, m->format, m->scales != NULL ? m->group : s->group, m->minimums != NULL};
    char found[SETTING_NAME], expected[SETTING_NAME];
    if (quantize_setting_equal(s, &made) && m->rows == item->rows && m->columns == item->columns && m->interleave == 0)
        return folder_rows_append(w->files, item, m);
    return ciuic_fail(CIUIC_ERROR_USAGE, "%s: made as %zu x %zu %s; expected %zu x %zu %s, rows as they lie",
                      item->name, m->rows, m->columns, quantize_setting_name(&made, found), item->rows, item->columns,
                      quantize_setting_name(s, expected));
}

static ciuic_status take(folder_writer *w, const char *name, const kernel_matrix *m)
{
    planned_tensor *item = folder_plan_find(&w->plan, name);
    if (item == NULL || item->written)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: values were made %s", name,
                          item == NULL ? "for a tensor that the model does not have" : "twice");
    item->written = true;
    w->done_bytes += m->rows * (kernel_row_bytes(m->format, m->columns) + 2 * kernel_row_scales(m));
    return item->listed.setting.quantised ? take_matrix(w, item, m) : take_plain(w, item, m);
}

ciuic_status folder_writer_take(void *context, quantized_set *set, const quantize_log *log)
{
    folder_writer *w = context;
    while (quantized_set_count(set) > 0) {
        const char *name = NULL;
        const kernel_matrix *m = quantized_set_at(set, quantized_set_count(set) - 1, &name);
        CIUIC_TRY(take(w, name, m));
        quantized_set_remove(set, name);
    }
    for (; w->taken < log->count; w->taken++) {
        const quantize_record *record = &log->records[w->taken];
        planned_tensor *item = folder_plan_find(&w->plan, record->tensor);
        if (item == NULL) continue; /* its values were refused already */
        item->listed.quantizer = record->quantizer;
        item->listed.tokens = record->tokens;
        item->listed.pooled = record->pooled;
        item->listed.relative_error = record->relative_error;
    }
    return CIUIC_OK;
}

/* ---- what is left ----------------------------------------------------------------------------------------------- */

static ciuic_status tell(folder_writer *w, size_t bytes)
{
    const folder_request *r = &w->request;
    w->done_bytes += bytes;
    return r->progress != NULL ? r->progress(r->progress_context, "writing", w->done_bytes, w->plan.bytes) : CIUIC_OK;
}

/* The bytes that the source has. */
static ciuic_status copy_bytes(folder_writer *w, const tensor *t)
{
    tensor piece = *t;
    for (size_t first = 0; first < t->bytes; first += PIECE) {
        piece.bytes = t->bytes - first < PIECE ? t->bytes - first : PIECE;
        piece.data = (const unsigned char *)t->data + first;
        CIUIC_TRY(shards_writer_append(w->files, t->name, piece.data, piece.bytes));
        tensor_drop_pages(&piece);
        CIUIC_TRY(tell(w, piece.bytes));
    }
    return CIUIC_OK;
}

static ciuic_status widen(folder_writer *w, const tensor *t)
{
    ciuic_status status = CIUIC_OK;
    float *values = malloc(PIECE * sizeof *values);
    if (values == NULL) return ciuic_fail_memory(t->name, PIECE * sizeof *values);
    for (size_t first = 0; first < t->count && status == CIUIC_OK; first += PIECE) {
        const size_t n = t->count - first < PIECE ? t->count - first : PIECE;
        status = tensor_to_f32(t, first, n, values);
        if (status == CIUIC_OK) status = shards_writer_append(w->files, t->name, values, n * sizeof *values);
        if (status == CIUIC_OK) status = tell(w, n * sizeof *values);
    }
    free(values);
    return status;
}

static ciuic_status write_item(folder_writer *w, planned_tensor *item)
{
    const tensor *t = item->source;
    if (item->listed.setting.quantised) {
        const size_t bytes = quantize_setting_bytes(&item->listed.setting, item->rows, item->columns);
        CIUIC_TRY(folder_rows_quantize(w->files, w->request.source, item, w->request.threads));
        return tell(w, bytes);
    }
    if (item->dtype != t->dtype) return widen(w, t);
    CIUIC_TRY(copy_bytes(w, t));
    if (t->dtype != TENSOR_F8_E4M3) return CIUIC_OK;
    char name[256];
    snprintf(name, sizeof name, "%s_scale_inv", t->name);
    return copy_bytes(w, checkpoint_find(w->request.source, name));
}

static ciuic_status write_rest(folder_writer *w)
{
    for (size_t i = 0; i < w->plan.count; i++) {
        planned_tensor *item = &w->plan.items[i];
        if (item->written) continue;
        item->written = true;
        CIUIC_TRY(write_item(w, item));
    }
    CIUIC_TRY(tell(w, 0)); /* the last chance before minutes of synchronising */
    shards_writer *files = w->files;
    w->files = NULL;
    return shards_writer_commit(files);
}

/* ---- beside the tensors ----------------------------------------------------------------------------------------- */

static ciuic_status path_in(const char *folder, const char *name, char **path)
{
    return asprintf(path, "%s/%s", folder, name) >= 0 ? CIUIC_OK : ciuic_fail_memory("a path", strlen(folder));
}

static ciuic_status copy_stream(FILE *from, const char *name, const char *path)
{
    atomic_file to;
    char *piece = malloc(PIECE);
    if (piece == NULL) return ciuic_fail_memory(path, PIECE);
    ciuic_status status = atomic_file_open(path, &to);
    if (status != CIUIC_OK) {
        free(piece);
        return status;
    }
    for (size_t n; (n = fread(piece, 1, PIECE, from)) > 0 && !ferror(to.stream);) fwrite(piece, 1, n, to.stream);
    free(piece);
    if (ferror(from)) {
        atomic_file_abort(&to);
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be read", name);
    }
    return atomic_file_commit(&to); /* sees every write error above */
}

/* A file of the source, if it is there. */
static ciuic_status copy_beside(const folder_writer *w, const char *name)
{
    char *from = NULL, *to = NULL;
    ciuic_status status = path_in(checkpoint_path(w->request.source), name, &from);
    if (status == CIUIC_OK) status = path_in(w->folder.temporary, name, &to);
    FILE *stream = status == CIUIC_OK ? fopen(from, "rbe") : NULL;
    if (stream != NULL)
        status = copy_stream(stream, from, to);
    else if (status == CIUIC_OK && errno != ENOENT)
        status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be read: %s", from, strerror(errno));
    if (stream != NULL) fclose(stream);
    free(from);
    free(to);
    return status;
}

static double source_bits(const checkpoint *source)
{
    size_t bytes = 0;
    for (size_t i = 0; i < checkpoint_count(source); i++)
        if (checkpoint_uses(source, i)) bytes += checkpoint_at(source, i)->bytes;
    return 8.0 * (double)bytes / (double)checkpoint_parameters(source);
}

/* The list of matrices, and where they come from; the caller frees the list. */
static ciuic_status describe(const folder_writer *w, const cJSON *verified, quantized_config *q)
{
    const folder_request *r = &w->request;
    const model_config *config = checkpoint_config(r->source);
    *q = (quantized_config){.provenance = r->provenance};
    if (r->provenance.source_path == NULL) q->provenance.source_path = checkpoint_path(r->source);
    q->provenance.source_bits_per_weight = source_bits(r->source);
    q->provenance.verified = verified;
    q->block_rows = w->plan.blocks ? config->fp8_block_rows : 0;
    q->block_columns = w->plan.blocks ? config->fp8_block_columns : 0;
    q->tensors = calloc(w->plan.count + 1, sizeof *q->tensors);
    if (q->tensors == NULL) return ciuic_fail_memory("the list of matrices", w->plan.count * sizeof *q->tensors);
    for (size_t i = 0; i < w->plan.count; i++)
        if (w->plan.items[i].listed.setting.quantised) q->tensors[q->count++] = w->plan.items[i].listed;
    return CIUIC_OK;
}

static ciuic_status read_back(const char *path)
{
    quantized_config q = {0};
    CIUIC_TRY(quantized_config_read(path, &q));
    quantized_config_free(&q);
    return CIUIC_OK;
}

/* The source's config.json, number for number, but for its quantization_config. */
static ciuic_status write_config(const folder_writer *w, const cJSON *verified)
{
    static const char key[] = "quantization_config";
    char *from = NULL, *to = NULL;
    cJSON *json = NULL, *made = NULL;
    quantized_config q = {0};
    ciuic_status status = path_in(checkpoint_path(w->request.source), "config.json", &from);
    if (status == CIUIC_OK) status = path_in(w->folder.temporary, "config.json", &to);
    if (status == CIUIC_OK) status = json_read_file(from, CONFIG_MAX_BYTES, &json);
    if (status == CIUIC_OK) status = describe(w, verified, &q);
    if (status == CIUIC_OK) {
        cJSON_DeleteItemFromObjectCaseSensitive(json, key);
        made = quantized_config_json(&q);
        if (made == NULL || !json_exact_numbers(json) || !cJSON_AddItemToObject(json, key, made)) {
            cJSON_Delete(made);
            status = ciuic_fail_memory("config.json", 0);
        }
    }
    if (status == CIUIC_OK) status = json_write_file(to, json);
    if (status == CIUIC_OK) status = read_back(to);
    quantized_config_free(&q);
    cJSON_Delete(json);
    free(from);
    free(to);
    return status;
}

/* ---- the beginning and the end ----------------------------------------------------------------------------------- */

static ciuic_status begin(folder_writer *w)
{
    const folder_request *r = &w->request;
    if (checkpoint_provenance(r->source) != NULL)
        return ciuic_fail(CIUIC_ERROR_USAGE, "%s: is quantised already; give its source, %s",
                          checkpoint_path(r->source), checkpoint_provenance(r->source)->source_path);
    CIUIC_TRY(check_place(r->output, r->source, r->output));
    CIUIC_TRY(folder_plan_create(r->source, r->recipe, r->interleave, r->provenance.activations, &w->plan));
    CIUIC_TRY(atomic_folder_open(r->output, &w->folder));
    CIUIC_TRY(check_place(w->folder.temporary, r->source, r->output)); /* ".." behind parents that were missing */
    CIUIC_TRY(check_space(w));
    const size_t shard_bytes = r->shard_bytes > 0 ? r->shard_bytes : usual_shard_bytes;
    CIUIC_TRY(shards_writer_open(w->folder.temporary, w->plan.tensors, w->plan.tensor_count, shard_bytes, &w->files));
    w->shards = shards_writer_count(w->files);
    return write_config(w, NULL); /* what is told of the source is checked before hours of work, too */
}

ciuic_status folder_writer_open(const folder_request *request, folder_writer **writer)
{
    folder_writer *w = calloc(1, sizeof *w);
    if (w == NULL) return ciuic_fail_memory("a quantised folder", sizeof *w);
    w->request = *request;
    const ciuic_status status = begin(w);
    if (status != CIUIC_OK)
        folder_writer_free(w);
    else
        *writer = w;
    return status;
}

void folder_writer_inherit(folder_writer *to, folder_writer *from)
{
    atomic_folder_inherit(&to->folder, &from->folder);
}

void folder_writer_free(folder_writer *w)
{
    if (w == NULL) return;
    shards_writer_abort(w->files);
    if (!w->committed) atomic_folder_abort(&w->folder);
    folder_plan_free(&w->plan);
    free(w);
}

const char *folder_writer_path(const folder_writer *w)
{
    return w->folder.temporary;
}

static ciuic_status check_accepted(const folder_writer *w)
{
    checkpoint *c = NULL;
    CIUIC_TRY(checkpoint_open(w->folder.temporary, &c));
    const size_t found = checkpoint_parameters(c), expected = checkpoint_parameters(w->request.source);
    checkpoint_release(c);
    if (found == expected) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: has %zu parameters after writing; expected %zu", w->folder.path, found,
                      expected);
}

ciuic_status folder_writer_finish(folder_writer *w)
{
    static const char *const beside[] = {"tokenizer.json", "tokenizer_config.json", "generation_config.json",
                                         "streams.safetensors"};
    if (w->files == NULL) return ciuic_fail(CIUIC_ERROR_USAGE, "%s: its tensors were finished before", w->folder.path);
    CIUIC_TRY(write_rest(w));
    CIUIC_TRY(write_config(w, NULL));
    for (size_t i = 0; i < sizeof beside / sizeof beside[0]; i++) CIUIC_TRY(copy_beside(w, beside[i]));
    CIUIC_TRY(check_accepted(w));
    w->finished = true;
    return CIUIC_OK;
}

ciuic_status folder_writer_commit(folder_writer *w, const cJSON *verified, folder_result *result)
{
    if (!w->finished) return ciuic_fail(CIUIC_ERROR_USAGE, "%s: its tensors were not finished", w->folder.path);
    if (verified != NULL) CIUIC_TRY(write_config(w, verified));
    CIUIC_TRY(atomic_folder_commit(&w->folder));
    w->committed = true;
    if (result == NULL) return CIUIC_OK;
    const double parameters = (double)checkpoint_parameters(w->request.source);
    *result = (folder_result){.tensors = w->plan.tensor_count,
                              .shards = w->shards,
                              .bytes = w->plan.bytes,
                              .bits_per_weight = 8.0 * (double)w->plan.bytes / parameters};
    for (size_t i = 0; i < w->plan.count; i++) result->quantised += w->plan.items[i].listed.setting.quantised;
    return CIUIC_OK;
}
