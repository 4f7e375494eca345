/* SPDX-License-Identifier: Apache-2.0 */
/* An archive of entries, of which nothing is believed. */
#include "cache/state.h"
#include "maintain/libarchive.h"
#include "maintain/sound.h"
#include "util/error.h"

#ifdef HAVE_LIBARCHIVE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/buffer.h"

#define CHUNK (64u * 1024)

struct reader {
    const struct libarchive *lib;
    struct archive *archive;
    char *block; /* what was read last */
    char *chunk; /* a part of a member */
    int fd;
    int failed;                   /* errno of a read that failed */
    bool ended;                   /* the bytes came to their end, not only the archive */
    struct archive_entry *header; /* of the member that is read */
};

struct import {
    struct cubby_cache *cache;
    struct reader reader;
    cubby_refusal_visitor visit;
    void *context;
    struct cubby_import_result result;
};

/* ---- The archive ------------------------------------------------------------------------- */

static la_ssize_t read_block(struct archive *archive, void *context, const void **ret_data) {
    struct reader *reader = context;
    ssize_t size;

    while ((size = read(reader->fd, reader->block, CHUNK)) < 0 && errno == EINTR)
        ;
    if (size < 0) {
        reader->failed = errno;
        reader->lib->archive_set_error(archive, errno, "%s", strerror(errno));
        return -1;
    }
    reader->ended = size == 0;
    *ret_data = reader->block;
    return size;
}

static int fail(const struct reader *reader, struct cubby_error *error) {
    const char *reason = reader->lib->archive_error_string(reader->archive);

    if (reader->failed)
        return error_set_errno(error, reader->failed, "cannot read the archive");
    if (!reason || reader->lib->archive_errno(reader->archive) == ENOMEM)
        return error_no_memory(error); /* some of what had no memory gives no reason */
    return error_set(error, CUBBY_ERR_CORRUPT,
                     "the archive is damaged or none: %s; expected a tar archive that was exported "
                     "by Cubby and is not compressed",
                     reason);
}

/* archive_read_open() does the same, but goes on where there was no memory for the second, and
 * crashes. */
static int start_reading(struct reader *reader) {
    const struct libarchive *lib = reader->lib;
    int code = lib->archive_read_set_read_callback(reader->archive, read_block);

    if (code == ARCHIVE_OK)
        code = lib->archive_read_set_callback_data(reader->archive, reader);
    return code == ARCHIVE_OK ? lib->archive_read_open1(reader->archive) : code;
}

static int open_reader(struct reader *reader, int fd, struct cubby_error *error) {
    int result = libarchive_load(&reader->lib, error);

    if (result < 0)
        return result;
    reader->fd = fd;
    reader->block = malloc(CHUNK);
    reader->chunk = malloc(CHUNK);
    reader->archive = reader->lib->archive_read_new();
    reader->header =
        reader->lib->archive_entry_new(); /* libarchive does not look whether it got its own */
    if (!reader->archive || !reader->header || !reader->block || !reader->chunk)
        return error_no_memory(error);
    if (reader->lib->archive_read_support_format_tar(reader->archive) != ARCHIVE_OK ||
        start_reading(reader) != ARCHIVE_OK)
        return fail(reader, error);
    return 0;
}

static void close_reader(struct reader *reader) {
    if (reader->archive)
        reader->lib->archive_read_free(reader->archive);
    if (reader->header)
        reader->lib->archive_entry_free(reader->header);
    free(reader->block);
    free(reader->chunk);
}

/* ---- One member -------------------------------------------------------------------------- */

/* A member as it claims to be. */
struct member {
    struct archive_entry *header;
    const char *name;
    enum cubby_entry_kind kind;
    struct cubby_key key;
};

static int refuse(struct import *import, const struct member *member, const char *reason) {
    import->result.refused++;
    if (import->visit)
        import->visit(member->name, reason, import->context);
    return 0;
}

