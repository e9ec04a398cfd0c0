/* memory_account.h - what a variant says that it takes, beside what the kernel saw, and a name for every difference.
 *
 *   resident now = program (its code and libraries, and its heap before anything was loaded)
 *                + pages of the checkpoint that are resident
 *                + weights in the heap + used rows of the cache + activations + workspace + other
 *                + what stacks have grown by
 *                + the caller's own buffers + what malloc keeps of what was freed
 *                + unexplained
 *
 * Every term but the last is measured or tagged; so the last says how far the two accounts are apart. */
#ifndef CIUIC_MEMORY_ACCOUNT_H
#define CIUIC_MEMORY_ACCOUNT_H

#include <cjson/cJSON.h>

#include "harness/measure/memory.h"
#include "optimizer/ciuic.h"

typedef struct memory_account {
    bool known; /* the kernel said all of it */
    process_memory start, now;
    size_t start_slack;
    ciuic_memory_use use;
    memory_sharing sharing;
    memory_mappings start_mappings, mappings;
    size_t caller; /* buffers of the program that ran the session */
    size_t slack;  /* freed, and kept by malloc, since the start */
} memory_account;

/* Before anything is loaded. */
void memory_account_start(memory_account *a);
/* After the run, while the session is still there; `caller`: bytes of buffers besides the session's. */
void memory_account_finish(memory_account *a, const ciuic_memory_use *use, size_t caller);

/* Bytes of the program itself: its pages of files, and what it had in the heap at the start. */
size_t memory_account_program(const memory_account *a);
/* What remains; below 0 where something that was tagged is not resident. */
double memory_account_unexplained(const memory_account *a);

/* Adds the tagged bytes: weights, packed, mapped, kv_cache, kv_cache_used, activations, workspace, other, total. False: out of
 * memory. */
bool memory_use_json(cJSON *object, const ciuic_memory_use *use);
/* Adds "kernel": {rss, anon, file, shmem, private, shared} and "named": {program, checkpoint_pages, stacks, caller, allocator, freed,
 * unexplained}; nothing where the kernel does not say. False: out of memory. */
bool memory_account_json(cJSON *object, const memory_account *a);
/* The same for people, on stdout, a line each. */
void memory_account_print(const memory_account *a);

#endif
