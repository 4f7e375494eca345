/* SPDX-License-Identifier: Apache-2.0 */
/* A cubin whose kernel "k" is asked for its parameters. */
#include <stdint.h>
#include <stdlib.h>

#include "engine/kernel_params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct kernel_params params;
    uint32_t end = 0;

    if (kernel_params_read(data, size, "k", &params, NULL) < 0)
        return 0;
    for (size_t i = 0; i < params.count; i++) {
        if (params.items[i].size == 0 || params.items[i].offset < end)
            abort();
        end = params.items[i].offset + params.items[i].size;
    }
    if (end != params.bytes || end > KERNEL_PARAM_BYTES_MAX)
        abort();
    kernel_params_free(&params);
    return 0;
}
