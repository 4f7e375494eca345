/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The look through a source leaves out what the sieve says is not there. Here random texts, made of
 * what the look is for and of pieces of it, are looked through without a sieve as well.
 */
#include "harness.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "key/scan.h"
#include "key/sieve.h"

#define TEXTS 1000000
#define CHUNKS 20000
#define LARGEST 800 /* bytes of a text */
#define REFERENCES 64

static uint64_t state;

/* xorshift64*: Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled".
 */
static unsigned below(unsigned end) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (unsigned)((state * UINT64_C(2685821657736338717)) >> 33) % end;
}

/* ---- The sieve --------------------------------------------------------------------------- */

/* What the sieve is to say, byte by byte. */
static unsigned sieve_slowly(const char *chunk) {
    unsigned found = 0;

    for (size_t i = 0; i < SIEVE_CHUNK; i++) {
        const char *at = chunk + i;

        found |= *at == '\0' || (unsigned char)*at >= 0x80 ? SIEVE_FOREIGN : 0;
        found |= *at == '#' ? SIEVE_HASH : 0;
        found |= *at == '\\' ? SIEVE_BACKSLASH : 0;
        found |= *at == '%' || *at == '?' ? SIEVE_SPELLED : 0;
        found |= *at == 'E' ? SIEVE_E : 0;
        found |= memcmp(at, "sse", 3) == 0 ? SIEVE_SSE : 0;
        found |= memcmp(at, "as_", 3) == 0 ? SIEVE_AS_ : 0;
        found |= memcmp(at, "_l", 2) == 0 ? SIEVE_L : 0;
    }
    return found;
}

static void check_sieve(const char *bytes) {
    char *chunk = malloc(SIEVE_CHUNK + SIEVE_AHEAD); /* of its own, for sanitizers */
    unsigned expected;

    if (!chunk)
        ck_abort_msg("out of memory");
    memcpy(chunk, bytes, SIEVE_CHUNK + SIEVE_AHEAD);
    expected = sieve_slowly(chunk);
    if (sieve_chunk(chunk) != expected || sieve_chunk_plain(chunk) != expected)
        ck_abort_msg("%#x and %#x, expected %#x: %.*s", sieve_chunk(chunk),
                     sieve_chunk_plain(chunk), expected, SIEVE_CHUNK, chunk);
    free(chunk);
}

START_TEST(test_sieve_at_every_place) {
    static const char *const WORDS[] = {"\x80", "\xff", "#",   "\\",  "%",
                                        "?",    "E",    "sse", "as_", "_l"};
    char bytes[SIEVE_CHUNK + SIEVE_AHEAD + 3];

    for (size_t place = 0; place < SIEVE_CHUNK + SIEVE_AHEAD; place++) {
        for (size_t i = 0; i < sizeof(WORDS) / sizeof(*WORDS); i++) {
            memset(bytes, 'x', sizeof(bytes));
            memcpy(bytes + place, WORDS[i], strlen(WORDS[i]));
            check_sieve(bytes);
        }
        memset(bytes, 'x', sizeof(bytes));
        bytes[place] = '\0';
        check_sieve(bytes);
    }
}
END_TEST

/* Few of them in a chunk, so that most bits are clear; each byte value counts. */
START_TEST(test_sieve_at_random) {
    static const char LETTERS[] = "asse_lE#%?\\\x80\x7f";
    char bytes[SIEVE_CHUNK + SIEVE_AHEAD];

    state = 1;
    for (unsigned i = 0; i < CHUNKS; i++) {
        memset(bytes, 1 + (int)below(127), sizeof(bytes));
        for (unsigned count = below(5); count > 0; count--)
            bytes[below(sizeof(bytes))] = (char)below(256);
        for (unsigned at = below(sizeof(bytes)), end = at + below(8); at < end; at++)
            bytes[at % sizeof(bytes)] = LETTERS[below(sizeof(LETTERS))];
        check_sieve(bytes);
    }
}
END_TEST

/* ---- Texts ------------------------------------------------------------------------------- */

struct text {
    char bytes[LARGEST];
    size_t size;
};

static void add(struct text *text, const char *bytes, size_t size) {
    if (text->size + size > LARGEST)
        ck_abort_msg("a text is too large");
    memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
}

