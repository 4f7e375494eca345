/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a runtime cache: nothing in them is believed before it is bounded. The checksums are
 * left out, or no other than a right blob would ever get past them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/kernel_blob.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What was read can be written, and read again with its checksums. */
static void write_again(const struct kernel_set *set,
                        const struct cubby_runtime_identity *identity) {
    struct cubby_runtime_identity made_for;
    struct kernel_set again = KERNEL_SET_INIT;
    struct cubby_blob *blob = NULL;

    if (set->count == 0 || kernel_blob_encode(set, identity, &blob, NULL) < 0)
        return;
    if (cubby_blob_size(blob) != kernel_blob_overhead(identity) + set->bytes ||
        kernel_blob_check(cubby_blob_data(blob), cubby_blob_size(blob), true, &made_for, NULL) <
            0 ||
        identity_fits(&made_for, identity, NULL) < 0)
        abort();
    /* The entries may be wrong: their own checksums were not looked at. */
    if (kernel_blob_kernels(cubby_blob_data(blob), cubby_blob_size(blob), false, &again, NULL) <
            0 ||
        again.count != set->count || again.bytes != set->bytes)
        abort();
    kernel_set_free(&again);
    cubby_blob_unref(blob);
}

static void use(struct kernel_set *set) {
    for (size_t i = 0; i < set->count; i++) {
        const struct kernel *kernel = &set->kernels[i];

        if (kernel_set_find(set, &kernel->key) != kernel)
            abort();
        (void)strlen(cubby_object_log(kernel->object));
        cubby_object_lowered_name(kernel->object, "scale<float>");
    }
    kernel_set_drop(set, set->bytes / 2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    struct cubby_runtime_identity identity;
    struct kernel_set set = KERNEL_SET_INIT;

    if (kernel_blob_check(data, size, true, &identity, NULL) == 0)
        kernel_blob_kernels(data, size, true, &set, NULL);
    kernel_set_free(&set);
    if (kernel_blob_check(data, size, false, &identity, NULL) == 0 &&
        kernel_blob_kernels(data, size, false, &set, NULL) == 0) {
        write_again(&set, &identity);
        use(&set);
    }
    kernel_set_free(&set);
    return 0;
}
