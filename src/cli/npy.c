/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/npy.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/input.h"
#include "os/fd.h"
#include "util/error.h"

#define MAGIC "\x93NUMPY"
#define MAGIC_SIZE 6
#define PREFIX_MAX 12           /* magic, version, length of the header */
#define HEADER_MAX (64u * 1024) /* sixteen extents need 400 bytes */
#define WRITTEN_MAX 512

/* The types of NumPy that stand for each of ours; the first is written. */
static const char *const TYPES[][3] = {
    [CUBBY_DTYPE_BOOL] = {"|b1"},
    [CUBBY_DTYPE_INT8] = {"|i1"},
    [CUBBY_DTYPE_UINT8] = {"|u1"},
    [CUBBY_DTYPE_INT16] = {"<i2"},
    [CUBBY_DTYPE_UINT16] = {"<u2"},
    [CUBBY_DTYPE_INT32] = {"<i4"},
    [CUBBY_DTYPE_UINT32] = {"<u4"},
    [CUBBY_DTYPE_INT64] = {"<i8"},
    [CUBBY_DTYPE_UINT64] = {"<u8"},
    [CUBBY_DTYPE_FLOAT8_E4M3] = {"|V1", "|u1"},
    [CUBBY_DTYPE_FLOAT8_E5M2] = {"|V1", "|u1"},
    [CUBBY_DTYPE_FLOAT16] = {"<f2"},
    [CUBBY_DTYPE_BFLOAT16] = {"|V2", "<u2"},
    [CUBBY_DTYPE_FLOAT32] = {"<f4"},
    [CUBBY_DTYPE_FLOAT64] = {"<f8"},
};

enum { TYPE_COUNT = sizeof(TYPES) / sizeof(*TYPES), TYPE_SPELLINGS = 3 };

/* ---- The header: a dictionary as Python spells it ---------------------------------------- */

struct cursor {
    const char *path;
    const char *at, *end;
    struct cubby_error *error;
};

static int damaged(const struct cursor *cursor, const char *what) {
    return error_set(cursor->error, CUBBY_ERR_INVALID,
                     "%.400s: the header of this .npy file is damaged: %s; write it anew with "
                     "numpy.save()",
                     cursor->path, what);
}

static void skip_blanks(struct cursor *cursor) {
    while (cursor->at < cursor->end && isspace((unsigned char)*cursor->at))
        cursor->at++;
}

/* Skips blanks, and the character, if it is the next one. */
static bool take(struct cursor *cursor, char wanted) {
    skip_blanks(cursor);
    if (cursor->at == cursor->end || *cursor->at != wanted)
        return false;
    cursor->at++;
    return true;
}

static bool take_word(struct cursor *cursor, const char *word) {
    size_t length = strlen(word);

    skip_blanks(cursor);
    if ((size_t)(cursor->end - cursor->at) < length || memcmp(cursor->at, word, length) != 0)
        return false;
    cursor->at += length;
    return true;
}

/* A string without escapes, cut to the room that there is. */
static int take_string(struct cursor *cursor, char *text, size_t room) {
    const char *quote = take(cursor, '\'') ? "'" : take(cursor, '"') ? "\"" : NULL;
    size_t length = 0;

    if (!quote)
        return damaged(cursor, "a string is missing");
    for (; cursor->at < cursor->end && *cursor->at != *quote; cursor->at++) {
        if (*cursor->at == '\\' || !isprint((unsigned char)*cursor->at))
            return damaged(cursor, "a string holds what no dtype or key has");
        if (length + 1 < room)
            text[length++] = *cursor->at;
    }
    text[length] = '\0';
    return take(cursor, *quote) ? 0 : damaged(cursor, "a string has no end");
}

static int take_type(struct cursor *cursor, struct npy_header *header) {
    skip_blanks(cursor);
    if (cursor->at < cursor->end && (*cursor->at == '[' || *cursor->at == '('))
        return error_set(cursor->error, CUBBY_ERR_INVALID,
                         "%.400s holds records of several fields: expected an array of one type",
                         cursor->path);
    return take_string(cursor, header->type, sizeof(header->type));
}

static int take_order(struct cursor *cursor) {
    if (take_word(cursor, "False"))
        return 0;
    if (!take_word(cursor, "True"))
        return damaged(cursor, "fortran_order is neither True nor False");
    return error_set(cursor->error, CUBBY_ERR_INVALID,
                     "%.400s is in Fortran order: expected C order; save it as "
                     "numpy.ascontiguousarray() gives it",
                     cursor->path);
}

