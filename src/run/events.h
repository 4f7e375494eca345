/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to an engine, counted by all of its threads. */
#ifndef CUBBY_RUN_EVENTS_H
#define CUBBY_RUN_EVENTS_H

#include <stdatomic.h>
#include <stdint.h>

enum run_event {
    RUN_ENQUEUE,
    RUN_CONTEXT,
    RUN_COMPILE,
    RUN_RUNTIME_HIT,
    RUN_CACHE_HIT,
    RUN_FAILURE,
    RUN_SWAP,
    RUN_GENERIC,
    RUN_SPECIALIZED,
    RUN_CAPTURE,
    RUN_UPDATE,
    RUN_REPLAY,
    RUN_EVENTS,
};

struct run_events {
    _Atomic uint64_t counts[RUN_EVENTS];
};

static inline void count_event(struct run_events *events, enum run_event event) {
    atomic_fetch_add_explicit(&events->counts[event], 1, memory_order_relaxed);
}

static inline uint64_t events_of(const struct run_events *events, enum run_event event) {
    return atomic_load_explicit(&events->counts[event], memory_order_relaxed);
}

#endif
