/* SPDX-License-Identifier: Apache-2.0 */
/* The log hook: the only place from which the library says anything on its own. */
#ifndef CUBBY_UTIL_LOG_H
#define CUBBY_UTIL_LOG_H

#include <cubby/cubby.h>

void log_line(enum cubby_log_level level, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
