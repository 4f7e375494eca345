/* SPDX-License-Identifier: Apache-2.0 */
#include "deps_help.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "deps/header_text.h"
#include "harness.h"

void enter_scratch(void) {
    ck_assert_int_eq(chdir(scratch_dir()), 0);
}

void write_text(const char *path, const char *text) {
    write_file(path, text, strlen(text));
}

void dep_add(struct deps *deps, const char *path, enum dep_kind kind) {
    struct dep dep = {.path = strdup(path), .kind = kind};

    deps_add(deps, &dep);
}

/* A file as it is now. */
void dep_add_file(struct deps *deps, const char *path) {
    struct header_texts texts = {0};
    struct dep dep = {.path = strdup(path), .kind = DEP_FILE};

    ck_assert_int_eq(header_texts_add_file(&texts, path), 0);
    dep.stamp = texts.items[0].stamp;
    dep.digest = texts.items[0].digest;
    header_texts_free(&texts);
    deps_add(deps, &dep);
}

/* Whatever the clock says, the files' stamps are trusted. */
void deps_trust(struct deps *deps) {
    deps->settled_ns = INT64_MAX;
}

bool same_key(const struct cubby_key *left, const struct cubby_key *right) {
    return memcmp(left, right, sizeof(*left)) == 0;
}

/* Adds a set under the key of a number; the paths stay with the deps. */
void put_set(struct manifest *manifest, const struct deps *deps, unsigned number) {
    struct cubby_key key = key_of(number);

    ck_assert_int_eq(manifest_add(manifest, deps, false, &key), 0);
}

/* The number of the set that holds, or -1. */
int match_set(struct manifest *manifest, bool strict, bool *ret_refreshed) {
    const struct manifest_set *set;
    bool refreshed;

    if (manifest_match(manifest, strict, &set, ret_refreshed ? ret_refreshed : &refreshed) < 0)
        return -1;
    for (unsigned i = 0; i < 100; i++) {
        struct cubby_key key = key_of(i);

        if (same_key(&set->key, &key))
            return (int)i;
    }
    ck_abort_msg("a set of no known key holds");
    return -1;
}

int set_that_holds(struct manifest *manifest) {
    return match_set(manifest, false, NULL);
}

/* The same length and the same modification time, as careless tools leave them. */
void edit_in_secret(const char *path, const char *text) {
    struct stat status;

    ck_assert_int_eq(stat(path, &status), 0);
    ck_assert_uint_eq((uint64_t)status.st_size, strlen(text));
    write_text(path, text);
    ck_assert_int_eq(
        utimensat(AT_FDCWD, path, (struct timespec[]){status.st_atim, status.st_mtim}, 0), 0);
}

void set_mtime(const char *path, time_t seconds) {
    struct timespec times[] = {{seconds, 0}, {seconds, 0}};

    ck_assert_int_eq(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* A set of one file whose content is the number. */
void number_deps(struct deps *deps, unsigned number) {
    char text[16];

    snprintf(text, sizeof(text), "n%u", number);
    write_text("n.h", text);
    dep_add_file(deps, "n.h");
}

/* Bytes of exactly that size, so that one read too many is seen. */
unsigned char *encode_exactly(const struct manifest *manifest, size_t *ret_size) {
    struct buffer buffer = BUFFER_INIT;
    unsigned char *bytes;

    ck_assert_int_eq(manifest_encode(manifest, &buffer), 0);
    bytes = malloc(buffer.size);
    memcpy(bytes, buffer.data, buffer.size);
    *ret_size = buffer.size;
    buffer_free(&buffer);
    return bytes;
}
