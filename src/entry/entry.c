/* SPDX-License-Identifier: Apache-2.0 */
#include "entry/entry.h"

#include <endian.h>
#include <stddef.h>
#include <string.h>

#include "entry/checksum.h"
#include "util/error.h"

#define FORMAT_VERSION 1
#define FLAG_MAC 1u

static const unsigned char MAGIC[8] = {'C', 'U', 'B', 'B', 'Y', '\r', '\n', 0x1a};

/* The trailer as it lies in the blob, byte for byte. */
struct trailer {
    unsigned char magic[8];
    uint16_t version;
    uint8_t kind;
    uint8_t codec;
    uint32_t flags;
    uint64_t stored_size;
    uint64_t payload_size;
    uint64_t meta_size;
    struct cubby_key key;
    unsigned char checksum[CHECKSUM_SIZE];
} __attribute__((packed));

_Static_assert(sizeof(struct trailer) == 88, "the trailer's size is part of the format");

/* The checksum covers all of the entry but itself. */
static void entry_checksum(const unsigned char *bytes, size_t size,
                           unsigned char ret_sum[CHECKSUM_SIZE]) {
    checksum_of(bytes, size - CHECKSUM_SIZE, ret_sum);
}

int entry_begin(const struct entry_parts *parts, struct cubby_blob **ret_blob,
                struct cubby_error *error) {
    size_t rest = sizeof(struct trailer) + (parts->secret ? MAC_SIZE : 0), size;
    struct cubby_blob *blob;

    if (__builtin_add_overflow(parts->stored_size, parts->meta_size, &size) ||
        __builtin_add_overflow(size, rest, &size))
        return error_no_memory(error);
    blob = cubby_blob_new(size);
    if (!blob)
        return error_no_memory(error);
    *ret_blob = blob;
    return 0;
}

void entry_seal(struct cubby_blob *blob, const struct entry_parts *parts) {
    struct trailer trailer = {
        .version = htole16(FORMAT_VERSION),
        .kind = (uint8_t)parts->kind,
        .codec = (uint8_t)parts->codec,
        .flags = htole32(parts->secret ? FLAG_MAC : 0),
        .stored_size = htole64(parts->stored_size),
        .payload_size = htole64(parts->payload_size),
        .meta_size = htole64(parts->meta_size),
        .key = *parts->key,
    };
    unsigned char *bytes = cubby_blob_writable(blob), *at = bytes + parts->stored_size;
    size_t size;

    memcpy(trailer.magic, MAGIC, sizeof(MAGIC));
    if (parts->meta_size > 0)
        memcpy(at, parts->meta, parts->meta_size);
    at += parts->meta_size;
    if (parts->secret) {
        mac_compute(parts->secret, bytes, (size_t)(at - bytes), &trailer,
                    offsetof(struct trailer, checksum), at);
        at += MAC_SIZE;
    }
    memcpy(at, &trailer, sizeof(trailer));
    size = (size_t)(at - bytes) + sizeof(trailer);
    entry_checksum(bytes, size, bytes + size - sizeof(trailer.checksum));
    cubby_blob_truncate(blob, size);
}

int entry_encode(enum cubby_entry_kind kind, const struct cubby_key *key, const void *payload,
                 size_t payload_size, const void *meta, size_t meta_size,
                 struct cubby_blob **ret_blob, struct cubby_error *error) {
    const struct entry_parts parts = {
        .kind = kind,
        .key = key,
        .codec = ENTRY_RAW,
        .stored_size = payload_size,
        .payload_size = payload_size,
        .meta = meta,
        .meta_size = meta_size,
    };
    int result = entry_begin(&parts, ret_blob, error);

    if (result < 0)
        return result;
    if (payload_size > 0)
        memcpy(cubby_blob_writable(*ret_blob), payload, payload_size);
    entry_seal(*ret_blob, &parts);
    return 0;
}

static int corrupt(struct cubby_error *error, const char *what) {
    return error_set(error, CUBBY_ERR_CORRUPT, "the stored entry is damaged: %s", what);
}

