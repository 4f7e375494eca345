/* SPDX-License-Identifier: Apache-2.0 */
#include "run/guard.h"

#include <stdatomic.h>

#include "driver/graph.h"
#include "driver/stream.h"
#include "util/error.h"

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

/* The default streams are those of whatever device they are used on; and a stream that captures
 * cannot be asked. */
static int find_device(struct CUstream_st *stream, int *ret_device, struct cubby_error *error) {
    const struct driver *driver;
    bool captures = false;
    int result = driver_open(&driver, error);

    *ret_device = -1;
    if (result < 0 || !stream || stream == DRIVER_STREAM_LEGACY ||
        stream == DRIVER_STREAM_PER_THREAD)
        return result;
    result = capture_is_active(driver, stream, &captures, error);
    if (result == 0 && !captures)
        result = stream_find_device(driver, stream, ret_device, error);
    return result;
}

int cubby_stream_guard_enter(struct cubby_stream_guard *guard, struct CUstream_st *stream,
                             struct cubby_error *error) {
    int device;
    int result = find_device(stream, &device, error);

    if (result < 0)
        return result;
    *guard = (struct cubby_stream_guard){stream, device, current};
    current = guard;
    return 0;
}

void cubby_stream_guard_leave(struct cubby_stream_guard *guard) {
    current = guard->outer;
}
