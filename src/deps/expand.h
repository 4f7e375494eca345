/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Replacing macros by what they stand for, as the preprocessor does, in one reading: each word has
 * one definition or none. What is not plain is not guessed but given up.
 */
#ifndef CUBBY_DEPS_EXPAND_H
#define CUBBY_DEPS_EXPAND_H

#include "deps/macro_tokens.h"
#include "deps/macros.h"
#include "util/names.h"

struct expander;

/* The definition that a word has in this reading, and the bit that stands for it; NULL where it has
 * none, also where it gave up. */
typedef const struct macro *(*expand_choose)(struct expander *expander,
                                             const struct macro_token *word, uint64_t *ret_bit);

struct expander {
    expand_choose choose;
    void *context;           /* for choose */
    struct names made;       /* texts of tokens that were made; the caller frees them */
    size_t depth;            /* of uses in arguments */
    const char *why;         /* static: why it gave up; NULL while all is well */
    struct macro_text where; /* what it gave up at */
};

/* Gives up; the first reason stays. */
void expand_give_up(struct expander *expander, const struct macro_token *where, const char *why);

/*
 * Expands an include's operand in place. Where it begins with something that begins no header's
 * name, the rest is left as it is. Fails with tokens->failed or made.failed where memory is short.
 */
void expand_operand(struct expander *expander, struct macro_tokens *tokens);

#endif
