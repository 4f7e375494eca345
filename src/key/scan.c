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

/* ---- Blocks -------------------------------------------------------------------- */

#define BLOCK 64
#define LANES 16

typedef unsigned char lanes __attribute__((vector_size(LANES)));

static lanes lanes_at(const void *at) {
    lanes value;

    memcpy(&value, at, sizeof(value));
    return value;
}

/* True if any of these bits is set in any byte. */
static bool any_bit(lanes value, unsigned char bits) {
    unsigned long long parts[LANES / sizeof(unsigned long long)];

    value &= bits;
    memcpy(parts, &value, sizeof(parts));
    return (parts[0] | parts[1]) != 0;
}

/* ---- Finding ------------------------------------------------------------------ */

/* The next place of a word whose first byte is rare in sources, or NULL: the C library's search for
 * one byte is several times as fast as that for a word. */
static const char *find_rare(const char *at, const char *end, const char *word) {
    size_t length = strlen(word);

    while ((at = memchr(at, word[0], (size_t)(end - at)))) {
        if ((size_t)(end - at) >= length && memcmp(at, word, length) == 0)
            return at;
        at++;
    }
    return NULL;
}

/* ---- Splicing ---------------------------------------------------------------- */

static bool is_splice(const char *after, const char *end) {
    while (after < end && *after != '\n' && isspace((unsigned char)*after))
        after++;
    return after < end && *after == '\n';
}

/* True if a backslash and a line end follow each other anywhere, also as a trigraph. */
static bool has_splice(struct text text) {
    static const char *const BACKSLASHES[] = {"\\", "?\?/"};

    for (size_t i = 0; i < 2; i++) {
        const char *at = text.start;

        while ((at = find_rare(at, text.end, BACKSLASHES[i]))) {
            at += strlen(BACKSLASHES[i]);
            if (is_splice(at, text.end))
                return true;
        }
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
    const char *at = text.start;

    while ((at = find_rare(at, text.end, introducer))) {
        at += strlen(introducer);
        scan_directive(at, text.end, visit, context);
    }
}

/* ---- Words ---------------------------------------------------------------------- */

/* True if "assert" or "source_location" may begin in this block or up to 9 bytes before it: it has
 * "ss", any byte, "r", or it has "_l". Up to 3 bytes behind the block are read. */
static bool block_may_name(const char *block) {
    lanes found = {0};

    for (size_t i = 0; i < BLOCK; i += LANES) {
        lanes first = lanes_at(block + i), second = lanes_at(block + i + 1);

        found |= (lanes)((first == 's') & (second == 's') & (lanes_at(block + i + 3) == 'r'));
        found |= (lanes)((first == '_') & (second == 'l'));
    }
    return any_bit(found, 0xff);
}

static bool has_word(const char *start, const char *end, const char *word) {
    return memmem(start, (size_t)(end - start), word, strlen(word)) != NULL;
}

static bool names_itself(const char *start, const char *end) {
    return has_word(start, end, "assert") || has_word(start, end, "source_location");
}

/* True if the text has one of the two words that lack a rare byte: block by block, and only where
 * a block may have one of them, word by word, with room for a word that crosses its ends. */
static bool has_common_word(struct text text) {
    const char *at = text.start;

    for (; text.end - at >= BLOCK + LANES; at += BLOCK) {
        const char *start = at - text.start < LANES ? text.start : at - LANES;

        if (block_may_name(at) && names_itself(start, at + BLOCK + LANES))
            return true;
    }
    return names_itself(at - text.start < LANES ? text.start : at - LANES, text.end);
}

/* What was seen of the words that end in E and, but for FILE, two underscores. */
struct macros {
    bool file, date, time;
};

static struct macros find_macros(struct text text) {
    struct macros seen = {false, false, false};
    const char *at = text.start;

    for (; (at = memchr(at, 'E', (size_t)(text.end - at))); at++) {
        bool marked = text.end - at >= 3 && memcmp(at + 1, "__", 2) == 0;
        size_t before = (size_t)(at - text.start);

        if (before >= 3 && memcmp(at - 3, "FIL", 3) == 0)
            seen.file = true;
        else if (marked && before >= 5 && memcmp(at - 5, "__DAT", 5) == 0)
            seen.date = true;
        else if (marked && before >= 5 && memcmp(at - 5, "__TIM", 5) == 0)
            seen.time = true;
    }
    return seen;
}

static void scan_words(struct text text, struct scan *ret_scan) {
    struct macros seen = find_macros(text);

    ret_scan->pastes = paste_is_used(text.start, (size_t)(text.end - text.start));
    /* Pasting can make __FILE__ out of pieces. */
    ret_scan->uses_name = seen.file || ret_scan->pastes || has_common_word(text);
    ret_scan->volatile_macro = seen.date ? "__DATE__" : seen.time ? "__TIME__" : NULL;
}

/* Words that look for files count wherever they stand: a directive may go on over several lines
 * within a comment, and a macro may hold them. */
static void scan_probes(struct text text, scan_include visit, void *context) {
    if (has_word(text.start, text.end, "__has_include"))
        visit(NULL, "__has_include", context);
    if (has_word(text.start, text.end, "__has_embed"))
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

/* Length of the run of ASCII at the position, in whole blocks. */
static size_t ascii_blocks(const unsigned char *at, size_t left) {
    size_t length = 0;

    for (; left - length >= BLOCK; length += BLOCK) {
        lanes all = {0};

        for (size_t i = 0; i < BLOCK; i += LANES)
            all |= lanes_at(at + length + i);
        if (any_bit(all, 0x80))
            break;
    }
    return length;
}

bool scan_utf8(const char *text, size_t size, size_t *ret_offset) {
    const unsigned char *bytes = (const unsigned char *)text;
    size_t at = ascii_blocks(bytes, size);

    while (at < size) {
        size_t length = utf8_sequence(bytes + at, size - at);

        if (length == 0) {
            *ret_offset = at;
            return false;
        }
        at += length;
        if (length > 1)
            at += ascii_blocks(bytes + at, size - at);
    }
    return true;
}
