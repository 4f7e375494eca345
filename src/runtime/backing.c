/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/backing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cache/cache.h"
#include "cache/hold.h"
#include "entry/entry.h"
#include "entry/meta.h"
#include "os/path.h"
#include "os/time.h"
#include "runtime/identity.h"
#include "runtime/kernel_blob.h"
#include "runtime/kernel_file.h"
#include "util/error.h"
#include "util/log.h"

/* The sole right to change what is there. */
struct hold {
    struct cubby_file_lock *file;
    struct cache_hold entry;
};

/* What is particular to a place. */
struct backing_ops {
    const char *name; /* NULL: the path */
    /* Takes the sole right; NULL where there are no others. let_go is called where it gave 0. */
    int (*hold)(struct backing *backing, struct hold *hold, struct cubby_error *error);
    void (*let_go)(struct backing *backing, struct hold *hold);
    int (*read)(struct backing *backing, struct cubby_blob **ret_blob, struct cubby_error *error);
    int (*write)(struct backing *backing, struct cubby_blob *blob, struct cubby_error *error);
};

/* ---- A file ------------------------------------------------------------------------------ */

static int hold_file(struct backing *backing, struct hold *hold, struct cubby_error *error) {
    char *path;
    int result;

    if (asprintf(&path, "%s.lock", backing->path) < 0)
        return error_no_memory(error);
    result = cubby_file_lock_new(path, &hold->file, error);
    free(path);
    if (result < 0)
        return result;
    result =
        cubby_file_lock_try(hold->file, CUBBY_LOCK_EXCLUSIVE, CUBBY_FILE_LOCK_TIMEOUT_NS, error);
    if (result < 0)
        cubby_file_lock_free(hold->file);
    else
        kernel_file_sweep(backing->path);
    return result;
}

static void let_go_file(struct backing *backing, struct hold *hold) {
    (void)backing;
    cubby_file_lock_free(hold->file);
}

static int read_file(struct backing *backing, struct cubby_blob **ret_blob,
                     struct cubby_error *error) {
    return kernel_file_read(backing->path, ret_blob, error);
}

static int write_file(struct backing *backing, struct cubby_blob *blob, struct cubby_error *error) {
    return kernel_file_replace(backing->path, blob, error);
}

static const struct backing_ops FILE_OPS = {NULL, hold_file, let_go_file, read_file, write_file};

/* ---- A stream ---------------------------------------------------------------------------- */

/* Returns 0, or a negative errno. */
static int read_to_end(const struct cubby_runtime_stream *stream, struct buffer *buffer) {
    char part[16384];

    for (;;) {
        ssize_t size = stream->read(stream->read_context, part, sizeof(part));

        if (size == -EINTR)
            continue;
        if (size <= 0)
            return (int)size;
        if ((size_t)size > sizeof(part))
            return -EIO; /* more than there was room for */
        buffer_add(buffer, part, (size_t)size);
        if (buffer->failed)
            return -ENOMEM;
    }
}

static int read_stream(struct backing *backing, struct cubby_blob **ret_blob,
                       struct cubby_error *error) {
    struct buffer buffer = BUFFER_INIT;
    int errnum;

    if (!backing->stream.read || atomic_exchange(&backing->was_read, true))
        return CUBBY_ERR_NOT_FOUND;
    errnum = -read_to_end(&backing->stream, &buffer);
    *ret_blob = errnum == 0 ? cubby_blob_copy(buffer.data, buffer.size) : NULL;
    buffer_free(&buffer);
    if (errnum != 0)
        return error_set_errno(error, errnum, "cannot read the stream of the runtime cache");
    return *ret_blob ? 0 : error_no_memory(error);
}

static int write_stream(struct backing *backing, struct cubby_blob *blob,
                        struct cubby_error *error) {
    int errnum;

    if (!backing->stream.write)
        return error_set(error, CUBBY_ERR_UNSUPPORTED,
                         "the stream of the runtime cache cannot be written: it has no function "
                         "for that");
    errnum = -backing->stream.write(backing->stream.write_context, cubby_blob_data(blob),
                                    cubby_blob_size(blob));
    if (errnum != 0)
        return error_set_errno(error, errnum, "cannot write the stream of the runtime cache");
    return 0;
}

static const struct backing_ops STREAM_OPS = {"its stream", NULL, NULL, read_stream, write_stream};

bool backing_is_stream(const struct backing *backing) {
    return backing->ops == &STREAM_OPS;
}

/* ---- An entry of a cache ----------------------------------------------------------------- */

static int hold_entry(struct backing *backing, struct hold *hold, struct cubby_error *error) {
    return cache_hold(backing->cache, CUBBY_ENTRY_RUNTIME, &backing->key,
                      CUBBY_FILE_LOCK_TIMEOUT_NS, &hold->entry, error);
}