/* A run of pieces; now and then it begins near the end of a chunk, or lines end within words. */
static void make_text(struct text *text) {
    static const char *const PIECES[] = {
        "#",
        "##",
        "%:",
        "%:%:",
        "?\?=",
        "?\?/",
        "?\?/\n",
        "%",
        "?",
        ":",
        "\\",
        "\\\n",
        "\\\r\n",
        "\\ \n",
        "\n",
        " ",
        "\t",
        "include",
        "inc",
        "lude ",
        "<a>",
        "\"b\"",
        "include_next",
        "import",
        "embed",
        "__has_",
        "__has_include",
        "__has_include(<a>)",
        "__h",
        "as_",
        "__DATE__",
        "__TIME__",
        "__DA",
        "TE__",
        "__TIM",
        "E__",
        "FILE",
        "FI",
        "LE",
        "E",
        "_",
        "assert",
        "as",
        "sert",
        "s",
        "source_location",
        "source_l",
        "ocation",
        "_l",
        "/*",
        "*/",
        "//",
        "R\"(",
        ")\"",
        "define A",
        "x",
        "(",
        "\xe2\x82\xac",
        "\xa0",
        "\xff",
        "static_",
        "class ",
        "0x5c",
        "'",
    };
    static const char *const SPLICES[] = {"\\\n", "\\\r\n", "\\ \t\n", "?\?/\n"};
    unsigned splice = below(4), count = 1 + below(8);
    const char *filler = below(2) ? "s" : "_";

    text->size = 0;
    if (below(6) == 0) {
        text->size = SIEVE_CHUNK - below(40);
        memset(text->bytes, *filler, text->size);
    }
    for (unsigned i = 0; i < count; i++) {
        const char *piece = PIECES[below(sizeof(PIECES) / sizeof(*PIECES))];
        size_t length = strlen(piece), cut = below(16);

        if (splice == 0 && cut < length) {
            const char *end = SPLICES[below(4)];

            add(text, piece, cut);
            add(text, end, strlen(end));
            add(text, piece + cut, length - cut);
        } else {
            add(text, piece, length);
        }
    }
    if (below(16) == 0)
        add(text, "", 1);
}

/* ---- The look without a sieve ------------------------------------------------------------ */

/* Bytes of the splice at a place: a backslash, or its trigraph, and blanks up to a line's end. */
static size_t splice_at(const struct text *text, size_t at) {
    size_t end = at;

    if (text->bytes[at] == '\\')
        end++;
    else if (text->size - at >= 3 && memcmp(text->bytes + at, "?\?/", 3) == 0)
        end += 3;
    else
        return 0;
    while (end < text->size && text->bytes[end] != '\n' && isspace((unsigned char)text->bytes[end]))
        end++;
    return end < text->size && text->bytes[end] == '\n' ? end + 1 - at : 0;
}

static void join_slowly(const struct text *text, struct text *ret_joined, bool *ret_guessed) {
    ret_joined->size = 0;
    *ret_guessed = false;
    for (size_t at = 0; at < text->size;) {
        size_t splice = splice_at(text, at);

        if (splice == 0)
            ret_joined->bytes[ret_joined->size++] = text->bytes[at++];
        else if (splice != 2 && !(splice == 3 && text->bytes[at + 1] == '\r'))
            *ret_guessed = true;
        at += splice;
    }
}

static bool has(const struct text *text, const char *word) {
    return memmem(text->bytes, text->size, word, strlen(word)) != NULL;
}

/* Where a text refers to files, as places and kinds. */
struct references {
    const char *start;
    size_t count;
    struct {
        size_t place;
        size_t kind; /* enum scan_reference_kind */
    } items[REFERENCES];
};

static void note(const struct scan_reference *reference, void *context) {
    struct references *references = context;

    if (references->count < REFERENCES) {
        references->items[references->count].place = (size_t)(reference->what - references->start);
        references->items[references->count].kind = reference->kind;
    }
    references->count++;
}

static void find_references(const struct scan_text *text, struct references *ret_references) {
    struct names macros = NAMES_INIT;

    memset(ret_references, 0, sizeof(*ret_references));
    ret_references->start = text->start;
    scan_includes(text, note, ret_references);
    scan_probe_macros(text, &macros);
    scan_probes(text, &macros, note, ret_references);
    names_free(&macros);
}

