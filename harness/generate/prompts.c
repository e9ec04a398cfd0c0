/* prompts.c - see prompts.h. */
#include "harness/generate/prompts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "optimizer/error.h"
#include "optimizer/json.h"

/* ---- prompts ---------------------------------------------------------------------------------------------------- */

/* "1,2,3": whatever begins with a digit or is nothing but what a list may hold. */
static bool is_list(const char *source)
{
    return source[strspn(source, "0123456789, -+")] == '\0';
}

static ciuic_status read_list(const char *source, size_t vocabulary, token_windows *prompts)
{
    size_t count = 1;
    for (const char *at = source; (at = strchr(at, ',')) != NULL; at++) count++;
    prompts->ids = calloc(count, sizeof *prompts->ids);
    if (prompts->ids == NULL) return ciuic_fail_memory("token ids", count * sizeof *prompts->ids);
    const char *at = source;
    for (size_t i = 0; i < count; i++) {
        char *end = NULL;
        errno = 0;
        const unsigned long id = strtoul(at, &end, 10);
        const bool number = *at >= '0' && *at <= '9' && errno == 0 && *end == (i + 1 < count ? ',' : '\0');
        if (!number || id >= vocabulary)
            return ciuic_fail(CIUIC_ERROR_USAGE,
                              "generate: --ids: number %zu of '%.60s': expected an id from 0 to %zu, the model's "
                              "vocabulary, with a comma between them",
                              i + 1, source, vocabulary - 1);
        prompts->ids[i] = (int32_t)id;
        at = end + 1;
    }
    prompts->rows = prompts->count = 1;
    prompts->row_length = prompts->length = count;
    return CIUIC_OK;
}

ciuic_status prompts_read(const char *source, size_t vocabulary, size_t max_context, token_windows *prompts)
{
    token_windows read = {0};
    /* A stream of shape [n] is one prompt, not windows of it. */
    ciuic_status status = is_list(source) ? read_list(source, vocabulary, &read)
                                          : token_windows_read(source, max_context, vocabulary, max_context, &read);
    if (status == CIUIC_OK && (read.count != read.rows || read.length > max_context))
        status =
            ciuic_fail(CIUIC_ERROR_INPUT, "%.200s: a prompt of %zu ids; expected at most the model's %zu positions",
                       source, read.row_length, max_context);
    if (status == CIUIC_OK)
        *prompts = read;
    else
        token_windows_free(&read);
    return status;
}

/* ---- what ends a text ------------------------------------------------------------------------------------------- */

static ciuic_status add_stop(const char *file, const cJSON *item, size_t vocabulary, stop_ids *stops)
{
    const double value = json_is_number(item) ? item->valuedouble : -1;
    if (stops->count == STOP_IDS_MAX)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: eos_token_id: expected at most %d ids", file, STOP_IDS_MAX);
    if (!(value >= 0 && value < (double)vocabulary) || value != (double)(int32_t)value)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: eos_token_id: expected an id from 0 to %zu, the model's vocabulary, or a list of them",
                          file, vocabulary - 1);
    stops->ids[stops->count++] = (int32_t)value;
    return CIUIC_OK;
}

/* *known: the file says something, if only that there is none. */
static ciuic_status read_stops(const char *file, size_t vocabulary, bool *known, stop_ids *stops)
{
    enum { BYTES_MAX = 1 << 24 };
    cJSON *json = NULL;
    CIUIC_TRY(json_read_file(file, BYTES_MAX, &json));
    const cJSON *item = json_find(json, "eos_token_id"), *id = NULL;
    ciuic_status status = CIUIC_OK;
    *known = item != NULL;
    if (cJSON_IsArray(item)) {
        for (id = item->child; id != NULL && status == CIUIC_OK; id = id->next)
            status = add_stop(file, id, vocabulary, stops);
    } else if (item != NULL) {
        status = add_stop(file, item, vocabulary, stops);
    }
    cJSON_Delete(json);
    return status;
}

ciuic_status stop_ids_read(const char *checkpoint, size_t vocabulary, stop_ids *stops)
{
    static const char *const names[] = {"generation_config.json", "config.json"};
    bool known = false;
    *stops = (stop_ids){0};
    for (size_t i = 0; i < sizeof names / sizeof names[0] && !known; i++) {
        char *path = NULL;
        if (asprintf(&path, "%s/%s", checkpoint, names[i]) < 0) return ciuic_fail_memory("a path", strlen(checkpoint));
        const ciuic_status status = access(path, F_OK) == 0 ? read_stops(path, vocabulary, &known, stops) : CIUIC_OK;
        free(path);
        CIUIC_TRY(status);
    }
    return CIUIC_OK;
}

bool stop_ids_has(const stop_ids *stops, int32_t id)
{
    for (size_t i = 0; i < stops->count; i++)
        if (stops->ids[i] == id) return true;
    return false;
}
