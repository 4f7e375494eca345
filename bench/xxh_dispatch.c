/* SPDX-License-Identifier: Apache-2.0 */
/* For the bundle, which is linked with a static xxHash: Debian's lacks the functions that choose
 * vectors at run time, which the shared one has. The sums are the same. */
#include <xxhash.h>

XXH128_hash_t XXH3_128bits_dispatch(const void *data, size_t size);

__attribute__((weak)) XXH128_hash_t XXH3_128bits_dispatch(const void *data, size_t size) {
    return XXH3_128bits(data, size);
}
