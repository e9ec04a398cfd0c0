/* array_room.c - see array_room.h. */
#include "optimizer/array_room.h"

#include <stdint.h>
#include <stdlib.h>

enum { FIRST_ROOM = 64 };

void *array_with_room(void *array, size_t count, size_t *room, size_t size)
{
    if (count < *room) return array;
    if (*room > SIZE_MAX / 2) return NULL;
    const size_t wanted = *room > 0 ? 2 * *room : FIRST_ROOM;
    size_t bytes = 0;
    if (__builtin_mul_overflow(wanted, size, &bytes) || bytes > PTRDIFF_MAX) return NULL;
    void *moved = realloc(array, bytes);
    if (moved != NULL) *room = wanted;
    return moved;
}
