/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The preprocessor's tokens, as far as the names of headers are made of them. What may be read in
 * more than one way, or differently by different front ends, is one token that says so.
 */
#ifndef CUBBY_DEPS_MACRO_TOKENS_H
#define CUBBY_DEPS_MACRO_TOKENS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum macro_token_kind {
    MACRO_WORD,   /* an identifier */
    MACRO_NUMBER, /* what begins with a digit: 1, 2x, 1.0a */
    MACRO_STRING, /* "..." without a backslash; the quotes are part of it */
    MACRO_MARK,   /* one character of punctuation */
    MACRO_PASTE,  /* ## */
    MACRO_ODD,    /* anything else */
};

struct macro_token {
    enum macro_token_kind kind;
    const char *text; /* borrowed */
    size_t length;
    bool blank;    /* a blank or a comment stands before it */
    uint64_t from; /* the macros that it came out of, one bit each */
};

struct macro_tokens {
    struct macro_token *items; /* owned */
    size_t count;
    size_t capacity;
    bool failed; /* memory ran out; what follows is not added */
};

#define MACRO_TOKENS_INIT                                                                          \
    { NULL, 0, 0, false }

/* Adds the tokens of a line, without its end; the text must outlive them. */
void macro_tokens_read(struct macro_tokens *tokens, const char *text, const char *end);

void macro_tokens_add(struct macro_tokens *tokens, const struct macro_token *token);

/* Puts others in the place of count tokens from the index on. */
void macro_tokens_replace(struct macro_tokens *tokens, size_t index, size_t count,
                          const struct macro_tokens *others);

bool macro_token_is(const struct macro_token *token, char mark);

void macro_tokens_free(struct macro_tokens *tokens);

#endif
