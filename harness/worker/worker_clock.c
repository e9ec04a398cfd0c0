/* worker_clock.c - see worker_clock.h. */
#include "harness/worker/worker_clock.h"

#include <math.h>
#include <stdio.h>

/* Reading the two clocks takes a time of its own, in which either may go on: a share of what is measured. */
static const double cpu_share = 0.9;
/* The kernel books the processor time of a thread that is running on another core at its next tick: what a reading lacks. */
static const double tick_s = 4e-3;

void worker_clock_judge(const sample_time *t, int threads, char problem[CLOCK_PROBLEM_MAX])
{
    problem[0] = '\0';
    if (!isfinite(t->seconds) || !(t->seconds > 0))
        snprintf(problem, CLOCK_PROBLEM_MAX, "reported a time that is not a number above 0");
    else if (!isfinite(t->cpu_s) || !(t->cpu_s >= 0))
        snprintf(problem, CLOCK_PROBLEM_MAX, "reported a processor time that is not a number from 0 on");
    else if (!isfinite(t->busy_s) || t->busy_s < 0.99 * t->seconds) /* it is a part of that, by the same clock */
        snprintf(problem, CLOCK_PROBLEM_MAX, "reported %.3g s in a request that took it %.3g s: its clock jumped",
                 t->seconds, t->busy_s);
    else if (t->busy_s > 1.01 * t->elapsed_s + 1e-3) /* what two readings of a clock differ by */
        snprintf(problem, CLOCK_PROBLEM_MAX,
                 "was busy %.3g s with what took %.3g s at most: its clock jumped, or is fast", t->busy_s,
                 t->elapsed_s);
    else if (t->seconds < cpu_share * t->cpu_s / threads - tick_s)
        snprintf(problem, CLOCK_PROBLEM_MAX,
                 "reported %.3g s, in which %d threads used %.3g s of processor time: its clock is slow", t->seconds,
                 threads, t->cpu_s);
}

/* What n samples together may lack by the kernel's ticks. Each lacks as often as it has too much, by at most a tick: by
 * Hoeffding's inequality, less than tick sqrt(2 n ln(1 / p)) but with a chance of p, here one in a thousand million. */
static double ticks_allowed(size_t n)
{
    return tick_s * fmin((double)n, sqrt(2 * (double)n * log(1e9)));
}

void worker_clock_judge_all(const slot_record *slot, size_t rounds, int threads, char problem[CLOCK_PROBLEM_MAX])
{
    double seconds = 0, cpu_s = 0;
    size_t n = 0;
    problem[0] = '\0';
    for (size_t i = 0; i < rounds; i++) {
        if (isnan(slot->seconds[i])) continue;
        seconds += slot->seconds[i] * (double)slot->iterations;
        cpu_s += slot->cpu_seconds[i] * (double)slot->iterations;
        n++;
    }
    if (seconds < cpu_share * cpu_s / threads - ticks_allowed(n))
        snprintf(problem, CLOCK_PROBLEM_MAX,
                 "reported %.3g s in %zu samples, in which %d threads used %.3g s of processor time: its clock is slow",
                 seconds, n, threads, cpu_s);
}
