/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes from a store as an entry: nothing in them is believed before it is bounded. The checksum is
 * left out, or no other than a right entry would ever get past it. */
#include <stdint.h>
#include <string.h>

#include <cubby/cubby.h>

#include "object.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct cubby_blob *blob = cubby_blob_copy(data, size);
    struct cubby_object_info info;
    struct cubby_object *object;
    struct cubby_key key = {{0}};
    const char *lowered, *name;

    /* The key that the bytes themselves claim: 56 bytes before the end. */
    if (size >= 88)
        memcpy(key.bytes, data + size - 88 + 40, sizeof(key.bytes));
    for (int kind = 0; kind < CUBBY_ENTRY_KINDS; kind++) {
        if (object_from_blob(blob, (enum cubby_entry_kind)kind, &key, false, &object, NULL) < 0)
            continue;
        cubby_object_info(object, &info);
        for (size_t i = 0; (name = cubby_object_name(object, i, &lowered)); i++)
            cubby_object_lowered_name(object, name);
        object_rename_source(object, "another.cu");
        (void)strlen(cubby_object_log(object));
        cubby_object_unref(object);
    }
    cubby_blob_unref(blob);
    return 0;
}
