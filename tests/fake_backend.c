/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_backend.h"

#include <stdlib.h>

#include "backends/backends.h"
#include "harness.h"
#include "util/counters.h"
#include "util/error.h"

struct fake {
    struct cubby_backend backend;
    struct cubby_backend *inner;
    struct fake_control *control;
};

static struct fake *fake_of(struct cubby_backend *backend) {
    return (struct fake *)backend;
}

static int fake_get(struct cubby_backend *backend, enum cubby_entry_kind kind,
                    const struct cubby_key *key, struct cubby_blob **ret_blob,
                    struct cubby_error *error) {
    struct fake *fake = fake_of(backend);
    struct cubby_blob *blob;
    int result;

    if (fake->control->before_get)
        fake->control->before_get(key);
    fake->control->gets++;
    if (fake->control->fail_get)
        return error_set(error, fake->control->fail_get, "fake failure to get");
    result = fake->inner->ops->get(fake->inner, kind, key, &blob, error);
    if (result == 0 && fake->control->corrupt_get) {
        struct cubby_blob *copy = cubby_blob_copy(cubby_blob_data(blob), cubby_blob_size(blob));

        *(unsigned char *)cubby_blob_writable(copy) ^= 1;
        cubby_blob_unref(blob);
        blob = copy;
    }
    if (result == 0)
        *ret_blob = blob;
    return result;
}

static int fake_put(struct cubby_backend *backend, enum cubby_entry_kind kind,
                    const struct cubby_key *key, struct cubby_blob *blob,
                    struct cubby_error *error) {
    struct fake *fake = fake_of(backend);

    fake->control->puts++;
    if (fake->control->fail_put)
        return error_set(error, fake->control->fail_put, "fake failure to put");
    return fake->inner->ops->put(fake->inner, kind, key, blob, error);
}

static int fake_remove(struct cubby_backend *backend, enum cubby_entry_kind kind,
                       const struct cubby_key *key, struct cubby_error *error) {
    struct fake *fake = fake_of(backend);

    fake->control->removes++;
    return fake->inner->ops->remove(fake->inner, kind, key, error);
}

static int fake_iterate(struct cubby_backend *backend, cubby_entry_visitor visit, void *context,
                        struct cubby_error *error) {
    struct fake *fake = fake_of(backend);

    return fake->inner->ops->iterate(fake->inner, visit, context, error);
}

static int fake_stats(struct cubby_backend *backend, struct cubby_store_stats *ret_stats,
                      struct cubby_error *error) {
    struct fake *fake = fake_of(backend);

    return fake->inner->ops->stats(fake->inner, ret_stats, error);
}

static int fake_count(struct cubby_backend *backend, const struct cubby_counters *delta,
                      struct cubby_error *error) {
    (void)error;
    counters_add(&fake_of(backend)->control->counted, delta);
    return 0;
}

static void fake_close(struct cubby_backend *backend) {
    struct fake *fake = fake_of(backend);

    fake->control->closes++;
    fake->inner->ops->close(fake->inner);
    free(fake);
}

static const struct cubby_backend_ops FAKE_OPS = {
    .abi = CUBBY_BACKEND_ABI,
    .name = "fake",
    .get = fake_get,
    .put = fake_put,
    .remove = fake_remove,
    .iterate = fake_iterate,
    .stats = fake_stats,
    .count = fake_count,
    .close = fake_close,
};

struct cubby_backend *fake_backend_new(struct fake_control *control) {
    struct backend_params params = {0};
    struct fake *fake = calloc(1, sizeof(*fake));

    ck_assert_ptr_nonnull(fake);
    fake->backend.ops = &FAKE_OPS;
    fake->control = control;
    ck_assert_int_eq(memory_backend_open(&params, &fake->inner, NULL), 0);
    return &fake->backend;
}
