/* SPDX-License-Identifier: Apache-2.0 */
/* Filling struct cubby_error: the one way in which this library reports failures. */
#ifndef CUBBY_UTIL_ERROR_H
#define CUBBY_UTIL_ERROR_H

#include <stddef.h>

#include <cubby/error.h>

/* Makes an error empty without touching all of its message: on the way of a hit the kilobyte of
 * zeros that CUBBY_ERROR_INIT writes would count. */
static inline void error_begin(struct cubby_error *error) {
    error->code = CUBBY_OK;
    error->os_error = 0;
    error->tool_error = 0;
    error->log = NULL;
    error->message[0] = '\0';
}

/*
 * Fills *error (which may be NULL) with the code and a formatted sentence and
 * returns the code, so that a caller can write `return error_set(...)`.
 * An error that is set already stays: the first one is nearest to the cause.
 */
int error_set(struct cubby_error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* As error_set with CUBBY_ERR_IO (NO_MEMORY for ENOMEM), adding errnum and its text. */
int error_set_errno(struct cubby_error *error, int errnum, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* CUBBY_ERR_NO_MEMORY, in the one wording used everywhere. */
int error_no_memory(struct cubby_error *error);

#ifdef __clang_analyzer__
/* An analyzer sees one file at a time: this tells it that what these return is a failure. */
#define error_set(error, code, ...) ((error_set)(error, code, __VA_ARGS__), (code))
#define error_set_errno(...) ((error_set_errno)(__VA_ARGS__), CUBBY_ERR_IO)
#define error_no_memory(error) ((error_no_memory)(error), CUBBY_ERR_NO_MEMORY)
#endif

/* Moves what is in *from into *to unless that holds an error; *from is empty afterwards. */
void error_move(struct cubby_error *to, struct cubby_error *from);

/* Copies what is in *from, its log too, into *to unless that holds an error. A log for which memory
 * is short is left out. */
void error_copy(struct cubby_error *to, const struct cubby_error *from);

#endif