static int take_extent(struct cursor *cursor, struct npy_header *header) {
    int64_t extent = 0;
    const char *begin;

    skip_blanks(cursor);
    begin = cursor->at;
    for (; cursor->at < cursor->end && isdigit((unsigned char)*cursor->at); cursor->at++) {
        if (__builtin_mul_overflow(extent, 10, &extent) ||
            __builtin_add_overflow(extent, *cursor->at - '0', &extent))
            return damaged(cursor, "an extent is larger than any array");
    }
    if (cursor->at == begin)
        return damaged(cursor, "the shape is no tuple of extents");
    if (header->rank == CUBBY_RANK_MAX)
        return error_set(cursor->error, CUBBY_ERR_INVALID,
                         "%.400s has more than %d dimensions: no tensor has so many", cursor->path,
                         CUBBY_RANK_MAX);
    header->shape[header->rank++] = extent;
    return 0;
}

/* (), (3,), (3, 4) or (3, 4,). */
static int take_shape(struct cursor *cursor, struct npy_header *header) {
    bool comma = true;

    header->rank = 0;
    if (!take(cursor, '('))
        return damaged(cursor, "the shape is no tuple of extents");
    while (!take(cursor, ')')) {
        if (!comma)
            return damaged(cursor, "the shape is no tuple of extents");
        if (take_extent(cursor, header) < 0)
            return CUBBY_ERR_INVALID;
        comma = take(cursor, ',');
    }
    return header->rank == 1 && !comma ? damaged(cursor, "the shape is no tuple of extents") : 0;
}

static int take_item(struct cursor *cursor, struct npy_header *header, unsigned *seen) {
    static const char *const KEYS[] = {"descr", "fortran_order", "shape"};
    char key[16];
    unsigned which = 0;

    if (take_string(cursor, key, sizeof(key)) < 0)
        return CUBBY_ERR_INVALID;
    while (which < 3 && strcmp(key, KEYS[which]) != 0)
        which++;
    if (which == 3 || *seen & 1u << which)
        return damaged(cursor, "a key is unknown or there twice");
    *seen |= 1u << which;
    if (!take(cursor, ':'))
        return damaged(cursor, "a key has no value");
    return which == 0   ? take_type(cursor, header)
           : which == 1 ? take_order(cursor)
                        : take_shape(cursor, header);
}

static int take_dictionary(struct cursor *cursor, struct npy_header *header) {
    unsigned seen = 0;
    bool comma = true;

    if (!take(cursor, '{'))
        return damaged(cursor, "it is no dictionary");
    while (!take(cursor, '}')) {
        if (!comma)
            return damaged(cursor, "a comma is missing");
        if (take_item(cursor, header, &seen) < 0)
            return CUBBY_ERR_INVALID;
        comma = take(cursor, ',');
    }
    skip_blanks(cursor);
    if (seen != 7 || cursor->at != cursor->end)
        return damaged(cursor, seen != 7 ? "descr, fortran_order or shape is missing"
                                         : "something follows the dictionary");
    return 0;
}

/* ---- What stands before it --------------------------------------------------------------- */

/* How long the part before the dictionary is, by the first eight bytes; 0 for a version that is
 * none. */
static size_t prefix_size(const unsigned char *data) {
    if (data[7] != 0)
        return 0;
    return data[6] == 1 ? 10 : data[6] == 2 || data[6] == 3 ? PREFIX_MAX : 0;
}

/* Checks magic and version; the sizes of prefix and dictionary. */
static int parse_prefix(const char *path, const unsigned char *data, size_t size,
                        size_t *ret_prefix, size_t *ret_size, struct cubby_error *error) {
    const struct cursor cursor = {.path = path, .error = error};

    if (size < 8 || memcmp(data, MAGIC, MAGIC_SIZE) != 0)
        return error_set(error, CUBBY_ERR_INVALID,
                         "%.400s is no .npy file: expected what numpy.save() writes", path);
    *ret_prefix = prefix_size(data);
    if (*ret_prefix == 0)
        return error_set(error, CUBBY_ERR_INVALID,
                         "%.400s is of version %u.%u of .npy: expected 1.0, 2.0 or 3.0", path,
                         data[6], data[7]);
    if (size < *ret_prefix)
        return damaged(&cursor, "it ends early");
    *ret_size = data[8] | (size_t)data[9] << 8;
    if (*ret_prefix == PREFIX_MAX)
        *ret_size |= (size_t)data[10] << 16 | (size_t)data[11] << 24;
    return *ret_size > HEADER_MAX ? damaged(&cursor, "it is too long for any array") : 0;
}

