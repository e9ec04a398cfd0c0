/* json_layout.c - see json_layout.h. */
#include "harness/json_layout.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "optimizer/atomic_file.h"
#include "optimizer/error.h"
#include "optimizer/json.h"

enum { LINE = 118 };

typedef struct layout {
    FILE *stream;
    const char *const *spread;
    size_t spread_count;
} layout;

static bool is_container(const cJSON *item)
{
    return cJSON_IsObject(item) || cJSON_IsArray(item);
}

static bool is_spread(const layout *l, const cJSON *item)
{
    for (size_t i = 0; item->string != NULL && i < l->spread_count; i++)
        if (strcmp(item->string, l->spread[i]) == 0) return true;
    return false;
}

static bool holds_spread(const layout *l, const cJSON *item)
{
    if (is_spread(l, item)) return true;
    for (const cJSON *child = is_container(item) ? item->child : NULL; child != NULL; child = child->next)
        if (holds_spread(l, child)) return true;
    return false;
}

static bool print_string(FILE *stream, const char *text)
{
    cJSON *item = cJSON_CreateStringReference(text);
    char *printed = item != NULL ? cJSON_PrintUnformatted(item) : NULL;
    if (printed != NULL) fputs(printed, stream);
    cJSON_free(printed);
    cJSON_Delete(item);
    return printed != NULL;
}

/* On one line, with a blank after ':' and ','. */
static bool print_line(FILE *stream, const cJSON *item)
{
    if (!is_container(item)) {
        char *printed = cJSON_PrintUnformatted(item);
        if (printed != NULL) fputs(printed, stream);
        cJSON_free(printed);
        return printed != NULL;
    }
    const bool object = cJSON_IsObject(item);
    bool ok = true;
    fputc(object ? '{' : '[', stream);
    for (const cJSON *child = item->child; child != NULL && ok; child = child->next) {
        if (object) {
            ok = print_string(stream, child->string);
            fputs(": ", stream);
        }
        ok = ok && print_line(stream, child);
        if (child->next != NULL) fputs(", ", stream);
    }
    fputc(object ? '}' : ']', stream);
    return ok;
}

/* The item on one line, to be freed; NULL when out of memory. */
static char *one_line(const cJSON *item)
{
    char *text = NULL;
    size_t length = 0;
    FILE *memory = open_memstream(&text, &length);
    if (memory == NULL) return NULL;
    const bool ok = print_line(memory, item);
    if (fclose(memory) == 0 && ok) return text;
    free(text);
    return NULL;
}

/* `column` is where the item begins. */
static bool print_item(const layout *l, const cJSON *item, int indent, size_t column)
{
    char *line = one_line(item);
    if (line == NULL) return false;
    const bool fits = column + strlen(line) <= LINE && !holds_spread(l, item);
    if (fits || !is_container(item) || item->child == NULL) {
        fputs(line, l->stream);
        free(line);
        return true;
    }
    free(line);
    const bool object = cJSON_IsObject(item);
    bool ok = true;
    fputs(object ? "{\n" : "[\n", l->stream);
    for (const cJSON *child = item->child; child != NULL && ok; child = child->next) {
        fprintf(l->stream, "%*s", indent + 2, "");
        size_t at = (size_t)indent + 2;
        if (object) {
            ok = print_string(l->stream, child->string);
            fputs(": ", l->stream);
            at += strlen(child->string) + 4;
        }
        ok = ok && print_item(l, child, indent + 2, at);
        fputs(child->next != NULL ? ",\n" : "\n", l->stream);
    }
    fprintf(l->stream, "%*s%c", indent, "", object ? '}' : ']');
    return ok;
}

ciuic_status json_layout_write(const char *path, cJSON *tree, const char *const *spread, size_t n)
{
    atomic_file file;
    if (!json_exact_numbers(tree)) return ciuic_fail_memory("printing JSON", sizeof(cJSON));
    CIUIC_TRY(atomic_file_open(path, &file));
    const layout l = {.stream = file.stream, .spread = spread, .spread_count = n};
    const bool ok = print_item(&l, tree, 0, 0);
    fputc('\n', file.stream);
    if (ok) return atomic_file_commit(&file);
    atomic_file_abort(&file);
    return ciuic_fail_memory("printing JSON", sizeof(cJSON));
}
