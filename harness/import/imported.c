/* imported.c - finds out the format, collects repetitions, takes medians. */
#include "harness/import/imported.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "harness/import/formats.h"
#include "harness/judge/statistics.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

static const size_t file_max = (size_t)64 << 20;

/* Of a repetition, in seconds. What takes less than a thousandth of a nanosecond, or thirty years, was not timed, and its rate
 * might be no number. */
static const double shortest = 1e-12, longest = 1e9;

static bool same_text(const char *a, const char *b)
{
    return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static imported_timing *find_timing(const imported_set *set, const imported_timing *like)
{
    for (size_t i = 0; i < set->count; i++) {
        imported_timing *t = &set->list[i];
        if (same_text(t->name, like->name) && same_text(t->phase, like->phase) && t->tokens == like->tokens &&
            t->depth == like->depth && t->threads == like->threads)
            return t;
    }
    return NULL;
}

static ciuic_status add_timing(imported_set *set, const char *where, const imported_timing *like, imported_timing **out)
{
    if (set->count == IMPORTED_TIMINGS)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: more than %d different timings; expected a summary", where,
                          IMPORTED_TIMINGS);
    imported_timing *grown = reallocarray(set->list, set->count + 1, sizeof *grown);
    if (grown == NULL) return ciuic_fail_memory("imported timings", (set->count + 1) * sizeof *grown);
    set->list = grown;
    imported_timing *t = &set->list[set->count];
    *t = *like;
    t->seconds = NULL;
    t->n = 0;
    t->name = strdup(like->name);
    if (t->name == NULL) return ciuic_fail_memory("a name", strlen(like->name));
    set->count++;
    *out = t;
    return CIUIC_OK;
}

ciuic_status imported_add(imported_set *set, const char *where, const imported_timing *like, double seconds)
{
    if (!(seconds >= shortest) || seconds > longest)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %g seconds; expected from %g to %g", where, seconds, shortest,
                          longest);
    imported_timing *t = find_timing(set, like);
    if (t == NULL) CIUIC_TRY(add_timing(set, where, like, &t));
    if (t->n == IMPORTED_SAMPLES)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: more than %d repetitions of one timing", where, IMPORTED_SAMPLES);
    if ((t->n & (t->n - 1)) == 0) { /* a power of two, or none yet: full */
        const size_t room = t->n > 0 ? 2 * t->n : 1;
        double *grown = reallocarray(t->seconds, room, sizeof *grown);
        if (grown == NULL) return ciuic_fail_memory("imported timings", room * sizeof *grown);
        t->seconds = grown;
    }
    t->seconds[t->n++] = seconds;
    return CIUIC_OK;
}

static void finish(imported_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        imported_timing *t = &set->list[i];
        const interval time = median_interval(t->seconds, t->n, CONFIDENCE);
        t->median = time.median;
        t->low = time.low;
        t->high = time.high;
        if (t->tokens > 0) t->tokens_per_s = (double)t->tokens / time.median;
    }
}

static ciuic_status parse_json(const char *text, size_t length, imported_set *out)
{
    cJSON *root = NULL;
    CIUIC_TRY(json_parse(text, length, out->path, &root));
    ciuic_status status;
    if (is_llama_bench(root))
        status = read_llama_bench(root, out);
    else if (is_google_benchmark(root))
        status = read_google_benchmark(root, out);
    else
        status =
            ciuic_fail(CIUIC_ERROR_INPUT,
                       "%s: JSON of an unknown program; expected that of llama-bench (an array, -o json) or of Google "
                       "Benchmark (an object with context and benchmarks)",
                       out->path);
    cJSON_Delete(root);
    return status;
}

ciuic_status imported_parse(const char *text, size_t length, const char *path, imported_set *out)
{
    *out = (imported_set){.path = strdup(path)};
    if (out->path == NULL) return ciuic_fail_memory("a path", strlen(path));
    size_t begin = 0;
    while (begin < length && strchr(" \t\r\n", text[begin]) != NULL && text[begin] != '\0') begin++;
    const bool json = begin < length && (text[begin] == '{' || text[begin] == '[');
    CIUIC_TRY(json ? parse_json(text, length, out) : read_csv_timings(text, length, out));
    if (out->count == 0) return ciuic_fail(CIUIC_ERROR_INPUT, "%s: holds no timing", path);
    finish(out);
    return CIUIC_OK;
}

/* A pipe or device could block for ever. */
static ciuic_status read_regular(const char *path, char **text, size_t *length)
{
    const int descriptor = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (descriptor < 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be opened: %s; expected timings", path, strerror(errno));
    struct stat status;
    ciuic_status result = CIUIC_OK;
    if (fstat(descriptor, &status) != 0 || !S_ISREG(status.st_mode))
        result = ciuic_fail(CIUIC_ERROR_INPUT, "%s: is no regular file; expected timings", path);
    else if ((unsigned long long)status.st_size > file_max)
        result = ciuic_fail(CIUIC_ERROR_INPUT, "%s: has %lld bytes; expected at most %zu", path,
                            (long long)status.st_size, file_max);
    if (result == CIUIC_OK) {
        const size_t bytes = (size_t)status.st_size;
        *text = malloc(bytes + 1);
        if (*text == NULL) result = ciuic_fail_memory("imported timings", bytes);
        while (result == CIUIC_OK && *length < bytes) {
            const ssize_t got = read(descriptor, *text + *length, bytes - *length);
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) result = ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be read: %s", path, strerror(errno));
            if (got <= 0) break;
            *length += (size_t)got;
        }
    }
    close(descriptor);
    return result;
}

ciuic_status imported_read(const char *path, imported_set *out)
{
    char *text = NULL;
    size_t length = 0;
    *out = (imported_set){0};
    ciuic_status status = read_regular(path, &text, &length);
    if (status == CIUIC_OK) status = imported_parse(text, length, path, out);
    free(text);
    return status;
}

void imported_free(imported_set *set)
{
    for (size_t i = 0; i < set->count; i++) {
        free(set->list[i].name);
        free(set->list[i].seconds);
    }
    free(set->list);
    free(set->path);
    *set = (imported_set){0};
}
