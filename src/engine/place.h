/* SPDX-License-Identifier: Apache-2.0 */
/* A place in an engine's description, for messages: a JSON pointer (RFC 6901). */
#ifndef CUBBY_ENGINE_PLACE_H
#define CUBBY_ENGINE_PLACE_H

#include <stddef.h>

#include <cubby/error.h>

/* One step of the way; lives on the stack below its parent. A key of NULL means the index. */
struct place {
    const struct place *parent; /* NULL: the parent is the whole */
    const char *key;
    size_t index;
};

/* A step, for the time of the block that it stands in. */
#define PLACE_KEY(parent, key) (&(const struct place){parent, key, 0})
#define PLACE_INDEX(parent, index) (&(const struct place){parent, NULL, index})
/* Two steps: a member of a list. */
#define PLACE_ITEM(parent, key, index) PLACE_INDEX(PLACE_KEY(parent, key), index)

/* INVALID: the place (NULL for the whole), a colon, and the sentence. */
int place_error(const struct place *place, struct cubby_error *error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts the place before what another function has said of it; returns the error's code. */
int place_pass(const struct place *place, struct cubby_error *error, struct cubby_error *from);

#ifdef __clang_analyzer__
/* An analyzer sees one file at a time: this tells it that what they return is a failure. */
#define place_error(place, error, ...) ((place_error)(place, error, __VA_ARGS__), CUBBY_ERR_INVALID)
#define place_pass(place, error, from) ((place_pass)(place, error, from), CUBBY_ERR_INVALID)
#endif

#endif