/* Reads "KIND/KEY"; nothing else is a name, and none of these leads anywhere. */
static bool parse_name(struct member *member) {
    const char *slash = strchr(member->name, '/');
    size_t length = slash ? (size_t)(slash - member->name) : 0;

    if (!slash || strspn(slash + 1, "0123456789abcdef") != 2 * CUBBY_KEY_SIZE ||
        cubby_key_parse(slash + 1, &member->key, NULL) < 0)
        return false;
    for (int kind = 0; kind < CUBBY_ENTRY_KINDS; kind++) {
        const char *name = cubby_entry_kind_name((enum cubby_entry_kind)kind);

        if (strlen(name) == length && memcmp(name, member->name, length) == 0) {
            member->kind = (enum cubby_entry_kind)kind;
            return true;
        }
    }
    return false;
}

/* Why a member is refused by its header alone; NULL where it is not. */
static const char *find_fault(const struct libarchive *lib, struct member *member) {
    struct archive_entry *header = member->header;

    if (lib->archive_entry_hardlink(header) || lib->archive_entry_filetype(header) != AE_IFREG)
        return "it is not a regular file";
    if (!parse_name(member))
        return "its name is not of the form KIND/KEY with a known kind and 64 hexadecimal digits";
    if (member->kind == CUBBY_ENTRY_TOOLCHAIN)
        return "it remembers a toolchain, which is of one machine";
    if (lib->archive_entry_sparse_count(header) > 0)
        return "it is a sparse file";
    if (lib->archive_entry_size(header) < 0 ||
        (uint64_t)lib->archive_entry_size(header) > CUBBY_ENTRY_MAX_SIZE)
        return "it is larger than 1 GiB";
    return NULL;
}

/* The bytes of a member as a new blob. Memory grows with what really comes, whatever the header
 * promised. */
static int read_member(struct reader *reader, struct cubby_blob **ret_blob,
                       struct cubby_error *error) {
    struct buffer bytes = BUFFER_INIT;
    struct cubby_blob *blob = NULL;
    la_ssize_t size;

    while ((size = reader->lib->archive_read_data(reader->archive, reader->chunk, CHUNK)) > 0 &&
           !bytes.failed && bytes.size <= CUBBY_ENTRY_MAX_SIZE)
        buffer_add(&bytes, reader->chunk, (size_t)size);
    if (size == 0 && !bytes.failed)
        blob = cubby_blob_copy(bytes.data, bytes.size);
    buffer_free(&bytes);
    if (size < 0)
        return fail(reader, error);
    if (!blob)
        return error_no_memory(error);
    *ret_blob = blob;
    return 0;
}

/* ---- Into the tiers ---------------------------------------------------------------------- */

static bool has_sound(const struct cubby_cache *cache, size_t tier, const struct member *member) {
    struct cubby_object *object = NULL;
    bool sound = sound_peek(cache, tier, member->kind, &member->key, &object, NULL, NULL) == 0;

    cubby_object_unref(object);
    return sound;
}

/* Memory takes an entry when it is used; it is asked only where there is nothing else. */
static bool is_passed_over(const struct cubby_cache *cache, const struct cubby_backend *tier) {
    for (size_t i = 0; i < cache->tier_count; i++) {
        if (!(cache->tiers[i]->ops->flags & CUBBY_BACKEND_IN_PROCESS))
            return tier->ops->flags & CUBBY_BACKEND_IN_PROCESS;
    }
    return false;
}

/* To sign what anybody could have made would take the sense from the signature. */
static bool may_sign(const struct cubby_cache *cache, size_t tier, const struct cubby_blob *blob) {
    const struct mac_key *secret = cache->forms[tier].secret;

    return !secret || entry_check_mac(blob, secret, NULL) == 0;
}

