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
    const struct rlimit limit = {.rlim_cur = bytes, .rlim_max = bytes};
    return !LIMITS_WORK || setrlimit((__rlimit_resource_t)resource, &limit) == 0;
}
