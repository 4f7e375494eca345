/* SPDX-License-Identifier: Apache-2.0 */
#include "deps/macro_readings.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include <cubby/error.h>

#include "deps/expand.h"
#include "util/buffer.h"

/* Of what no header needs so many. */
#define MAX_CHOICES 64 /* macros, one bit each */
#define MAX_READINGS 1024
#define MAX_BLANKS 4 /* in a name */

/* A macro that the operand leads to. */
struct choice {
    struct macro_text name; /* borrowed from its definitions */
    const struct macro *definitions;
    size_t count;
    size_t taken; /* in this reading: the n-th definition; 0: it is not defined */
};

struct reading {
    const struct macros *macros;
    struct choice choices[MAX_CHOICES]; /* in the order in which they are met */
    size_t count;
    struct names *names;
    struct names *words;
};

/* ---- Choosing ---------------------------------------------------------------------------- */

static bool text_is(const struct macro_text *text, const struct macro_token *word) {
    return (size_t)(text->end - text->start) == word->length &&
           memcmp(text->start, word->text, word->length) == 0;
}

static bool begins_with(const struct macro_token *word, const char *start) {
    return word->length >= strlen(start) && memcmp(word->text, start, strlen(start)) == 0;
}

/* Words that are no macros, but not left alone by the preprocessor either. */
static bool is_operator(const struct macro_token *word) {
    return begins_with(word, "_Pragma") || begins_with(word, "__pragma") ||
           begins_with(word, "__has_") || begins_with(word, "__VA_");
}

/* The choice that a word is; NULL where it has no definition, or gave up. */
static struct choice *find_choice(struct expander *expander, const struct macro_token *word) {
    struct reading *reading = expander->context;
    struct macro_text name = {word->text, word->text + word->length};
    struct choice choice = {.taken = 0};

    for (size_t i = 0; i < reading->count; i++) {
        if (text_is(&reading->choices[i].name, word))
            return &reading->choices[i];
    }
    choice.definitions = macros_find(reading->macros, &name, &choice.count);
    if (choice.count == 0)
        return NULL;
    if (reading->count == MAX_CHOICES) {
        expand_give_up(expander, word, "is one of too many macros");
        return NULL;
    }
    choice.name = choice.definitions[0].name;
    reading->choices[reading->count] = choice;
    return &reading->choices[reading->count++];
}

static const struct macro *choose(struct expander *expander, const struct macro_token *word,
                                  uint64_t *ret_bit) {
    struct reading *reading = expander->context;
    const struct choice *choice;

    names_add(reading->words, word->text, word->length);
    if (is_operator(word))
        expand_give_up(expander, word, "has a meaning of its own to the compiler");
    choice = expander->why ? NULL : find_choice(expander, word);
    if (!choice || choice->taken == 0)
        return NULL;
    *ret_bit = UINT64_C(1) << (choice - reading->choices);
    return &choice->definitions[choice->taken - 1];
}

/* Goes on to the next reading: the last macro that was met has its next definition, and what was
 * met because of the one before is forgotten. False where there is none. */
static bool next_reading(struct reading *reading) {
    while (reading->count > 0) {
        struct choice *last = &reading->choices[reading->count - 1];

        if (last->taken < last->count) {
            last->taken++;
            return true;
        }
        reading->count--;
    }
    return false;
}

/* ---- The name of a header ---------------------------------------------------------------- */

/* Implementations may give such words a meaning, and no text does. */
static bool is_foreign(const struct reading *reading, const struct macro_token *word) {
    struct macro_text name = {word->text, word->text + word->length};
    size_t count;

    if (word->length < 2 || word->text[0] != '_' ||
        (word->text[1] != '_' && !isupper((unsigned char)word->text[1])))
        return false;
    macros_find(reading->macros, &name, &count);
    return count == 0;
}

static bool is_plain(const struct macro_token *token) {
    return token->kind == MACRO_WORD || token->kind == MACRO_NUMBER ||
           (token->kind == MACRO_MARK && !macro_token_is(token, '<'));
}

/* Adds the spellings of the tokens as one name; of those with a blank before them, those have it
 * whose bit is set. */
