/* SPDX-License-Identifier: Apache-2.0 */
/* cubby compile, as its workers see it. */
#ifndef CUBBY_CLI_COMPILE_H
#define CUBBY_CLI_COMPILE_H

#include <jansson.h>

#include "cli/program_args.h"

struct compile_args {
    struct program_args program;
    const char *output;
    unsigned jobs;
    unsigned flags;
    bool worker; /* this process is one of -j's */
    char **files;
    size_t file_count;
};

/* Compiles one file, writes its output and returns a new report. */
json_t *compile_file(const struct compile_args *args, struct cubby_cache *cache,
                     const char *source);

#endif
