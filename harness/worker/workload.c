/* workload.c - see workload.h. */
#include "harness/worker/workload.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/measure/computed_work.h"
#include "harness/split_mix.h"
#include "optimizer/atomic_file.h"
#include "optimizer/checkpoint/safetensors.h"
#include "optimizer/error.h"

struct workload {
    workload_spec spec;
    ciuic_model *model;
    ciuic_session *session;
    ciuic_prefix_cache *prefixes; /* NULL: none */
    size_t prompted;              /* tokens of all prompts that it was asked for */
    size_t vocabulary;
    int32_t *ids;    /* [depth + tokens], then [windows][window_tokens] */
    float *logits;   /* [vocabulary], of the last token of the last repetition */
    int32_t *inputs; /* [input_rows][tokens], what repetitions take in the place of `ids`; NULL: nothing */
    size_t input_rows, next_input;
};

static size_t context_of(const workload_spec *spec)
{
    return spec->depth + spec->tokens;
}

size_t workload_positions(const workload_spec *spec)
{
    return spec->tokens + spec->windows * spec->window_tokens;
}

/* ---- ids -------------------------------------------------------------------------------------------------------- */

/* Where window `w` starts in a stream of `rows` rows of `n`: each window has a row of its own, since rows are texts of
 * their own; a single row is read on. Row 0 is the timed workload's. */
static size_t window_start(const workload_spec *spec, size_t rows, size_t n, size_t w)
{
    return rows > 1 ? (w + 1) % rows * n : context_of(spec) + w * spec->window_tokens;
}

static ciuic_status copy_ids(const tensor *stream, const workload_spec *spec, int32_t *ids)
{
    const size_t rows = stream->dims == 2 ? stream->shape[0] : 1, total = stream->count;
    if (total == 0 || stream->dims > 2)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: eval_ids: expected I32 of shape [n] or [rows, n], not empty",
                          stream->file);
    const unsigned char *data = stream->data;
    for (size_t i = 0; i < context_of(spec); i++) memcpy(ids + i, data + i % total * sizeof *ids, sizeof *ids);
    int32_t *window = ids + context_of(spec);
    for (size_t w = 0; w < spec->windows; w++, window += spec->window_tokens) {
        const size_t start = window_start(spec, rows, total / rows, w);
        for (size_t i = 0; i < spec->window_tokens; i++)
            memcpy(window + i, data + (start + i) % total * sizeof *ids, sizeof *ids);
    }
    return CIUIC_OK;
}

static ciuic_status stream_ids(const char *path, const workload_spec *spec, int32_t *ids)
{
    safetensors *file = NULL;
    CIUIC_TRY(safetensors_open(path, &file));
    const tensor *stream = safetensors_find(file, "eval_ids");
    ciuic_status status = CIUIC_OK;
    if (stream == NULL || stream->dtype != TENSOR_I32)
        status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: eval_ids: %s, expected I32", path,
                            stream == NULL ? "missing" : tensor_dtype_name(stream->dtype));
    else
        status = copy_ids(stream, spec, ids);
    safetensors_close(file);
    return status;
}

static void random_ids(uint64_t seed, size_t vocabulary, size_t n, int32_t *ids)
{
    uint64_t state = seed;
    for (size_t i = 0; i < n; i++) ids[i] = (int32_t)(split_mix_next(&state) % vocabulary);
}

static ciuic_status read_ids(workload *w)
{
    const size_t n = context_of(&w->spec) + w->spec.windows * w->spec.window_tokens;
    w->ids = calloc(n, sizeof *w->ids);
    if (w->ids == NULL) return ciuic_fail_memory("the token ids", n * sizeof *w->ids);
    char *path = NULL;
    if (asprintf(&path, "%s/streams.safetensors", w->spec.checkpoint) < 0) return ciuic_fail_memory("a path", 0);
    ciuic_status status = CIUIC_OK;
    if (access(path, F_OK) == 0)
        status = stream_ids(path, &w->spec, w->ids);
    else
        random_ids(w->spec.seed, w->vocabulary, n, w->ids);
    free(path);
    return status;
}

/* ---- the repetition --------------------------------------------------------------------------------------------- */

