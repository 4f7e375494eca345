/* SPDX-License-Identifier: Apache-2.0 */
/* Entries as a tar archive that depends on nothing but them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/state.h"
#include "maintain/libarchive.h"
#include "maintain/sound.h"
#include "os/fd.h"
#include "util/error.h"

/* ---- What there is ----------------------------------------------------------------------- */

struct name {
    struct cubby_key key;
    enum cubby_entry_kind kind;
};

struct names_of_entries {
    struct name *items;
    size_t count, capacity;
};

static int add_name(const struct cubby_entry_info *info, void *context) {
    struct names_of_entries *names = context;

    if (info->kind == CUBBY_ENTRY_TOOLCHAIN || cache_check_kind(info->kind, NULL) < 0)
        return 0;
    if (names->count == names->capacity) {
        size_t capacity = names->capacity ? 2 * names->capacity : 256;
        struct name *grown = realloc(names->items, capacity * sizeof(*grown));

        if (!grown)
            return CUBBY_ERR_NO_MEMORY;
        names->items = grown;
        names->capacity = capacity;
    }
    names->items[names->count++] = (struct name){info->key, info->kind};
    return 0;
}

static int compare_names(const void *left, const void *right) {
    const struct name *a = left, *b = right;
    int order = memcmp(&a->key, &b->key, sizeof(a->key));

    return order ? order : (a->kind > b->kind) - (a->kind < b->kind);
}

/* The names of all tiers, sorted; one that several tiers have is there several times. */
static int collect(const struct cubby_cache *cache, struct names_of_entries *names,
                   struct cubby_error *error) {
    for (size_t i = 0; i < cache->tier_count; i++) {
        struct cubby_backend *tier = cache->tiers[i];
        int result = tier->ops->iterate(tier, add_name, names, error);

        if (result == CUBBY_ERR_NO_MEMORY)
            return error_no_memory(error);
        if (result < 0)
            return result;
    }
    if (names->count > 0)
        qsort(names->items, names->count, sizeof(*names->items), compare_names);
    return 0;
}

/* ---- The archive ------------------------------------------------------------------------- */

#ifdef HAVE_LIBARCHIVE
#include <errno.h>

#include "object.h"

struct writer {
    const struct libarchive *lib;
    struct archive *archive;
    struct archive_entry *header;
    int fd;
    int failed; /* errno of the first write that failed */
};

static la_ssize_t write_block(struct archive *archive, void *context, const void *data,
                              size_t size) {
    struct writer *writer = context;

    if (fd_write_full(writer->fd, data, size) == 0)
        return (la_ssize_t)size;
    writer->failed = errno;
    writer->lib->archive_set_error(archive, errno, "%s", strerror(errno));
    return -1;
}

static int fail(const struct writer *writer, struct cubby_error *error) {
    int errnum = writer->failed ? writer->failed : writer->lib->archive_errno(writer->archive);
    const char *reason = writer->lib->archive_error_string(writer->archive);

    if (errnum > 0)
        return error_set_errno(error, errnum, "cannot write the archive");
    if (!reason) /* not even that could be noted */
        return error_no_memory(error);
    return error_set(error, CUBBY_ERR_IO, "cannot write the archive: %s", reason);
}

static int open_writer(struct writer *writer, int fd, struct cubby_error *error) {
    int result = libarchive_load(&writer->lib, error);

    if (result < 0)
        return result;
    writer->fd = fd;
    writer->archive = writer->lib->archive_write_new();
    writer->header = writer->lib->archive_entry_new();
    if (!writer->archive || !writer->header)
        return error_no_memory(error);
    if (writer->lib->archive_write_set_format_ustar(writer->archive) != ARCHIVE_OK ||
        writer->lib->archive_write_open(writer->archive, writer, NULL, write_block, NULL) !=
            ARCHIVE_OK)
        return fail(writer, error);
    return 0;
}

static void close_writer(struct writer *writer) {
    if (writer->archive)
        writer->lib->archive_write_free(writer->archive);
    if (writer->header)
        writer->lib->archive_entry_free(writer->header);
}