static void let_go_entry(struct backing *backing, struct hold *hold) {
    (void)backing;
    cache_let_go(&hold->entry);
}

/* Takes the entry of each store in turn. */
static bool keep_last(struct cubby_object *object, void *context) {
    struct cubby_object **last = context;

    cubby_object_unref(*last);
    *last = cubby_object_ref(object);
    return false;
}

/* The last store that has it is where others write: those before may have an older one. */
static int read_entry(struct backing *backing, struct cubby_blob **ret_blob,
                      struct cubby_error *error) {
    struct cubby_object *object = NULL;

    cache_lookup_accepted(backing->cache, CUBBY_ENTRY_RUNTIME, &backing->key, keep_last, &object);
    if (!object)
        return CUBBY_ERR_NOT_FOUND;
    *ret_blob = cubby_blob_copy(cubby_object_data(object), cubby_object_size(object));
    cubby_object_unref(object);
    return *ret_blob ? 0 : error_no_memory(error);
}

static int encode_entry(const struct backing *backing, const struct cubby_blob *blob,
                        struct cubby_blob **ret_entry, struct cubby_error *error) {
    struct buffer meta = BUFFER_INIT;
    int result;

    meta_add_text(&meta, META_SOURCE_NAME, backing->engine);
    meta_add_text(&meta, META_ARCH, backing->identity.arch);
    meta_add_u64(&meta, META_CREATED_AT, (uint64_t)wall_seconds());
    result = meta.failed
                 ? error_no_memory(error)
                 : entry_encode(CUBBY_ENTRY_RUNTIME, &backing->key, cubby_blob_data(blob),
                                cubby_blob_size(blob), meta.data, meta.size, ret_entry, error);
    buffer_free(&meta);
    return result;
}

static int write_entry(struct backing *backing, struct cubby_blob *blob,
                       struct cubby_error *error) {
    struct cubby_blob *entry = NULL;
    int result = encode_entry(backing, blob, &entry, error);

    if (result == 0)
        result = cache_store(backing->cache, CUBBY_ENTRY_RUNTIME, &backing->key, entry, error);
    cubby_blob_unref(entry);
    return result;
}

static const struct backing_ops ENTRY_OPS = {"the cache", hold_entry, let_go_entry, read_entry,
                                             write_entry};

/* ---- Which of them ----------------------------------------------------------------------- */

static int derive_key(const struct cubby_runtime_cache_options *options, struct cubby_key *ret_key,
                      struct cubby_error *error) {
    struct cubby_key_builder *builder = cubby_key_builder_new("cubby runtime cache");
    const struct {
        const char *name, *value;
    } fields[] = {{"engine", options->engine},
                  {"arch", options->identity->arch},
                  {"toolchain", options->identity->toolchain}};

    if (!builder)
        return error_no_memory(error);
    for (size_t i = 0; i < sizeof(fields) / sizeof(*fields); i++)
        cubby_key_builder_add(builder, fields[i].name, fields[i].value, strlen(fields[i].value));
    cubby_key_builder_finish(builder, ret_key);
    cubby_key_builder_free(builder);
    return 0;
}

static int init_path(struct backing *backing, const char *path, struct cubby_error *error) {
    size_t length = strlen(path);

    if (length == 0 || path[length - 1] == '/')
        return error_set(error, CUBBY_ERR_INVALID,
                         "the path of a runtime cache is \"%s\": expected that of a file", path);
    backing->path = path_absolute(path);
    if (!backing->path)
        return error_set_errno(error, errno, "cannot tell where the runtime cache %s lies", path);
    backing->ops = &FILE_OPS;
    return 0;
}

static int init_cache(struct backing *backing, const struct cubby_runtime_cache_options *options,
                      struct cubby_error *error) {
    int result;

    if (!options->engine || !*options->engine)
        return error_set(error, CUBBY_ERR_INVALID,
                         "a runtime cache that lies in a cache needs the name of its engine, which "
                         "tells it from those of others: it is missing");
    result = identity_check(options->identity, error);
    if (result == 0)
        result = derive_key(options, &backing->key, error);
    if (result == 0)
        result = identity_copy(options->identity, &backing->identity, error);
    if (result < 0)
        return result;
    backing->engine = strdup(options->engine);
    if (!backing->engine)
        return error_no_memory(error);
    backing->cache = cubby_cache_ref(options->cache);
    backing->ops = &ENTRY_OPS;
    return 0;
}

int backing_init(struct backing *backing, const struct cubby_runtime_cache_options *options,
                 struct cubby_error *error) {
    if (!!options->path + !!options->stream + !!options->cache > 1)
        return error_set(error, CUBBY_ERR_INVALID,
                         "a runtime cache lies in one place: give a path, a stream or a cache");
    if (options->path)
        return init_path(backing, options->path, error);
    if (options->cache)
        return init_cache(backing, options, error);
    if (options->stream) {
        backing->stream = *options->stream;
        backing->ops = &STREAM_OPS;
    }
    return 0;
}

