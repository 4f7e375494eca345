/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed payloads. A build without zstd has the same functions and can do neither. */
#ifndef CUBBY_ENTRY_CODEC_H
#define CUBBY_ENTRY_CODEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CODEC_LEVEL_DEFAULT 3
#define CODEC_LEVEL_MAX 19

/* A payload longer than this is kept as it is: what an entry says of itself must not make its
 * reader allocate without bound. In bytes. */
#define CODEC_LIMIT ((uint64_t)256 << 20)

struct cubby_error;

/* True if this build has a codec. */
bool codec_is_there(void);

/*
 * Compresses into the room, whose size is less than the payload's. Returns the number of bytes, or
 * 0 where it does not fit, is longer than CODEC_LIMIT, memory is short or the build has no codec:
 * the payload is then kept as it is.
 */
size_t codec_compress(int level, const void *payload, size_t size, void *room, size_t room_size);

/*
 * Holds what an entry says of its payload against what is stored, before anything is allocated for
 * it. Returns 0, CORRUPT where so much cannot come of so little, or UNSUPPORTED where this build
 * has no codec.
 */
int codec_check(const void *stored, size_t stored_size, uint64_t size, struct cubby_error *error);

/* Decompresses exactly so many bytes. Returns 0, CORRUPT, NO_MEMORY or UNSUPPORTED. */
int codec_decompress(const void *stored, size_t stored_size, void *payload, size_t size,
                     struct cubby_error *error);

#endif
