/* SPDX-License-Identifier: Apache-2.0 */
#include "entry/entry.h"

#include <endian.h>
#include <string.h>
#include <xxhash.h>
#ifdef HAVE_XXH_DISPATCH
#include <xxh_x86dispatch.h> /* makes XXH3_128bits choose by the processor: the sums are the same */
#endif

#include "util/error.h"

#define FORMAT_VERSION 1
#define CODEC_NONE 0

static const unsigned char MAGIC[8] = {'C', 'U', 'B', 'B', 'Y', '\r', '\n', 0x1a};

/* The trailer as it lies in the blob, byte for byte. */
struct trailer {
    unsigned char magic[8];
    uint16_t version;
    uint8_t kind;
    uint8_t codec;
    uint32_t zero;
    uint64_t stored_size;
    uint64_t payload_size;
    uint64_t meta_size;
    struct cubby_key key;
    unsigned char checksum[16];
} __attribute__((packed));

_Static_assert(sizeof(struct trailer) == 88, "the trailer's size is part of the format");
_Static_assert(sizeof(XXH128_canonical_t) == 16, "XXH3-128 fills the checksum");

/* The checksum covers all of the entry but itself. */
static void entry_checksum(const unsigned char *bytes, size_t size, unsigned char ret_sum[16]) {
    XXH128_hash_t hash = XXH3_128bits(bytes, size - sizeof(XXH128_canonical_t));
    XXH128_canonical_t canonical;

    XXH128_canonicalFromHash(&canonical, hash);
    memcpy(ret_sum, &canonical, sizeof(canonical));
}

int entry_encode(enum cubby_entry_kind kind, const struct cubby_key *key, const void *payload,
                 size_t payload_size, const void *meta, size_t meta_size,
                 struct cubby_blob **ret_blob, struct cubby_error *error) {
    struct trailer trailer = {
        .version = htole16(FORMAT_VERSION),
        .kind = (uint8_t)kind,
        .codec = CODEC_NONE,
        .stored_size = htole64(payload_size),
        .payload_size = htole64(payload_size),
        .meta_size = htole64(meta_size),
        .key = *key,
    };
    struct cubby_blob *blob;
    unsigned char *bytes;
    size_t size;

    if (__builtin_add_overflow(payload_size, meta_size, &size) ||
        __builtin_add_overflow(size, sizeof(trailer), &size))
        return error_no_memory(error);
    blob = cubby_blob_new(size);
    if (!blob)
        return error_no_memory(error);

    memcpy(trailer.magic, MAGIC, sizeof(MAGIC));
    bytes = cubby_blob_writable(blob);
    if (payload_size > 0)
        memcpy(bytes, payload, payload_size);
    if (meta_size > 0)
        memcpy(bytes + payload_size, meta, meta_size);
    memcpy(bytes + payload_size + meta_size, &trailer, sizeof(trailer));
    entry_checksum(bytes, size, bytes + size - sizeof(trailer.checksum));
    *ret_blob = blob;
    return 0;
}

static int corrupt(struct cubby_error *error, const char *what) {
    return error_set(error, CUBBY_ERR_CORRUPT, "the stored entry is damaged: %s", what);
}

int entry_parse(const struct cubby_blob *blob, enum cubby_entry_kind kind,
                const struct cubby_key *key, bool verify, struct entry_view *ret_view,
                struct cubby_error *error) {
    const unsigned char *bytes = cubby_blob_data(blob);
    size_t size = cubby_blob_size(blob);
    unsigned char checksum[sizeof(((struct trailer *)0)->checksum)];
    struct trailer trailer;
    uint64_t stored_size, meta_size, room;

    if (size < sizeof(trailer))
        return corrupt(error, "it is shorter than its trailer");
    room = size - sizeof(trailer);
    memcpy(&trailer, bytes + room, sizeof(trailer));
    if (memcmp(trailer.magic, MAGIC, sizeof(MAGIC)) != 0)
        return corrupt(error, "its trailer has no magic number");
    if (le16toh(trailer.version) != FORMAT_VERSION || trailer.codec != CODEC_NONE)
        return corrupt(error, "its format is not known to this version");
    if (trailer.kind != kind || memcmp(&trailer.key, key, sizeof(*key)) != 0)
        return corrupt(error, "it belongs to another key");

    stored_size = le64toh(trailer.stored_size);
    meta_size = le64toh(trailer.meta_size);
    if (stored_size > room || meta_size != room - stored_size ||
        le64toh(trailer.payload_size) != stored_size)
        return corrupt(error, "its lengths do not add up");
    if (verify) {
        entry_checksum(bytes, size, checksum);
        if (memcmp(checksum, trailer.checksum, sizeof(checksum)) != 0)
            return corrupt(error, "its checksum does not match");
    }

    *ret_view = (struct entry_view){
        .kind = kind,
        .payload = bytes,
        .payload_size = (size_t)stored_size,
        .meta = bytes + stored_size,
        .meta_size = (size_t)meta_size,
    };
    return 0;
}
