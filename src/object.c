/* SPDX-License-Identifier: Apache-2.0 */
#include "object.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "entry/form.h"
#include "entry/meta.h"
#include "util/error.h"
#include "util/pairs.h"

struct cubby_object {
    atomic_uint references;
    struct cubby_blob *blob;
    struct entry_view view;
    char *log; /* replaces that of the metadata; NULL for none */
};

int object_from_blob(struct cubby_blob *blob, enum cubby_entry_kind kind,
                     const struct cubby_key *key, bool verify, struct cubby_object **ret_object,
                     struct cubby_error *error) {
    return object_from_stored(cubby_blob_ref(blob), kind, key, NULL, verify ? OBJECT_VERIFY : 0,
                              ret_object, error);
}

/* Puts a blob whose payload lies as it is in the place of a compressed one, *blob. */
static int decode(const struct cubby_key *key, struct entry_view *view, struct cubby_blob **blob,
                  struct cubby_error *error) {
    struct cubby_blob *decoded = NULL;
    int result = entry_decode(view, key, &decoded, error);

    if (result < 0)
        return result;
    cubby_blob_unref(*blob);
    *blob = decoded;
    return entry_parse(decoded, view->kind, key, false, view, error);
}

int object_from_stored(struct cubby_blob *blob, enum cubby_entry_kind kind,
                       const struct cubby_key *key, const struct mac_key *secret, unsigned reading,
                       struct cubby_object **ret_object, struct cubby_error *error) {
    struct cubby_object *object = malloc(sizeof(*object));
    int result;

    if (!object) {
        cubby_blob_unref(blob);
        return error_no_memory(error);
    }
    atomic_init(&object->references, 1);
    object->blob = blob;
    object->log = NULL;
    result = entry_parse(blob, kind, key, reading & OBJECT_VERIFY, &object->view, error);
    if (result == 0 && secret)
        result = entry_check_mac(blob, secret, error);
    if (result == 0 && object->view.codec != ENTRY_RAW) {
        if (reading & OBJECT_DESCRIBE)
            object->view.payload = NULL;
        else
            result = decode(key, &object->view, &object->blob, error);
    }
    if (result < 0)
        cubby_object_unref(object);
    else
        *ret_object = object;
    return result;
}

struct cubby_blob *object_blob(const struct cubby_object *object) {
    return object->blob;
}

int object_under(struct cubby_object *object, const struct cubby_key *key,
                 struct cubby_object **ret_object, struct cubby_error *error) {
    const struct entry_view *own = &object->view;
    struct cubby_blob *blob = NULL;
    struct entry_view view;
    int result;

    if (entry_parse(object->blob, own->kind, key, false, &view, NULL) == 0) {
        *ret_object = cubby_object_ref(object);
        return 0;
    }
    result = entry_encode(own->kind, key, own->payload, own->payload_size, own->meta,
                          own->meta_size, &blob, error);
    if (result == 0)
        result = object_from_stored(blob, own->kind, key, NULL, 0, ret_object, error);
    return result;
}

/* True if what was found is the name as messages spell it, `NAME(3): error` or `of "NAME"`, and not
 * a part of another word. */
static bool is_whole_name(const char *log, const char *found, size_t length) {
    bool begins = found == log || strchr("\n\" ", found[-1]);

    return begins && found[length] && strchr("(\"", found[length]);
}

/* A log with another name in the place of the old one, new; NULL when memory is short. */
static char *renamed_log(const char *log, const char *old, const char *name) {
    struct buffer renamed = BUFFER_INIT;
    const char *found, *text = log;
    size_t length = strlen(old);

    while ((found = strstr(log, old))) {
        bool whole = is_whole_name(text, found, length);

        buffer_add(&renamed, log, (size_t)(found - log));
        buffer_add_text(&renamed, whole ? name : old);
        log = found + length;
    }
    buffer_add_text(&renamed, log);
    return buffer_steal_text(&renamed);
}

int object_rename_source(struct cubby_object *object, const char *name) {
    const char *log = cubby_object_log(object);
    const char *old = meta_text(object->view.meta, object->view.meta_size, META_SOURCE_NAME);

    if (!*log || !*old || strcmp(old, name) == 0)
        return 0;
    object->log = renamed_log(log, old, name);
    return object->log ? 0 : CUBBY_ERR_NO_MEMORY;
}