int npy_parse(const char *path, const void *data, size_t size, struct npy_header *ret_header,
              struct cubby_error *error) {
    struct cursor cursor = {.path = path, .error = error};
    size_t prefix, length;

    *ret_header = (struct npy_header){0};
    if (parse_prefix(path, data, size, &prefix, &length, error) < 0)
        return CUBBY_ERR_INVALID;
    if (size - prefix < length)
        return damaged(&cursor, "it ends early");
    cursor.at = (const char *)data + prefix;
    cursor.end = cursor.at + length;
    return take_dictionary(&cursor, ret_header);
}

/* ---- Reading ----------------------------------------------------------------------------- */

static int cannot_read(const char *path, struct cubby_error *error) {
    int errnum = errno;

    return error_set(error, CUBBY_ERR_INVALID, "cannot read %.400s: %s", path, strerror(errnum));
}

/* Reads as much as there is, up to size. */
static int read_some(int fd, const char *path, void *data, size_t size, size_t *ret_size,
                     struct cubby_error *error) {
    ssize_t count = fd_read_full(fd, data, size);

    if (count < 0)
        return cannot_read(path, error);
    *ret_size = (size_t)count;
    return 0;
}

/* Reads the prefix, then the dictionary: no byte more, as the elements follow. */
static int read_header(struct npy_file *file, unsigned char *data, struct cubby_error *error) {
    size_t got = 0, more = 0, prefix = 0, length = 0;
    int result = read_some(file->fd, file->path, data, 8, &got, error);

    if (result == 0 && got == 8) {
        size_t rest = prefix_size(data) > 8 ? prefix_size(data) - 8 : 0;

        result = read_some(file->fd, file->path, data + 8, rest, &more, error);
        got += more;
    }
    if (result == 0)
        result = parse_prefix(file->path, data, got, &prefix, &length, error);
    if (result == 0)
        result = read_some(file->fd, file->path, data + prefix, length, &more, error);
    return result < 0 ? result : npy_parse(file->path, data, prefix + more, &file->header, error);
}

int npy_open(const char *path, struct npy_file *ret_file, struct cubby_error *error) {
    unsigned char *data = malloc(PREFIX_MAX + HEADER_MAX);
    int result;

    *ret_file = (struct npy_file){.path = path, .fd = -1};
    if (!data)
        return error_no_memory(error);
    ret_file->fd = open(path, O_RDONLY | O_CLOEXEC);
    result = ret_file->fd < 0 ? cannot_read(path, error) : read_header(ret_file, data, error);
    free(data);
    if (result < 0)
        npy_close(ret_file);
    return result;
}

void npy_close(struct npy_file *file) {
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
}

int npy_read(struct npy_file *file, void *data, size_t size, struct cubby_error *error) {
    size_t got = 0, more = 0;
    char byte;

    if (read_some(file->fd, file->path, data, size, &got, error) < 0 ||
        (got == size && read_some(file->fd, file->path, &byte, 1, &more, error) < 0))
        return CUBBY_ERR_INVALID;
    if (got < size)
        return error_set(error, CUBBY_ERR_INVALID,
                         "%.400s ends after %zu of the %zu bytes of its elements: it is damaged",
                         file->path, got, size);
    if (more > 0)
        return error_set(error, CUBBY_ERR_INVALID,
                         "%.400s goes on after the %zu bytes of its elements: it is damaged",
                         file->path, size);
    return 0;
}

/* ---- Comparing with a tensor ------------------------------------------------------------- */

/* Where the order of bytes means nothing, NumPy may write another letter for it. */
static bool same_type(const char *type, const char *wanted) {
    if (wanted[0] == '|' && type[0] == '<')
        return strcmp(type + 1, wanted + 1) == 0;
    return strcmp(type, wanted) == 0;
}

