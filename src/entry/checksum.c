/* SPDX-License-Identifier: Apache-2.0 */
#include "entry/checksum.h"

#include <string.h>
#include <xxhash.h>
#ifdef HAVE_XXH_DISPATCH
#include <xxh_x86dispatch.h> /* makes XXH3_128bits choose by the processor: the sums are the same */
#endif

_Static_assert(sizeof(XXH128_canonical_t) == CHECKSUM_SIZE, "XXH3-128 fills the checksum");

void checksum_of(const void *data, size_t size, unsigned char ret_sum[CHECKSUM_SIZE]) {
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, XXH3_128bits(data, size));
    memcpy(ret_sum, &canonical, sizeof(canonical));
}
