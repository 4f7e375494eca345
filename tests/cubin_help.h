/* SPDX-License-Identifier: Apache-2.0 */
/* Cubins made by hand: what of them tells a kernel's parameters. */
#ifndef TESTS_CUBIN_HELP_H
#define TESTS_CUBIN_HELP_H

#include <stddef.h>

/* A cubin with one kernel, whose attributes are these bytes. Exactly so long, released by free().
 */
void *cubin_make(const char *kernel, const void *info, size_t info_size, size_t *ret_size);

/* Where the attributes begin in a cubin that cubin_make() made. */
size_t cubin_info_offset(const char *kernel);

#endif