/* The messages of a compile begin with the program's name. */
static void rename_in_message(struct cubby_error *error, const char *old, const char *name) {
    size_t length = strlen(old);
    char *rest;

    if (strncmp(error->message, old, length) != 0 || error->message[length] != ':')
        return;
    rest = strdup(error->message + length);
    if (rest)
        snprintf(error->message, sizeof(error->message), "%s%s", name, rest);
    free(rest);
}

void error_rename_source(struct cubby_error *error, const char *old, const char *name) {
    char *log;

    if (!*old || strcmp(old, name) == 0)
        return;
    rename_in_message(error, old, name);
    log = error->log ? renamed_log(error->log, old, name) : NULL;
    if (log) {
        free(error->log);
        error->log = log;
    }
}

struct cubby_object *cubby_object_ref(struct cubby_object *object) {
    if (object)
        atomic_fetch_add_explicit(&object->references, 1, memory_order_relaxed);
    return object;
}

void cubby_object_unref(struct cubby_object *object) {
    if (!object || atomic_fetch_sub_explicit(&object->references, 1, memory_order_acq_rel) != 1)
        return;
    cubby_blob_unref(object->blob);
    free(object->log);
    free(object);
}

const void *cubby_object_data(const struct cubby_object *object) {
    return object->view.payload;
}

size_t cubby_object_size(const struct cubby_object *object) {
    return object->view.payload_size;
}

enum cubby_entry_kind cubby_object_kind(const struct cubby_object *object) {
    return object->view.kind;
}

static const char *object_text(const struct cubby_object *object, enum meta_tag tag) {
    return meta_text(object->view.meta, object->view.meta_size, tag);
}

const char *cubby_object_log(const struct cubby_object *object) {
    return object->log ? object->log : object_text(object, META_LOG);
}

uint64_t object_compile_ns(const struct cubby_object *object) {
    return meta_u64(object->view.meta, object->view.meta_size, META_COMPILE_NS);
}

void cubby_object_info(const struct cubby_object *object, struct cubby_object_info *ret_info) {
    const struct entry_view *view = &object->view;

    *ret_info = (struct cubby_object_info){
        .target = object_text(object, META_TARGET),
        .arch = object_text(object, META_ARCH),
        .source_name = object_text(object, META_SOURCE_NAME),
        .toolchain = object_text(object, META_TOOLCHAIN),
        .created_at = (int64_t)meta_u64(view->meta, view->meta_size, META_CREATED_AT),
        .compile_ns = object_compile_ns(object),
    };
}

/* The index-th pair among the items of that tag, borrowed; NULL past the last. */
static const char *object_pair(const struct cubby_object *object, enum meta_tag tag, size_t index,
                               const char **ret_second) {
    struct meta_reader reader = {object->view.meta, object->view.meta + object->view.meta_size};
    const char *first, *second;
    struct meta_item item;

    while (meta_next(&reader, &item)) {
        struct pairs pairs = {item.data, item.data + item.size};

        while (item.tag == tag && pairs_next(&pairs, &first, &second)) {
            if (index-- > 0)
                continue;
            if (ret_second)
                *ret_second = second;
            return first;
        }
    }
    return NULL;
}

const char *cubby_object_name(const struct cubby_object *object, size_t index,
                              const char **ret_lowered) {
    return object_pair(object, META_NAME, index, ret_lowered);
}

const char *cubby_object_field(const struct cubby_object *object, size_t index,
                               const char **ret_value) {
    return object_pair(object, META_FIELDS, index, ret_value);
}

bool object_fields(const struct cubby_object *object, struct pairs *ret_fields) {
    struct meta_reader reader = {object->view.meta, object->view.meta + object->view.meta_size};
    struct meta_item item;

    while (meta_next(&reader, &item)) {
        if (item.tag != META_FIELDS)
            continue;
        *ret_fields = (struct pairs){item.data, item.data + item.size};
        return true;
    }
    return false;
}

const char *cubby_object_lowered_name(const struct cubby_object *object, const char *expression) {
    const char *name, *lowered = NULL;

    for (size_t i = 0; (name = cubby_object_name(object, i, &lowered)); i++) {
        if (strcmp(name, expression) == 0)
            return lowered;
    }
    return NULL;
}
