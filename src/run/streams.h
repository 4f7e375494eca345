/* SPDX-License-Identifier: Apache-2.0 */
/* Into which stream an engine's next run goes. */
#ifndef CUBBY_RUN_STREAMS_H
#define CUBBY_RUN_STREAMS_H

#include "run/engine.h"

/* Between engine_begin() and engine_end(). Returns 0; INVALID for a stream that cannot be used now.
 */
int streams_choose(const struct cubby_engine *engine, struct destination *ret_destination,
                   struct cubby_error *error);

/* Where an engine is to be prepared that goes into that destination: where the caller works in a
 * stream of a green context, there, as it may be that which is to record. Between begin and end. */
int streams_prepare(struct cubby_engine *engine, struct destination *destination,
                    struct cubby_error *error);

#endif
