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
#include "util/utf8.h"

struct source {
    atomic_uint references;
    char *text;
    size_t size;
    struct cubby_key digest;
    struct scan_words words;
    struct pieces pieces; /* of a text that pastes */
    struct source_include *includes;
    size_t include_count;
    bool failed; /* memory ran out while the includes were listed */
};

#define MAX_WHAT 96

/* Only an #include is sure to find an in-memory header of its name and nothing else. */
static void add_include(const struct scan_reference *reference, void *context) {
    struct source *source = context;
    size_t count = source->include_count;
    struct source_include *grown = realloc(source->includes, (count + 1) * sizeof(*grown));
    bool literal = reference->kind == SCAN_INCLUDE && reference->spelling;
    size_t shown = reference->what_length < MAX_WHAT ? reference->what_length : MAX_WHAT;

    if (!grown) {
        source->failed = true;
        return;
    }
    source->includes = grown;
    grown[count] = (struct source_include){
        .spelling = literal ? strndup(reference->spelling, reference->length) : NULL,
        .what = strndup(reference->what, shown),
    };
    source->include_count++;
    if ((literal && !grown[count].spelling) || !grown[count].what)
        source->failed = true;
}

static void list_probes(struct source *source, const struct scan_text *text) {
    struct names macros = NAMES_INIT;

    scan_probe_macros(text, &macros);
    for (size_t i = SCAN_PROBE_MACROS; i < macros.count; i++) /* other texts may use them */
        add_include(&(struct scan_reference){.kind = SCAN_PROBE,
                                             .what = macros.items[i],
                                             .what_length = strlen(macros.items[i])},
                    source);
    scan_probes(text, &macros, add_include, source);
    source->failed = source->failed || macros.failed;
    names_free(&macros);
}

/* Learns from a text, once, what anyone will ask. */
static void learn(struct source *source, const struct scan_text *text) {
    scan_includes(text, add_include, source);
    scan_words(text, &source->words);
    if (source->words.probes)
        list_probes(source, text);
    if (source->words.pastes)
        pieces_add(&source->pieces, text->start, (size_t)(text->end - text->start));
}

/* What a text must be that has more than ASCII in it, or NUL bytes. */
static int check_text(const struct source *source, const struct source_label *label,
                      struct cubby_error *error) {
    const char *nul = memchr(source->text, '\0', source->size);
    const char *name = label->name ? label->name : "";
    size_t offset;

    if (nul)
        return error_set(error, CUBBY_ERR_INVALID,
                         "%s \"%.100s\" has a NUL byte at offset %zu: the compiler would stop "
                         "reading there; expected text in UTF-8",
                         label->what, name, (size_t)(nul - source->text));
    if (!utf8_is_valid(source->text, source->size, &offset))
        log_line(CUBBY_LOG_WARN,
                 "%s \"%.100s\" is not valid UTF-8 at offset %zu: the compiler may misread what "
                 "follows",
                 label->what, name, offset);
    return 0;
}

static int look_through(struct source *source, const struct source_label *label,
                        struct cubby_error *error) {
    struct scan_text text;
    int result = 0;

    if (scan_open(source->text, source->size, &text) < 0)
        return error_no_memory(error);
    if (text.marks.foreign)
        result = check_text(source, label, error);
    if (result == 0)
        learn(source, &text);
    scan_close(&text);
    return source->failed ? error_no_memory(error) : result;
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

int source_new(const void *data, size_t size, const struct source_label *label,
               struct source **ret_source, struct cubby_error *error) {
    struct source *source;
    int result = source_new_bytes(data, size, &source, error);

    if (result < 0)
        return result;
    result = look_through(source, label, error);
    if (result == 0)
        *ret_source = source;
    else
        source_unref(source);
    return result;
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

const struct scan_words *source_words(const struct source *source) {
    return &source->words;
}

bool source_pieces(const struct source *source, struct pieces *pieces) {
    struct scan_text text;

    if (source->words.pastes) {
        pieces_merge(pieces, &source->pieces);
        return true;
    }
    if (scan_open(source->text, source->size, &text) < 0)
        return false;
    pieces_add(pieces, text.start, (size_t)(text.end - text.start));
    scan_close(&text);
    return true;
}

const struct source_include *source_includes(const struct source *source, size_t *ret_count) {
    *ret_count = source->include_count;
    return source->includes;
}
