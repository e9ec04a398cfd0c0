/* perf_event.c - see perf_event.h. */
#include "harness/measure/perf_event.h"

#include <linux/perf_event.h>
#include <math.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

int perf_event_open(uint32_t type, uint64_t config, bool kernel)
{
    struct perf_event_attr attributes = {
        .type = type,
        .size = sizeof attributes,
        .config = config,
        .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
        .disabled = 1,
        .inherit = 1,
        .exclude_kernel = !kernel,
        .exclude_hv = 1,
    };
    return (int)syscall(SYS_perf_event_open, &attributes, 0, -1, -1, PERF_FLAG_FD_CLOEXEC);
}

void perf_event_start(int file)
{
    if (file >= 0) ioctl(file, PERF_EVENT_IOC_ENABLE, 0);
}

void perf_event_stop(int file)
{
    if (file >= 0) ioctl(file, PERF_EVENT_IOC_DISABLE, 0);
}

double perf_event_read(int file)
{
    uint64_t values[3] = {0}; /* count, time enabled, time running */
    if (file < 0 || read(file, values, sizeof values) != (ssize_t)sizeof values || values[2] == 0) return NAN;
    return (double)values[0] * ((double)values[1] / (double)values[2]);
}
