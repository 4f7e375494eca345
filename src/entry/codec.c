/* SPDX-License-Identifier: Apache-2.0 */
#include "entry/codec.h"

#include "util/error.h"

#ifdef HAVE_ZSTD
#include <zstd.h>
#include <zstd_errors.h>

/* The densest frame is of blocks that repeat one byte: each has 4 bytes and stands for 128 KiB. */
#define BLOCK_STORED 4
#define BLOCK_SIZE ((uint64_t)128 << 10)

bool codec_is_there(void) {
    return true;
}

size_t codec_compress(int level, const void *payload, size_t size, void *room, size_t room_size) {
    size_t stored;

    if (size > CODEC_LIMIT)
        return 0;
    stored = ZSTD_compress(room, room_size, payload, size, level);
    return ZSTD_isError(stored) ? 0 : stored;
}

int codec_check(const void *stored, size_t stored_size, uint64_t size, struct cubby_error *error) {
    if (size > CODEC_LIMIT)
        return error_set(
            error, CUBBY_ERR_CORRUPT,
            "the stored entry is damaged: it claims %llu bytes once decompressed, more "
            "than the %llu of the longest that is compressed",
            (unsigned long long)size, (unsigned long long)CODEC_LIMIT);
    if (size / BLOCK_SIZE > stored_size / BLOCK_STORED ||
        ZSTD_getFrameContentSize(stored, stored_size) != size)
        return error_set(error, CUBBY_ERR_CORRUPT,
                         "the stored entry is damaged: its compressed bytes are not those of the "
                         "%llu bytes that it claims",
                         (unsigned long long)size);
    return 0;
}

int codec_decompress(const void *stored, size_t stored_size, void *payload, size_t size,
                     struct cubby_error *error) {
    size_t got = ZSTD_decompress(payload, size, stored, stored_size);

    if (ZSTD_isError(got) && ZSTD_getErrorCode(got) == ZSTD_error_memory_allocation)
        return error_no_memory(error);
    if (ZSTD_isError(got))
        return error_set(error, CUBBY_ERR_CORRUPT,
                         "the stored entry is damaged: it cannot be decompressed: %s",
                         ZSTD_getErrorName(got));
    if (got != size)
        return error_set(
            error, CUBBY_ERR_CORRUPT,
            "the stored entry is damaged: it has %zu bytes once decompressed instead of "
            "%zu",
            got, size);
    return 0;
}

#else

bool codec_is_there(void) {
    return false;
}

size_t codec_compress(int level, const void *payload, size_t size, void *room, size_t room_size) {
    return 0;
}

static int no_codec(struct cubby_error *error) {
    return error_set(
        error, CUBBY_ERR_UNSUPPORTED,
        "an entry is compressed with zstd, which this build of Cubby cannot read: it is "
        "left as it is; build without --without-zstd");
}

int codec_check(const void *stored, size_t stored_size, uint64_t size, struct cubby_error *error) {
    return no_codec(error);
}

int codec_decompress(const void *stored, size_t stored_size, void *payload, size_t size,
                     struct cubby_error *error) {
    return no_codec(error);
}

#endif