/* An earlier prompt, which was what prompts share and no more: the timed ones find just that. */
static ciuic_status fill_prefixes(workload *w)
{
    const workload_spec *spec = &w->spec;
    ciuic_session *earlier = NULL;
    if (spec->prefix_cache == 0) return CIUIC_OK;
    CIUIC_TRY(ciuic_prefix_cache_create(w->model, spec->prefix_cache, &w->prefixes));
    if (spec->prefix == 0) return CIUIC_OK;
    const ciuic_session_options options = {.context = spec->prefix, .threads = spec->threads, .prefixes = w->prefixes};
    CIUIC_TRY(ciuic_session_create(w->model, &options, &earlier));
    const ciuic_status status = ciuic_prefill(earlier, w->ids, spec->prefix, false, NULL);
    ciuic_session_free(earlier);
    w->prompted += spec->prefix;
    return status;
}

static ciuic_status prepare(workload *w)
{
    CIUIC_TRY(fill_prefixes(w));
    const ciuic_session_options options = {
        .context = context_of(&w->spec), .threads = w->spec.threads, .prefixes = w->prefixes, .prefixes_kept = true};
    CIUIC_TRY(ciuic_session_create(w->model, &options, &w->session));
    w->prompted += w->spec.depth;
    return w->spec.depth > 0 ? ciuic_prefill(w->session, w->ids, w->spec.depth, false, NULL) : CIUIC_OK;
}

ciuic_status workload_create(ciuic_model *model, const workload_spec *spec, workload **out)
{
    ciuic_model_info info;
    ciuic_model_describe(model, &info);
    workload *w = calloc(1, sizeof *w);
    if (w == NULL) return ciuic_fail_memory("a workload", sizeof *w);
    w->spec = *spec;
    w->model = model;
    w->vocabulary = info.vocabulary;
    w->logits = calloc(info.vocabulary, sizeof *w->logits);
    ciuic_status status = CIUIC_OK;
    if (w->logits == NULL) status = ciuic_fail_memory("logits", info.vocabulary * sizeof *w->logits);
    if (status == CIUIC_OK) status = read_ids(w);
    if (status == CIUIC_OK) status = prepare(w);
    if (status == CIUIC_OK)
        *out = w;
    else
        workload_free(w);
    return status;
}

void workload_free(workload *w)
{
    if (w == NULL) return;
    ciuic_session_free(w->session);
    ciuic_prefix_cache_free(w->prefixes);
    free(w->ids);
    free(w->inputs);
    free(w->logits);
    free(w);
}

ciuic_status workload_set_inputs(workload *w, const int32_t *ids, size_t rows)
{
    const size_t count = rows * w->spec.tokens;
    for (size_t i = 0; i < count; i++)
        if (ids[i] < 0 || (size_t)ids[i] >= w->vocabulary)
            return ciuic_fail(CIUIC_ERROR_INPUT, "token ids: [%zu] is %d; expected 0 to %zu", i, (int)ids[i],
                              w->vocabulary - 1);
    int32_t *copy = count > 0 ? malloc(count * sizeof *copy) : NULL;
    if (count > 0 && copy == NULL) return ciuic_fail_memory("the token ids", count * sizeof *copy);
    if (count > 0) memcpy(copy, ids, count * sizeof *copy);
    free(w->inputs);
    w->inputs = copy;
    w->input_rows = rows;
    w->next_input = 0;
    return CIUIC_OK;
}

size_t workload_tokens(const workload *w)
{
    return w->spec.tokens;
}

const float *workload_logits(const workload *w, size_t *vocabulary)
{
    *vocabulary = w->vocabulary;
    return w->logits;
}

/* What this repetition runs on. */
static const int32_t *next_ids(workload *w)
{
    if (w->inputs == NULL) return w->ids + w->spec.depth;
    return w->inputs + w->next_input++ % w->input_rows * w->spec.tokens;
}

ciuic_status workload_run(workload *w)
{
    const int32_t *ids = next_ids(w);
    CIUIC_TRY(ciuic_session_truncate(w->session, w->spec.depth));
    if (w->spec.phase == PHASE_PREFILL) w->prompted += w->spec.tokens;
    if (w->spec.phase == PHASE_PREFILL) return ciuic_prefill(w->session, ids, w->spec.tokens, false, w->logits);
    for (size_t i = 0; i < w->spec.tokens; i++) CIUIC_TRY(ciuic_decode(w->session, ids[i], w->logits));
    return CIUIC_OK;
}

sha256_hex workload_output(const workload *w)
{
    return sha256_data(w->logits, w->vocabulary * sizeof *w->logits);
}

void workload_spoil_output(workload *w)
{
    w->logits[0] += 1;
}

