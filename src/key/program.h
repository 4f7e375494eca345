/* SPDX-License-Identifier: Apache-2.0 */
/* A program from within: what the key and the compiler need of it. */
#ifndef CUBBY_KEY_PROGRAM_H
#define CUBBY_KEY_PROGRAM_H

#include <stdatomic.h>

#include <cubby/cubby.h>

#include "key/options.h"
#include "key/source.h"

/* An in-memory header, its text and what was learned from it. */
struct program_header {
    char *name;
    struct source *source;
};

/* Immutable once made. */
struct cubby_program {
    atomic_uint references;
    struct source *source;
    enum cubby_target target;
    char *name;
    char *arch;     /* what the compiler is told; NULL for its default */
    char **strings; /* options as given, for the compiler */
    size_t string_count;
    struct options options;         /* the same, canonical, for the key */
    struct program_header *headers; /* sorted by name */
    size_t header_count;
    char **names; /* sorted, each once */
    size_t name_count;
    bool has_extra;
    struct cubby_key extra;
    bool reaches_files; /* some text or option can read a file */
    bool not_beside;    /* quoted includes are not searched beside the file that includes */
    bool names_source;  /* the whole name of the source may enter the object, not only its base */
    bool stamps_source; /* folder and time stamps of the source may enter the object */
    bool has_seed;      /* the user gave -frandom-seed */
    char uncacheable[256];
};

/* True if there is an in-memory header of exactly that name. */
bool program_has_header(const struct cubby_program *program, const char *name);

#endif
