/* injected_failures.c - see injected_failures.h. */
#include "optimizer/tests/injected_failures.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* The linker sends every call of X to __wrap_X and every call of __real_X to X. Nothing is remembered in memory that would
 * itself have to be allocated. */
void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_reallocarray(void *old, size_t count, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
int __real_posix_memalign(void **block, size_t alignment, size_t bytes);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t most);
void __real_free(void *block);
void *__real_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset);
int __real_munmap(void *at, size_t bytes);
int __real_mprotect(void *at, size_t bytes, int protection);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
void *__wrap_reallocarray(void *old, size_t count, size_t bytes);
void *__wrap_aligned_alloc(size_t alignment, size_t bytes);
int __wrap_posix_memalign(void **block, size_t alignment, size_t bytes);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t most);
int __wrap_asprintf(char **text, const char *format, ...);
void __wrap_free(void *block);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset);
int __wrap_munmap(void *at, size_t bytes);
int __wrap_mprotect(void *at, size_t bytes, int protection);

enum { SLOTS = 1 << 16 };
static _Thread_local bool counting;
static _Thread_local size_t asked, failing, live;
static _Thread_local const void *known[SLOTS]; /* open addressing; a freed one leaves `gone` behind */
static const char gone;

static size_t slot_of(const void *block)
{
    return (size_t)(((size_t)block >> 4) * 0x9e3779b97f4a7c15u >> 48) % SLOTS;
}

static void *remember(void *block)
{
    if (!counting || block == NULL) return block;
    size_t i = slot_of(block);
    while (known[i] != NULL && known[i] != &gone) i = (i + 1) % SLOTS;
    known[i] = block;
    live++;
    return block;
}

static void forget(const void *block)
{
    if (!counting || block == NULL) return;
    for (size_t i = slot_of(block); known[i] != NULL; i = (i + 1) % SLOTS)
        if (known[i] == block) {
            /* Nothing is looked for behind an empty slot: then this one may be empty, too, and those before it. */
            known[i] = &gone;
            if (known[(i + 1) % SLOTS] == NULL)
                for (; known[i] == &gone; i = (i + SLOTS - 1) % SLOTS) known[i] = NULL;
            live--;
            return;
        }
}

/* Whether this one is to fail. */
static bool fails(void)
{
    if (!counting || ++asked != failing) return false;
    errno = ENOMEM;
    return true;
}

void *__wrap_malloc(size_t bytes)
{
    return fails() ? NULL : remember(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes)
{
    return fails() ? NULL : remember(__real_calloc(count, bytes));
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
    return fails() ? NULL : remember(__real_aligned_alloc(alignment, bytes));
}

int __wrap_posix_memalign(void **block, size_t alignment, size_t bytes)
{
    if (fails()) return ENOMEM;
    const int error = __real_posix_memalign(block, alignment, bytes);
    if (error == 0) remember(*block);
    return error;
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : remember(__real_strdup(text));
}

char *__wrap_strndup(const char *text, size_t most)
{
    return fails() ? NULL : remember(__real_strndup(text, most));
}

int __wrap_asprintf(char **text, const char *format, ...)
{
    if (fails()) return -1;
    va_list arguments;
    va_start(arguments, format);
    const int length = vasprintf(text, format, arguments);
    va_end(arguments);
    if (length >= 0) remember(*text);
    return length;
}

void *__wrap_realloc(void *old, size_t bytes)
{
    if (fails()) return NULL;
    forget(old);
    return remember(__real_realloc(old, bytes));
}

void *__wrap_reallocarray(void *old, size_t count, size_t bytes)
{
    if (fails()) return NULL;
    forget(old);
    return remember(__real_reallocarray(old, count, bytes));
}

void __wrap_free(void *block)
{
    forget(block);
    __real_free(block);
}

void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int file, off_t offset)
{
    if (fails()) return MAP_FAILED;
    void *mapping = __real_mmap(at, bytes, protection, flags, file, offset);
    if (mapping != MAP_FAILED) remember(mapping);
    return mapping;
}

int __wrap_munmap(void *at, size_t bytes)
{
    forget(at);
    return __real_munmap(at, bytes);
}

/* Making addresses usable is where memory for them may be refused; taking that back never is. */
int __wrap_mprotect(void *at, size_t bytes, int protection)
{
    return fails() ? -1 : __real_mprotect(at, bytes, protection);
}

void injected_begin(size_t number)
{
    cJSON_Hooks hooks = {.malloc_fn = __wrap_malloc, .free_fn = __wrap_free};
    cJSON_InitHooks(&hooks);
    memset(known, 0, sizeof known);
    asked = live = 0;
    failing = number;
    counting = true;
}

size_t injected_live(void)
{
    return live;
}

injected_result injected_end(void)
{
    counting = false;
    cJSON_InitHooks(NULL);
    return (injected_result){.allocations = asked, .live = live, .failed = failing > 0 && asked >= failing};
}
