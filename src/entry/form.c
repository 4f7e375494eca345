/* SPDX-License-Identifier: Apache-2.0 */
#include "entry/form.h"

#include <string.h>

#include "entry/codec.h"
#include "util/error.h"

int entry_decode(const struct entry_view *view, const struct cubby_key *key,
                 struct cubby_blob **ret_blob, struct cubby_error *error) {
    const struct entry_parts parts = {
        .kind = view->kind,
        .key = key,
        .codec = ENTRY_RAW,
        .stored_size = view->payload_size,
        .payload_size = view->payload_size,
        .meta = view->meta,
        .meta_size = view->meta_size,
    };
    struct cubby_blob *blob = NULL;
    int result = codec_check(view->payload, view->stored_size, view->payload_size, error);

    if (result == 0)
        result = entry_begin(&parts, &blob, error);
    if (result < 0)
        return result;
    result = codec_decompress(view->payload, view->stored_size, cubby_blob_writable(blob),
                              view->payload_size, error);
    if (result < 0) {
        cubby_blob_unref(blob);
        return result;
    }
    entry_seal(blob, &parts);
    *ret_blob = blob;
    return 0;
}

/* Writes the payload in the form's codec if that makes it shorter, else as it is. */
static void write_payload(const struct entry_view *view, const struct entry_form *form,
                          struct cubby_blob *blob, struct entry_parts *parts) {
    void *room = cubby_blob_writable(blob);
    size_t stored = 0;

    if (form->level > 0 && view->payload_size > 0)
        stored = codec_compress(form->level, view->payload, view->payload_size, room,
                                view->payload_size - 1);
    if (stored > 0) {
        parts->codec = ENTRY_ZSTD;
        parts->stored_size = stored;
    } else if (view->payload_size > 0) {
        memcpy(room, view->payload, view->payload_size);
    }
}

int entry_reform(struct cubby_blob *blob, enum cubby_entry_kind kind, const struct cubby_key *key,
                 const struct entry_form *form, struct cubby_blob **ret_blob,
                 struct cubby_error *error) {
    struct cubby_blob *raw = NULL, *made = NULL;
    struct entry_parts parts;
    struct entry_view view;
    int result = 0;

    if (form->level == 0 && !form->secret) {
        *ret_blob = cubby_blob_ref(blob);
        return 0;
    }
    result = entry_parse(blob, kind, key, false, &view, error);
    if (result == 0 && view.codec != ENTRY_RAW) {
        result = entry_decode(&view, key, &raw, error);
        if (result == 0)
            result = entry_parse(raw, kind, key, false, &view, error);
    }
    if (result == 0) {
        parts = (struct entry_parts){
            .kind = kind,
            .key = key,
            .codec = ENTRY_RAW,
            .stored_size = view.payload_size,
            .payload_size = view.payload_size,
            .meta = view.meta,
            .meta_size = view.meta_size,
            .secret = form->secret,
        };
        result = entry_begin(&parts, &made, error);
    }
    if (result == 0) {
        write_payload(&view, form, made, &parts);
        entry_seal(made, &parts);
        *ret_blob = made;
    }
    cubby_blob_unref(raw);
    return result;
}
