/* monotonic_clock.h - seconds since some moment, which no one sets. */
#ifndef CIUIC_MONOTONIC_CLOCK_H
#define CIUIC_MONOTONIC_CLOCK_H

#include <time.h>

static inline double monotonic_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

#endif
