/* SPDX-License-Identifier: Apache-2.0 */
/* Which process this is, for what must not be used on both sides of a fork. */
#ifndef CUBBY_OS_PROCESS_H
#define CUBBY_OS_PROCESS_H

#include <sys/types.h>

/* As getpid(), but asks the system only once and again after a fork: a system call costs more than
 * all the rest that Cubby adds to some hits. */
pid_t process_id(void);

#endif
