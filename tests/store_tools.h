/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of single stores share: short ways to put, get and ask, small disks, children. */
#ifndef TESTS_STORE_TOOLS_H
#define TESTS_STORE_TOOLS_H

#include <sys/types.h>

#include "backends/backends.h"
#include "harness.h"

/* file_backend_open() and its like. */
typedef int store_opener(const struct backend_params *params, struct cubby_backend **ret_backend,
                         struct cubby_error *error);

/* Opens a store, which must work. */
struct cubby_backend *store_open(store_opener *open, const char *path, uint64_t max_size);

/* Asserts that opening gives this code, and a message that holds each of the two texts. */
void store_refused(store_opener *open, const char *path, int code, const char *text,
                   const char *other_text);

/* Puts an object whose bytes follow from seed and size under the key of a number. */
int store_put_code(struct cubby_backend *backend, unsigned number, unsigned seed, size_t size,
                   struct cubby_error *error);
void store_put(struct cubby_backend *backend, unsigned number, unsigned seed, size_t size);

/* What get says of the key of a number. */
int store_get_code(struct cubby_backend *backend, unsigned number);

/* Looks at the key of a number, which has to hold something. */
void store_peek(struct cubby_backend *backend, unsigned number);

/* Asserts that the key of a number holds these bytes. */
void store_expect(struct cubby_backend *backend, unsigned number, unsigned seed, size_t size);

int store_remove_code(struct cubby_backend *backend, unsigned number);
struct cubby_store_stats store_stats(struct cubby_backend *backend);
void store_close(struct cubby_backend *backend);

/* Number of entries that a walk shows. */
unsigned store_walk(struct cubby_backend *backend);

/* Runs a function in a child process that ends as soon as it returns. */
pid_t start_child(void (*run)(void *context), void *context);

/* Waits for a child and asserts that it ended well: a failed assertion in it fails the test. */
void end_child(pid_t child);

/* As root: goes into a folder and becomes an ordinary user to whom it belongs. */
void become_ordinary(const char *folder);

/*
 * A file system of that many KiB, seen by this process and its children alone, mounted on a new
 * folder, which is returned (owned by the caller). NULL, and a line that says so, where mounting is
 * not permitted.
 */
char *small_disk_new(unsigned kib);
void small_disk_free(char *folder);

/* Fills what is left of the disk with a file of that path; removing it makes room again. */
void fill_disk(const char *path);

/* True for root; else says that this test is skipped. */
bool is_root(const char *test);

#endif
