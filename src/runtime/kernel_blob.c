/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/kernel_blob.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "entry/checksum.h"
#include "object.h"
#include "util/error.h"

#define FORMAT_VERSION 1

static const unsigned char MAGIC[8] = {'C', 'U', 'B', 'B', 'Y', 'R', 'T', '\n'};

struct head {
    unsigned char magic[8];
    uint32_t version;
    uint32_t driver_version;
    uint64_t size;
    uint32_t count;
    uint32_t toolchain_size;
    char arch[ARCH_SIZE];
} __attribute__((packed));

struct record {
    uint64_t used_ns;
    uint64_t entry_size;
    uint32_t kind;
    uint32_t zero;
    struct cubby_key key;
} __attribute__((packed));

_Static_assert(sizeof(struct head) == 48, "the head's size is part of the format");
_Static_assert(sizeof(struct record) == KERNEL_RECORD_SIZE, "and so is a record's");

uint64_t kernel_blob_overhead(const struct cubby_runtime_identity *identity) {
    return sizeof(struct head) + strlen(identity->toolchain) + 1 + CHECKSUM_SIZE;
}

/* ---- Writing ----------------------------------------------------------------------------- */

static unsigned char *append(unsigned char *at, const void *data, size_t size) {
    memcpy(at, data, size);
    return at + size;
}

static unsigned char *append_kernel(unsigned char *at, const struct kernel *kernel) {
    const struct cubby_blob *entry = object_blob(kernel->object);
    const struct record record = {
        .used_ns = htole64(kernel->used_ns),
        .entry_size = htole64(cubby_blob_size(entry)),
        .kind = htole32((uint32_t)cubby_object_kind(kernel->object)),
        .key = kernel->key,
    };

    at = append(at, &record, sizeof(record));
    return append(at, cubby_blob_data(entry), cubby_blob_size(entry));
}

int kernel_blob_encode(const struct kernel_set *set, const struct cubby_runtime_identity *identity,
                       struct cubby_blob **ret_blob, struct cubby_error *error) {
    const uint64_t size = set->count > 0 ? kernel_blob_overhead(identity) + set->bytes : 0;
    const size_t toolchain_size = strlen(identity->toolchain) + 1;
    struct cubby_blob *blob =
        size <= SIZE_MAX && set->count <= UINT32_MAX ? cubby_blob_new(size) : NULL;
    struct head head = {
        .version = htole32(FORMAT_VERSION),
        .driver_version = htole32((uint32_t)identity->driver_version),
        .size = htole64(size),
        .count = htole32((uint32_t)set->count),
        .toolchain_size = htole32((uint32_t)toolchain_size),
    };
    unsigned char *start, *at;

    if (!blob)
        return error_no_memory(error);
    if (size > 0) {
        start = at = cubby_blob_writable(blob);
        memcpy(head.magic, MAGIC, sizeof(MAGIC));
        memcpy(head.arch, identity->arch, strlen(identity->arch));
        at = append(at, &head, sizeof(head));
        at = append(at, identity->toolchain, toolchain_size);
        for (size_t i = 0; i < set->count; i++)
            at = append_kernel(at, &set->kernels[i]);
        checksum_of(start, (size_t)(at - start), at);
    }
    *ret_blob = blob;
    return 0;
}

/* ---- Reading ----------------------------------------------------------------------------- */

static int corrupt(struct cubby_error *error, const char *what) {
    return error_set(error, CUBBY_ERR_CORRUPT, "the runtime cache is damaged: %s", what);
}

/* In every version: the magic, the checksum and the version are where they are. */
static int check_frame(const unsigned char *bytes, size_t size, bool verify,
                       struct cubby_error *error) {
    unsigned char checksum[CHECKSUM_SIZE];
    struct head head;

    if (memcmp(bytes, MAGIC, size < sizeof(MAGIC) ? size : sizeof(MAGIC)) != 0)
        return error_set(
            error, CUBBY_ERR_INVALID,
            "it is no runtime cache: its first bytes are others; choose another place");
    if (size < sizeof(head) + CHECKSUM_SIZE)
        return corrupt(error, "it is shorter than its head");
    if (verify) {
        checksum_of(bytes, size - CHECKSUM_SIZE, checksum);
        if (memcmp(checksum, bytes + size - CHECKSUM_SIZE, CHECKSUM_SIZE) != 0)
            return corrupt(error, "its checksum does not match");
    }
    memcpy(&head, bytes, sizeof(head));
    if (le32toh(head.version) != FORMAT_VERSION)
        return error_set(error, CUBBY_ERR_UNSUPPORTED,
                         "the runtime cache is in a form that this version of Cubby does not know "
                         "(version %u): it is left as it is; remove it, or choose another place",
                         le32toh(head.version));
    return 0;
}

