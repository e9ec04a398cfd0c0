/* checkpoint_copy.h - a checkpoint beside itself, with links to its files where they stay as they are, and layers whose
 * weights are altered in a copy of the others: of one file or of several, of floats or of codes. */
#ifndef CIUIC_AUDIT_CHECKPOINT_COPY_H
#define CIUIC_AUDIT_CHECKPOINT_COPY_H

#include "optimizer/checkpoint/checkpoint.h"

/* Makes `folder` with a link to every file of the checkpoint at `from` but the one called `except` (NULL: all). */
ciuic_status checkpoint_link(const char *from, const char *folder, const char *except);
/* The same with the files that hold tensors copied. CIUIC_ERROR_UNSUPPORTED when there is no room for them. */
ciuic_status checkpoint_copy(const checkpoint *c, const char *folder);

/* What writes to a layer's residual stream: altering one changes the output, if the layer is computed. */
typedef enum layer_part { LAYER_ATTENTION, LAYER_MLP, LAYER_PARTS } layer_part;
const char *layer_part_name(layer_part part); /* "attention", "mlp" */

/* Moves the rows of the part's last matrix (of every expert's, too) on by one, in the copy, those of a quantised matrix by a
 * panel: the same numbers elsewhere, so that whoever computes with them is as fast as before. Scales stay. *altered: how many
 * matrices; 0 when none goes by a known name, or none has more than a panel. */
ciuic_status checkpoint_alter(const checkpoint *c, const char *folder, size_t layer, layer_part part, size_t *altered);
/* Undoes that. */
ciuic_status checkpoint_restore(const checkpoint *c, const char *folder, size_t layer, layer_part part);

#endif
