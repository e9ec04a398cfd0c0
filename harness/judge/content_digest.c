/* content_digest.c - a tree as one unambiguous text, and the digest of that. */
#include "harness/judge/content_digest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/json.h"

/* With its length before it, no text can pass for two. */
static void put_text(FILE *out, char kind, const char *text)
{
    fprintf(out, "%c%zu:%s", kind, strlen(text), text);
}

/* json_parse allows 64 levels: the depth is bounded. */
static void put_value(FILE *out, const cJSON *value, const char *except)
{
    if (json_is_number(value)) {
        fprintf(out, "n%.17g,", value->valuedouble);
    } else if (cJSON_IsString(value)) {
        put_text(out, 's', value->valuestring);
    } else if (cJSON_IsArray(value) || cJSON_IsObject(value)) {
        fputc(cJSON_IsArray(value) ? '[' : '{', out);
        for (const cJSON *item = value->child; item != NULL; item = item->next) {
            if (item->string != NULL && except != NULL && strcmp(item->string, except) == 0) continue;
            if (item->string != NULL) put_text(out, 'k', item->string);
            put_value(out, item, NULL);
        }
        fputc(cJSON_IsArray(value) ? ']' : '}', out);
    } else {
        fputc(cJSON_IsTrue(value) ? 't' : cJSON_IsFalse(value) ? 'f' : '0', out);
    }
}

ciuic_status content_digest(const cJSON *results, sha256_hex *out)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *stream = open_memstream(&text, &bytes);
    if (stream == NULL) return ciuic_fail_memory("the results' digest", 0);
    put_value(stream, results, CONTENT_DIGEST_KEY);
    const bool failed = ferror(stream) != 0;
    const bool closed = fclose(stream) == 0;
    if (closed && !failed) *out = sha256_data(text, bytes);
    free(text);
    return closed && !failed ? CIUIC_OK : ciuic_fail_memory("the results' digest", bytes);
}

ciuic_status content_check(const cJSON *results, content_state *out)
{
    sha256_hex digest = {""};
    const char *written = cJSON_GetStringValue(json_find(results, CONTENT_DIGEST_KEY));
    *out = CONTENT_UNKNOWN;
    if (written == NULL) return CIUIC_OK;
    CIUIC_TRY(content_digest(results, &digest));
    *out = strcmp(written, digest.text) == 0 ? CONTENT_AS_WRITTEN : CONTENT_EDITED;
    return CIUIC_OK;
}
