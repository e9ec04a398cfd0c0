/* test_row_blocks.c - rows in blocks: each is worked on once, by a thread that owns its memory, and the first failure is told. */
#include "optimizer/row_blocks.h"

#include <string.h>

#include "optimizer/error.h"
#include "optimizer/tests/runner.h"

enum { MOST_ROWS = 100, MOST_THREADS = 8 };

typedef struct visits {
    unsigned char times[MOST_ROWS];
    unsigned char busy[MOST_THREADS]; /* each its thread's own */
    size_t longest;
    size_t fails_from; /* the rows from here on */
    bool overlapped;
} visits;

static ciuic_status visit(void *context, int thread, size_t first, size_t count)
{
    visits *v = context;
    if (thread < 0 || thread >= MOST_THREADS || v->busy[thread]++ != 0) v->overlapped = true;
    for (size_t row = first; row < first + count; row++) v->times[row]++;
    v->busy[thread]--;
#pragma omp critical(test_row_blocks)
    if (count > v->longest) v->longest = count;
    if (first + count > v->fails_from) return ciuic_fail(CIUIC_ERROR_INPUT, "rows from %zu on", first);
    return CIUIC_OK;
}

static void every_row_is_worked_on_once(void)
{
    static const struct {
        size_t rows, step;
        int threads;
    } rows[] = {{0, 4, 1},   {0, 4, 3},   {1, 16, 1},  {1, 16, 8}, {16, 16, 2},
                {17, 16, 2}, {100, 7, 1}, {100, 7, 8}, {99, 1, 5}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        visits v = {.fails_from = MOST_ROWS};
        const ciuic_status status = row_blocks_each(rows[i].rows, rows[i].step, rows[i].threads, visit, &v);
        size_t wrong = 0;
        for (size_t row = 0; row < MOST_ROWS; row++) wrong += v.times[row] != (row < rows[i].rows);
        const size_t longest = rows[i].rows < rows[i].step ? rows[i].rows : rows[i].step;
        CHECK(status == CIUIC_OK && wrong == 0, "row %zu: status %d, %zu rows not worked on once", i, (int)status,
              wrong);
        CHECK(v.longest == longest, "row %zu: a block of %zu rows, expected %zu at most", i, v.longest, longest);
        CHECK(!v.overlapped, "row %zu: two calls had one thread's memory", i);
    }
}

static void of_several_failures_the_first_is_told(void)
{
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        visits v = {.fails_from = 41};
        CHECK(row_blocks_each(100, 5, threads, visit, &v) == CIUIC_ERROR_INPUT, "%d threads: no failure", threads);
        CHECK(strcmp(ciuic_last_error(), "rows from 40 on") == 0, "%d threads: %s", threads, ciuic_last_error());
    }
}

static void few_values_are_one_threads_work(void)
{
    static const struct {
        int threads;
        size_t rows, columns;
        int expected;
    } rows[] = {{6, 1, 1000, 1},    {6, 511, 512, 1},         {6, 512, 512, 6},
                {6, 1 << 20, 0, 1}, {6, 1 << 20, 1 << 20, 6}, {1, 4096, 4096, 1}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const int threads = row_blocks_threads(rows[i].threads, rows[i].rows, rows[i].columns);
        CHECK(threads == rows[i].expected, "row %zu: %d threads, expected %d", i, threads, rows[i].expected);
    }
    CHECK(row_blocks_threads(0, 4096, 4096) >= 1, "no thread of all");
}

static const test_case cases[] = {
    {"every row is worked on once", every_row_is_worked_on_once},
    {"of several failures the first is told", of_several_failures_the_first_is_told},
    {"few values are one thread's work", few_values_are_one_threads_work},
};
TEST_SUITE(row_blocks, cases);
