/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of manifests and of what goes into them share. */
#ifndef TESTS_DEPS_HELP_H
#define TESTS_DEPS_HELP_H

#include <time.h>

#include "deps/manifest.h"

/* Makes a new empty folder the current one; a fixture. */
void enter_scratch(void);

void write_text(const char *path, const char *text);

/* Changes a file to a text of the same length, and gives it back its modification time, as careless
 * tools do. */
void edit_in_secret(const char *path, const char *text);

/* Seconds since the epoch. */
void set_mtime(const char *path, time_t seconds);

bool same_key(const struct cubby_key *left, const struct cubby_key *right);

/* Adds a path of which something other than its content counts. */
void dep_add(struct deps *deps, const char *path, enum dep_kind kind);

/* Adds a file as it is now. */
void dep_add_file(struct deps *deps, const char *path);

/* Writes n.h with the number as its content and adds it. */
void number_deps(struct deps *deps, unsigned number);

/* Whatever the clock says, the stamps of these files are trusted. */
void deps_trust(struct deps *deps);

/* Puts a set under the key of a number below 100; the paths stay with the deps. */
void put_set(struct manifest *manifest, const struct deps *deps, unsigned number);

/* The number of the set that holds now, or -1. ret_refreshed may be NULL. */
int match_set(struct manifest *manifest, bool strict, bool *ret_refreshed);

/* The same, not strict. */
int set_that_holds(struct manifest *manifest);

/* The payload in a block of exactly its size, so that one read too many is seen. */
unsigned char *encode_exactly(const struct manifest *manifest, size_t *ret_size);

#endif
