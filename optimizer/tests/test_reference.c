/* test_reference.c - the reference executor against logits and greedy continuations of another implementation
 * (transformers 5.17.0, float32), prefill and token by token alike.
 *
 * Tolerance: 5e-4 on logits of standard deviation about 1. Both sides compute in float32 from the same weights, so they
 * differ by the order of summation only: a sum of K <= 704 products of rounding 2^-24 each, over some 40 matmuls in a row
 * with values of order 1, stays below 40 * sqrt(704) * 2^-24 * 4 = 2.5e-4. */
#include <stdio.h>
#include <stdlib.h>

#include "optimizer/tests/golden.h"
#include "optimizer/tests/runner.h"

static const double tolerance = 5e-4;

static void check_prefill(const golden *g, ciuic_session *session, float *logits)
{
    CU_ASSERT_EQUAL(ciuic_session_truncate(session, 0), CIUIC_OK);
    CU_ASSERT_EQUAL(ciuic_prefill(session, g->ids, g->count, true, logits), CIUIC_OK);
    const double difference = max_abs_difference(logits, g->logits, g->count * g->vocabulary);
    printf("    %-34s prefill %.2e", g->folder, difference);
    CHECK(difference <= tolerance, "%s prefill: logits differ by %.3g, tolerance %.3g", g->folder, difference,
          tolerance);
}

static void check_decode(const golden *g, ciuic_session *session, float *logits)
{
    CU_ASSERT_EQUAL(ciuic_session_truncate(session, 0), CIUIC_OK);
    for (size_t i = 0; i < g->count; i++)
        CU_ASSERT_EQUAL(ciuic_decode(session, g->ids[i], logits + i * g->vocabulary), CIUIC_OK);
    const double difference = max_abs_difference(logits, g->logits, g->count * g->vocabulary);
    printf("  decode %.2e", difference);
    CHECK(difference <= tolerance, "%s decode: logits differ by %.3g, tolerance %.3g", g->folder, difference,
          tolerance);
}

/* A prefill in two calls continues where the first ended, and returns the last row only. */
static void check_split_prefill(const golden *g, ciuic_session *session, float *logits)
{
    const size_t first = g->count / 3;
    CU_ASSERT_EQUAL(ciuic_session_truncate(session, 0), CIUIC_OK);
    CU_ASSERT_EQUAL(ciuic_prefill(session, g->ids, first, false, NULL), CIUIC_OK);
    CU_ASSERT_EQUAL(ciuic_prefill(session, g->ids + first, g->count - first, false, logits), CIUIC_OK);
    const double difference = max_abs_difference(logits, g->logits + (g->count - 1) * g->vocabulary, g->vocabulary);
    printf("  split %.2e\n", difference);
    CHECK(difference <= tolerance, "%s split prefill: logits differ by %.3g", g->folder, difference);
}

static void test_golden_logits(void)
{
    printf("\n");
    for (size_t i = 0; i < golden_folder_count; i++) {
        golden g;
        golden_session s;
        if (!golden_open(golden_folders[i], &g)) continue;
        float *logits = malloc(g.count * g.vocabulary * sizeof *logits);
        if (logits != NULL && golden_session_open(golden_folders[i], NULL, 0, &s)) {
            check_prefill(&g, s.session, logits);
            check_decode(&g, s.session, logits);
            check_split_prefill(&g, s.session, logits);
            golden_session_free(&s);
        }
        free(logits);
        golden_close(&g);
    }
}

static int32_t argmax(const float *logits, size_t count)
{
    size_t best = 0;
    for (size_t i = 1; i < count; i++)
        if (logits[i] > logits[best]) best = i;
    return (int32_t)best;
}

/* The first half of greedy_ids is the prompt. */
static void test_greedy_continuations(void)
{
    int checked = 0;
    for (size_t i = 0; i < golden_folder_count; i++) {
        golden g;
        golden_session s;
        if (!golden_open(golden_folders[i], &g)) continue;
        float *logits = malloc(g.vocabulary * sizeof *logits);
        if (g.greedy != NULL && logits != NULL && golden_session_open(golden_folders[i], NULL, 0, &s)) {
            const size_t prompt = g.greedy_count / 2;
            CU_ASSERT_EQUAL(ciuic_prefill(s.session, g.greedy, prompt, false, logits), CIUIC_OK);
            for (size_t j = prompt; j < g.greedy_count; j++) {
                const int32_t next = argmax(logits, g.vocabulary);
                CHECK(next == g.greedy[j], "%s: greedy id %zu is %d, expected %d", g.folder, j, next, g.greedy[j]);
                if (ciuic_decode(s.session, next, logits) != CIUIC_OK) CU_FAIL("decode");
            }
            checked++;
            golden_session_free(&s);
        }
        free(logits);
        golden_close(&g);
    }
    CHECK(checked == 9, "%d folders with greedy ids were checked, expected 9", checked);
}

static const test_case cases[] = {
    {"golden logits by prefill and decode", test_golden_logits},
    {"greedy continuations", test_greedy_continuations},
};
TEST_SUITE(reference, cases);
