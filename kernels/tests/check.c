/* check.c - guarded buffers, the generator, the crash handler and the comparisons of check.h. */
#include "kernels/tests/check.h"

#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PATTERN = 0xff }; /* four of it are a NaN, two a binary16 NaN, one the int8 -1 */

typedef struct check_buffer {
    struct check_buffer *next;
    unsigned char *map, *open, *data; /* everything, the pages that may be touched, the bytes asked for */
    size_t map_bytes, open_bytes, bytes;
    bool output;
} check_buffer;

/* ---- the line of the report ---- */

void check_fail(check *c, const char *format, ...)
{
    if (c->failures++ == 0) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(c->complaint, sizeof c->complaint, format, arguments);
        va_end(arguments);
        memcpy(c->worst_shape, c->shape, sizeof c->shape);
    }
}

void check_shape(check *c, const char *format, ...)
{
    check_release(c);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(c->shape, sizeof c->shape, format, arguments);
    va_end(arguments);
    c->calls++;
}

/* ---- buffers ---- */

void *check_alloc(check *c, size_t bytes)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    check_buffer *b = calloc(1, sizeof *b);
    if (!b) abort();
    b->bytes = bytes;
    b->open_bytes = (bytes / page + 1) * page;
    b->map_bytes = b->open_bytes + 2 * page;
    b->map = mmap(NULL, b->map_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b->map == MAP_FAILED) abort();
    b->open = b->map + page;
    if (mprotect(b->open, b->open_bytes, PROT_READ | PROT_WRITE) != 0) abort();
    /* Against the page after, or against the page before: at random, the former more often. */
    const bool against_end = check_random(c) % 4 != 0;
    b->data = against_end ? b->open + b->open_bytes - bytes : b->open;
    memset(b->open, PATTERN, b->open_bytes);
    b->next = c->buffers;
    c->buffers = b;
    return b->data;
}

void check_freeze(check *c)
{
    for (check_buffer *b = c->buffers; b; b = b->next) {
        if (!b->output && mprotect(b->open, b->open_bytes, PROT_READ) != 0) abort();
    }
}

void *check_output(check *c, size_t bytes)
{
    void *data = check_alloc(c, bytes);
    c->buffers->output = true;
    return data;
}

bool check_untouched(const void *p, size_t bytes)
{
    const unsigned char *byte = p;
    for (size_t i = 0; i < bytes; i++) {
        if (byte[i] != PATTERN) return false;
    }
    return true;
}

void check_release(check *c)
{
    while (c->buffers) {
        check_buffer *b = c->buffers;
        const size_t before = (size_t)(b->data - b->open), after = b->open_bytes - before - b->bytes;
        if (!check_untouched(b->open, before) || !check_untouched(b->data + b->bytes, after)) {
            check_fail(c, "wrote outside a buffer of %zu bytes", b->bytes);
        }
        c->buffers = b->next;
        munmap(b->map, b->map_bytes);
        free(b);
    }
}

/* ---- random values ---- */

/* splitmix64 (Steele, Lea and Flood 2014). */
uint64_t check_random(check *c)
{
    uint64_t z = c->random += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

double check_uniform(check *c)
{
    return (double)(int64_t)check_random(c) * 0x1p-63;
}

float check_normal(check *c)
{
    /* Three uniforms of variance 1/3. */
    return (float)(check_uniform(c) + check_uniform(c) + check_uniform(c));
}

float *check_normals(check *c, size_t n)
{
    float *x = check_alloc(c, n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = check_normal(c);
    return x;
}

float check_awkward(check *c, bool wild)
{
    switch (check_random(c) % (wild ? 40 : 16)) {
    case 0:
        return 0.0f;
    case 1:
        return -0.0f;
    case 2:
        return (float)check_uniform(c) * 0x1p-127f; /* subnormal */
    case 3:
        return (float)SMALLEST;
    case 4:
        return (float)check_uniform(c) * 0x1p20f;
    case 5:
        return (float)check_uniform(c) * 0x1p-20f;
    case 16:
        return wild && check_random(c) % 4 == 0 ? INFINITY : 1.0f;
    case 17:
        return wild && check_random(c) % 4 == 0 ? -INFINITY : -1.0f;
    case 18:
        return wild && check_random(c) % 8 == 0 ? NAN : 2.0f;
    default:
        return check_normal(c);
    }
}

float *check_floats(check *c, size_t n, bool wild)
{
    float *x = check_alloc(c, n * sizeof *x);
    for (size_t i = 0; i < n; i++) x[i] = check_awkward(c, wild);
    return x;
}

float *check_copy(check *c, size_t n, const float *x)
{
    float *y = check_output(c, n * sizeof *y);
    if (x && n) memcpy(y, x, n * sizeof *y);
    return y;
}

/* ---- crashes ---- */

sigjmp_buf check_jump;
static volatile sig_atomic_t armed;

static void on_signal(int number)
{
    if (armed) {
        armed = 0;
        siglongjmp(check_jump, number);
    }
    signal(number, SIG_DFL); /* the instruction runs again, and ends the program */
}

void check_arm(bool on)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE};
    static bool installed;
    struct sigaction action = {.sa_handler = on_signal};
    sigemptyset(&action.sa_mask);
    for (size_t i = 0; !installed && i < sizeof signals / sizeof signals[0]; i++) sigaction(signals[i], &action, NULL);
    installed = true;
    armed = on;
}

/* ---- comparisons ---- */

void check_value(check *c, const char *where, size_t index, double got, double want, double tolerance)
{
    if (isnan(want)) {
        if (!isnan(got)) check_fail(c, "%s[%zu] is %.9g, expected NaN", where, index, got);
        return;
    }
    if (isinf(want) || isinf(got)) {
        /* A finite want may round to infinity, when the tolerance around it reaches beyond the largest float. */
        const bool overflows = isinf(got) && fabs(want) + tolerance >= (double)FLT_MAX && (got > 0) == (want > 0);
        if (got != want && !overflows) check_fail(c, "%s[%zu] is %.9g, expected %.9g", where, index, got, want);
        return;
    }
    const double error = fabs(got - want);
    if (!(error <= tolerance)) {
        check_fail(c, "%s[%zu] is %.9g, expected %.9g +- %.2g", where, index, got, want, tolerance);
    } else if (tolerance > 0 && error / tolerance > c->worst) {
        c->worst = error / tolerance;
        if (!c->failures) memcpy(c->worst_shape, c->shape, sizeof c->shape);
    }
}

void check_same(check *c, const char *where, size_t count, const float *got, const float *want)
{
    for (size_t i = 0; i < count; i++) {
        if (memcmp(got + i, want + i, sizeof *got) != 0 && !(isnan(got[i]) && isnan(want[i]))) {
            check_fail(c, "%s[%zu] is %.9g, expected exactly %.9g", where, i, (double)got[i], (double)want[i]);
            return;
        }
    }
}
