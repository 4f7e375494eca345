/* SPDX-License-Identifier: Apache-2.0 */
#include "compile/compiled.h"

#include <stdlib.h>
#include <string.h>

/* A log may be longer than the source it complains of (64 MB on one line); so much is kept. */
#define MAX_LOG (1024 * 1024)
#define LOG_CUT "\n[the rest of the log was dropped]\n"

void compiled_cut_log(char *log, size_t size) {
    if (size > MAX_LOG)
        memcpy(log + MAX_LOG - sizeof(LOG_CUT), LOG_CUT, sizeof(LOG_CUT));
}

void compiled_clear(struct compiled *compiled) {
    for (size_t i = 0; compiled->lowered && i < compiled->lowered_count; i++)
        free(compiled->lowered[i]);
    free(compiled->lowered);
    free(compiled->log);
    free(compiled->data);
    *compiled = (struct compiled){0};
}
