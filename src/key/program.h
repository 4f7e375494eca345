/* SPDX-License-Identifier: Apache-2.0 */
/* A program from within: what the key and the compiler need of it. */
#ifndef CUBBY_KEY_PROGRAM_H
#define CUBBY_KEY_PROGRAM_H

#include <stdatomic.h>

#include <cubby/cubby.h>

#include "key/input.h"
#include "key/options.h"
#include "key/source.h"

/* An in-memory header, its text and what was learned from it. */
struct program_header {
    char *name;
    struct source *source;
};

/* What a program is made from. */
enum program_kind {
    PROGRAM_CUDA = CUBBY_SOURCE_CUDA,
    PROGRAM_PTX = CUBBY_SOURCE_PTX,
    PROGRAM_NVVM = CUBBY_SOURCE_NVVM,
    PROGRAM_LINK, /* no source, but inputs */
};

/* Immutable once made. */
struct cubby_program {
    atomic_uint references;
    enum program_kind kind;
    struct source *source; /* NULL for a link */
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
    struct input *inputs; /* of a link, or further modules of NVVM IR; in order */
    size_t input_count;
    bool use_libdevice;
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
/* "cuda", "ptx", "nvvm" or "link". */
const char *program_kind_name(enum program_kind kind);

/* True if some input of a link is LTO-IR, so that it is linked with -lto. */
bool program_links_ltoir(const struct cubby_program *program);

/* An empty program, to be filled; NULL when memory is short. */
struct cubby_program *program_alloc(enum program_kind kind);

/*
 * Fills what programs and links have in common: target, name, architecture, options, extra. Only
 * these members of options are looked at.
 */
int program_fill(struct cubby_program *program, const struct option_dialect *dialect,
                 const struct cubby_program_options *options, struct cubby_error *error);

/* To be called last: what options and texts mean together. */
void program_weigh(struct cubby_program *program);

#endif
