/* schema.c - a JSON Schema checker: one function per keyword, one table. */
#include "harness/report/schema.h"

#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <string.h>

#include "harness/report/embedded.h"
#include "optimizer/error.h"
#include "optimizer/json.h"
#include "optimizer/json_place.h"

enum { PLACE = 256, REF_DEPTH = 64 };

typedef struct checker {
    const cJSON *root;       /* of the schema, for $ref */
    const char *name;        /* of the file */
    const json_place *place; /* of the value that is being checked */
    int depth;               /* of $ref and nesting: a schema that refers to itself must not recurse for ever */
} checker;

static ciuic_status check(checker *c, const cJSON *value, const cJSON *schema);

static ciuic_status refuse(const checker *c, const char *found, const char *expected)
{
    char place[PLACE];
    json_place_text(c->place, place, sizeof place);
    return ciuic_fail(CIUIC_ERROR_INPUT, "%s: %s: found %s, expected %s", c->name,
                      place[0] != '\0' ? place : "the whole", found, expected);
}

static const char *describe(const cJSON *value, char *text, size_t size)
{
    if (json_is_number(value))
        snprintf(text, size, "%.17g", value->valuedouble);
    else if (cJSON_IsString(value))
        snprintf(text, size, "\"%.40s\"", value->valuestring);
    else
        snprintf(text, size, "%s",
                 cJSON_IsArray(value)    ? "an array"
                 : cJSON_IsObject(value) ? "an object"
                 : cJSON_IsNull(value)   ? "null"
                 : cJSON_IsTrue(value)   ? "true"
                                         : "false");
    return text;
}

static bool has_type(const cJSON *value, const char *type)
{
    if (json_is_number(value)) /* first: most values of large files are numbers */
        return strcmp(type, "number") == 0 ||
               (strcmp(type, "integer") == 0 && floor(value->valuedouble) == value->valuedouble);
    return strcmp(type, cJSON_IsObject(value)   ? "object"
                        : cJSON_IsArray(value)  ? "array"
                        : cJSON_IsString(value) ? "string"
                        : cJSON_IsBool(value)   ? "boolean"
                                                : "null") == 0;
}

/* Numbers by value, whether raw or parsed. */
static bool equal(const cJSON *a, const cJSON *b)
{
    if (json_is_number(a) && json_is_number(b)) return a->valuedouble == b->valuedouble;
    return cJSON_Compare(a, b, true);
}

/* ---- keywords --------------------------------------------------------------------------------------------------- */

static ciuic_status check_type(checker *c, const cJSON *value, const cJSON *keyword, const cJSON *schema)
{
    (void)schema;
    char expected[128] = "", found[64];
    const cJSON *type = cJSON_IsArray(keyword) ? keyword->child : keyword;
    for (; type != NULL; type = cJSON_IsArray(keyword) ? type->next : NULL) {
        if (has_type(value, type->valuestring)) return CIUIC_OK;
        const size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s%s", used > 0 ? " or " : "", type->valuestring);
    }
    return refuse(c, describe(value, found, sizeof found), expected);
}

static ciuic_status check_enum(checker *c, const cJSON *value, const cJSON *keyword, const cJSON *schema)
{
    (void)schema;
    char expected[256] = "", found[64], one[64];
    for (const cJSON *item = keyword->child; item != NULL; item = item->next) {
        if (equal(value, item)) return CIUIC_OK;
        const size_t used = strlen(expected);
        snprintf(expected + used, sizeof expected - used, "%s%s", used > 0 ? " or " : "",
                 describe(item, one, sizeof one));
    }
    return refuse(c, describe(value, found, sizeof found), expected);
}

static ciuic_status check_const(checker *c, const cJSON *value, const cJSON *keyword, const cJSON *schema)
{
    (void)schema;
    char found[64], expected[64];
    if (equal(value, keyword)) return CIUIC_OK;
    return refuse(c, describe(value, found, sizeof found), describe(keyword, expected, sizeof expected));
}

