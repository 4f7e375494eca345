/* SPDX-License-Identifier: Apache-2.0 */
/* The one place from which the environment is read. */
#ifndef CUBBY_OS_ENV_H
#define CUBBY_OS_ENV_H

/* The variable's value, borrowed; NULL where it is unset or empty. */
const char *env_get(const char *name);

/* The variable's value, borrowed; NULL only where it is unset: set to nothing is "". */
const char *env_get_raw(const char *name);

#endif
