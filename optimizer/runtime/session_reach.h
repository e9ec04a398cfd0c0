/* session_reach.h - taking what a long context takes without computing it: whoever wants to know whether a context fits under
 * a limit of memory need not wait for all of its tokens. */
#ifndef CIUIC_SESSION_REACH_H
#define CIUIC_SESSION_REACH_H

#include "optimizer/ciuic.h"

/* Extends the session to `length` positions. Those that are new take the memory of computed ones and hold zeros: what follows
 * takes the time and the memory that it would take, and its logits mean nothing. Refused as a prefill of so many tokens would
 * be; the session is then as it was. */
ciuic_status session_reach(ciuic_session *session, size_t length);

#endif