void workload_memory(const workload *w, ciuic_memory_use *use)
{
    ciuic_session_memory(w->session, use);
    ciuic_prefix_use prefixes = {0};
    if (w->prefixes != NULL) ciuic_prefix_cache_describe(w->prefixes, &prefixes);
    use->other += prefixes.bytes;
}

bool workload_prefixes(const workload *w, ciuic_prefix_use *use, size_t *computed)
{
    if (w->prefixes == NULL) return false;
    ciuic_prefix_cache_describe(w->prefixes, use);
    *computed = w->prompted - use->tokens;
    return true;
}

bool workload_is_spared(const workload *w)
{
    return w->prefixes != NULL && w->spec.prefix > 0;
}

cJSON *workload_computed(const workload *w)
{
    kind_cost costs[GRAPH_OP_KINDS] = {{0}};
    session_cost(w->session, w->spec.phase == PHASE_DECODE, w->spec.depth, w->spec.tokens, costs);
    return computed_work_json(costs);
}

size_t workload_buffer_bytes(const workload *w)
{
    const size_t ids = context_of(&w->spec) + w->spec.windows * w->spec.window_tokens;
    return ids * sizeof *w->ids + w->vocabulary * sizeof *w->logits;
}

/* ---- the reference's logits ------------------------------------------------------------------------------------- */

static ciuic_status write_rows(FILE *stream, const char *path, const float *rows, size_t count)
{
    if (fwrite(rows, sizeof *rows, count, stream) == count) return CIUIC_OK;
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s: cannot be written: %s", path, strerror(errno));
}

/* A second session, so that the timed one keeps its memory and its contents. */
static ciuic_status window_session(const workload *w, size_t context, ciuic_session **session)
{
    const ciuic_session_options options = {.context = context, .threads = w->spec.threads};
    return ciuic_session_create(w->model, &options, session);
}

static ciuic_status write_positions(workload *w, const char *path, FILE *stream, ciuic_session *session, float *rows)
{
    const workload_spec *spec = &w->spec;
    const int32_t *timed = w->ids + spec->depth, *window = w->ids + context_of(spec);
    CIUIC_TRY(ciuic_session_truncate(w->session, spec->depth));
    CIUIC_TRY(ciuic_prefill(w->session, timed, spec->tokens, true, rows));
    CIUIC_TRY(write_rows(stream, path, rows, spec->tokens * w->vocabulary));
    for (size_t i = 0; i < spec->windows; i++, window += spec->window_tokens) {
        CIUIC_TRY(ciuic_session_truncate(session, 0));
        CIUIC_TRY(ciuic_prefill(session, window, spec->window_tokens, true, rows));
        CIUIC_TRY(write_rows(stream, path, rows, spec->window_tokens * w->vocabulary));
    }
    return CIUIC_OK;
}

static float *most_rows(const workload *w)
{
    const workload_spec *spec = &w->spec;
    const size_t rows = spec->tokens > spec->window_tokens ? spec->tokens : spec->window_tokens;
    float *logits = calloc(rows, w->vocabulary * sizeof *logits);
    if (logits == NULL) ciuic_fail_memory("logits", rows * w->vocabulary * sizeof *logits);
    return logits;
}

ciuic_status workload_write_reference(workload *w, const char *path)
{
    atomic_file file;
    ciuic_session *session = NULL;
    ciuic_status status = CIUIC_ERROR_UNSUPPORTED;
    float *rows = most_rows(w);
    if (rows == NULL) return status;
    status = window_session(w, w->spec.window_tokens, &session);
    if (status == CIUIC_OK) status = atomic_file_open(path, &file);
    if (status == CIUIC_OK) {
        status = write_positions(w, path, file.stream, session, rows);
        if (status == CIUIC_OK)
            status = atomic_file_commit(&file);
        else
            atomic_file_abort(&file);
    }
    ciuic_session_free(session);
    free(rows);
    return status;
}

/* ---- accuracy --------------------------------------------------------------------------------------------------- */

typedef struct comparison {
    const workload *w;
    accuracy *sum;
    const float *reference; /* the next position's row */
    size_t positions;       /* compared so far; the timed ones come first */
    sha256_hex scored;      /* of the last timed position's logits */
} comparison;

static ciuic_status compare(comparison *c, const float *logits, int32_t next)
{
    if (!accuracy_add(c->sum, logits, c->reference, next)) return ciuic_fail_memory("the accuracy", 0);
    if (++c->positions == c->w->spec.tokens) c->scored = sha256_data(logits, c->w->vocabulary * sizeof *logits);
    c->reference += c->w->vocabulary;
    return CIUIC_OK;
}

