/* SPDX-License-Identifier: Apache-2.0 */
/* The settings of an engine, owned. */
#ifndef CUBBY_RUN_SETTINGS_H
#define CUBBY_RUN_SETTINGS_H

#include <cubby/runner.h>

/* In the form of the public struct; the handle is a reference, and the path is a copy. With a path,
 * the handle is one that was made for the engine. */
struct settings {
    struct cubby_runtime_settings now;
};

/* Whether a user may ask for these settings of an engine that has those of settings (NULL: none).
 * Returns 0, or INVALID naming what is accepted. */
int settings_check(const struct cubby_runtime_settings *asked, const struct settings *settings,
                   struct cubby_error *error);

/* True if asking for these would change nothing. */
bool settings_equal(const struct settings *settings, const struct cubby_runtime_settings *asked);

/* What was asked for and checked; a handle of the engine's own is taken over from the settings
 * before (NULL: none) where the path stays, else made and loaded. */
int settings_make(const struct cubby_runtime_settings *asked, const struct settings *before,
                  struct settings *ret_settings, struct cubby_error *error);

/* The same once more, with references of its own. */
int settings_copy(const struct settings *settings, struct settings *ret_copy,
                  struct cubby_error *error);

void settings_free(struct settings *settings);

#endif
