/* array_room.h - room for one more element in an array that grows by doubling. */
#ifndef CIUIC_ARRAY_ROOM_H
#define CIUIC_ARRAY_ROOM_H

#include <stddef.h>

/* The array, of `size` bytes an element, with room for element number `count` behind those that there are: as it was where
 * *room > count, otherwise moved, and *room is doubled. An array of *room 0 may be NULL. NULL: out of memory, and the array
 * is as it was.
 *
 *     thing *grown = array_with_room(list->things, list->count, &list->room, sizeof *grown);
 *     if (grown == NULL) return ciuic_fail_memory("things", list->count * sizeof *grown);
 *     list->things = grown;
 *     grown[list->count++] = ...; */
void *array_with_room(void *array, size_t count, size_t *room, size_t size);

#endif
