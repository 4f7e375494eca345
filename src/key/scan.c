/* SPDX-License-Identifier: Apache-2.0 */
#include "key/scan.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/error.h>

/* ---- Finding ----------------------------------------------------------------------------- */

const char *scan_find_rare(const char *at, const char *end, const char *word) {
    size_t length = strlen(word);

    while ((at = memchr(at, word[0], (size_t)(end - at)))) {
        if ((size_t)(end - at) >= length && memcmp(at, word, length) == 0)
            return at;
        at++;
    }
    return NULL;
}

/* ---- Splicing ---------------------------------------------------------------------------- */

static bool is_splice(const char *after, const char *end) {
    while (after < end && *after != '\n' && isspace((unsigned char)*after))
        after++;
    return after < end && *after == '\n';
}

/* True if a line end follows a backslash of this spelling anywhere. */
static bool has_splice_by(const struct scan_text *text, const char *backslash) {
    const char *at = text->start;

    while ((at = scan_find_rare(at, text->end, backslash))) {
        at += strlen(backslash);
        if (is_splice(at, text->end))
            return true;
    }
    return false;
}

static bool has_splice(const struct scan_text *text) {
    return (text->marks.backslash && has_splice_by(text, "\\")) ||
           (text->marks.trigraph && has_splice_by(text, "?\?/"));
}

/* Where the line goes on that is spliced at this place; the place itself where none is. */
static const char *splice_end(const char *at, const char *end) {
    const char *after = at;

    if (*at == '\\')
        after = at + 1;
    else if (end - at >= 3 && memcmp(at, "?\?/", 3) == 0)
        after = at + 3;
    if (after == at || !is_splice(after, end))
        return at;
    return (const char *)memchr(after, '\n', (size_t)(end - after)) + 1;
}

/* The first place from here on where a line may be spliced; the end where there is none. */
static const char *next_backslash(const char *at, const struct scan_text *text) {
    const char *end = text->end;

    if (!text->marks.trigraph) {
        at = at < end ? memchr(at, '\\', (size_t)(end - at)) : NULL;
        return at ? at : end;
    }
    while (at < end && *at != '\\' && *at != '?')
        at++;
    return at;
}

/* A text being joined. Words may come into being where two lines meet, and only there. */
struct joining {
    char *start, *end;              /* what is joined so far */
    const char *seam, *behind_seam; /* a stretch of it, and of what follows, to be looked at */
    bool guessed;
    struct scan_marks marks;
};

static void look_at_seam(struct joining *joining) {
    const char *end = joining->behind_seam < joining->end ? joining->behind_seam : joining->end;

    scan_mark(joining->seam, (size_t)(end - joining->seam), &joining->marks);
}

/* Two lines meet at the end of what is joined; seams that are near one another become one. */
static void add_seam(struct joining *joining) {
    size_t before = (size_t)(joining->end - joining->start);
    const char *seam = joining->end - (before < SCAN_LONGEST ? before : SCAN_LONGEST);

    if (seam > joining->behind_seam) {
        look_at_seam(joining);
        joining->seam = seam;
    }
    joining->behind_seam = joining->end + SCAN_LONGEST;
}

/* Copies a text with its spliced lines joined, as a compiler reads it, to where there is room for
 * all of it. */
static void join_lines(const struct scan_text *text, struct joining *joining) {
    const char *at = text->start, *end = text->end;

    while (at < end) {
        const char *next = next_backslash(at, text);
        const char *after = next < end ? splice_end(next, end) : next;

        if (after == next)
            next += next < end; /* it is none */
        memcpy(joining->end, at, (size_t)(next - at));
        joining->end += next - at;
        at = next;
        if (after > next) {
            at = after;
            add_seam(joining);
            if (after - next != 2 && !(after - next == 3 && next[1] == '\r'))
                joining->guessed = true;
        }
    }
    look_at_seam(joining);
}

size_t scan_line_number(const struct scan_text *text, const char *original, size_t size,
                        const char *at) {
    const char *end = original + size, *joined = text->start;
    size_t number = 1;

    while (original < end) {
        const char *after = text->joined ? splice_end(original, end) : original;

        if (after == original && joined == at)
            break;
        number += after != original || *original == '\n';
        joined += after == original;
        original = after == original ? original + 1 : after;
    }
    return number;
}

struct scan_text scan_as_is(const char *text, size_t size) {
    struct scan_text scan = {.start = text, .end = text + size};

    scan_mark(text, size, &scan.marks);
    return scan;
}

