/* SPDX-License-Identifier: Apache-2.0 */
#include "key/scan.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct text {
    const char *start;
    const char *end;
};

/* ---- Splicing ---------------------------------------------------------------- */

/* True if a backslash and a line end follow each other anywhere, also as a trigraph. */
static bool has_splice(struct text text) {
    const char *at = text.start;

    while ((at = memchr(at, '\n', (size_t)(text.end - at)))) {
        const char *before = at;

        while (before > text.start &&
               (before[-1] == '\r' || before[-1] == ' ' || before[-1] == '\t' ||
                before[-1] == '\f' || before[-1] == '\v'))
            before--;
        if (before > text.start && (before[-1] == '\\' || before[-1] == '/'))
            return true;
        at++;
    }
    return false;
}

/* The text with its spliced lines joined, as a compiler reads it: new bytes, or NULL. */
static char *join_lines(struct text text, size_t *ret_size) {
    char *joined = malloc((size_t)(text.end - text.start) + 1);
    size_t size = 0;

    if (!joined)
        return NULL;
    for (const char *at = text.start; at < text.end; at++) {
        const char *after = at;

        if (*at == '\\')
            after = at + 1;
        else if (text.end - at >= 3 && memcmp(at, "?\?/", 3) == 0)
            after = at + 3;
        if (after != at) {
            while (after < text.end && *after != '\n' && isspace((unsigned char)*after))
                after++;
            if (after < text.end && *after == '\n') {
                at = after;
                continue;
            }
        }
        joined[size++] = *at;
    }
    *ret_size = size;
    return joined;
}

/* ---- Directives --------------------------------------------------------------- */

/* Skips blanks and comments within a line. */
static const char *skip_blanks(const char *at, const char *end) {
    for (;;) {
        while (at < end && (*at == ' ' || *at == '\t' || *at == '\v' || *at == '\f' || *at == '\r'))
            at++;
        if (end - at < 2 || at[0] != '/' || at[1] != '*')
            return at;
        at = memmem(at + 2, (size_t)(end - at) - 2, "*/", 2);
        if (!at)
            return end;
        at += 2;
    }
}

static const char *word_end(const char *at, const char *end) {
    while (at < end && (isalnum((unsigned char)*at) || *at == '_'))
        at++;
    return at;
}

static bool word_is(const char *start, const char *end, const char *word) {
    return (size_t)(end - start) == strlen(word) && memcmp(start, word, strlen(word)) == 0;
}

/* "name" or <name> at the position: its spelling, or false where it is anything else. */
static bool literal_name(const char *at, const char *end, char ret_name[SCAN_SPELLING_SIZE]) {
    const char *close;
    size_t length;

    if (at >= end || (*at != '"' && *at != '<'))
        return false;
    close = memchr(at + 1, *at == '<' ? '>' : '"', (size_t)(end - at) - 1);
    if (!close || memchr(at, '\n', (size_t)(close - at)))
        return false;
    length = (size_t)(close - at) - 1;
    if (length >= SCAN_SPELLING_SIZE)
        return false;
    memcpy(ret_name, at + 1, length);
    ret_name[length] = '\0';
    return true;
}

static void report(const char *start, const char *end, const char *spelling, scan_include visit,
                   void *context) {
    const char *line_end = memchr(start, '\n', (size_t)(end - start));
    char what[SCAN_SPELLING_SIZE];
    size_t length = (size_t)((line_end ? line_end : end) - start);

    if (length > 0 && start[length - 1] == '\r')
        length--;
    snprintf(what, sizeof(what), "#%.*s", (int)(length < sizeof(what) ? length : sizeof(what)),
             start);
    visit(spelling, what, context);
}

/* The directive whose text begins after its introducer ('#', "%:" or the trigraph). */
static void scan_directive(const char *at, const char *end, scan_include visit, void *context) {
    const char *start = skip_blanks(at, end);
    const char *after;
    char name[SCAN_SPELLING_SIZE];

    if (start >= end)
        return;
    after = word_end(start, end);
    if (word_is(start, after, "include")) {
        bool literal = literal_name(skip_blanks(after, end), end, name);

        report(start, end, literal ? name : NULL, visit, context);
        return;
    }
    /* What finds "the next" file, or embeds one, reads the file system whatever its name. */
    if (word_is(start, after, "include_next") || word_is(start, after, "import") ||
        word_is(start, after, "embed")) {
        report(start, end, NULL, visit, context);
        return;
    }
}

