/* json_place.h - where in a tree of JSON something stands, as links from it up to the root. They cost nothing but the stack
 * while a tree is walked, and become words only when something is wrong there. */
#ifndef CIUIC_JSON_PLACE_H
#define CIUIC_JSON_PLACE_H

#include <stddef.h>

typedef struct json_place {
    const struct json_place *above; /* NULL: this is the root, which has no step */
    const char *key;                /* of a member, borrowed; NULL: an array's item */
    size_t index;                   /* of an item */
} json_place;

/* "cases[3].latency_s", cut where `size` ends; "" for the root. Returns `text`. */
const char *json_place_text(const json_place *place, char *text, size_t size);

#endif