int scan_open(const char *text, size_t size, struct scan_text *ret_text) {
    struct scan_text scan = scan_as_is(text, size);
    struct joining joining = {.marks = scan.marks};

    *ret_text = scan;
    if (!has_splice(&scan))
        return 0;
    ret_text->joined = malloc(size + 1);
    if (!ret_text->joined)
        return CUBBY_ERR_NO_MEMORY;
    joining.start = joining.end = ret_text->joined;
    joining.seam = joining.behind_seam = joining.start;
    join_lines(&scan, &joining);
    ret_text->start = joining.start;
    ret_text->end = joining.end;
    ret_text->marks = joining.marks;
    ret_text->guessed = joining.guessed;
    return 0;
}

void scan_close(struct scan_text *text) {
    free(text->joined);
}

/* ---- Words and lines --------------------------------------------------------------------- */

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

const char *scan_word_end(const char *at, const char *end) {
    while (at < end && (isalnum((unsigned char)*at) || *at == '_'))
        at++;
    return at;
}

static bool word_is(const char *start, const char *end, const char *word) {
    return (size_t)(end - start) == strlen(word) && memcmp(start, word, strlen(word)) == 0;
}

static const char *find(const char *at, const char *end, const char *what) {
    return memmem(at, (size_t)(end - at), what, strlen(what));
}

/* The next occurrence of a name as a whole word; NULL where there is none. */
static const char *find_word(const char *at, const struct scan_text *text, const char *word) {
    size_t length = strlen(word);

    for (; (at = find(at, text->end, word)); at += length) {
        bool begins = at == text->start || !(isalnum((unsigned char)at[-1]) || at[-1] == '_');

        if (begins && scan_word_end(at, text->end) == at + length)
            return at;
    }
    return NULL;
}

static const char *line_start(const struct scan_text *text, const char *at) {
    const char *before = memrchr(text->start, '\n', (size_t)(at - text->start));

    return before ? before + 1 : text->start;
}

static const char *line_end(const char *at, const char *end) {
    const char *newline = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;

    if (!newline)
        newline = end;
    return newline > at && newline[-1] == '\r' ? newline - 1 : newline;
}

/* Reads "name" or <name> at the position into the reference; leaves it alone where something else
 * stands there. */
static bool read_literal(const char *at, const char *end, struct scan_reference *reference) {
    const char *name, *line, *close;

    if (at >= end || (*at != '"' && *at != '<'))
        return false;
    name = at + 1;
    line = line_end(name, end);
    close = memchr(name, *at == '<' ? '>' : '"', (size_t)(line - name));
    if (!close)
        return false;
    reference->spelling = name;
    reference->length = (size_t)(close - name);
    reference->quoted = *at == '"';
    return true;
}

/* ---- Directives -------------------------------------------------------------------------- */

/* Called with the place behind what begins a directive. */
typedef void (*directive_visit)(const char *at, void *context);

static void each_directive(const struct scan_text *text, directive_visit visit, void *context) {
    const struct scan_marks *marks = &text->marks;
    const char *const introducers[] = {marks->hash ? "#" : NULL, marks->digraph ? "%:" : NULL,
                                       marks->trigraph ? "?\?=" : NULL};

    for (size_t i = 0; i < sizeof(introducers) / sizeof(*introducers); i++) {
        const char *at = text->start;

        while (introducers[i] && (at = scan_find_rare(at, text->end, introducers[i]))) {
            at += strlen(introducers[i]);
            visit(at, context);
        }
    }
}

/* Who looks through a text for directives of some kind. */
struct looker {
    const struct scan_text *text;
    scan_visit visit;
    scan_definition define;
    void *context;
};

static void look_at_include(const char *at, void *context) {
    const struct looker *looker = context;
    const char *end = looker->text->end;
    const char *start = skip_blanks(at, end);
    const char *after = scan_word_end(start, end);
    struct scan_reference reference = {.what = start,
                                       .what_length = (size_t)(line_end(start, end) - start)};

    if (word_is(start, after, "include"))
        reference.kind = SCAN_INCLUDE;
    else if (word_is(start, after, "include_next"))
        reference.kind = SCAN_INCLUDE_NEXT;
    else if (word_is(start, after, "import") || word_is(start, after, "embed"))
        reference.kind = SCAN_OTHER;
    else
        return;
    reference.operand = skip_blanks(after, end);
    reference.operand_length = (size_t)(line_end(reference.operand, end) - reference.operand);
    read_literal(reference.operand, end, &reference);
    looker->visit(&reference, looker->context);
}