/* Of a blob that is long enough; packed, so that it may lie anywhere. */
static const struct trailer *trailer_of(const struct cubby_blob *blob) {
    const unsigned char *bytes = cubby_blob_data(blob);

    return (const struct trailer *)(bytes + cubby_blob_size(blob) - sizeof(struct trailer));
}

/* Whole, but by another hand: a newer version may still have a use for it. */
static int check_form(const struct trailer *trailer, struct cubby_error *error) {
    if (le16toh(trailer->version) == FORMAT_VERSION && trailer->codec <= ENTRY_ZSTD &&
        (le32toh(trailer->flags) & ~FLAG_MAC) == 0)
        return 0;
    return error_set(error, CUBBY_ERR_UNSUPPORTED,
                     "an entry is in a form that this version of Cubby does not know (version %u, "
                     "codec %u): it is left as it is",
                     le16toh(trailer->version), trailer->codec);
}

int entry_parse(const struct cubby_blob *blob, enum cubby_entry_kind kind,
                const struct cubby_key *key, bool verify, struct entry_view *ret_view,
                struct cubby_error *error) {
    const unsigned char *bytes = cubby_blob_data(blob);
    size_t size = cubby_blob_size(blob);
    unsigned char checksum[CHECKSUM_SIZE];
    uint64_t stored_size, payload_size, meta_size, room, mac_size;
    const struct trailer *trailer;
    int result;

    if (size < sizeof(*trailer))
        return corrupt(error, "it is shorter than its trailer");
    room = size - sizeof(*trailer);
    trailer = trailer_of(blob);
    if (memcmp(trailer->magic, MAGIC, sizeof(MAGIC)) != 0)
        return corrupt(error, "its trailer has no magic number");
    if (verify) {
        entry_checksum(bytes, size, checksum);
        if (memcmp(checksum, trailer->checksum, sizeof(checksum)) != 0)
            return corrupt(error, "its checksum does not match");
    }
    result = check_form(trailer, error);
    if (result < 0)
        return result;
    if (trailer->kind != kind || memcmp(&trailer->key, key, sizeof(*key)) != 0)
        return corrupt(error, "it belongs to another key");

    stored_size = le64toh(trailer->stored_size);
    payload_size = le64toh(trailer->payload_size);
    meta_size = le64toh(trailer->meta_size);
    mac_size = trailer->flags ? MAC_SIZE : 0;
    if (mac_size > room || stored_size > room - mac_size ||
        meta_size != room - mac_size - stored_size || payload_size > SIZE_MAX ||
        (trailer->codec == ENTRY_RAW && payload_size != stored_size))
        return corrupt(error, "its lengths do not add up");

    *ret_view = (struct entry_view){
        .kind = kind,
        .codec = (enum entry_codec)trailer->codec,
        .payload = bytes,
        .stored_size = (size_t)stored_size,
        .payload_size = (size_t)payload_size,
        .meta = bytes + stored_size,
        .meta_size = (size_t)meta_size,
    };
    return 0;
}

int entry_check_mac(const struct cubby_blob *blob, const struct mac_key *secret,
                    struct cubby_error *error) {
    const unsigned char *bytes = cubby_blob_data(blob), *stored;
    unsigned char mac[MAC_SIZE];
    const struct trailer *trailer = trailer_of(blob);

    if (!trailer->flags)
        return error_set(
            error, CUBBY_ERR_INVALID,
            "an entry has no MAC: it was stored without the secret of secret_file, and "
            "is not used");
    stored = bytes + cubby_blob_size(blob) - sizeof(*trailer) - sizeof(mac);
    mac_compute(secret, bytes, (size_t)(stored - bytes), trailer,
                offsetof(struct trailer, checksum), mac);
    if (!mac_equal(mac, stored))
        return error_set(
            error, CUBBY_ERR_INVALID,
            "the MAC of an entry does not match: it was stored with another secret than "
            "that of secret_file, and is not used");
    return 0;
}