/* n ids prefilled at once; the last row is `last` when that is given: the same position, as timed. */
static ciuic_status compare_prefill(comparison *c, ciuic_session *session, const int32_t *ids, size_t n, float *rows,
                                    const float *last)
{
    CIUIC_TRY(ciuic_session_truncate(session, 0));
    CIUIC_TRY(ciuic_prefill(session, ids, n, true, rows));
    for (size_t i = 0; i < n; i++) {
        const bool at_end = i + 1 == n;
        CIUIC_TRY(compare(c, at_end && last != NULL ? last : rows + i * c->w->vocabulary, at_end ? -1 : ids[i + 1]));
    }
    return CIUIC_OK;
}

static ciuic_status compare_decode(comparison *c, ciuic_session *session, size_t depth, const int32_t *ids, size_t n,
                                   float *row)
{
    CIUIC_TRY(ciuic_session_truncate(session, depth));
    for (size_t i = 0; i < n; i++) {
        CIUIC_TRY(ciuic_decode(session, ids[i], row));
        CIUIC_TRY(compare(c, row, i + 1 < n ? ids[i + 1] : -1));
    }
    return CIUIC_OK;
}

static ciuic_status compare_all(workload *w, comparison *c, ciuic_session *session, float *rows)
{
    const workload_spec *spec = &w->spec;
    const bool prefill = spec->phase == PHASE_PREFILL;
    CIUIC_TRY(workload_set_inputs(w, NULL, 0));
    const int32_t *window = w->ids + context_of(spec);
    CIUIC_TRY(workload_run(w));
    if (prefill) /* in the session of the windows: the timed one keeps nothing of this */
        CIUIC_TRY(compare_prefill(c, session, w->ids, spec->tokens, rows, w->logits));
    else
        CIUIC_TRY(compare_decode(c, w->session, spec->depth, w->ids + spec->depth, spec->tokens, rows));
    for (size_t i = 0; i < spec->windows; i++, window += spec->window_tokens) {
        if (prefill)
            CIUIC_TRY(compare_prefill(c, session, window, spec->window_tokens, rows, NULL));
        else
            CIUIC_TRY(compare_decode(c, session, 0, window, spec->window_tokens, rows));
    }
    return CIUIC_OK;
}

static ciuic_status map_reference(const workload *w, const char *path, const float **rows, size_t *bytes)
{
    *bytes = workload_positions(&w->spec) * w->vocabulary * sizeof(float);
    const int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be opened: %s", path, strerror(errno));
    struct stat status;
    ciuic_status result = CIUIC_OK;
    void *mapped = MAP_FAILED;
    if (fstat(file, &status) != 0 || status.st_size < 0 || (size_t)status.st_size != *bytes)
        result = ciuic_fail(CIUIC_ERROR_INPUT, "%s: found %lld bytes, expected %zu: not this workload's reference",
                            path, (long long)status.st_size, *bytes);
    else if ((mapped = mmap(NULL, *bytes, PROT_READ, MAP_PRIVATE, file, 0)) == MAP_FAILED)
        result = ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s: cannot be mapped: %s", path, strerror(errno));
    close(file);
    *rows = mapped;
    return result;
}

ciuic_status workload_accuracy(workload *w, const char *path, accuracy_result *result, sha256_hex *scored)
{
    const float *reference = NULL;
    size_t bytes = 0;
    CIUIC_TRY(map_reference(w, path, &reference, &bytes));
    const workload_spec *spec = &w->spec;
    const bool longer = spec->phase == PHASE_PREFILL && spec->tokens > spec->window_tokens;
    ciuic_session *session = NULL;
    float *rows = most_rows(w);
    comparison c = {.w = w, .sum = accuracy_create(w->vocabulary), .reference = reference};
    ciuic_status status = CIUIC_ERROR_UNSUPPORTED;
    if (rows != NULL && c.sum == NULL) status = ciuic_fail_memory("the accuracy", w->vocabulary);
    if (rows != NULL && c.sum != NULL)
        status = window_session(w, longer ? spec->tokens : spec->window_tokens, &session);
    if (status == CIUIC_OK) status = compare_all(w, &c, session, rows);
    if (status == CIUIC_OK) accuracy_finish(c.sum, result);
    *scored = c.scored;
    accuracy_free(c.sum);
    ciuic_session_free(session);
    free(rows);
    munmap((void *)(uintptr_t)reference, bytes);
    return status;
}
