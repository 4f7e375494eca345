/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of compilers and linkers: spellings that mean the same become one, in the order in
 * which they were given; and what an option means for the key. docs/keys.md and
 * docs/keys-linkers.md have the tables with their evidence.
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
    OPTION_DRIVER_TOO,   /* counts; the driver's linker knows it as well, unlike all other */
    OPTION_DRIVER_NOT,   /* counts, but says nothing to the driver's linker */
    OPTION_LTO,          /* counts unless the inputs ask for it already */
    OPTION_REFUSED,      /* has a side effect that a hit would not repeat, or names the target */
};

/* How an option takes its value. What is not of its form goes to the compiler as it is. */
enum value_form {
    VALUE_NONE,     /* -G */
    VALUE_IGNORED,  /* -no-cache, -no-cache=anything */
    VALUE_EQUALS,   /* -std=c++17 */
    VALUE_DETACHED, /* -arch=sm_90, or two strings */
    VALUE_ATTACHED, /* as VALUE_DETACHED, and also "-DX" and "-D X" in one string */
};

/* One option of a compiler. */
struct option_rule {
    const char *spellings[3]; /* the first is canonical */
    enum value_form form;
    enum option_effect effect;
    const char *why; /* for OPTION_BYPASSED and OPTION_REFUSED */
};

/* What a compiler makes of blanks at the ends of an option. */
enum blanks {
    BLANKS_COUNT,  /* they are part of it */
    BLANKS_BEHIND, /* those behind it are taken off */
    BLANKS_AROUND, /* those at both ends are */
};

/* All options of one compiler; static. */
struct option_dialect {
    const struct option_rule *rules;
    size_t count;
    enum blanks blanks;
    bool sorted; /* their order says nothing */
};

extern const struct option_dialect DIALECT_NVRTC;
extern const struct option_dialect DIALECT_LINKER; /* nvJitLink, and the driver's linker */
extern const struct option_dialect DIALECT_NVVM;

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
int options_parse(const struct option_dialect *dialect, const char *const *strings, size_t count,
                  struct options *ret_options, struct cubby_error *error);

/* What follows the "=" of an option, borrowed; "" where it has none. */
const char *option_value(const struct option *option);

void options_free(struct options *options);

#endif
