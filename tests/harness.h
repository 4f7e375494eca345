/* SPDX-License-Identifier: Apache-2.0 */
/* What every test program shares. */
#ifndef TESTS_HARNESS_H
#define TESTS_HARNESS_H

#include <check.h>
#include <stddef.h>
#include <stdint.h>

#include <cubby/cubby.h>

/* Asserts that a call gave 0, and shows the error's message where it did not. */
#define ck_ok(call, error)                                                                         \
    do {                                                                                           \
        int ck_result = (call);                                                                    \
        ck_assert_msg(ck_result == 0, "%s: %d: %s", #call, ck_result, (error)->message);           \
    } while (0)

/* A new empty folder below TMPDIR, removed when the test program ends. Borrowed. */
const char *scratch_dir(void);

/* "folder/name", owned by the caller. */
char *path_in(const char *folder, const char *name);

/* Writes a file. */
void write_file(const char *path, const void *data, size_t size);

/* Reads a whole file as new bytes with a NUL behind. */
char *read_whole(const char *path, size_t *ret_size);

/* A key that stands for a number. */
struct cubby_key key_of(unsigned number);

/* A blob of that size whose bytes follow from the seed. */
struct cubby_blob *blob_of(unsigned seed, size_t size);

/* True if the bytes are those of blob_of(seed, size). */
int is_blob_of(const void *data, size_t size, unsigned seed);

/* Opens a cache; in the spec, each @ stands for the folder. Some of its stores may not be in use.
 */
struct cubby_cache *open_spec_or_less(const char *spec, const char *folder);

/* As open_spec_or_less(), and all stores are in use. */
struct cubby_cache *open_spec(const char *spec, const char *folder);

/* Writes a file that only its owner can read. */
void write_secret(const char *folder, const char *name, const char *secret);

/* True unless CK_FORK=no has all tests run in this process, whose toolchain stays for its life. */
int tests_are_apart(void);

/* Runs a suite, honouring CK_* variables; the exit status for main. */
int run_suite(Suite *suite);

#endif
