/* SPDX-License-Identifier: Apache-2.0 */
/* The beginning of a .npy file. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "cli/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct npy_header header;

    if (npy_parse("fuzz.npy", data, size, &header, NULL) < 0)
        return 0;
    if (header.rank > CUBBY_RANK_MAX || strlen(header.type) >= sizeof(header.type))
        abort();
    for (size_t i = 0; i < header.rank; i++) {
        if (header.shape[i] < 0)
            abort();
    }
    return 0;
}
