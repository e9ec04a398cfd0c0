/* checks.h - the tests of an audit. Each adds its findings; a status other than CIUIC_OK ends the audit. */
#ifndef CIUIC_AUDIT_CHECKS_H
#define CIUIC_AUDIT_CHECKS_H

#include "harness/audit/findings.h"
#include "harness/audit/subject.h"

/* How far above its ceiling a speed must lie to be impossible. Bandwidth and peak are the best of a few short tries, once
 * before and once after a bench; on a shared machine all of them can have been disturbed by this much, seldom by more. */
#define AUDIT_CEILING_SLACK 1.25

/* ---- of the file alone (check_file.c) --------------------------------------------------------------------------- */

ciuic_status check_content(audit_subject *s, audit_findings *f);
ciuic_status check_hashes(audit_subject *s, audit_findings *f);
ciuic_status check_ceilings(audit_subject *s, audit_findings *f);

/* ---- of a case, without a clock --------------------------------------------------------------------------------- */

ciuic_status check_outputs(audit_subject *s, const audited_case *c, audit_findings *f);    /* check_outputs.c */
ciuic_status check_errors(audit_subject *s, const audited_case *c, audit_findings *f);     /* check_errors.c */
ciuic_status check_other_data(audit_subject *s, const audited_case *c, audit_findings *f); /* check_errors.c */
ciuic_status check_memory(audit_subject *s, const audited_case *c, audit_findings *f);     /* check_errors.c */
ciuic_status check_weights(audit_subject *s, const audited_case *c, audit_findings *f);    /* check_weights.c */

/* Whether a published loss is like those of other data, which give low to high for one more. Inconclusive where that would
 * pass guessing, too: the loss of a model that knows nothing, NaN where there is no such thing. */
audit_outcome loss_alike(double published, double low, double high, double guessing);

/* ---- of a case, by the clock (check_times.c) -------------------------------------------------------------------- */

ciuic_status check_cache(audit_subject *s, const audited_case *c, audit_findings *f);
ciuic_status check_length(audit_subject *s, const audited_case *c, audit_findings *f);
ciuic_status check_speed(audit_subject *s, const audited_case *c, audit_findings *f);

#endif
