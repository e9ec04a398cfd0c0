/* failure_sweep.c - see failure_sweep.h. */
#include "optimizer/tests/failure_sweep.h"

#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "optimizer/error.h"
#include "optimizer/tests/injected_failures.h"
#include "optimizer/tests/runner.h"

sweep_result failure_sweep(const char *name, sweep_fn *work, const void *context, size_t most)
{
    static const char unsaid[] = "nothing was said"; /* what a failure has to replace */
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1); /* only this one's allocations are counted */
    injected_begin(0);
    ciuic_status status = work(context);
    injected_result r = injected_end();
    sweep_result result = {.allocations = r.allocations};
    CHECK(status == CIUIC_OK && r.live == 0, "%s: status %d, %zu blocks stay behind: %s", name, (int)status, r.live,
          ciuic_last_error());
    const size_t step = most > 0 ? (r.allocations + most - 1) / most : 1;
    const size_t first = step > 1 ? 1 + (size_t)(test_seed() % step) : 1;
    if (step > 1) printf("    %s: %zu allocations; every %zuth fails, from %zu on\n", name, r.allocations, step, first);
    for (size_t number = first; number <= result.allocations; number += step) {
        (void)ciuic_fail(CIUIC_ERROR_INPUT, "%s", unsaid);
        injected_begin(number);
        status = work(context);
        r = injected_end();
        const char *said = ciuic_last_error();
        CHECK(r.live == 0, "%s: allocation %zu: %zu blocks stay behind", name, number, r.live);
        CHECK(r.failed, "%s: allocation %zu of %zu was not asked for", name, number, result.allocations);
        if (status != CIUIC_OK)
            CHECK(strcmp(said, unsaid) != 0 && (strstr(said, "memory") != NULL || strstr(said, "mapped") != NULL),
                  "%s: allocation %zu: status %d: %s", name, number, (int)status, said);
        result.tried++;
        result.survived += status == CIUIC_OK;
    }
    omp_set_num_threads(threads);
    return result;
}
