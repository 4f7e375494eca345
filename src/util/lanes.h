/* SPDX-License-Identifier: Apache-2.0 */
/* Sixteen bytes looked at as one, by the compiler's vector types; each machine has such. */
#ifndef CUBBY_UTIL_LANES_H
#define CUBBY_UTIL_LANES_H

#include <stdbool.h>
#include <string.h>

#define LANES 16
#define LANES_BLOCK 64 /* bytes that are worth one question */

typedef unsigned char lanes __attribute__((vector_size(LANES)));

static inline lanes lanes_at(const void *at) {
    lanes value;

    memcpy(&value, at, sizeof(value));
    return value;
}

/* True if any of these bits is set in any byte. */
static inline bool lanes_any(lanes value, unsigned char bits) {
    unsigned long long parts[LANES / sizeof(unsigned long long)];

    value &= bits;
    memcpy(parts, &value, sizeof(parts));
    return (parts[0] | parts[1]) != 0;
}

#endif
