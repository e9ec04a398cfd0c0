/* json.c - strict reading and exact writing on top of cJSON 1.7. */
#include "optimizer/json.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "optimizer/atomic_file.h"
#include "optimizer/error.h"
#include "optimizer/json_place.h"
#include "optimizer/json_syntax.h"

/* Whole numbers beyond 2^53 are not exact in a double, which is all that cJSON keeps. */
static const double max_exact_integer = 9007199254740992.0;

/* ---- parsing ---------------------------------------------------------------------------------------------------- */

static ciuic_status syntax_failed(const char *name, const json_syntax_error *error)
{
    char found[32] = "the end of the file";
    if (error->found > 0x20 && error->found < 0x7f)
        snprintf(found, sizeof found, "'%c'", error->found);
    else if (error->found >= 0)
        snprintf(found, sizeof found, "byte 0x%02x", (unsigned)error->found);
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s:%zu:%zu: not valid JSON: found %s, expected %s", name, error->line,
                      error->column, found, error->expected);
}

static int compare_keys(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static ciuic_status wrong_at(const json_place *place, const char *name, const char *found_and_expected)
{
    char text[256];
    json_place_text(place, text, sizeof text);
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s%s%s", name, text, text[0] == '\0' ? "" : ": ", found_and_expected);
}

static ciuic_status check_duplicates(const cJSON *object, const char *name, const json_place *place)
{
    size_t n = 0;
    for (const cJSON *member = object->child; member != NULL; member = member->next) n++;
    if (n < 2) return CIUIC_OK;
    const char **keys = malloc(n * sizeof *keys);
    if (keys == NULL) return ciuic_fail_memory("JSON keys", n * sizeof *keys);
    n = 0;
    for (const cJSON *member = object->child; member != NULL; member = member->next) keys[n++] = member->string;
    qsort(keys, n, sizeof *keys, compare_keys);
    ciuic_status status = CIUIC_OK;
    for (size_t i = 1; i < n && status == CIUIC_OK; i++) {
        char problem[128];
        if (strcmp(keys[i - 1], keys[i]) != 0) continue;
        snprintf(problem, sizeof problem, "key \"%.80s\" appears twice; expected it once", keys[i]);
        status = wrong_at(place, name, problem);
    }
    free(keys);
    return status;
}

/* What the grammar cannot say: keys are unique, numbers finite. The depth is at most JSON_MAX_DEPTH. */
static ciuic_status check_tree(const cJSON *item, const char *name, const json_place *place)
{
    if (cJSON_IsNumber(item) && !isfinite(item->valuedouble))
        return wrong_at(place, name, "number too large; expected a finite double");
    if (cJSON_IsObject(item)) CIUIC_TRY(check_duplicates(item, name, place));
    json_place below = {.above = place};
    for (const cJSON *child = item->child; child != NULL; child = child->next, below.index++) {
        if (child->child == NULL && !cJSON_IsNumber(child)) continue;
        below.key = cJSON_IsObject(item) ? child->string : NULL;
        CIUIC_TRY(check_tree(child, name, &below));
    }
    return CIUIC_OK;
}

ciuic_status json_parse(const char *text, size_t length, const char *name, cJSON **out)
{
    json_syntax_error error;
    if (!json_syntax_check(text, length, &error)) return syntax_failed(name, &error);
    cJSON *tree = cJSON_ParseWithLength(text, length);
    if (tree == NULL)
        return ciuic_fail(CIUIC_ERROR_INPUT,
                          "%s: cannot be parsed: a number of more than 63 characters, or no memory for "
                          "%zu bytes of JSON",
                          name, length);
    const ciuic_status status = check_tree(tree, name, &(json_place){0});
    if (status != CIUIC_OK) {
        cJSON_Delete(tree);
        return status;
    }
    *out = tree;
    return CIUIC_OK;
}

/* Opens a regular file of at most max_bytes. A pipe or device could block for ever. */
static ciuic_status open_regular(const char *path, size_t max_bytes, int *descriptor, size_t *bytes)
{
    const int opened = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
    if (opened < 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be opened: %s; expected a JSON file", path, strerror(errno));
    struct stat status;
    ciuic_status result = CIUIC_OK;
    if (fstat(opened, &status) != 0)
        result = ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be read: %s", path, strerror(errno));
    else if (!S_ISREG(status.st_mode))
        result = ciuic_fail(CIUIC_ERROR_INPUT, "%s: is %s; expected a JSON file", path,
                            S_ISDIR(status.st_mode) ? "a folder" : "a device, pipe or socket");
    else if (status.st_size < 0 || (unsigned long long)status.st_size > max_bytes)
        result = ciuic_fail(CIUIC_ERROR_INPUT, "%s: has %lld bytes; expected at most %zu", path,
                            (long long)status.st_size, max_bytes);
    if (result != CIUIC_OK) {
        close(opened);
        return result;
    }
    *descriptor = opened;
    *bytes = (size_t)status.st_size;
    return CIUIC_OK;
}

ciuic_status json_read_file(const char *path, size_t max_bytes, cJSON **out)
{
    int descriptor = -1;
    size_t bytes = 0, filled = 0;
    CIUIC_TRY(open_regular(path, max_bytes, &descriptor, &bytes));
    ciuic_status status = CIUIC_OK;
    char *text = malloc(bytes + 1);
    if (text == NULL) {
        status = ciuic_fail_memory("a JSON file", bytes);
        goto cleanup;
    }
    while (filled < bytes) {
        const ssize_t got = read(descriptor, text + filled, bytes - filled);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) {
            status = ciuic_fail(CIUIC_ERROR_INPUT, "%s: cannot be read: %s", path, strerror(errno));
            goto cleanup;
        }
        if (got == 0) break; /* it shrank; what is there must be valid on its own */
        filled += (size_t)got;
    }
    status = json_parse(text, filled, path, out);

cleanup:
    free(text);
    close(descriptor);
    return status;
}

/* ---- members ---------------------------------------------------------------------------------------------------- */

const cJSON *json_find(const cJSON *object, const char *key)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, key);
    return member == NULL || cJSON_IsNull(member) ? NULL : member;
}

