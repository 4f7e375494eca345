/* SPDX-License-Identifier: Apache-2.0 */
/* The stream that the calling thread works in, as it told us. */
#ifndef CUBBY_RUN_GUARD_H
#define CUBBY_RUN_GUARD_H

#include <cubby/runner.h>

/* The innermost guard of the thread; NULL where there is none. Borrowed. */
const struct cubby_stream_guard *guard_current(void);

#endif
