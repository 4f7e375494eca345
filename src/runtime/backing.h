/* SPDX-License-Identifier: Apache-2.0 */
/* Where a runtime cache is kept: a file, a stream, or an entry of a cache. */
#ifndef CUBBY_RUNTIME_BACKING_H
#define CUBBY_RUNTIME_BACKING_H

#include <stdatomic.h>

#include <cubby/cubby.h>

#include "runtime/kernel_set.h"

struct backing_ops;

struct backing {
    const struct backing_ops *ops; /* NULL: nowhere */
    char *path;                    /* a file, absolute */
    struct cubby_runtime_stream stream;
    atomic_bool was_read; /* a stream is at its end */
    struct cubby_cache *cache;
    char *engine;                           /* whose entry it is */
    struct cubby_runtime_identity identity; /* for which its entry is, owned */
    struct cubby_key key;                   /* of its entry */
};

/* As the options say; zeros before. Returns 0, INVALID, IO or NO_MEMORY; backing_end() follows in
 * any case. */
int backing_init(struct backing *backing, const struct cubby_runtime_cache_options *options,
                 struct cubby_error *error);
void backing_end(struct backing *backing);

/* For messages: borrowed. */
const char *backing_name(const struct backing *backing);

/* Whether kernels of that identity may be kept there. Returns 0 or INVALID. */
int backing_check(const struct backing *backing, const struct cubby_runtime_identity *identity,
                  struct cubby_error *error);

/* True for a place that is to be written once. */
bool backing_is_stream(const struct backing *backing);

/* Reads what is there. Returns 0 with a new blob; NOT_FOUND where there is nothing; INVALID where
 * it must not be read; IO; NO_MEMORY. */
int backing_read(struct backing *backing, struct cubby_blob **ret_blob, struct cubby_error *error);

/*
 * Unites the set with what is there, and writes it back, no one else doing so in between. The set
 * is the caller's alone, and not empty; the identity becomes that of all. *ret_drops: kernels
 * dropped for max_size, 0 for no bound. Returns 0, or what cubby_runtime_cache_save() does.
 */
int backing_unite(struct backing *backing, struct kernel_set *set,
                  struct cubby_runtime_identity *identity, uint64_t max_size, size_t *ret_drops,
                  struct cubby_error *error);

#endif