static ciuic_status check_bound(checker *c, const cJSON *value, const cJSON *keyword, const cJSON *schema)
{
    (void)schema;
    if (!json_is_number(value)) return CIUIC_OK;
    const double x = value->valuedouble, bound = keyword->valuedouble;
    const bool minimum = strcmp(keyword->string, "minimum") == 0, maximum = strcmp(keyword->string, "maximum") == 0;
    if (minimum ? x >= bound : maximum ? x <= bound : x > bound) return CIUIC_OK;
    char found[64], expected[64];
    snprintf(expected, sizeof expected, "%s %g", minimum ? "at least" : maximum ? "at most" : "more than", bound);
    return refuse(c, describe(value, found, sizeof found), expected);
}

static ciuic_status check_length(checker *c, const cJSON *value, const cJSON *keyword, const cJSON *schema)
{
    (void)schema;
    const bool text = strcmp(keyword->string, "minLength") == 0;
    if (text ? !cJSON_IsString(value) : !cJSON_IsArray(value)) return CIUIC_OK;
    const double length = text ? (double)strlen(value->valuestring) : (double)cJSON_GetArraySize(value);
    if (length >= keyword->valuedouble) return CIUIC_OK;
    char found[64], expected[64];
    snprintf(expected, sizeof expected, "at least %g %s", keyword->valuedouble, text ? "characters" : "items");
    snprintf(found, sizeof found, "%g", length);
    return refuse(c, found, expected);
}

/* Patterns that mean the same as POSIX's extended regular expressions: no classes by a letter, no look-ahead. */
static ciuic_status check_pattern(checker *c, const cJSON *value, const cJSON *keyword, const cJSON *schema)
{
    regex_t pattern;
    (void)schema;
    if (!cJSON_IsString(value)) return CIUIC_OK;
    if (!cJSON_IsString(keyword) || regcomp(&pattern, keyword->valuestring, REG_EXTENDED | REG_NOSUB) != 0)
        return ciuic_fail(CIUIC_ERROR_INPUT, "the schema has a \"pattern\" that this program cannot read");
    const bool fits = regexec(&pattern, value->valuestring, 0, NULL, 0) == 0;
    regfree(&pattern);
    if (fits) return CIUIC_OK;
    char found[64], expected[96];
    snprintf(found, sizeof found, "\"%.60s\"", value->valuestring);
    snprintf(expected, sizeof expected, "%.95s", keyword->valuestring);
    return refuse(c, found, expected);
}

static ciuic_status check_required(checker *c, const cJSON *value, const cJSON *keyword, const cJSON *schema)
{
    (void)schema;
    if (!cJSON_IsObject(value)) return CIUIC_OK;
    for (const cJSON *key = keyword->child; key != NULL; key = key->next) {
        if (cJSON_GetObjectItemCaseSensitive(value, key->valuestring) != NULL) continue;
        char expected[96];
        snprintf(expected, sizeof expected, "key \"%.64s\"", key->valuestring);
        return refuse(c, "no such key", expected);
    }
    return CIUIC_OK;
}

/* Checks `value`, which is a step further down: the member `key`, or with NULL the item `index`. */
static ciuic_status descend(checker *c, const cJSON *value, const cJSON *schema, const char *key, size_t index)
{
    const json_place place = {.above = c->place, .key = key, .index = index};
    c->place = &place;
    const ciuic_status status = check(c, value, schema);
    c->place = place.above;
    return status;
}

/* `properties` and `additionalProperties`, each key by the one that is for it. */
static ciuic_status check_members(checker *c, const cJSON *value, const cJSON *keyword, const cJSON *schema)
{
    if (!cJSON_IsObject(value)) return CIUIC_OK;
    const bool additional = strcmp(keyword->string, "additionalProperties") == 0;
    const cJSON *named = cJSON_GetObjectItemCaseSensitive(schema, "properties");
    for (const cJSON *member = value->child; member != NULL; member = member->next) {
        const cJSON *own = cJSON_GetObjectItemCaseSensitive(named, member->string);
        if ((own == NULL) != additional) continue;
        CIUIC_TRY(descend(c, member, additional ? keyword : own, member->string, 0));
    }
    return CIUIC_OK;
}

