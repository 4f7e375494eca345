/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time trace of NVRTC 13.0 and later, from which one learns which headers it processed.
 * Versions 12.6 to 12.9 have a trace without headers: no use.
 *
 * NVRTC writes it to a file that it maps into memory: a full disk or a path that cannot be written
 * would end the process. So the file is a memfd, which NVRTC reaches through a symbolic link.
 */
#ifndef CUBBY_COMPILE_TRACE_H
#define CUBBY_COMPILE_TRACE_H

#include "key/program.h"
#include "key/toolchain.h"
#include "util/names.h"

struct trace {
    int fd; /* of the memfd; -1 where there is no trace */
    char *folder;
    char *link;   /* the file as NVRTC is told of it, with its suffix */
    char *option; /* for NVRTC */
};

#define TRACE_INIT                                                                                 \
    { -1, NULL, NULL, NULL }

/*
 * True if tracing changes nothing in the object that this compile makes. With -G or -Ofc, with
 * another code generator (NV_NVVM_VERSION), and from compute_100 on, tracing gives other code.
 */
bool trace_is_harmless(const struct toolchain *toolchain, const struct cubby_program *program);

/* Prepares a trace. Returns false where that cannot be had; the trace is then without a file. */
bool trace_open(struct trace *trace);

/*
 * The paths of the headers that were processed, once the compile has ended. Returns false where the
 * trace does not tell, as where it names no header at all.
 *
 * A traced compile that fails because a header includes one that is missing upsets the traces of
 * all later ones in the process: headers that the source itself includes are then left out (all but
 * the last, seen with 13.0, 13.2 and 13.5). NVRTC's own header is always one of them, and tells by
 * its absence: *ret_whole.
 */
bool trace_headers(const struct trace *trace, struct names *ret_headers, bool *ret_whole);

void trace_close(struct trace *trace);

#endif
