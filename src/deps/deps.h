/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a compile depended on in the file system: the files that it read, and the places where it
 * looked in vain, so that a header that appears earlier in the search order is noticed too.
 */
#ifndef CUBBY_DEPS_DEPS_H
#define CUBBY_DEPS_DEPS_H

#include <stdbool.h>
#include <stddef.h>

#include <cubby/backend.h>

#include "os/file_stamp.h"

/* What must hold at a path. Values are stored. */
enum dep_kind {
    DEP_FILE = 0,     /* a file of that content */
    DEP_PRESENT = 1,  /* any readable file */
    DEP_MISSING = 2,  /* nothing at all */
    DEP_UNUSABLE = 3, /* no readable file, but perhaps a folder */
};

#define DEP_KINDS 4

struct dep {
    char *path; /* owned, not empty; as the compiler would open it, relative ones from the current
                   folder */
    enum dep_kind kind;
    struct file_stamp stamp; /* of a DEP_FILE and a DEP_PRESENT */
    struct cubby_key digest; /* of a DEP_FILE's content */
};

/* A set, sorted by path once deps_sort() was called. */
struct deps {
    struct dep *items;
    size_t count;
    size_t capacity;
    int64_t settled_ns; /* file_stamp_settled_ns() from before the first of them was looked at */
    bool failed;        /* memory ran out; what follows is not added */
};

#define DEPS_INIT                                                                                  \
    { NULL, 0, 0, 0, false }

/* What is at a path now: DEP_PRESENT with its stamp, DEP_UNUSABLE or DEP_MISSING. */
enum dep_kind dep_look(const char *path, struct file_stamp *ret_stamp);

/* Adds an item and takes over its path. */
void deps_add(struct deps *deps, const struct dep *dep);

/*
 * Sorts by path, keeps one item of each path and shortens what is missing to the first folder that
 * is missing. A path that had to be a file of some content and something else as well contradicts
 * itself: false.
 */
bool deps_sort(struct deps *deps);

void deps_free(struct deps *deps);

#endif
