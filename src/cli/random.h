/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Contents for tensors that nobody gave: the same on every machine for the same seed.
 *
 * A tensor's numbers come from SplitMix64, whose state begins as the seed XORed with the FNV-1a
 * digest (64 bits) of the tensor's name; each element takes one number of it, in order. Floats are
 * uniform in [-1, 1): the number's topmost bits, as many as the type has digits, as multiples of a
 * power of two, so that no rounding comes in. Signed integers are uniform in -8 to 7, unsigned ones
 * in 0 to 15, bool in 0 and 1, all from the topmost bits.
 */
#ifndef CUBBY_CLI_RANDOM_H
#define CUBBY_CLI_RANDOM_H

#include <stddef.h>
#include <stdint.h>

#include <cubby/engine.h>

/* Fills so many elements. */
void random_fill(uint64_t seed, const char *tensor, enum cubby_dtype dtype, void *data,
                 size_t count);

#endif
