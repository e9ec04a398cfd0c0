/* record.h - --update: what was measured becomes what is recorded, and every change is printed as old -> new. */
#ifndef CIUIC_GATE_RECORD_H
#define CIUIC_GATE_RECORD_H

#include <stdio.h>

#include "harness/gate/limits.h"
#include "harness/judge/results.h"

/* Renews `recorded` of every limit that looks at it, the digests of the checkpoints, and where counts are simulated the
 * compiler, in file->root, and reads the limits again. A glob among the keys stays, with the worst value of what it matches; a case that no key matches gets its id as
 * one; a key that matches no case of these results goes; a case without a figure keeps the old value. Keys are in order of
 * their bytes. Prints a line to `changes` for each change, in the order of the file; *count is how many. `name` is the gate
 * file's. */
ciuic_status gate_record(gate_file *file, const char *name, const result_set *r, FILE *changes, size_t *count);

/* Writes the file: one line for each recorded value, so that a diff shows what changed. */
ciuic_status gate_file_write(const char *path, gate_file *file);

#endif