static void scan_introducer(struct text text, const char *introducer, scan_include visit,
                            void *context) {
    size_t length = strlen(introducer);
    const char *at = text.start;

    while ((at = memmem(at, (size_t)(text.end - at), introducer, length))) {
        at += length;
        scan_directive(at, text.end, visit, context);
    }
}

/* ---- Words ---------------------------------------------------------------------- */

static bool has_word(struct text text, const char *word) {
    return memmem(text.start, (size_t)(text.end - text.start), word, strlen(word)) != NULL;
}

static void scan_words(struct text text, struct scan *ret_scan) {
    ret_scan->pastes = paste_is_used(text.start, (size_t)(text.end - text.start));
    /* Pasting can make __FILE__ out of pieces. */
    ret_scan->uses_name = has_word(text, "FILE") || has_word(text, "source_location") ||
                          has_word(text, "assert") || ret_scan->pastes;
    ret_scan->volatile_macro = has_word(text, "__DATE__")   ? "__DATE__"
                               : has_word(text, "__TIME__") ? "__TIME__"
                                                            : NULL;
}

/* Words that look for files count wherever they stand: a directive may go on over several lines
 * within a comment, and a macro may hold them. */
static void scan_probes(struct text text, scan_include visit, void *context) {
    if (has_word(text, "__has_include"))
        visit(NULL, "__has_include", context);
    if (has_word(text, "__has_embed"))
        visit(NULL, "__has_embed", context);
}

void scan_text(const char *text, size_t size, struct scan *ret_scan, scan_include visit,
               void *context) {
    struct text whole = {text, text + size};
    char *joined = NULL;

    if (has_splice(whole)) {
        joined = join_lines(whole, &size);
        if (joined)
            whole = (struct text){joined, joined + size};
        else
            visit(NULL, "a text too large to look through", context);
    }
    scan_introducer(whole, "#", visit, context);
    scan_introducer(whole, "%:", visit, context);
    scan_introducer(whole, "?\?=", visit, context);
    scan_probes(whole, visit, context);
    scan_words(whole, ret_scan);
    free(joined);
}

bool scan_pieces(const char *text, size_t size, struct pieces *pieces) {
    struct text whole = {text, text + size};
    char *joined = has_splice(whole) ? join_lines(whole, &size) : NULL;

    if (!joined && has_splice(whole))
        return false;
    pieces_add(pieces, joined ? joined : text, size);
    free(joined);
    return true;
}

/* ---- UTF-8 ------------------------------------------------------------------------ */

/* Length of the well-formed sequence at the position, 0 where there is none. */
static size_t utf8_sequence(const unsigned char *at, size_t left) {
    unsigned char low = 0x80, high = 0xbf;
    size_t length;

    if (at[0] < 0x80)
        return 1;
    if (at[0] >= 0xc2 && at[0] <= 0xdf)
        length = 2;
    else if (at[0] >= 0xe0 && at[0] <= 0xef)
        length = 3;
    else if (at[0] >= 0xf0 && at[0] <= 0xf4)
        length = 4;
    else
        return 0;
    if (at[0] == 0xe0)
        low = 0xa0; /* no overlong forms */
    else if (at[0] == 0xed)
        high = 0x9f; /* no surrogates */
    else if (at[0] == 0xf0)
        low = 0x90;
    else if (at[0] == 0xf4)
        high = 0x8f; /* nothing above U+10FFFF */
    if (left < length || at[1] < low || at[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++) {
        if (at[i] < 0x80 || at[i] > 0xbf)
            return 0;
    }
    return length;
}

bool scan_utf8(const char *text, size_t size, size_t *ret_offset) {
    const unsigned char *bytes = (const unsigned char *)text;
    size_t at = 0;

    while (at < size) {
        size_t length = utf8_sequence(bytes + at, size - at);

        if (length == 0) {
            *ret_offset = at;
            return false;
        }
        at += length;
    }
    return true;
}
