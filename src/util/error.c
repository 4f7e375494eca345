/* SPDX-License-Identifier: Apache-2.0 */
#include "util/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#undef error_set
#undef error_set_errno
#undef error_no_memory

static int error_vset(struct cubby_error *error, int code, const char *format, va_list arguments) {
    if (error && error->code == CUBBY_OK) {
        error->code = code;
        vsnprintf(error->message, sizeof(error->message), format, arguments);
    }
    return code;
}

int error_set(struct cubby_error *error, int code, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    error_vset(error, code, format, arguments);
    va_end(arguments);
    return code;
}

int error_set_errno(struct cubby_error *error, int errnum, const char *format, ...) {
    int code = errnum == ENOMEM ? CUBBY_ERR_NO_MEMORY : CUBBY_ERR_IO;
    va_list arguments;
    size_t used;

    if (!error || error->code != CUBBY_OK)
        return code;
    va_start(arguments, format);
    error_vset(error, code, format, arguments);
    va_end(arguments);
    error->os_error = errnum;
    used = strlen(error->message);
    snprintf(error->message + used, sizeof(error->message) - used, ": %s", strerror(errnum));
    return code;
}

int error_no_memory(struct cubby_error *error) {
    return error_set(error, CUBBY_ERR_NO_MEMORY, "out of memory");
}

void error_move(struct cubby_error *to, struct cubby_error *from) {
    if (to && to->code == CUBBY_OK)
        *to = *from;
    else
        free(from->log);
    *from = (struct cubby_error)CUBBY_ERROR_INIT;
}

void error_copy(struct cubby_error *to, const struct cubby_error *from) {
    if (!to || to->code != CUBBY_OK)
        return;
    *to = *from;
    to->log = from->log ? strdup(from->log) : NULL;
}

void cubby_error_clear(struct cubby_error *error) {
    if (!error)
        return;
    free(error->log);
    *error = (struct cubby_error)CUBBY_ERROR_INIT;
}

const char *cubby_code_name(int code) {
    switch (code) {
    case CUBBY_OK:
        return "OK";
    case CUBBY_ERR_NOT_FOUND:
        return "NOT_FOUND";
    case CUBBY_ERR_COMPILE:
        return "COMPILE";
    case CUBBY_ERR_NO_TOOLCHAIN:
        return "NO_TOOLCHAIN";
    case CUBBY_ERR_NO_DRIVER:
        return "NO_DRIVER";
    case CUBBY_ERR_INVALID:
        return "INVALID";
    case CUBBY_ERR_BUSY:
        return "BUSY";
    case CUBBY_ERR_CORRUPT:
        return "CORRUPT";
    case CUBBY_ERR_IO:
        return "IO";
    case CUBBY_ERR_NO_MEMORY:
        return "NO_MEMORY";
    case CUBBY_ERR_UNSUPPORTED:
        return "UNSUPPORTED";
    default:
        return "unknown code";
    }
}
