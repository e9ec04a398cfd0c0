/* background_load.c - see background_load.h. Pieces last 10 to 190 ms, busy and idle alike: neither in step with rounds nor
 * so short that they would average out within a repetition. */
#include "harness/trials/background_load.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "harness/monotonic_clock.h"
#include "harness/split_mix.h"
#include "harness/trials/trial.h"

static void pin_to_last_core(void)
{
    cpu_set_t may, only;
    CPU_ZERO(&only);
    if (sched_getaffinity(0, sizeof may, &may) != 0) return;
    for (size_t i = CPU_SETSIZE; i-- > 0;)
        if (CPU_ISSET(i, &may)) {
            CPU_SET(i, &only);
            sched_setaffinity(0, sizeof only, &only);
            return;
        }
}

static double piece_s(uint64_t *state)
{
    return 0.01 + 0.18 * (double)(split_mix_next(state) >> 11) * 0x1p-53;
}

static _Noreturn void disturb(uint64_t seed)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pin_to_last_core();
    for (;;) {
        const double idle = piece_s(&seed), busy_until = monotonic_s() + piece_s(&seed);
        while (monotonic_s() < busy_until) continue;
        const struct timespec pause = {.tv_nsec = (long)(idle * 1e9)};
        nanosleep(&pause, NULL);
    }
}

pid_t background_load_start(uint64_t seed)
{
    const pid_t pid = fork();
    if (pid == 0) disturb(seed);
    return pid;
}

double background_load_stop(pid_t pid, double since_s)
{
    struct rusage used;
    int status = 0;
    if (pid <= 0) return 0;
    kill(pid, SIGKILL);
    if (wait4(pid, &status, 0, &used) != pid) return 0;
    const double cpu_s = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                         1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    return cpu_s / (monotonic_s() - since_s);
}
