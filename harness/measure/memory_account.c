/* memory_account.c - see memory_account.h. */
#include "harness/measure/memory_account.h"

#include <malloc.h>
#include <stdio.h>

#include "optimizer/json.h"

void memory_account_start(memory_account *a)
{
    *a = (memory_account){.start_slack = mallinfo2().fordblks};
    a->known = memory_read(&a->start) && memory_read_mappings(&a->start_mappings);
}

void memory_account_finish(memory_account *a, const ciuic_memory_use *use, size_t caller)
{
    const size_t slack = mallinfo2().fordblks;
    a->use = *use;
    a->caller = caller;
    a->slack = slack > a->start_slack ? slack - a->start_slack : 0;
    a->known =
        a->known && memory_read(&a->now) && memory_read_sharing(&a->sharing) && memory_read_mappings(&a->mappings);
}

size_t memory_account_program(const memory_account *a)
{
    return a->now.rss_file - a->mappings.checkpoints + a->now.rss_shmem + a->start.rss_anon;
}

static size_t stack_growth(const memory_account *a)
{
    const size_t before = a->start_mappings.stacks, now = a->mappings.stacks;
    return now > before ? now - before : 0;
}

/* Of what was tagged, the part that is resident and not the checkpoint's. */
static size_t tagged_heap(const ciuic_memory_use *use)
{
    return use->weights + use->kv_cache_used + use->activations + use->workspace + use->other;
}

double memory_account_unexplained(const memory_account *a)
{
    return (double)a->now.rss - (double)memory_account_program(a) - (double)a->mappings.checkpoints -
           (double)tagged_heap(&a->use) - (double)stack_growth(a) - (double)a->caller - (double)a->slack;
}

typedef struct account_line {
    const char *key, *words;
    double bytes;
} account_line;

enum { USE_LINES = 9, KERNEL_LINES = 6, NAMED_LINES = 7 };

/* One table for text and JSON. */
static void use_lines(const ciuic_memory_use *u, account_line lines[USE_LINES])
{
    const account_line all[USE_LINES] = {
        {"weights", "weights in the heap", (double)u->weights},
        {"packed", "  of them packed", (double)u->packed},
        {"mapped", "weights in place", (double)u->mapped},
        {"kv_cache", "KV cache", (double)u->kv_cache},
        {"kv_cache_used", "  of it used", (double)u->kv_cache_used},
        {"activations", "activations", (double)u->activations},
        {"workspace", "workspace", (double)u->workspace},
        {"other", "tables and graphs", (double)u->other},
        {"total", "all that is tagged", (double)ciuic_memory_total(u)},
    };
    for (int i = 0; i < USE_LINES; i++) lines[i] = all[i];
}

static void kernel_lines(const memory_account *a, account_line lines[KERNEL_LINES])
{
    const account_line all[KERNEL_LINES] = {
        {"rss", "resident now", (double)a->now.rss},
        {"anon", "  without a file", (double)a->now.rss_anon},
        {"file", "  of files", (double)a->now.rss_file},
        {"shmem", "  shared memory", (double)a->now.rss_shmem},
        {"private", "  nobody else's", (double)a->sharing.private_bytes},
        {"shared", "  others' too", (double)a->sharing.shared_bytes},
    };
    for (int i = 0; i < KERNEL_LINES; i++) lines[i] = all[i];
}

static void named_lines(const memory_account *a, account_line lines[NAMED_LINES])
{
    const account_line all[NAMED_LINES] = {
        {"program", "program, libraries", (double)memory_account_program(a)},
        {"checkpoint_pages", "checkpoint's pages", (double)a->mappings.checkpoints},
        {"stacks", "stacks", (double)stack_growth(a)},
        {"caller", "token ids, logits", (double)a->caller},
        {"allocator", "freed, kept by malloc", (double)a->slack},
        {"freed", "at the peak, now gone", (double)a->now.peak_rss - (double)a->now.rss},
        {"unexplained", "unexplained", memory_account_unexplained(a)},
    };
    for (int i = 0; i < NAMED_LINES; i++) lines[i] = all[i];
}

static bool add_lines(cJSON *object, const account_line *lines, int count)
{
    bool ok = object != NULL;
    for (int i = 0; i < count && ok; i++) ok = json_add_double(object, lines[i].key, lines[i].bytes);
    return ok;
}

bool memory_use_json(cJSON *object, const ciuic_memory_use *use)
{
    account_line lines[USE_LINES];
    use_lines(use, lines);
    return add_lines(object, lines, USE_LINES);
}

bool memory_account_json(cJSON *object, const memory_account *a)
{
    account_line kernel[KERNEL_LINES], named[NAMED_LINES];
    if (!a->known) return true;
    kernel_lines(a, kernel);
    named_lines(a, named);
    return add_lines(cJSON_AddObjectToObject(object, "kernel"), kernel, KERNEL_LINES) &&
           add_lines(cJSON_AddObjectToObject(object, "named"), named, NAMED_LINES);
}

static void print_lines(const char *title, const account_line *lines, int count)
{
    printf("  %s\n", title);
    for (int i = 0; i < count; i++) printf("    %-22s %12.3f  MiB\n", lines[i].words, lines[i].bytes / 1048576.0);
}

void memory_account_print(const memory_account *a)
{
    account_line use[USE_LINES], kernel[KERNEL_LINES], named[NAMED_LINES];
    use_lines(&a->use, use);
    print_lines("memory, as tagged", use, USE_LINES);
    if (!a->known) return;
    kernel_lines(a, kernel);
    named_lines(a, named);
    print_lines("as the kernel saw it", kernel, KERNEL_LINES);
    print_lines("what lies between", named, NAMED_LINES);
}
