/* meeting.h - a barrier for the short waits between operations: a decoded token meets more than a hundred times, often
 * within a microsecond. OpenMP's own barrier enters the kernel each time to wake sleepers, even where nobody sleeps. */
#ifndef CIUIC_MEETING_H
#define CIUIC_MEETING_H

#include <stdalign.h>
#include <stdatomic.h>

typedef struct meeting {
    alignas(64) atomic_int arrived; /* each in a cache line of its own: arriving must not disturb those who wait */
    alignas(64) atomic_uint round;
} meeting;

/* Returns when all `threads` threads have called it; what each wrote before is then visible to all. A waiting thread spins
 * for a few microseconds and then yields, so that more threads than cores make progress. */
void meeting_wait(meeting *m, int threads);

#endif