static int write_member(struct writer *writer, const struct name *name,
                        const struct cubby_object *object, const struct cubby_blob *blob,
                        struct cubby_error *error) {
    const struct libarchive *lib = writer->lib;
    size_t size = cubby_blob_size(blob);
    struct cubby_object_info info;
    char hex[CUBBY_KEY_HEX_SIZE], path[CUBBY_KEY_HEX_SIZE + 16];

    cubby_object_info(object, &info);
    cubby_key_format(&name->key, hex);
    snprintf(path, sizeof(path), "%s/%s", cubby_entry_kind_name(name->kind), hex);
    lib->archive_entry_clear(writer->header);
    lib->archive_entry_set_pathname(writer->header, path);
    lib->archive_entry_set_filetype(writer->header, AE_IFREG);
    lib->archive_entry_set_perm(writer->header, 0644);
    lib->archive_entry_set_size(writer->header, (la_int64_t)size);
    lib->archive_entry_set_mtime(writer->header, (time_t)info.created_at, 0);
    if (lib->archive_write_header(writer->archive, writer->header) != ARCHIVE_OK ||
        lib->archive_write_data(writer->archive, cubby_blob_data(blob), size) != (la_ssize_t)size)
        return fail(writer, error);
    return 0;
}

/* ---- All of it --------------------------------------------------------------------------- */

/* Says that a tier has no copy that could be exported, but the next one may. */
static bool is_no_use(int result) {
    return result == CUBBY_ERR_NOT_FOUND || result == CUBBY_ERR_CORRUPT ||
           result == CUBBY_ERR_INVALID || result == CUBBY_ERR_UNSUPPORTED;
}

/* The first good copy that a tier has, as a new object. */
static int find_entry(const struct cubby_cache *cache, const struct name *name,
                      struct cubby_object **ret_object, size_t *ret_tier, bool *ret_damaged,
                      struct cubby_error *error) {
    for (size_t i = 0; i < cache->tier_count; i++) {
        struct cubby_error problem = CUBBY_ERROR_INIT;
        int result = sound_peek(cache, i, name->kind, &name->key, ret_object, NULL, &problem);

        if (result < 0 && !is_no_use(result)) {
            error_move(error, &problem);
            return result;
        }
        cubby_error_clear(&problem);
        *ret_damaged = *ret_damaged || (result < 0 && result != CUBBY_ERR_NOT_FOUND);
        *ret_tier = i;
        if (result == 0)
            return 0;
    }
    return CUBBY_ERR_NOT_FOUND;
}

/* The entry as an archive has it: its payload as it is, and signed if its tier's entries are. */
static int write_object(const struct cubby_cache *cache, struct writer *writer, size_t tier,
                        const struct name *name, const struct cubby_object *object,
                        struct cubby_export_result *sums, struct cubby_error *error) {
    const struct entry_form form = {.secret = cache->forms[tier].secret};
    struct cubby_blob *blob;
    int result = entry_reform(object_blob(object), name->kind, &name->key, &form, &blob, error);

    if (result < 0)
        return result;
    result = write_member(writer, name, object, blob, error);
    if (result == 0) {
        sums->entries++;
        sums->bytes += cubby_blob_size(blob);
    }
    cubby_blob_unref(blob);
    return result;
}

static int export_entry(const struct cubby_cache *cache, struct writer *writer,
                        const struct name *name, struct cubby_export_result *sums,
                        struct cubby_error *error) {
    struct cubby_object *object = NULL;
    bool damaged = false;
    size_t tier = 0;
    int result = find_entry(cache, name, &object, &tier, &damaged, error);

    if (result == CUBBY_ERR_NOT_FOUND) { /* gone meanwhile, or of no use */
        sums->damaged += damaged;
        return 0;
    }
    if (result < 0)
        return result;
    result = write_object(cache, writer, tier, name, object, sums, error);
    cubby_object_unref(object);
    return result;
}

static int write_all(const struct cubby_cache *cache, const struct names_of_entries *names, int fd,
                     struct cubby_export_result *sums, struct cubby_error *error) {
    struct writer writer = {0};
    int result = open_writer(&writer, fd, error);

    for (size_t i = 0; i < names->count && result == 0; i++) {
        if (i == 0 || compare_names(&names->items[i - 1], &names->items[i]) != 0)
            result = export_entry(cache, &writer, &names->items[i], sums, error);
    }
    if (result == 0 && writer.lib->archive_write_close(writer.archive) != ARCHIVE_OK)
        result = fail(&writer, error);
    close_writer(&writer);
    return result;
}
#else
static int write_all(const struct cubby_cache *cache, const struct names_of_entries *names, int fd,
                     struct cubby_export_result *sums, struct cubby_error *error) {
    const struct libarchive *library;

    (void)cache;
    (void)names;
    (void)fd;
    (void)sums;
    return libarchive_load(&library, error);
}
#endif

int cubby_cache_export(struct cubby_cache *cache, int fd, struct cubby_export_result *ret_result,
                       struct cubby_error *error) {
    struct cubby_export_result sums = {0};
    struct names_of_entries names = {0};
    int result = collect(cache, &names, error);

    if (result == 0)
        result = write_all(cache, &names, fd, &sums, error);
    free(names.items);
    if (ret_result)
        *ret_result = sums;
    return result;
}