static bool holds(const char *type, enum cubby_dtype dtype) {
    for (size_t i = 0; i < TYPE_SPELLINGS && TYPES[dtype][i]; i++) {
        if (same_type(type, TYPES[dtype][i]))
            return true;
    }
    return false;
}

static bool is_known(const char *type) {
    for (int dtype = 0; dtype < TYPE_COUNT; dtype++) {
        if (holds(type, (enum cubby_dtype)dtype))
            return true;
    }
    return false;
}

/* "(3, 4)", as Python spells it. */
static void format_shape(char *text, size_t room, size_t rank, const int64_t *shape) {
    size_t length = (size_t)snprintf(text, room, "(");

    for (size_t i = 0; i < rank && length < room; i++)
        length += (size_t)snprintf(text + length, room - length, "%" PRId64 "%s", shape[i],
                                   i + 1 < rank ? ", "
                                   : rank == 1  ? ","
                                                : "");
    if (length < room)
        snprintf(text + length, room - length, ")");
}

int npy_check(const struct npy_file *file, const char *tensor, enum cubby_dtype dtype, size_t rank,
              const int64_t *shape, struct cubby_error *error) {
    const struct npy_header *header = &file->header;
    char theirs[CUBBY_RANK_MAX * 22 + 4], ours[sizeof(theirs)];

    if (header->type[0] == '>')
        return error_set(error, CUBBY_ERR_INVALID,
                         "%.400s is big-endian (%s): expected little-endian; save it as "
                         "astype(\"<%s\")",
                         file->path, header->type, header->type + 1);
    if (!is_known(header->type))
        return error_set(error, CUBBY_ERR_INVALID,
                         "%.400s has the dtype %s, which no tensor has: %s is %s", file->path,
                         header->type, tensor, cubby_dtype_name(dtype));
    if (!holds(header->type, dtype))
        return error_set(error, CUBBY_ERR_INVALID,
                         "%.400s has the dtype %s, but %s is %s: expected %s", file->path,
                         header->type, tensor, cubby_dtype_name(dtype), TYPES[dtype][0]);
    if (header->rank == rank &&
        (rank == 0 || memcmp(header->shape, shape, rank * sizeof(*shape)) == 0))
        return 0;
    format_shape(theirs, sizeof(theirs), header->rank, header->shape);
    format_shape(ours, sizeof(ours), rank, shape);
    return error_set(error, CUBBY_ERR_INVALID,
                     "%.200s has the shape %s, but %s is %s for these dims: expected another file "
                     "or other --dims",
                     file->path, theirs, tensor, ours);
}

/* ---- Writing ----------------------------------------------------------------------------- */

/* The whole header: its end is at a multiple of 64, where the elements begin. Returns its size. */
static size_t format_header(char text[WRITTEN_MAX], enum cubby_dtype dtype, size_t rank,
                            const int64_t *shape) {
    static const char BEGINNING[10] = MAGIC "\x01"; /* the length follows */
    char extents[CUBBY_RANK_MAX * 22 + 4];
    size_t length, whole;

    format_shape(extents, sizeof(extents), rank, shape);
    memcpy(text, BEGINNING, sizeof(BEGINNING));
    length = 10 + (size_t)snprintf(text + 10, WRITTEN_MAX - 10,
                                   "{'descr': '%s', 'fortran_order': False, 'shape': %s, }",
                                   TYPES[dtype][0], extents);
    whole = (length + 1 + 63) / 64 * 64;
    memset(text + length, ' ', whole - length - 1);
    text[whole - 1] = '\n';
    text[8] = (char)((whole - 10) & 0xff);
    text[9] = (char)((whole - 10) >> 8);
    return whole;
}

int npy_write(const char *path, enum cubby_dtype dtype, size_t rank, const int64_t *shape,
              const void *data, size_t size, struct cubby_error *error) {
    char header[WRITTEN_MAX];
    size_t length = format_header(header, dtype, rank, shape);
    struct output output;
    int errnum;

    if (output_open(path, &output, error) < 0)
        return CUBBY_ERR_INVALID;
    if (fd_write_full(output.fd, header, length) == 0 && fd_write_full(output.fd, data, size) == 0)
        return output_commit(&output, error);
    errnum = errno;
    output_discard(&output);
    return error_set(error, CUBBY_ERR_INVALID, "cannot write %.400s: %s",
                     strcmp(path, "-") == 0 ? "standard output" : path, strerror(errnum));
}
