/* slow_workload.c - linked into build/trial/ciuic-slow alone, in front of the worker's own functions (ld --wrap): a variant
 * whose graph stage is given by names of passes spins for 3% of what each repetition of its workload took. */
#include <stdbool.h>

#include "harness/monotonic_clock.h"
#include "harness/trials/trial.h"
#include "harness/worker/workload.h"

static const double slowdown = 0.03;

static bool slowed; /* this worker's variant is the one */

ciuic_status __real_ciuic_optimize(const ciuic_model *model, const ciuic_options *options, ciuic_model **optimized,
                                   ciuic_report *report);
ciuic_status __wrap_ciuic_optimize(const ciuic_model *model, const ciuic_options *options, ciuic_model **optimized,
                                   ciuic_report *report);
ciuic_status __real_workload_run(workload *w);
ciuic_status __wrap_workload_run(workload *w);

ciuic_status __wrap_ciuic_optimize(const ciuic_model *model, const ciuic_options *options, ciuic_model **optimized,
                                   ciuic_report *report)
{
    slowed = options->passes != 0;
    return __real_ciuic_optimize(model, options, optimized, report);
}

ciuic_status __wrap_workload_run(workload *w)
{
    const double began_s = monotonic_s();
    const ciuic_status status = __real_workload_run(w);
    const double ended_s = monotonic_s();
    if (slowed)
        while (monotonic_s() < ended_s + slowdown * (ended_s - began_s)) continue;
    return status;
}