int kernel_blob_check(const void *data, size_t size, bool verify,
                      struct cubby_runtime_identity *ret_identity, struct cubby_error *error) {
    const unsigned char *bytes = data;
    const struct head *head = data; /* packed, so that it may lie anywhere */
    const char *toolchain = (const char *)bytes + sizeof(*head);
    struct cubby_runtime_identity identity;
    int result = check_frame(bytes, size, verify, error);
    uint32_t toolchain_size;

    if (result < 0)
        return result;
    toolchain_size = le32toh(head->toolchain_size);
    if (le64toh(head->size) != size || toolchain_size == 0 ||
        toolchain_size > size - sizeof(*head) - CHECKSUM_SIZE)
        return corrupt(error, "its lengths do not add up");
    if (head->arch[ARCH_SIZE - 1] != '\0' ||
        strnlen(toolchain, toolchain_size) != toolchain_size - 1)
        return corrupt(error, "a text at its head has no end");
    identity = (struct cubby_runtime_identity){
        .arch = head->arch,
        .toolchain = toolchain,
        .driver_version = (int)le32toh(head->driver_version),
    };
    if (identity_check_any(&identity, NULL) < 0)
        return corrupt(error, "its head does not say for what it was made");
    *ret_identity = identity;
    return 0;
}

/* A walk through the kernels of a blob. */
struct walk {
    const unsigned char *at, *end;
    uint32_t left;
};

/* A kernel as it lies in a blob. */
struct item {
    enum cubby_entry_kind kind;
    struct cubby_key key;
    uint64_t used_ns;
    const unsigned char *entry;
    size_t size;
};

static struct walk walk_begin(const void *data, size_t size) {
    const struct head *head = data;
    const unsigned char *bytes = data;

    return (struct walk){bytes + sizeof(*head) + le32toh(head->toolchain_size),
                         bytes + size - CHECKSUM_SIZE, le32toh(head->count)};
}

/* Returns 0; NOT_FOUND at the end; CORRUPT. */
static int walk_next(struct walk *walk, struct item *ret_item, struct cubby_error *error) {
    const struct record *record = (const struct record *)walk->at;
    const size_t rest = (size_t)(walk->end - walk->at);
    uint64_t size = 0;

    if (walk->left == 0)
        return rest == 0 ? CUBBY_ERR_NOT_FOUND
                         : corrupt(error, "there is something behind its kernels");
    if (rest >= sizeof(*record))
        size = le64toh(record->entry_size);
    if (size == 0 || size > rest - sizeof(*record))
        return corrupt(error, "a kernel in it reaches beyond its end");
    *ret_item = (struct item){(enum cubby_entry_kind)le32toh(record->kind), record->key,
                              le64toh(record->used_ns), walk->at + sizeof(*record), (size_t)size};
    walk->at += sizeof(*record) + size;
    walk->left--;
    return 0;
}

/* A copy of its own. */
static int take_object(const struct item *item, bool verify, struct cubby_object **ret_object,
                       struct cubby_error *error) {
    struct cubby_blob *blob = cubby_blob_copy(item->entry, item->size);
    int result;

    if (!blob)
        return error_no_memory(error);
    result = object_from_blob(blob, item->kind, &item->key, verify, ret_object, error);
    cubby_blob_unref(blob);
    return result;
}

static int take_kernel(const struct item *item, bool verify, struct kernel_set *set,
                       struct cubby_error *error) {
    struct cubby_object *object = NULL;
    int result;

    if (!kernel_kind_is_kept(item->kind))
        return corrupt(error, "a kernel in it is of no kind that can be one");
    result = take_object(item, verify, &object, error);
    if (result == 0 && kernel_set_put(set, &item->key, object, item->used_ns) < 0)
        result = error_no_memory(error);
    cubby_object_unref(object);
    return result;
}

int kernel_blob_kernels(const void *data, size_t size, bool verify, struct kernel_set *set,
                        struct cubby_error *error) {
    struct walk walk = walk_begin(data, size);
    struct item item;
    int result;

    while ((result = walk_next(&walk, &item, error)) == 0) {
        result = take_kernel(&item, verify, set, error);
        if (result < 0)
            break;
    }
    if (result == CUBBY_ERR_NOT_FOUND)
        return 0;
    kernel_set_free(set);
    return result;
}

int kernel_blob_find(const void *data, size_t size, enum cubby_entry_kind kind,
                     const struct cubby_key *key, struct cubby_object **ret_object) {
    struct walk walk = walk_begin(data, size);
    struct item item;
    int result = CUBBY_ERR_NOT_FOUND;

    while (walk_next(&walk, &item, NULL) == 0) {
        if (item.kind != kind || memcmp(&item.key, key, sizeof(*key)) != 0)
            continue;
        result = take_object(&item, true, ret_object, NULL);
        break;
    }
    return result == 0 || result == CUBBY_ERR_NO_MEMORY ? result : CUBBY_ERR_NOT_FOUND;
}
