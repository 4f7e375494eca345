/* SPDX-License-Identifier: Apache-2.0 */
#include "deps/macro_tokens.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "key/scan.h"

/* ---- A list of them ---------------------------------------------------------------------- */

static bool reserve(struct macro_tokens *tokens, size_t count) {
    size_t capacity = tokens->capacity ? tokens->capacity : 16;
    struct macro_token *grown;

    while (capacity < count)
        capacity *= 2;
    if (!tokens->failed && capacity > tokens->capacity) {
        grown = realloc(tokens->items, capacity * sizeof(*grown));
        tokens->failed = !grown;
        if (grown) {
            tokens->items = grown;
            tokens->capacity = capacity;
        }
    }
    return !tokens->failed;
}

void macro_tokens_add(struct macro_tokens *tokens, const struct macro_token *token) {
    if (reserve(tokens, tokens->count + 1))
        tokens->items[tokens->count++] = *token;
}

void macro_tokens_replace(struct macro_tokens *tokens, size_t index, size_t count,
                          const struct macro_tokens *others) {
    size_t behind = tokens->count - index - count;

    tokens->failed = tokens->failed || others->failed;
    if (!reserve(tokens, index + others->count + behind))
        return;
    memmove(tokens->items + index + others->count, tokens->items + index + count,
            behind * sizeof(*tokens->items));
    if (others->count > 0)
        memcpy(tokens->items + index, others->items, others->count * sizeof(*tokens->items));
    tokens->count = index + others->count + behind;
}

bool macro_token_is(const struct macro_token *token, char mark) {
    return token->kind == MACRO_MARK && *token->text == mark;
}

void macro_tokens_free(struct macro_tokens *tokens) {
    free(tokens->items);
    *tokens = (struct macro_tokens)MACRO_TOKENS_INIT;
}

/* ---- Reading them ------------------------------------------------------------------------ */

/* Skips blanks and comments; NULL where a comment does not end on the line. */
static const char *skip_blanks(const char *at, const char *end) {
    for (;;) {
        while (at < end && (*at == ' ' || *at == '\t' || *at == '\v' || *at == '\f'))
            at++;
        if (end - at < 2 || at[0] != '/')
            return at;
        if (at[1] == '/')
            return end;
        if (at[1] != '*')
            return at;
        at = memmem(at + 2, (size_t)(end - at) - 2, "*/", 2);
        if (!at)
            return NULL;
        at += 2;
    }
}

/* Two characters that together are, or may be, more than each by itself. */
static bool is_odd_pair(char first, char second) {
    static const char *const PAIRS[] = {
        "<<", "<=", "<:", "<%", ">>", ">=", "->", ":>", "%>", "%:", "?\?", "*/"};

    for (size_t i = 0; i < sizeof(PAIRS) / sizeof(*PAIRS); i++) {
        if (PAIRS[i][0] == first && PAIRS[i][1] == second)
            return true;
    }
    return false;
}

static bool is_quote(const char *at, const char *end) {
    return at < end && (*at == '"' || *at == '\'');
}

/* A word, or with a quote behind it the prefix of a literal. */
static const char *read_word(const char *at, const char *end, struct macro_token *token) {
    at = scan_word_end(at, end);
    token->kind = is_quote(at, end) ? MACRO_ODD : MACRO_WORD;
    return at;
}

/* A sign behind an e or a p belongs to the number or not, depending on the language. */
static const char *read_number(const char *at, const char *end, struct macro_token *token) {
    const char *start = at;

    while (at < end && (isalnum((unsigned char)*at) || *at == '_' || *at == '.'))
        at++;
    token->kind = is_quote(at, end) ? MACRO_ODD : MACRO_NUMBER;
    for (const char *sign = start + 1; sign <= at && sign < end; sign++) {
        if ((*sign == '-' || *sign == '+') && strchr("eEpP", sign[-1]))
            token->kind = MACRO_ODD;
    }
    return at;
}

static const char *read_string(const char *at, const char *end, struct macro_token *token) {
    const char *close = memchr(at + 1, '"', (size_t)(end - at) - 1);

    token->kind = MACRO_ODD;
    if (!close)
        return end;
    if (!memchr(at, '\\', (size_t)(close - at)) && !memmem(at, (size_t)(close - at), "?\?", 2) &&
        scan_word_end(close + 1, end) == close + 1)
        token->kind = MACRO_STRING;
    return close + 1;
}

static const char *read_mark(const char *at, const char *end, struct macro_token *token) {
    static const char MARKS[] = "!#%&()*+,-./:;<=>?[]^{|}~";
    char next = '\0';

    if (end - at > 1)
        next = at[1];
    token->kind = *at && strchr(MARKS, *at) ? MACRO_MARK : MACRO_ODD;
    if (*at == '#' && next == '#') {
        token->kind = MACRO_PASTE;
        return at + 2;
    }
    if (is_odd_pair(*at, next))
        token->kind = MACRO_ODD;
    return at + 1;
}

static const char *read_token(const char *at, const char *end, struct macro_token *token) {
    bool digit_follows = end - at > 1 && isdigit((unsigned char)at[1]);

    if (isdigit((unsigned char)*at) || (*at == '.' && digit_follows))
        return read_number(at, end, token);
    if (scan_word_end(at, end) > at)
        return read_word(at, end, token);
    if (*at == '"')
        return read_string(at, end, token);
    return read_mark(at, end, token);
}

void macro_tokens_read(struct macro_tokens *tokens, const char *text, const char *end) {
    while (end > text && isspace((unsigned char)end[-1]))
        end--;
    while (text < end && !tokens->failed) {
        const char *at = skip_blanks(text, end);
        struct macro_token token = {.kind = MACRO_ODD, .text = text, .blank = at != text};

        if (!at) { /* a comment that goes on; what stands behind it is not known */
            token.length = (size_t)(end - text);
            macro_tokens_add(tokens, &token);
            return;
        }
        if (at == end)
            return;
        text = read_token(at, end, &token);
        token.text = at;
        token.length = (size_t)(text - at);
        macro_tokens_add(tokens, &token);
    }
}