static bool same_words(const struct scan_text *scan, const struct text *joined) {
    bool pastes = has(joined, "##") || has(joined, "%:%:") || has(joined, "?\?=?\?=");
    const char *macro = has(joined, "__DATE__")   ? "__DATE__"
                        : has(joined, "__TIME__") ? "__TIME__"
                                                  : NULL;
    struct scan_words words;

    scan_words(scan, &words);
    return words.pastes == pastes && words.probes == has(joined, "__has_") &&
           words.uses_name == (pastes || has(joined, "FILE") || has(joined, "assert") ||
                               has(joined, "source_location")) &&
           (macro ? words.volatile_macro && strcmp(words.volatile_macro, macro) == 0
                  : !words.volatile_macro);
}

/* With every mark set nothing is left out. */
static bool same_references(const struct scan_text *scan, const struct text *joined) {
    struct scan_text exact = {.start = joined->bytes, .end = joined->bytes + joined->size};
    struct references found, expected;

    memset(&exact.marks, true, sizeof(exact.marks));
    find_references(scan, &found);
    find_references(&exact, &expected);
    found.start = expected.start;
    return found.count <= REFERENCES && memcmp(&found, &expected, sizeof(found)) == 0;
}

static bool is_foreign(const struct text *text) {
    for (size_t i = 0; i < text->size; i++) {
        if (text->bytes[i] == '\0' || (unsigned char)text->bytes[i] >= 0x80)
            return true;
    }
    return false;
}

/* What differs, NULL where nothing does. */
static const char *difference(const struct text *text, const struct scan_text *scan) {
    struct text joined;
    bool guessed;

    join_slowly(text, &joined, &guessed);
    if ((size_t)(scan->end - scan->start) != joined.size ||
        memcmp(scan->start, joined.bytes, joined.size) != 0)
        return "joined lines";
    if (scan->guessed != guessed)
        return "lines that not all join";
    if (scan->marks.foreign != is_foreign(text))
        return "bytes beyond ASCII";
    if (!same_words(scan, &joined))
        return "words";
    return same_references(scan, &joined) ? NULL : "references";
}

/* Each assertion costs a system call, and there are many texts. */
static void check_text(const struct text *text) {
    char *bytes = malloc(text->size + 1); /* of its own, for sanitizers */
    struct scan_text scan;
    const char *what;

    if (!bytes || scan_open(memcpy(bytes + 1, text->bytes, text->size), text->size, &scan) < 0)
        ck_abort_msg("out of memory");
    what = difference(text, &scan);
    if (what)
        ck_abort_msg("%s differ: %.*s", what, (int)text->size, text->bytes);
    scan_close(&scan);
    free(bytes);
}

START_TEST(test_texts_at_random) {
    struct text text;

    state = 2;
    for (unsigned i = 0; i < TEXTS; i++) {
        make_text(&text);
        check_text(&text);
    }
}
END_TEST

/* Each word cut in two by the end of a line, at every place around the end of a chunk. */
START_TEST(test_words_across_lines) {
    static const char *const WORDS[] = {"assert",   "FILE",    "source_location", "__DATE__",
                                        "__TIME__", "__has_",  "#include <a>",    "a##b",
                                        "%:%:",     "?\?=?\?="};
    struct text text;

    for (size_t i = 0; i < sizeof(WORDS) / sizeof(*WORDS); i++) {
        for (size_t cut = 0; cut <= strlen(WORDS[i]); cut++) {
            for (size_t place = SIEVE_CHUNK - 24; place < SIEVE_CHUNK + 8; place++) {
                text.size = place;
                memset(text.bytes, 'x', place);
                add(&text, WORDS[i], cut);
                add(&text, "\\\n", 2);
                add(&text, WORDS[i] + cut, strlen(WORDS[i]) - cut);
                add(&text, "y", 1);
                check_text(&text);
            }
        }
    }
}
END_TEST

int main(void) {
    Suite *suite = suite_create("sieve");
    TCase *tcase = tcase_create("sieve");

    tcase_set_timeout(tcase, 120);
    tcase_add_test(tcase, test_sieve_at_every_place);
    tcase_add_test(tcase, test_sieve_at_random);
    tcase_add_test(tcase, test_texts_at_random);
    tcase_add_test(tcase, test_words_across_lines);
    suite_add_tcase(suite, tcase);
    return run_suite(suite);
}