static int store(struct import *import, const struct member *member, struct cubby_blob *blob,
                 struct cubby_error *error) {
    struct cubby_cache *cache = import->cache;
    bool stored = false, present = false, unsigned_here = false;

    for (size_t i = 0; i < cache->tier_count; i++) {
        struct cubby_backend *tier = cache->tiers[i];
        struct cubby_error problem = CUBBY_ERROR_INIT;
        int result = 1;

        if (is_passed_over(cache, tier))
            continue;
        if (has_sound(cache, i, member))
            present = true;
        else if (!may_sign(cache, i, blob))
            unsigned_here = true;
        else
            result = cache_put_into(cache, i, member->kind, &member->key, blob, &problem);
        stored = stored || result == 0;
        if (result < 0 && result != CUBBY_ERR_UNSUPPORTED) {
            error_move(error, &problem);
            return CUBBY_ERR_IO;
        }
        cubby_error_clear(&problem);
    }
    if (!stored && !present && unsigned_here)
        return refuse(import, member, "it is not signed with the store's secret");
    if (!stored && !present)
        return error_set(error, CUBBY_ERR_IO,
                         "no store can take the entries: expected one that may be written");
    import->result.entries += stored;
    import->result.bytes += stored ? cubby_blob_size(blob) : 0;
    import->result.present += !stored;
    return 0;
}

static int import_member(struct import *import, struct member *member, struct cubby_error *error) {
    const struct libarchive *lib = import->reader.lib;
    struct cubby_error problem = CUBBY_ERROR_INIT;
    struct cubby_object *object = NULL;
    struct cubby_blob *blob = NULL;
    const char *name = lib->archive_entry_pathname(member->header), *fault;
    int result;

    member->name = name ? name : "";
    if (lib->archive_entry_filetype(member->header) == AE_IFDIR)
        return 0; /* tar adds those on its own */
    fault = find_fault(lib, member);
    if (fault)
        return refuse(import, member, fault);
    result = read_member(&import->reader, &blob, error);
    if (result < 0)
        return result;
    result = sound_open(blob, member->kind, &member->key, NULL, &object, &problem);
    if (result == 0)
        result = store(import, member, blob, error);
    else if (result == CUBBY_ERR_CORRUPT || result == CUBBY_ERR_UNSUPPORTED)
        result = refuse(import, member, problem.message);
    else
        error_move(error, &problem);
    cubby_error_clear(&problem);
    cubby_object_unref(object);
    cubby_blob_unref(blob);
    return result;
}

static int import_all(struct import *import, struct cubby_error *error) {
    struct reader *reader = &import->reader;
    int result = 0;

    while (result == 0) {
        struct member member = {.header = reader->header};
        int code = reader->lib->archive_read_next_header2(reader->archive, reader->header);

        if (code == ARCHIVE_EOF && reader->ended)
            return error_set(error, CUBBY_ERR_CORRUPT,
                             "the archive is cut short: its end is missing; what came before was "
                             "imported");
        if (code == ARCHIVE_EOF)
            return 0;
        if (code != ARCHIVE_OK && code != ARCHIVE_WARN)
            return fail(reader, error);
        result = import_member(import, &member, error);
    }
    return result;
}

int cubby_cache_import(struct cubby_cache *cache, int fd, cubby_refusal_visitor visit,
                       void *context, struct cubby_import_result *ret_result,
                       struct cubby_error *error) {
    struct import import = {.cache = cache, .visit = visit, .context = context};
    int result = open_reader(&import.reader, fd, error);

    if (result == 0)
        result = import_all(&import, error);
    close_reader(&import.reader);
    if (ret_result)
        *ret_result = import.result;
    return result;
}
#else
int cubby_cache_import(struct cubby_cache *cache, int fd, cubby_refusal_visitor visit,
                       void *context, struct cubby_import_result *ret_result,
                       struct cubby_error *error) {
    const struct libarchive *library;

    (void)cache;
    (void)fd;
    (void)visit;
    (void)context;
    if (ret_result)
        *ret_result = (struct cubby_import_result){0};
    return libarchive_load(&library, error);
}
#endif