void backing_end(struct backing *backing) {
    free(backing->path);
    cubby_cache_unref(backing->cache);
    identity_free(&backing->identity);
    free(backing->engine);
}

int backing_check(const struct backing *backing, const struct cubby_runtime_identity *identity,
                  struct cubby_error *error) {
    if (!backing->cache || identity_equal(&backing->identity, identity))
        return 0;
    return error_set(error, CUBBY_ERR_INVALID,
                     "this runtime cache lies in a cache as that for %s and %.200s: it cannot hold "
                     "kernels for %s and %.200s",
                     backing->identity.arch, backing->identity.toolchain, identity->arch,
                     identity->toolchain);
}

const char *backing_name(const struct backing *backing) {
    return backing->path ? backing->path : backing->ops->name;
}

int backing_read(struct backing *backing, struct cubby_blob **ret_blob, struct cubby_error *error) {
    return backing->ops ? backing->ops->read(backing, ret_blob, error) : CUBBY_ERR_NOT_FOUND;
}

/* ---- Uniting ----------------------------------------------------------------------------- */

/* Takes in what is there. What is of no use to anyone who fits here will be replaced. */
static int take_in(const struct backing *backing, const struct cubby_blob *there,
                   struct kernel_set *set, struct cubby_runtime_identity *identity,
                   struct cubby_error *error) {
    const void *data = cubby_blob_data(there);
    const size_t size = cubby_blob_size(there);
    struct kernel_set others = KERNEL_SET_INIT;
    struct cubby_error problem = CUBBY_ERROR_INIT;
    struct cubby_runtime_identity theirs;
    int result = kernel_blob_check(data, size, true, &theirs, &problem);
    bool replaced = result == CUBBY_ERR_CORRUPT;

    if (result == 0) {
        result = identity_fits(&theirs, identity, &problem);
        replaced = result < 0;
    }
    if (result == 0) {
        result = kernel_blob_kernels(data, size, true, &others, &problem);
        replaced = result == CUBBY_ERR_CORRUPT;
    }
    if (result == 0 && kernel_set_unite(set, &others) < 0)
        result = error_no_memory(&problem);
    if (result == 0 && identity_raise(identity, &theirs) < 0)
        result = error_no_memory(&problem);
    kernel_set_free(&others);
    if (replaced) {
        log_line(CUBBY_LOG_WARN, "%s is replaced: %s", backing_name(backing), problem.message);
        cubby_error_clear(&problem);
        return 0;
    }
    if (result < 0 && result != CUBBY_ERR_NO_MEMORY)
        error_set(error, result, "cannot save to %s: %s", backing_name(backing), problem.message);
    error_move(error, &problem);
    return result;
}

/* Makes the set what is to be written, given what is there (NULL for nothing). */
static int unite_and_write(struct backing *backing, struct cubby_blob *there,
                           struct kernel_set *set, struct cubby_runtime_identity *identity,
                           uint64_t max_size, size_t *ret_drops, struct cubby_error *error) {
    struct cubby_blob *blob = NULL;
    uint64_t overhead;
    int result = 0;

    if (there && cubby_blob_size(there) > 0)
        result = take_in(backing, there, set, identity, error);
    if (result < 0)
        return result;
    overhead = kernel_blob_overhead(identity);
    if (max_size > 0)
        *ret_drops = kernel_set_drop(set, max_size > overhead ? max_size - overhead : 0);
    if (set->count == 0)
        return 0;
    result = kernel_blob_encode(set, identity, &blob, error);
    if (result < 0)
        return result;
    /* Equal sets make equal bytes: then there is nothing to write. */
    if (!there || cubby_blob_size(there) != cubby_blob_size(blob) ||
        memcmp(cubby_blob_data(there), cubby_blob_data(blob), cubby_blob_size(blob)) != 0)
        result = backing->ops->write(backing, blob, error);
    cubby_blob_unref(blob);
    return result;
}

int backing_unite(struct backing *backing, struct kernel_set *set,
                  struct cubby_runtime_identity *identity, uint64_t max_size, size_t *ret_drops,
                  struct cubby_error *error) {
    const struct backing_ops *ops = backing->ops;
    struct cubby_blob *there = NULL;
    struct hold hold = {0};
    int result;

    *ret_drops = 0;
    if (!ops->hold)
        return unite_and_write(backing, NULL, set, identity, max_size, ret_drops, error);
    result = ops->hold(backing, &hold, error);
    if (result < 0)
        return result;
    result = ops->read(backing, &there, error);
    if (result == 0 || result == CUBBY_ERR_NOT_FOUND)
        result = unite_and_write(backing, there, set, identity, max_size, ret_drops, error);
    ops->let_go(backing, &hold);
    cubby_blob_unref(there);
    return result;
}
