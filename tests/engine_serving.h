/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three example engines side by side, as a server has them: in streams of their own or of the
 * caller's, in one graph, on parts of the device. Each way is one that a caller may choose, by the
 * library's public functions, and what they compute is held against the references. Asserts
 * nothing, as engine_trial.h.
 */
#ifndef TESTS_ENGINE_SERVING_H
#define TESTS_ENGINE_SERVING_H

#include "engine_trial.h"

struct serving;

/* A way to have them run. */
struct serving_way {
    const char *name;
    int (*run)(struct serving *serving, struct cubby_error *error);
    bool is_recorded_by_caller; /* not with graphs of the engines' own */
    unsigned parts;             /* of the device, for which it has to be large enough */
};
extern const struct serving_way SERVING_WAYS[];
extern const size_t SERVING_WAY_COUNT;

/*
 * Serves that way: with each strategy that it allows, without and with graphs of the engines' own.
 * CUBBY_ERR_UNSUPPORTED where the device is too small or the driver too old for it.
 */
int serving_try(const struct serving_way *way, const char *folder,
                const struct cubby_engine_options *options, struct cubby_error *error);

#endif
