/* SPDX-License-Identifier: Apache-2.0 */
#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char base[512];

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *where) {
    (void)where;
    if (type == FTW_DP)
        chmod(path, 0700);
    (void)status;
    return remove(path);
}

static void remove_base(void) {
    nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *scratch_dir(void) {
    static char dir[600];

    snprintf(dir, sizeof(dir), "%s/XXXXXX", base);
    ck_assert_ptr_nonnull(mkdtemp(dir));
    return dir;
}

char *path_in(const char *folder, const char *name) {
    char *path;

    ck_assert_int_ge(asprintf(&path, "%s/%s", folder, name), 0);
    return path;
}

void write_file(const char *path, const void *data, size_t size) {
    FILE *file = fopen(path, "wb");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(data, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

char *read_whole(const char *path, size_t *ret_size) {
    FILE *file = fopen(path, "rb");
    struct stat status;
    char *data;

    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fstat(fileno(file), &status), 0);
    data = malloc((size_t)status.st_size + 1);
    ck_assert_ptr_nonnull(data);
    *ret_size = fread(data, 1, (size_t)status.st_size, file);
    data[*ret_size] = '\0';
    fclose(file);
    return data;
}

/* splitmix64, by Sebastiano Vigna (public domain): a step of a generator of 64-bit numbers. */
static uint64_t next_number(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

struct cubby_key key_of(unsigned number) {
    uint64_t state = number;
    struct cubby_key key;

    for (size_t i = 0; i < sizeof(key.bytes); i += 8) {
        uint64_t part = next_number(&state);

        memcpy(key.bytes + i, &part, 8);
    }
    return key;
}

static unsigned char byte_at(unsigned seed, size_t i) {
    uint64_t state = ((uint64_t)seed << 32) + i / 8;

    return (unsigned char)(next_number(&state) >> (i % 8 * 8));
}

struct cubby_blob *blob_of(unsigned seed, size_t size) {
    struct cubby_blob *blob = cubby_blob_new(size);
    unsigned char *bytes;

    ck_assert_ptr_nonnull(blob);
    bytes = cubby_blob_writable(blob);
    for (size_t i = 0; i < size; i++)
        bytes[i] = byte_at(seed, i);
    return blob;
}

int is_blob_of(const void *data, size_t size, unsigned seed) {
    const unsigned char *bytes = data;

    for (size_t i = 0; i < size; i++) {
        if (bytes[i] != byte_at(seed, i))
            return 0;
    }
    return 1;
}

struct cubby_cache *open_spec_or_less(const char *spec, const char *folder) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_cache *cache;
    char *whole = NULL;
    size_t size;
    FILE *text = open_memstream(&whole, &size);

    ck_assert_ptr_nonnull(text);
    for (; *spec; spec++) {
        if (*spec == '@')
            fputs(folder, text);
        else
            fputc(*spec, text);
    }
    ck_assert_int_eq(fclose(text), 0);
    ck_ok(cubby_cache_open(whole, &cache, &error), &error);
    free(whole);
    return cache;
}

struct cubby_cache *open_spec(const char *spec, const char *folder) {
    struct cubby_cache *cache = open_spec_or_less(spec, folder);
    const struct cubby_error *problem = cubby_cache_problem(cache, 0);

    ck_assert_msg(!problem, "%s", problem ? problem->message : "");
    return cache;
}

void write_secret(const char *folder, const char *name, const char *secret) {
    char *path = path_in(folder, name);

    write_file(path, secret, strlen(secret));
    ck_assert_int_eq(chmod(path, 0600), 0);
    free(path);
}

int tests_are_apart(void) {
    const char *fork = getenv("CK_FORK");

    return !fork || strcmp(fork, "no") != 0;
}

int run_suite(Suite *suite) {
    const char *tmp = getenv("TMPDIR");
    SRunner *runner = srunner_create(suite);
    int failed;

    snprintf(base, sizeof(base), "%s/cubby-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(base))
        return EXIT_FAILURE;
    srunner_run_all(runner, CK_ENV);
    failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    remove_base();
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
