/* process_limit.c - see process_limit.h. */
#include "harness/process_limit.h"

#include <sys/resource.h>

#if defined(__SANITIZE_ADDRESS__)
enum { LIMITS_WORK = 0 };
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
enum { LIMITS_WORK = 0 };
#else
enum { LIMITS_WORK = 1 };
#endif
#else
enum { LIMITS_WORK = 1 };
#endif

bool process_limit_set(int resource, size_t bytes)
{
    struct rlimit limit;
    if (!LIMITS_WORK) return true;
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0) return false;
    limit.rlim_cur = bytes;
    return setrlimit((__rlimit_resource_t)resource, &limit) == 0;
}

bool process_limit_lift(int resource)
{
    struct rlimit limit;
    if (getrlimit((__rlimit_resource_t)resource, &limit) != 0) return false;
    limit.rlim_cur = limit.rlim_max;
    return setrlimit((__rlimit_resource_t)resource, &limit) == 0;
}

bool process_limit_holds(void)
{
    return LIMITS_WORK != 0;
}