void scan_includes(const struct scan_text *text, scan_visit visit, void *context) {
    struct looker looker = {.text = text, .visit = visit, .context = context};

    each_directive(text, look_at_include, &looker);
}

static void look_at_definition(const char *at, void *context) {
    const struct looker *looker = context;
    const char *end = looker->text->end;
    const char *start = skip_blanks(at, end);
    const char *after = scan_word_end(start, end);
    const char *name = skip_blanks(after, end);

    if (word_is(start, after, "define") && scan_word_end(name, end) > name)
        looker->define(name, (size_t)(scan_word_end(name, end) - name), looker->context);
}

void scan_definitions(const struct scan_text *text, scan_definition visit, void *context) {
    struct looker looker = {.text = text, .define = visit, .context = context};

    each_directive(text, look_at_definition, &looker);
}

/* ---- Probes ------------------------------------------------------------------------------ */

/* The name that the line up to the position defines as a macro: its start, and where it ends. NULL
 * where the line is no #define. */
static const char *defined_name(const struct scan_text *text, const char *at,
                                const char **ret_end) {
    const char *line = line_start(text, at);
    const char *hash = find(line, at, "#");
    const char *word, *end;

    if (!hash)
        hash = find(line, at, "%:") ? find(line, at, "%:") + 1 : NULL;
    if (!hash)
        return NULL;
    word = skip_blanks(hash + 1, text->end);
    end = scan_word_end(word, text->end);
    if (!word_is(word, end, "define"))
        return NULL;
    word = skip_blanks(end, text->end);
    *ret_end = scan_word_end(word, text->end);
    return word;
}

/* What a macro that asks for a file is given at this place: true where it is a name to look for, or
 * something that only the preprocessor could tell (then the reference has no spelling). */
static bool read_argument(const struct scan_text *text, const char *at,
                          struct scan_reference *reference) {
    at = skip_blanks(at, text->end);
    if (read_literal(at, text->end, reference))
        return true;
    if (at >= text->end || *at != '(')
        return false; /* "#ifdef __has_include" and the like */
    read_literal(skip_blanks(at + 1, text->end), text->end, reference);
    return true;
}

/* As far as a look at one line can tell: behind "//", or a line of a block comment. */
static bool in_comment(const struct scan_text *text, const char *at) {
    const char *line = line_start(text, at);
    const char *first = skip_blanks(line, text->end);

    return find(line, at, "//") || (first < text->end && *first == '*');
}

void scan_probe_macros(const struct scan_text *text, struct names *macros) {
    static const char *const PROBES[SCAN_PROBE_MACROS] = {"__has_include", "__has_include_next",
                                                          "__has_embed"};

    for (size_t i = 0; i < SCAN_PROBE_MACROS; i++)
        names_add(macros, PROBES[i], strlen(PROBES[i]));
    for (size_t i = 0; i < macros->count; i++) {
        const char *at = text->start;

        for (; (at = find_word(at, text, macros->items[i])); at++) {
            struct scan_reference reference = {0};
            const char *end, *name = defined_name(text, at, &end);

            if (name && name < at && end > name &&
                !(read_argument(text, at + strlen(macros->items[i]), &reference) &&
                  reference.spelling))
                names_add(macros, name, (size_t)(end - name));
        }
    }
}

static enum scan_reference_kind probe_kind(const char *macro) {
    return strcmp(macro, "__has_include") == 0 ? SCAN_PROBE
           : strcmp(macro, "__has_embed") == 0 ? SCAN_OTHER
                                               : SCAN_PROBE_NEXT; /* or one that may stand for it */
}

void scan_probes(const struct scan_text *text, const struct names *macros, scan_visit visit,
                 void *context) {
    for (size_t i = 0; i < macros->count; i++) {
        const char *at = text->start;

        for (; (at = find_word(at, text, macros->items[i])); at++) {
            struct scan_reference reference = {
                .kind = probe_kind(macros->items[i]),
                .by_macro = i >= SCAN_PROBE_MACROS,
                .what = at,
                .what_length = (size_t)(line_end(at, text->end) - at),
            };
            const char *end;

            if (!read_argument(text, at + strlen(macros->items[i]), &reference))
                continue;
            /* A definition asks for nothing by itself; those who use it do. */
            if (!reference.spelling && (defined_name(text, at + 1, &end) || in_comment(text, at)))
                continue;
            visit(&reference, context);
        }
    }
}
