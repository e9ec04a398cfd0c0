/* content_digest.c - a tree as one unambiguous sequence of bytes, and the digest of that. */
#include "harness/judge/content_digest.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/json.h"

/* How numbers go into the digest. Printing the millions of them in a large file took longer than reading it. */
typedef enum number_form {
    NUMBER_BITS, /* 'b' and the 8 bytes of the double, the lowest first */
    NUMBER_TEXT, /* 'n', its 17 digits and a comma: what digests were of at first, and those of older files are */
} number_form;

typedef struct digester {
    sha256_stream stream;
    number_form form;
    size_t used;
    char bytes[4096]; /* waiting for the stream, whose calls are dear for a few bytes each */
} digester;

static void flush(digester *d)
{
    sha256_add(&d->stream, d->bytes, d->used);
    d->used = 0;
}

static void put(digester *d, const void *bytes, size_t count)
{
    if (count > sizeof d->bytes - d->used) flush(d);
    if (count > sizeof d->bytes) {
        sha256_add(&d->stream, bytes, count);
        return;
    }
    memcpy(d->bytes + d->used, bytes, count);
    d->used += count;
}

/* With its length before it, no text can pass for two. */
static void put_text(digester *d, char kind, const char *text)
{
    char head[32]; /* filled from its end: snprintf took a quarter of the time */
    const size_t length = strlen(text);
    size_t at = sizeof head, rest = length;
    head[--at] = ':';
    do head[--at] = (char)('0' + rest % 10);
    while ((rest /= 10) > 0);
    head[--at] = kind;
    put(d, head + at, sizeof head - at);
    put(d, text, length);
}

static void put_number(digester *d, double value)
{
    char text[32];
    uint64_t bits = 0;
    if (d->form == NUMBER_TEXT) {
        put(d, text, (size_t)snprintf(text, sizeof text, "n%.17g,", value));
        return;
    }
    memcpy(&bits, &value, sizeof bits);
    text[0] = 'b';
    for (size_t i = 0; i < sizeof bits; i++) text[1 + i] = (char)(unsigned char)(bits >> (8 * i));
    put(d, text, 1 + sizeof bits);
}

/* json_parse allows 64 levels: the depth is bounded. */
static void put_value(digester *d, const cJSON *value, const char *except)
{
    if (json_is_number(value)) {
        put_number(d, value->valuedouble);
    } else if (cJSON_IsString(value)) {
        put_text(d, 's', value->valuestring);
    } else if (cJSON_IsArray(value) || cJSON_IsObject(value)) {
        put(d, cJSON_IsArray(value) ? "[" : "{", 1);
        for (const cJSON *item = value->child; item != NULL; item = item->next) {
            if (item->string != NULL && except != NULL && strcmp(item->string, except) == 0) continue;
            if (item->string != NULL) put_text(d, 'k', item->string);
            put_value(d, item, NULL);
        }
        put(d, cJSON_IsArray(value) ? "]" : "}", 1);
    } else {
        put(d, cJSON_IsTrue(value) ? "t" : cJSON_IsFalse(value) ? "f" : "0", 1);
    }
}

static sha256_hex digest_of(const cJSON *results, number_form form)
{
    digester d = {.form = form};
    sha256_begin(&d.stream);
    put_value(&d, results, CONTENT_DIGEST_KEY);
    flush(&d);
    return sha256_end(&d.stream);
}

sha256_hex content_digest(const cJSON *results)
{
    return digest_of(results, NUMBER_BITS);
}

content_state content_check(const cJSON *results)
{
    const char *written = cJSON_GetStringValue(json_find(results, CONTENT_DIGEST_KEY));
    if (written == NULL) return CONTENT_UNKNOWN;
    for (number_form form = NUMBER_BITS; form <= NUMBER_TEXT; form++)
        if (strcmp(written, digest_of(results, form).text) == 0) return CONTENT_AS_WRITTEN;
    return CONTENT_EDITED;
}

ciuic_status content_seal(cJSON *results)
{
    cJSON_DeleteItemFromObjectCaseSensitive(results, CONTENT_DIGEST_KEY);
    const sha256_hex digest = content_digest(results);
    if (cJSON_AddStringToObject(results, CONTENT_DIGEST_KEY, digest.text) != NULL) return CIUIC_OK;
    return ciuic_fail_memory("the results' digest", sizeof digest);
}
