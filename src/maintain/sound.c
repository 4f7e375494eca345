/* SPDX-License-Identifier: Apache-2.0 */
#include "maintain/sound.h"

#include "cache/state.h"
#include "deps/manifest.h"
#include "object.h"
#include "util/error.h"

static int check_manifest(const struct cubby_object *object, struct cubby_error *error) {
    struct manifest manifest;
    int result = manifest_decode(cubby_object_data(object), cubby_object_size(object), &manifest);

    if (result == CUBBY_ERR_NO_MEMORY)
        return error_no_memory(error);
    if (result < 0)
        return error_set(error, CUBBY_ERR_CORRUPT,
                         "the stored entry is damaged: it is no manifest that can be read");
    manifest_free(&manifest);
    return 0;
}

int sound_open(struct cubby_blob *blob, enum cubby_entry_kind kind, const struct cubby_key *key,
               const struct mac_key *secret, struct cubby_object **ret_object,
               struct cubby_error *error) {
    struct cubby_object *object;
    int result =
        object_from_stored(cubby_blob_ref(blob), kind, key, secret, OBJECT_VERIFY, &object, error);

    if (result == 0 && kind == CUBBY_ENTRY_MANIFEST) {
        result = check_manifest(object, error);
        if (result < 0)
            cubby_object_unref(object);
    }
    if (result == 0)
        *ret_object = object;
    return result;
}

int sound_peek(const struct cubby_cache *cache, size_t tier, enum cubby_entry_kind kind,
               const struct cubby_key *key, struct cubby_object **ret_object, size_t *ret_size,
               struct cubby_error *error) {
    struct cubby_backend *backend = cache->tiers[tier];
    const struct cubby_backend_ops *ops = backend->ops;
    struct cubby_blob *blob = NULL;
    int result = (ops->peek ? ops->peek : ops->get)(backend, kind, key, &blob, error);

    if (ret_size)
        *ret_size = blob ? cubby_blob_size(blob) : 0;
    if (result == 0)
        result = sound_open(blob, kind, key, cache->forms[tier].secret, ret_object, error);
    cubby_blob_unref(blob);
    return result;
}
