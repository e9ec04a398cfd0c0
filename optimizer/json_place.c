/* json_place.c - see json_place.h. */
#include "optimizer/json_place.h"

#include <stdio.h>

/* A key can be as long as its file. */
enum { KEY_SHOWN = 80 };

/* Appends from `used` on; returns what is used then. */
static size_t append(const json_place *place, char *text, size_t size, size_t used)
{
    if (place == NULL || place->above == NULL) return used;
    used = append(place->above, text, size, used);
    if (used >= size) return used;
    const int more = place->key != NULL
                         ? snprintf(text + used, size - used, "%s%.*s", used > 0 ? "." : "", KEY_SHOWN, place->key)
                         : snprintf(text + used, size - used, "[%zu]", place->index);
    return more > 0 ? used + (size_t)more : used;
}

const char *json_place_text(const json_place *place, char *text, size_t size)
{
    text[0] = '\0';
    append(place, text, size, 0);
    return text;
}
