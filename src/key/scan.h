/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the text of a source says of its dependence on the world outside of it. The look is
 * conservative: text in a comment, a string or a branch not taken counts as code does.
 */
#ifndef CUBBY_KEY_SCAN_H
#define CUBBY_KEY_SCAN_H

#include <stdbool.h>
#include <stddef.h>

#include "util/names.h"

/* The next place of a word whose first byte is rare in sources, or NULL: the C library's search for
 * one byte is several times as fast as that for a word. */
const char *scan_find_rare(const char *at, const char *end, const char *word);

/* What there is anywhere in a text; nobody need look for what there is not. */
struct scan_marks {
    bool foreign;   /* a NUL byte, or a byte beyond ASCII */
    bool hash;      /* # */
    bool digraph;   /* %: */
    bool trigraph;  /* ?\? */
    bool backslash; /* \ */
    bool name;      /* FILE, assert or source_location */
    bool date;      /* __DATE__ */
    bool time;      /* __TIME__ */
    bool probe;     /* __has_ */
};

#define SCAN_LONGEST 15 /* bytes of the longest of these words */

/* Adds what these bytes hold. */
void scan_mark(const char *text, size_t size, struct scan_marks *marks);

/* A text as the compiler's directives see it: lines that end in a backslash joined. */
struct scan_text {
    const char *start;
    const char *end;
    struct scan_marks marks; /* of the text before and after it was joined */
    char *joined;            /* owned; NULL where there was nothing to join */
    bool guessed; /* some lines were joined that not every compiler joins: at a backslash with
                     blanks behind it, or at its trigraph */
};

/* The text as it is, no line joined to another; it must outlive the result, which owns nothing. */
struct scan_text scan_as_is(const char *text, size_t size);

/* Prepares size bytes, which must outlive it. Returns 0 or NO_MEMORY. */
int scan_open(const char *text, size_t size, struct scan_text *ret_text);
void scan_close(struct scan_text *text);

/* The line of the original text, counted from 1, in which the place in the joined text lies. */
size_t scan_line_number(const struct scan_text *text, const char *original, size_t size,
                        const char *at);

/* How a text refers to a file. */
enum scan_reference_kind {
    SCAN_INCLUDE,      /* #include */
    SCAN_INCLUDE_NEXT, /* #include_next: the next file of that name, or the file after that ... */
    SCAN_PROBE,        /* __has_include */
    SCAN_PROBE_NEXT,   /* __has_include_next */
    SCAN_OTHER,        /* #import, #embed, __has_embed: NVRTC knows none of them */
};

struct scan_reference {
    enum scan_reference_kind kind;
    const char *spelling; /* what stands between the quotes or angle brackets, not NUL-terminated;
                             NULL where only the preprocessor could tell (a macro) */
    size_t length;
    bool quoted;         /* "name", not <name> */
    const char *operand; /* of a directive: what follows it on its line */
    size_t operand_length;
    bool by_macro;    /* given to a macro that some text defines, and expanded on its way */
    const char *what; /* the line from the directive on, for messages; ends at the line's end */
    size_t what_length;
};

typedef void (*scan_visit)(const struct scan_reference *reference, void *context);

/* Visits each directive that includes a file. */
void scan_includes(const struct scan_text *text, scan_visit visit, void *context);

/* How many macros ask for a file by themselves; they come first in the set below. */
#define SCAN_PROBE_MACROS 3

/*
 * Macros that ask for a file: "__has_include" and its like, and those that texts define by them. To
 * be called for every text until the set no longer grows.
 */
void scan_probe_macros(const struct scan_text *text, struct names *macros);

/* Visits each use of one of those macros. */
void scan_probes(const struct scan_text *text, const struct names *macros, scan_visit visit,
                 void *context);

/* Called with each name that a text defines as a macro; not NUL-terminated. */
typedef void (*scan_definition)(const char *name, size_t length, void *context);

void scan_definitions(const struct scan_text *text, scan_definition visit, void *context);

/* Where the word at this position ends; the position itself where none begins. */
const char *scan_word_end(const char *at, const char *end);

/* What the words of a text say, wherever they stand. */
struct scan_words {
    bool uses_name; /* __FILE__ and the like: the whole name of the source may enter the object */
    bool pastes;    /* it uses ##: words may be made out of pieces */
    bool probes;    /* it has "__has_": it may ask whether files are there */
    const char *volatile_macro; /* __DATE__ or __TIME__, static; NULL where neither is used */
};

void scan_words(const struct scan_text *text, struct scan_words *ret_words);

#endif
