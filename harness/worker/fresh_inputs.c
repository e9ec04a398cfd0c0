/* fresh_inputs.c - see fresh_inputs.h. */
#include "harness/worker/fresh_inputs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/atomic_file.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

ciuic_status fresh_inputs_take(workload *w, const cJSON *request, size_t iterations)
{
    const cJSON *list = json_find(request, "ids"), *item = NULL;
    if (list == NULL) return workload_set_inputs(w, NULL, 0);
    const size_t rows = iterations + 1, count = (size_t)cJSON_GetArraySize(list), tokens = workload_tokens(w);
    if (!cJSON_IsArray(list) || count % tokens != 0 || count / tokens != rows)
        return ciuic_fail(CIUIC_ERROR_USAGE, "measure: ids: found %zu, expected %zu rows of %zu", count, rows, tokens);
    int32_t *ids = calloc(count, sizeof *ids);
    if (ids == NULL) return ciuic_fail_memory("the token ids", count * sizeof *ids);
    size_t n = 0;
    cJSON_ArrayForEach(item, list) ids[n++] = json_is_number(item) ? item->valueint : -1;
    const ciuic_status status = workload_set_inputs(w, ids, rows);
    free(ids);
    return status;
}

ciuic_status fresh_inputs_write_logits(const workload *w, const cJSON *request)
{
    atomic_file file;
    const char *path = NULL;
    size_t vocabulary = 0;
    if (json_find(request, "logits") == NULL) return CIUIC_OK;
    CIUIC_TRY(json_get_string(request, "measure", "logits", &path));
    const float *logits = workload_logits(w, &vocabulary);
    CIUIC_TRY(atomic_file_open(path, &file));
    if (fwrite(logits, sizeof *logits, vocabulary, file.stream) == vocabulary) return atomic_file_commit(&file);
    const int why = errno;
    atomic_file_abort(&file);
    return ciuic_fail(CIUIC_ERROR_UNSUPPORTED, "%s: cannot be written: %s", path, strerror(why));
}
