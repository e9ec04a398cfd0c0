/* changed_checkpoint.h - a copy of a checkpoint with some things changed. */
#ifndef CIUIC_TESTS_CHANGED_CHECKPOINT_H
#define CIUIC_TESTS_CHANGED_CHECKPOINT_H

#include <stddef.h>

typedef enum checkpoint_action {
    CONFIG,    /* target: key, value: JSON text, NULL removes it */
    DROP,      /* target: tensor */
    RENAME,    /* target: tensor, value: its new name */
    COPY,      /* target: tensor, value: the name of a copy beside it */
    TRANSPOSE, /* target: tensor; shape reversed */
    FLATTEN,   /* target: tensor; one dimension */
    AS_TYPE,   /* target: tensor, value: a dtype of the same width */
    FILL,      /* target: tensor, not of FP8, value: the number that all of its elements become */
    POKE, /* target: tensor, value: "INDEX NUMBER", the element and what it becomes; of FP8 the number is its code */
    CUT_FILE,    /* target: file, value: how many bytes to take off its end */
    DELETE_FILE, /* target: file */
    REPLACE,     /* target: file, value: its new content */
    MAP,         /* target: key of weight_map, value: JSON text, NULL removes it */
} checkpoint_action;

typedef struct checkpoint_change {
    checkpoint_action what;
    const char *target, *value;
} checkpoint_change;

/* Fills the folder `path`, which is there and empty, with config.json and the tensors of `base`, the changes made; those without a
 * target are none. Changes of tensors are for checkpoints of one file. Failures end the test. */
void changed_checkpoint_write(const char *base, const checkpoint_change *edits, size_t count, const char *path);

#endif