bool json_is_number(const cJSON *item)
{
    return cJSON_IsNumber(item) || cJSON_IsRaw(item); /* raw: made by json_double or json_size */
}

double json_number(const cJSON *object, const char *key)
{
    const cJSON *item = json_find(object, key);
    return json_is_number(item) ? item->valuedouble : NAN;
}

const char *json_text(const cJSON *object, const char *key)
{
    const char *text = cJSON_GetStringValue(json_find(object, key));
    return text != NULL ? text : "";
}

/* A value as a person would recognise it, cut short. */
static const char *describe(const cJSON *item, char *text, size_t size)
{
    if (item == NULL)
        snprintf(text, size, "nothing");
    else if (json_is_number(item))
        snprintf(text, size, "%.17g", item->valuedouble);
    else if (cJSON_IsString(item))
        snprintf(text, size, "\"%.40s\"", item->valuestring);
    else if (cJSON_IsBool(item))
        snprintf(text, size, "%s", cJSON_IsTrue(item) ? "true" : "false");
    else
        snprintf(text, size, "%s", cJSON_IsArray(item) ? "an array" : cJSON_IsObject(item) ? "an object" : "null");
    return text;
}

static ciuic_status wrong(const cJSON *item, const char *where, const char *key, const char *expected)
{
    char found[64];
    if (item == NULL)
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: key \"%s\" is missing; expected %s", where, key, expected);
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: key \"%s\" is %s; expected %s", where, key,
                      describe(item, found, sizeof found), expected);
}

ciuic_status json_get_size(const cJSON *object, const char *where, const char *key, size_t min, size_t max, size_t *out)
{
    const cJSON *item = json_find(object, key);
    const double limit = (double)max < max_exact_integer ? (double)max : max_exact_integer;
    if (json_is_number(item) && item->valuedouble >= (double)min && item->valuedouble <= limit &&
        floor(item->valuedouble) == item->valuedouble) {
        *out = (size_t)item->valuedouble;
        return CIUIC_OK;
    }
    char expected[96];
    snprintf(expected, sizeof expected, "a whole number from %zu to %.0f", min, limit);
    return wrong(item, where, key, expected);
}

ciuic_status json_get_double(const cJSON *object, const char *where, const char *key, double min, double max,
                             double *out)
{
    const cJSON *item = json_find(object, key);
    if (json_is_number(item) && item->valuedouble >= min && item->valuedouble <= max) {
        *out = item->valuedouble;
        return CIUIC_OK;
    }
    char expected[96];
    snprintf(expected, sizeof expected, "a number from %g to %g", min, max);
    return wrong(item, where, key, expected);
}

ciuic_status json_get_bool(const cJSON *object, const char *where, const char *key, bool *out)
{
    const cJSON *item = json_find(object, key);
    if (!cJSON_IsBool(item)) return wrong(item, where, key, "true or false");
    *out = cJSON_IsTrue(item);
    return CIUIC_OK;
}

ciuic_status json_get_string(const cJSON *object, const char *where, const char *key, const char **out)
{
    const cJSON *item = json_find(object, key);
    if (!cJSON_IsString(item)) return wrong(item, where, key, "a string");
    *out = item->valuestring;
    return CIUIC_OK;
}

ciuic_status json_get_array(const cJSON *object, const char *where, const char *key, const cJSON **out)
{
    const cJSON *item = json_find(object, key);
    if (!cJSON_IsArray(item)) return wrong(item, where, key, "an array");
    *out = item;
    return CIUIC_OK;
}

ciuic_status json_get_object(const cJSON *object, const char *where, const char *key, const cJSON **out)
{
    const cJSON *item = json_find(object, key);
    if (!cJSON_IsObject(item)) return wrong(item, where, key, "an object");
    *out = item;
    return CIUIC_OK;
}

/* ---- unknown keys ----------------------------------------------------------------------------------------------- */

