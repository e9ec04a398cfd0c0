/* svg_definitions.c - whoever refers to a definition stands behind it: from the end, what is needed is known. */
#include "harness/report/svg_definitions.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

enum { DEFINITIONS = 32 };

typedef struct definition {
    const char *begin, *end, *id;
    size_t id_length;
    bool used;
} definition;

/* Behind the element at `c`; NULL: it does not end before `end`. */
static const char *element_end(const char *c, const char *end)
{
    static const char filter[] = "<filter", filter_end[] = "</filter>";
    if (strncmp(c, filter, sizeof filter - 1) == 0) {
        const char *close = memmem(c, (size_t)(end - c), filter_end, sizeof filter_end - 1);
        return close != NULL ? close + sizeof filter_end - 1 : NULL;
    }
    const char *close = memchr(c, '>', (size_t)(end - c));
    return close != NULL && close[-1] == '/' ? close + 1 : NULL;
}

/* How many there are in [begin, end); 0: not one after the other, not each with an id, or too many. */
static size_t read_definitions(const char *begin, const char *end, definition list[DEFINITIONS])
{
    size_t n = 0;
    for (const char *c = begin; c < end;) {
        const char *next = element_end(c, end);
        const char *id = next != NULL ? memmem(c, (size_t)(next - c), " id='", 5) : NULL;
        if (id == NULL || n == DEFINITIONS) return 0;
        list[n++] = (definition){.begin = c, .end = next, .id = id + 5, .id_length = strcspn(id + 5, "'")};
        c = next;
    }
    return n;
}

/* Those of the first n that [begin, end) refers to. */
static void note_references(const char *begin, const char *end, definition *list, size_t n)
{
    for (const char *c = begin; (c = memchr(c, '#', (size_t)(end - c))) != NULL;) {
        c++;
        const size_t length = strcspn(c, "'\")");
        for (size_t i = 0; i < n; i++)
            if (list[i].id_length == length && strncmp(c, list[i].id, length) == 0) list[i].used = true;
    }
}

void svg_drop_unused(char *svg)
{
    static const char open[] = "<defs>", close[] = "</defs>";
    definition list[DEFINITIONS];
    char *begin = strstr(svg, open);
    if (begin == NULL) return;
    begin += sizeof open - 1;
    char *const end = strstr(begin, close);
    const size_t n = end != NULL ? read_definitions(begin, end, list) : 0;
    if (n == 0) return;
    note_references(end, end + strlen(end), list, n);
    for (size_t i = n; i > 0; i--)
        if (list[i - 1].used) note_references(list[i - 1].begin, list[i - 1].end, list, i - 1);
    char *to = begin;
    for (size_t i = 0; i < n; i++) {
        const size_t bytes = (size_t)(list[i].end - list[i].begin);
        if (!list[i].used) continue;
        memmove(to, list[i].begin, bytes);
        to += bytes;
    }
    memmove(to, end, strlen(end) + 1);
}
