/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a process takes the compilers' libraries apart. It would crash threads that are in
 * them, so whoever ends the process waits for these, and lets no one in any more. A process that
 * ends during the first of its compiles is not helped: the libraries register what is to be called
 * at the end while they compile, and are called before us then.
 */
#ifndef CUBBY_COMPILE_GATE_H
#define CUBBY_COMPILE_GATE_H

#include <cubby/error.h>

/* Before a library is called, and after. Returns 0, or BUSY where the process is ending. */
int gate_enter(struct cubby_error *error);
void gate_leave(void);

#endif
