/* SPDX-License-Identifier: Apache-2.0 */
/* Memory of a device for those who have no means of their own. */
#include "driver/memory.h"

#include <stdlib.h>

#include <cubby/runner.h>

#include "util/error.h"

struct cubby_device_memory {
    struct device_memory *memory;
};

int cubby_device_memory_new(int device, uint64_t size, struct cubby_device_memory **ret_memory,
                            struct cubby_error *error) {
    struct cubby_device_memory *memory = calloc(1, sizeof(*memory));
    struct device_context *context = NULL;
    int result = memory ? device_context_get(device, &context, error) : error_no_memory(error);

    if (result == 0)
        result = device_memory_new(context, size, NULL, &memory->memory, error);
    device_context_unref(context);
    if (result < 0)
        free(memory);
    else
        *ret_memory = memory;
    return result;
}

void cubby_device_memory_free(struct cubby_device_memory *memory) {
    if (!memory)
        return;
    device_memory_free(memory->memory);
    free(memory);
}

uint64_t cubby_device_memory_address(const struct cubby_device_memory *memory) {
    return memory->memory->address;
}

int cubby_device_memory_write(struct cubby_device_memory *memory, uint64_t offset, const void *data,
                              uint64_t size, struct cubby_error *error) {
    return device_memory_write(memory->memory, offset, data, size, NULL, error);
}

int cubby_device_memory_read(struct cubby_device_memory *memory, uint64_t offset, void *data,
                             uint64_t size, struct cubby_error *error) {
    return device_memory_read(memory->memory, offset, data, size, NULL, error);
}
