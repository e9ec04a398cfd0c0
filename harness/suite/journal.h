/* journal.h - DIR/journal.jsonl: one fsynced line of JSON per finished measurement, so that a killed run loses none.
 * Each ends with "chain": the first 16 digits of a SHA-256 over that of the line before and its own text. */
#ifndef CIUIC_JOURNAL_H
#define CIUIC_JOURNAL_H

#include <cjson/cJSON.h>

#include "optimizer/ciuic.h"

typedef struct journal journal;

/* Opens DIR/journal.jsonl, making the folder where it is missing, and locks it: a second run in the same folder is
 * CIUIC_ERROR_USAGE, which names the process that holds it. Without `resume`, so is a folder that holds a journal or results.json already. With `resume`,
 * *entries is the array of what was written before (empty when there was nothing); a last line that was cut by the end
 * of its process is dropped, any other line that is not JSON, or not the one that was written there, is CIUIC_ERROR_INPUT. Entries come
 * without their "chain". The caller owns *entries. */
ciuic_status journal_open(const char *directory, bool resume, journal **out, cJSON **entries);
/* Writes the entry, an object with members, as a line and waits until it is on the disk. CIUIC_ERROR_INTERRUPTED when the disk is full: what is there
 * is whole, and can be gone on with. */
ciuic_status journal_append(journal *j, const cJSON *entry);
void journal_close(journal *j); /* NULL is allowed */

/* Whether a failure's words are those of a full disk, a used-up quota or the largest file allowed. */
bool journal_no_space(const char *words);

#endif
