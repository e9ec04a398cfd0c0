/* inputs.h - token ids that nobody has seen: drawn from the checkpoint's own evaluation text where it brings one, so that
 * they are as hard as those published, otherwise at random. */
#ifndef CIUIC_AUDIT_INPUTS_H
#define CIUIC_AUDIT_INPUTS_H

#include "harness/audit/subject.h"
#include "optimizer/checkpoint/safetensors.h"

typedef struct audit_inputs {
    safetensors *file;    /* NULL: the checkpoint has no streams.safetensors */
    const tensor *stream; /* its eval_ids */
    size_t vocabulary;
} audit_inputs;

ciuic_status inputs_open(const audited_case *c, audit_inputs *in);
void inputs_close(audit_inputs *in);

/* Writes rows x tokens ids, each row from a place drawn afresh. */
void inputs_draw(audit_subject *s, const audit_inputs *in, size_t rows, size_t tokens, int32_t *ids);

/* Makes the folder `folder`, which must not be there, a checkpoint that is `c`'s but for its evaluation ids, which are
 * moved on by a drawn number of rows: what was published is measured on none of them, where there are enough. *moved:
 * false when the checkpoint brings no ids; a seed then makes others. */
ciuic_status inputs_other_checkpoint(audit_subject *s, const audited_case *c, const audit_inputs *in,
                                     const char *folder, bool *moved);

#endif
