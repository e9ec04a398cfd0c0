/* weight_check.h - a model's weights held against a checkpoint that is not the one it was loaded from. */
#ifndef CIUIC_WEIGHT_CHECK_H
#define CIUIC_WEIGHT_CHECK_H

#include "optimizer/runtime/model.h"

/* As ciuic_check_weights (ciuic.h), with every weight made once more from `source` under the settings `made_by`: of a model
 * that was loaded from a quantised folder, whether that folder holds what its source rounds to. The model's graph stage is
 * off, since a norm that was folded into a matrix after rounding is another matrix. */
ciuic_status weights_check_against(ciuic_model *model, const checkpoint *source, const ciuic_options *made_by,
                                   ciuic_weight_check *found);

#endif
