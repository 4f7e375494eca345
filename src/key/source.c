/* SPDX-License-Identifier: Apache-2.0 */
#include "key/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "key/digest.h"
#include "os/fd.h"
#include "util/error.h"
#include "util/log.h"

struct source {
    atomic_uint references;
    char *text;
    size_t size;
    struct cubby_key digest;
    struct scan scan;
    struct source_include *includes;
    size_t include_count;
    bool failed; /* memory ran out while the includes were listed */
};

static void add_include(const char *spelling, const char *what, void *context) {
    struct source *source = context;
    size_t count = source->include_count;
    struct source_include *grown = realloc(source->includes, (count + 1) * sizeof(*grown));

    if (!grown) {
        source->failed = true;
        return;
    }
    source->includes = grown;
    grown[count] = (struct source_include){spelling ? strdup(spelling) : NULL, strdup(what)};
    source->include_count++;
    if ((spelling && !grown[count].spelling) || !grown[count].what)
        source->failed = true;
}

static int check_text(const void *data, size_t size, const char *label, struct cubby_error *error) {
    const char *nul = size > 0 ? memchr(data, '\0', size) : NULL;
    size_t offset;

    if (nul)
        return error_set(error, CUBBY_ERR_INVALID,
                         "%s has a NUL byte at offset %zu: the compiler would stop reading there; "
                         "expected text in UTF-8",
                         label, (size_t)(nul - (const char *)data));
    if (!scan_utf8(data, size, &offset))
        log_line(CUBBY_LOG_WARN,
                 "%s is not valid UTF-8 at offset %zu: the compiler may misread what follows",
                 label, offset);
    return 0;
}

int source_new_bytes(const void *data, size_t size, struct source **ret_source,
                     struct cubby_error *error) {
    struct source *source = calloc(1, sizeof(*source));

    if (source)
        source->text = malloc(size + 1);
    if (!source || !source->text) {
        free(source);
        return error_no_memory(error);
    }
    atomic_init(&source->references, 1);
    if (size > 0)
        memcpy(source->text, data, size);
    source->text[size] = '\0';
    source->size = size;
    digest_bytes(source->text, size, &source->digest);
    *ret_source = source;
    return 0;
}

int source_new(const void *data, size_t size, const char *label, struct source **ret_source,
               struct cubby_error *error) {
    struct source *source;
    int result = check_text(data, size, label, error);

    if (result == 0)
        result = source_new_bytes(data, size, &source, error);
    if (result < 0)
        return result;
    scan_text(source->text, size, &source->scan, add_include, source);
    if (source->failed) {
        source_unref(source);
        return error_no_memory(error);
    }
    *ret_source = source;
    return 0;
}

int source_from_file(const char *path, struct source **ret_source, struct cubby_error *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    char *data = NULL;
    ssize_t size = -1;
    int result;

    if (fd >= 0 && fstat(fd, &status) == 0) {
        data = malloc((size_t)status.st_size + 1);
        size = data ? fd_read_full(fd, data, (size_t)status.st_size) : -1;
    }
    if (size >= 0)
        result = source_new_bytes(data, (size_t)size, ret_source, error);
    else
        result = error_set_errno(error, errno, "cannot read %s", path);
    free(data);
    if (fd >= 0)
        close(fd);
    return result;
}

struct source *source_ref(struct source *source) {
    atomic_fetch_add_explicit(&source->references, 1, memory_order_relaxed);
    return source;
}

void source_unref(struct source *source) {
    if (!source || atomic_fetch_sub_explicit(&source->references, 1, memory_order_acq_rel) != 1)
        return;
    for (size_t i = 0; i < source->include_count; i++) {
        free(source->includes[i].spelling);
        free(source->includes[i].what);
    }
    free(source->includes);
    free(source->text);
    free(source);
}

const char *source_text(const struct source *source) {
    return source->text;
}

size_t source_size(const struct source *source) {
    return source->size;
}

const struct cubby_key *source_digest(const struct source *source) {
    return &source->digest;
}

const struct scan *source_scan(const struct source *source) {
    return &source->scan;
}

const struct source_include *source_includes(const struct source *source, size_t *ret_count) {
    *ret_count = source->include_count;
    return source->includes;
}
