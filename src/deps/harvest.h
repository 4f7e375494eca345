/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finding out what a compile that just ended depended on.
 *
 * NVRTC 13.0 and later can say which headers they processed (the time trace); what lies in front of
 * each in the search order, and what __has_include asked for, follows from the texts of those
 * headers. Where there is no trace, every header that any branch of the texts could include counts
 * as read, also through macros, whatever definition of them holds.
 */
#ifndef CUBBY_DEPS_HARVEST_H
#define CUBBY_DEPS_HARVEST_H

#include "deps/deps.h"
#include "deps/macro_include.h"
#include "key/program.h"
#include "util/names.h"

#define HARVEST_REASON_SIZE 256

/* What the compiler says of the headers that it processed. */
struct harvest_trace {
    struct names headers; /* paths as the compiler named them */
    bool is_there;        /* it says something at all */
    bool is_whole;        /* it names all of them, not only those that other headers include */
    macro_predefined predefined; /* NULL where the compiler cannot be asked */
    void *context;               /* for it */
};

/*
 * started_ns: file_clock_ns() just before the compile.
 * ret_deps: sorted; the caller frees it, also on failure.
 * Returns 0; UNSUPPORTED where the dependencies cannot be told, with the reason; NO_MEMORY.
 */
int harvest(const struct cubby_program *program, const struct harvest_trace *trace,
            int64_t started_ns, struct deps *ret_deps, char ret_reason[HARVEST_REASON_SIZE]);

#endif
