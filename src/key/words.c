/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The words in a text that tie what is compiled to its name or to the time. Every source is looked
 * through for them before it is compiled, so this is written to be about as fast as reading is.
 */
#include <string.h>

#include "key/paste.h"
#include "key/scan.h"
#include "util/lanes.h"

/* True if "assert" or "source_location" may begin in this block or up to 9 bytes before it: it has
 * "ss", any byte, "r", or it has "_l". Up to 3 bytes behind the block are read. */
static bool block_may_name(const char *block) {
    lanes found = {0};

    for (size_t i = 0; i < LANES_BLOCK; i += LANES) {
        lanes first = lanes_at(block + i), second = lanes_at(block + i + 1);

        found |= (lanes)((first == 's') & (second == 's') & (lanes_at(block + i + 3) == 'r'));
        found |= (lanes)((first == '_') & (second == 'l'));
    }
    return lanes_any(found, 0xff);
}

static bool has_word(const char *start, const char *end, const char *word) {
    return memmem(start, (size_t)(end - start), word, strlen(word)) != NULL;
}

static bool names_itself(const char *start, const char *end) {
    return has_word(start, end, "assert") || has_word(start, end, "source_location");
}

/* True if the text has one of the two words that lack a rare byte: block by block, and only where
 * a block may have one of them, word by word, with room for a word that crosses its ends. */
static bool has_common_word(const struct scan_text *text) {
    const char *at = text->start;

    for (; text->end - at >= LANES_BLOCK + LANES; at += LANES_BLOCK) {
        const char *start = at - text->start < LANES ? text->start : at - LANES;

        if (block_may_name(at) && names_itself(start, at + LANES_BLOCK + LANES))
            return true;
    }
    return names_itself(at - text->start < LANES ? text->start : at - LANES, text->end);
}

/* What was seen of the words that end in E and, but for FILE, two underscores. */
struct macros {
    bool file, date, time;
};

static struct macros find_macros(const struct scan_text *text) {
    struct macros seen = {false, false, false};
    const char *at = text->start;

    for (; (at = memchr(at, 'E', (size_t)(text->end - at))); at++) {
        bool marked = text->end - at >= 3 && memcmp(at + 1, "__", 2) == 0;
        size_t before = (size_t)(at - text->start);

        if (before >= 3 && memcmp(at - 3, "FIL", 3) == 0)
            seen.file = true;
        else if (marked && before >= 5 && memcmp(at - 5, "__DAT", 5) == 0)
            seen.date = true;
        else if (marked && before >= 5 && memcmp(at - 5, "__TIM", 5) == 0)
            seen.time = true;
    }
    return seen;
}

void scan_words(const struct scan_text *text, struct scan_words *ret_words) {
    struct macros seen = find_macros(text);

    ret_words->pastes = paste_is_used(text->start, (size_t)(text->end - text->start));
    /* Pasting can make __FILE__ out of pieces. */
    ret_words->uses_name = seen.file || ret_words->pastes || has_common_word(text);
    ret_words->volatile_macro = seen.date ? "__DATE__" : seen.time ? "__TIME__" : NULL;
}