static ciuic_status check_items(checker *c, const cJSON *value, const cJSON *keyword, const cJSON *schema)
{
    (void)schema;
    if (!cJSON_IsArray(value)) return CIUIC_OK;
    size_t index = 0;
    for (const cJSON *item = value->child; item != NULL; item = item->next, index++)
        CIUIC_TRY(descend(c, item, keyword, NULL, index));
    return CIUIC_OK;
}

/* The last alternative's complaint stands for all of them. */
static ciuic_status check_any(checker *c, const cJSON *value, const cJSON *keyword, const cJSON *schema)
{
    (void)schema;
    ciuic_status status = CIUIC_OK;
    for (const cJSON *alternative = keyword->child; alternative != NULL; alternative = alternative->next) {
        status = check(c, value, alternative);
        if (status == CIUIC_OK) break;
    }
    return status;
}

static ciuic_status check_ref(checker *c, const cJSON *value, const cJSON *keyword, const cJSON *schema)
{
    (void)schema;
    static const char prefix[] = "#/$defs/";
    const char *reference = keyword->valuestring;
    const cJSON *definition = NULL;
    if (strncmp(reference, prefix, sizeof prefix - 1) == 0)
        definition = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(c->root, "$defs"),
                                                      reference + sizeof prefix - 1);
    if (definition == NULL)
        return ciuic_fail(CIUIC_ERROR_INPUT, "the schema refers to \"%s\", which it does not define", reference);
    return check(c, value, definition);
}

static ciuic_status pass(checker *c, const cJSON *value, const cJSON *keyword, const cJSON *schema)
{
    (void)c, (void)value, (void)keyword, (void)schema;
    return CIUIC_OK;
}

typedef ciuic_status keyword_check(checker *c, const cJSON *value, const cJSON *keyword, const cJSON *schema);

static const struct {
    const char *keyword;
    keyword_check *check;
} keywords[] = {
    {"type", check_type},
    {"enum", check_enum},
    {"const", check_const},
    {"minimum", check_bound},
    {"exclusiveMinimum", check_bound},
    {"maximum", check_bound},
    {"minLength", check_length},
    {"minItems", check_length},
    {"pattern", check_pattern},
    {"required", check_required},
    {"properties", check_members},
    {"additionalProperties", check_members},
    {"items", check_items},
    {"anyOf", check_any},
    {"$ref", check_ref},
    {"$defs", pass},
    {"$schema", pass},
    {"$id", pass},
    {"title", pass},
    {"description", pass},
};

static ciuic_status check_keyword(checker *c, const cJSON *value, const cJSON *keyword, const cJSON *schema)
{
    for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
        if (strcmp(keyword->string, keywords[i].keyword) == 0) return keywords[i].check(c, value, keyword, schema);
    return ciuic_fail(CIUIC_ERROR_INPUT, "the schema uses \"%s\", which this program does not know", keyword->string);
}

static ciuic_status check(checker *c, const cJSON *value, const cJSON *schema)
{
    if (cJSON_IsTrue(schema)) return CIUIC_OK;
    if (cJSON_IsFalse(schema)) return refuse(c, "this key", "no key of this name");
    if (c->depth == REF_DEPTH) return refuse(c, "nesting this deep", "less of it");
    c->depth++;
    ciuic_status status = CIUIC_OK;
    for (const cJSON *keyword = schema->child; keyword != NULL && status == CIUIC_OK; keyword = keyword->next)
        status = check_keyword(c, value, keyword, schema);
    c->depth--;
    return status;
}

ciuic_status schema_check(const cJSON *value, const cJSON *schema, const char *name)
{
    const json_place whole = {0};
    checker c = {.root = schema, .name = name, .place = &whole};
    return check(&c, value, schema);
}

ciuic_status schema_check_results(const cJSON *results, const char *name)
{
    const embedded_file file = embedded_schema();
    cJSON *schema = NULL;
    CIUIC_TRY(json_parse(file.text, file.bytes, "the program's own results.schema.json", &schema));
    const ciuic_status status = schema_check(results, schema, name);
    cJSON_Delete(schema);
    return status;
}
