/* meeting.c - a central counter and a round number; the last to arrive opens the next round. */
#include "optimizer/runtime/meeting.h"

#include <sched.h>

/* Looks at the round number before giving the core away: about ten microseconds. */
enum { SPINS = 1000 };

static void pause_briefly(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

void meeting_wait(meeting *m, int threads)
{
    if (threads <= 1) return;
    const unsigned round = atomic_load_explicit(&m->round, memory_order_relaxed);
    if (atomic_fetch_add_explicit(&m->arrived, 1, memory_order_acq_rel) == threads - 1) {
        atomic_store_explicit(&m->arrived, 0, memory_order_relaxed);
        atomic_store_explicit(&m->round, round + 1, memory_order_release);
        return;
    }
    for (int spins = 0; atomic_load_explicit(&m->round, memory_order_acquire) == round; spins++) {
        if (spins < SPINS)
            pause_briefly();
        else
            sched_yield();
    }
}
