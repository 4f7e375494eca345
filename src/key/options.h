/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of NVRTC: spellings that mean the same become one, in the order in which they were
 * given; and what an option means for the key. docs/keys.md has the table with its evidence.
 */
#ifndef CUBBY_KEY_OPTIONS_H
#define CUBBY_KEY_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>

#include <cubby/error.h>

/* How one option bears on the key. */
enum option_effect {
    OPTION_COUNTS,       /* may change the object: enters the key as it is */
    OPTION_NEUTRAL,      /* changes nothing in the object: left out */
    OPTION_INCLUDE_DIR,  /* counts where the program can read files */
    OPTION_PRE_INCLUDE,  /* reads a file */
    OPTION_NOT_BESIDE,   /* quoted includes are not searched beside the file that includes */
    OPTION_NAMES_SOURCE, /* puts the name of the source and its folder into the object */
    OPTION_SEED,         /* the user's own -frandom-seed */
    OPTION_BYPASSED,     /* compiles, but is not to be cached */
    OPTION_REFUSED,      /* has a side effect that a hit would not repeat */
};

/* One option in canonical form. */
struct option {
    char *text; /* owned, such as "--gpu-architecture=sm_90" */
    enum option_effect effect;
    const char *why; /* static: for OPTION_BYPASSED */
};

/* A list of them; released by options_free. */
struct options {
    struct option *items;
    size_t count;
};

/*
 * Reads the caller's options. Unknown ones go through verbatim.
 * Returns 0, or INVALID for an option with a side effect.
 */
int options_parse(const char *const *strings, size_t count, struct options *ret_options,
                  struct cubby_error *error);

/* What follows the "=" of an option, borrowed; "" where it has none. */
const char *option_value(const struct option *option);

void options_free(struct options *options);

#endif
