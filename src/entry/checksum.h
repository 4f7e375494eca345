/* SPDX-License-Identifier: Apache-2.0 */
/* The checksum of what is stored: it tells damage, not intent. */
#ifndef CUBBY_ENTRY_CHECKSUM_H
#define CUBBY_ENTRY_CHECKSUM_H

#include <stddef.h>

#define CHECKSUM_SIZE 16

/* XXH3-128 in its canonical form. */
void checksum_of(const void *data, size_t size, unsigned char ret_sum[CHECKSUM_SIZE]);

#endif
