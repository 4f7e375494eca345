/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of runtime caches share: kernels that stand for numbers, handles, the log. */
#ifndef TESTS_RUNTIME_HELP_H
#define TESTS_RUNTIME_HELP_H

#include <cubby/cubby.h>

#include "harness.h"

/* What all kernels fit unless a test says otherwise. */
extern const struct cubby_runtime_identity HERE;

/* The kernel that stands for a number: bytes, a lowered name and who compiled it. New. */
struct cubby_object *kernel_of(unsigned number);

/* A pending handle with nowhere to save; on a path. */
struct cubby_runtime_cache *handle_new(void);
struct cubby_runtime_cache *handle_on(const char *path);

/* The same, live, after a load. */
struct cubby_runtime_cache *live_on(const char *path);

void materialise(struct cubby_runtime_cache *cache);
void insert(struct cubby_runtime_cache *cache, unsigned number);
void save(struct cubby_runtime_cache *cache);

/* True if the kernel of that number is there; it must be the right one then. */
bool has(struct cubby_runtime_cache *cache, unsigned number);

/* How many of the kernels of the numbers below that are there. */
unsigned count_below(struct cubby_runtime_cache *cache, unsigned end);

struct cubby_runtime_cache_stats stats_of(struct cubby_runtime_cache *cache);

/* The blob of a live handle with the kernels of the numbers from first to last. */
struct cubby_blob *blob_with(const struct cubby_runtime_identity *identity, unsigned first,
                             unsigned last);

/* Deserialises the blob, which has to succeed. */
void give(struct cubby_runtime_cache *cache, const struct cubby_blob *blob);

/* A path in a folder of its own; the caller's to free. */
char *the_path(void);

/* True if something has that name, a link too. */
bool is_there(const char *path);

/* Saves the kernels of the numbers from first to last to a file. */
void fill(const char *path, unsigned first, unsigned last);

/* How many of the kernels of the numbers below that a new run finds in the file. */
unsigned found_in(const char *path, unsigned end);

/* How many files there are in the folder of that one, itself included. */
unsigned files_beside(const char *path);

/* Specs of stores for an entry, the first without locks; some may not be in this build. */
#define SPEC_COUNT 4
extern const char *const SPECS[SPEC_COUNT];

/* The live handle of that engine in a store, after a load. */
struct cubby_runtime_cache *handle_in(struct cubby_cache *store, const char *engine,
                                      const struct cubby_runtime_identity *identity);

/* A new case of the suite. */
TCase *add_case(Suite *suite, const char *name);

/* Warnings since the last call, one after the other; the log is heard from the first call on.
 * Borrowed until the next call. */
const char *warnings(void);

/* It ends with that code, and the message has the words. */
#define ck_fails(call, wanted, words)                                                              \
    do {                                                                                           \
        struct cubby_error ck_error = CUBBY_ERROR_INIT;                                            \
        struct cubby_error *error = &ck_error;                                                     \
        int ck_code = (call);                                                                      \
        ck_assert_msg(ck_code == (wanted) && ck_error.code == (wanted), "%s: %d: %s", #call,       \
                      ck_code, ck_error.message);                                                  \
        ck_assert_msg(strstr(ck_error.message, words), "%s", ck_error.message);                    \
        cubby_error_clear(error);                                                                  \
    } while (0)

#endif