static void add_spelling(struct names *names, const struct macro_token *tokens, size_t count,
                         unsigned blanks) {
    struct buffer name = BUFFER_INIT;

    buffer_add(&name, "<", 1);
    for (size_t i = 0; i < count; i++) {
        if (tokens[i].blank && (blanks & 1))
            buffer_add(&name, " ", 1);
        if (tokens[i].blank)
            blanks >>= 1;
        buffer_add(&name, tokens[i].text, tokens[i].length);
    }
    buffer_add(&name, ">", 1);
    names->failed = names->failed || name.failed;
    if (!name.failed)
        names_add(names, name.data, name.size);
    buffer_free(&name);
}

/* What stands between angle brackets. Which of the blanks in it are part of the name depends on how
 * the front end moves them about. */
static void add_bracketed(struct expander *expander, const struct macro_tokens *tokens) {
    struct reading *reading = expander->context;
    unsigned blanks = 0;
    size_t i = 1;

    for (; i < tokens->count && !macro_token_is(&tokens->items[i], '>'); i++) {
        const struct macro_token *token = &tokens->items[i];

        blanks += token->blank;
        if (!is_plain(token) || blanks > MAX_BLANKS)
            expand_give_up(expander, token, "makes a name that is not plain");
        else if (token->kind == MACRO_WORD && is_foreign(reading, token))
            expand_give_up(expander, token, "is defined by no text");
    }
    if (i + 1 < tokens->count)
        expand_give_up(expander, &tokens->items[i + 1], "follows the name");
    for (unsigned j = 0; i < tokens->count && !expander->why && j < 1U << blanks; j++)
        add_spelling(reading->names, tokens->items + 1, i - 1, j);
}

/* Adds the header that the operand has become; where it is none, the compiler refuses it. */
static void add_name(struct expander *expander, const struct macro_tokens *tokens) {
    struct reading *reading = expander->context;
    const struct macro_token *first = tokens->items;

    if (tokens->count == 0)
        return;
    if (first->kind == MACRO_ODD)
        expand_give_up(expander, first, "makes a name that is not plain");
    else if (first->kind == MACRO_STRING && tokens->count > 1)
        expand_give_up(expander, &tokens->items[1], "follows the name");
    else if (first->kind == MACRO_STRING)
        names_add(reading->names, first->text, first->length);
    else if (macro_token_is(first, '<'))
        add_bracketed(expander, tokens);
}

/* ---- All readings ------------------------------------------------------------------------ */

static void say_why(const struct expander *expander, char ret_why[MACRO_READINGS_WHY_SIZE]) {
    int length = (int)(expander->where.end - expander->where.start);

    snprintf(ret_why, MACRO_READINGS_WHY_SIZE, "\"%.*s\" %s", length < 80 ? length : 80,
             expander->where.start, expander->why);
}

/* Reads the operand once. Returns 0 or UNSUPPORTED. */
static int read_once(struct reading *reading, const struct macro_text *operand,
                     char ret_why[MACRO_READINGS_WHY_SIZE]) {
    struct expander expander = {.choose = choose, .context = reading};
    struct macro_tokens tokens = MACRO_TOKENS_INIT;
    int result = 0;

    macro_tokens_read(&tokens, operand->start, operand->end);
    expand_operand(&expander, &tokens);
    if (!expander.why)
        add_name(&expander, &tokens);
    if (expander.why) {
        say_why(&expander, ret_why);
        result = CUBBY_ERR_UNSUPPORTED;
    }
    reading->names->failed = reading->names->failed || tokens.failed || expander.made.failed;
    macro_tokens_free(&tokens);
    names_free(&expander.made);
    return result;
}

int macro_readings(const struct macros *macros, const struct macro_text *operand,
                   struct names *ret_names, struct names *ret_words,
                   char ret_why[MACRO_READINGS_WHY_SIZE]) {
    struct reading reading = {.macros = macros, .names = ret_names, .words = ret_words};
    size_t readings = 0;
    int result = 0;

    do {
        int one = read_once(&reading, operand, ret_why);

        result = one < 0 ? one : result; /* the others still add their names */
        if (++readings == MAX_READINGS) {
            snprintf(ret_why, MACRO_READINGS_WHY_SIZE, "its macros have too many definitions");
            result = CUBBY_ERR_UNSUPPORTED;
        }
    } while (next_reading(&reading) && readings < MAX_READINGS && !ret_names->failed);
    return ret_names->failed || ret_words->failed ? CUBBY_ERR_NO_MEMORY : result;
}
