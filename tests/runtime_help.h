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
