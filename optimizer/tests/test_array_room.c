/* test_array_room.c - arrays that grow: what is in them stays, and what cannot be had is refused. */
#include "optimizer/array_room.h"

#include <stdint.h>
#include <stdlib.h>

#include "optimizer/tests/runner.h"

static void what_is_in_it_stays(void)
{
    size_t *array = NULL, room = 0, moves = 0;
    for (size_t count = 0; count < 1000; count++) {
        const size_t before = room;
        size_t *grown = array_with_room(array, count, &room, sizeof *grown);
        CU_ASSERT_PTR_NOT_NULL_FATAL(grown);
        CHECK(room > count && (room == before || count == before), "room for %zu, %zu wanted, %zu before", room,
              count + 1, before);
        moves += room != before;
        array = grown;
        array[count] = count * count;
    }
    size_t wrong = 0;
    for (size_t i = 0; i < 1000; i++) wrong += array[i] != i * i;
    CHECK(wrong == 0 && moves == 5, "%zu are wrong; it moved %zu times", wrong, moves); /* 64, 128, 256, 512, 1024 */
    free(array);
}

static void what_cannot_be_had_is_refused(void)
{
    size_t *array = malloc(sizeof *array), room = 1;
    CU_ASSERT_PTR_NOT_NULL_FATAL(array);
    *array = 7;
    CHECK(array_with_room(array, 1, &room, SIZE_MAX) == NULL && room == 1 && *array == 7, "bytes overflow");
    room = SIZE_MAX / 2 + 1;
    CHECK(array_with_room(array, room, &room, 1) == NULL && room == SIZE_MAX / 2 + 1 && *array == 7,
          "elements overflow");
    free(array);
}

static const test_case cases[] = {
    {"what is in it stays", what_is_in_it_stays},
    {"what cannot be had is refused", what_cannot_be_had_is_refused},
};
TEST_SUITE(array_room, cases);
