/* SPDX-License-Identifier: Apache-2.0 */
#include "run/guard.h"

#include <stdatomic.h>

static _Thread_local struct cubby_stream_guard *current;
static atomic_bool passes_through;

const struct cubby_stream_guard *guard_current(void) {
    return current;
}

void cubby_stream_passthrough_set(bool on) {
    atomic_store(&passes_through, on);
}

bool cubby_stream_passthrough(void) {
    return atomic_load(&passes_through);
}

void cubby_stream_guard_enter(struct cubby_stream_guard *guard, struct CUstream_st *stream) {
    *guard = (struct cubby_stream_guard){stream, current};
    current = guard;
}

void cubby_stream_guard_leave(struct cubby_stream_guard *guard) {
    current = guard->outer;
}