enum { MAX_KEY = 64 };

/* Levenshtein distance, upper and lower case counting as the same letter; SIZE_MAX for keys too long to be typos. */
static size_t edit_distance(const char *a, const char *b)
{
    const size_t n = strlen(a), m = strlen(b);
    if (n > MAX_KEY || m > MAX_KEY) return SIZE_MAX;
    size_t row[MAX_KEY + 1];
    for (size_t j = 0; j <= m; j++) row[j] = j;
    for (size_t i = 1; i <= n; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= m; j++) {
            const size_t substitute = diagonal + (strncasecmp(&a[i - 1], &b[j - 1], 1) == 0 ? 0 : 1);
            diagonal = row[j];
            const size_t insert_or_delete = 1 + (row[j - 1] < row[j] ? row[j - 1] : row[j]);
            row[j] = substitute < insert_or_delete ? substitute : insert_or_delete;
        }
    }
    return row[m];
}

/* NULL when no key is near: more than a third of the letters differ. */
static const char *nearest_key(const char *wrong_key, const char *const *keys, size_t n)
{
    const char *nearest = NULL;
    size_t best = strlen(wrong_key) / 3 + 1;
    for (size_t i = 0; i < n; i++) {
        const size_t distance = edit_distance(wrong_key, keys[i]);
        if (distance > best || (distance == best && nearest != NULL)) continue;
        best = distance;
        nearest = keys[i];
    }
    return nearest;
}

static bool is_among(const char *key, const char *const *keys, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(key, keys[i]) == 0) return true;
    return false;
}

ciuic_status json_only_keys(const cJSON *object, const char *where, const char *const *keys, size_t n)
{
    for (const cJSON *member = object->child; member != NULL; member = member->next) {
        if (is_among(member->string, keys, n)) continue;
        const char *nearest = nearest_key(member->string, keys, n);
        if (nearest != NULL)
            return ciuic_fail(CIUIC_ERROR_INPUT, "%s: unknown key \"%.64s\"; did you mean \"%s\"?", where,
                              member->string, nearest);
        char expected[512] = "no keys at all";
        size_t used = 0;
        for (size_t i = 0; i < n && used < sizeof expected; i++)
            used += (size_t)snprintf(expected + used, sizeof expected - used, "%s%s", i == 0 ? "" : ", ", keys[i]);
        return ciuic_fail(CIUIC_ERROR_INPUT, "%s: unknown key \"%.64s\"; expected %s%s", where, member->string,
                          n > 1 ? "one of " : "", expected);
    }
    return CIUIC_OK;
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

/* The number goes in as raw text, because cJSON prints 15 digits whenever those come "close enough"; valuedouble is set
 * too, so that the item can be read without printing it first. */
static cJSON *raw_number(const char *text, double value)
{
    cJSON *item = cJSON_CreateRaw(text);
    if (item != NULL) item->valuedouble = value;
    return item;
}

cJSON *json_double(double value)
{
    if (!isfinite(value)) return cJSON_CreateNull();
    char printed[40], text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(printed, sizeof printed, "%.*g", digits, value);
        if (strtod(printed, NULL) == value) break;
    }
    /* The decimal point is the locale's, of one or more bytes; JSON's is '.'. */
    size_t length = 0;
    for (const char *c = printed; *c != '\0'; c++) {
        if (strchr("0123456789+-e", *c) != NULL)
            text[length++] = *c;
        else if (length == 0 || text[length - 1] != '.')
            text[length++] = '.';
    }
    text[length] = '\0';
    return raw_number(text, value);
}

cJSON *json_size(size_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%zu", value);
    return raw_number(text, (double)value);
}

static bool add(cJSON *object, const char *key, cJSON *item)
{
    if (item != NULL && cJSON_AddItemToObject(object, key, item)) return true;
    cJSON_Delete(item);
    return false;
}

bool json_add_double(cJSON *object, const char *key, double value)
{
    return add(object, key, json_double(value));
}

bool json_add_size(cJSON *object, const char *key, size_t value)
{
    return add(object, key, json_size(value));
}

bool json_exact_numbers(cJSON *tree)
{
    if (cJSON_IsNumber(tree)) {
        cJSON *exact = json_double(tree->valuedouble);
        if (exact == NULL) return false;
        tree->type = cJSON_Raw;
        tree->valuestring = exact->valuestring;
        exact->valuestring = NULL;
        cJSON_Delete(exact);
    }
    for (cJSON *child = tree->child; child != NULL; child = child->next)
        if (!json_exact_numbers(child)) return false;
    return true;
}

ciuic_status json_write_file(const char *path, const cJSON *object)
{
    char *text = cJSON_Print(object);
    if (text == NULL) return ciuic_fail_memory("printing JSON", 0);
    atomic_file file;
    ciuic_status status = atomic_file_open(path, &file);
    if (status == CIUIC_OK) {
        fputs(text, file.stream);
        fputc('\n', file.stream);
        status = atomic_file_commit(&file);
    }
    cJSON_free(text);
    return status;
}
