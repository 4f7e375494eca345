/* SPDX-License-Identifier: Apache-2.0 */
#include "util/log.h"

#include <stdarg.h>
#include <stdio.h>

static struct {
    cubby_log_function function;
    enum cubby_log_level level;
    void *context;
} hook;

void cubby_log_set(cubby_log_function function, enum cubby_log_level level, void *context) {
    hook.function = function;
    hook.level = level;
    hook.context = context;
}

void log_line(enum cubby_log_level level, const char *format, ...) {
    char line[2048];
    va_list arguments;

    if (!hook.function || level > hook.level)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    hook.function(level, line, hook.context);
}
