/* SPDX-License-Identifier: Apache-2.0 */
#include "deps/macro_include.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cubby/error.h>

void macro_includes_add(struct macro_includes *includes, size_t text,
                        const struct scan_reference *reference) {
    struct macro_include *grown =
        realloc(includes->items, (includes->count + 1) * sizeof(*includes->items));

    if (!grown) {
        includes->failed = true;
        return;
    }
    grown[includes->count++] = (struct macro_include){text, *reference};
    includes->items = grown;
}

/* ---- Reading them ------------------------------------------------------------------------ */

static void add_definitions(struct macro_includes *includes, const struct header_texts *texts,
                            const struct options *options) {
    if (includes->text_count == 0)
        macros_add_options(&includes->macros, options);
    for (; includes->text_count < texts->count; includes->text_count++)
        macros_add_text(&includes->macros, &texts->items[includes->text_count].scan);
    macros_sort(&includes->macros);
}

/* The names that one can mean. */
static void read_names(struct macro_includes *includes, size_t index, struct names *ret_names) {
    const struct scan_reference *reference = &includes->items[index].reference;
    struct macro_text operand = {reference->operand,
                                 reference->operand + reference->operand_length};
    char why[MACRO_READINGS_WHY_SIZE];
    int result = macro_readings(&includes->macros, &operand, ret_names, &includes->words, why);

    if (result == CUBBY_ERR_UNSUPPORTED && !includes->is_lost) {
        includes->is_lost = true;
        includes->lost = index;
        memcpy(includes->why, why, sizeof(why));
    }
    if (result < 0 && result != CUBBY_ERR_UNSUPPORTED)
        includes->failed = true;
}

bool macro_includes_read(struct macro_includes *includes, const struct header_texts *texts,
                         const struct options *options,
                         void (*visit)(size_t text, const struct scan_reference *reference,
                                       void *context),
                         void *context) {
    size_t count = includes->count; /* those that the visitor adds are for the next time */

    if (count == 0 || includes->text_count == texts->count || includes->failed)
        return false;
    add_definitions(includes, texts, options);
    names_free(&includes->words);
    includes->is_lost = false;
    for (size_t i = 0; i < count && !includes->failed; i++) {
        struct scan_reference reference = includes->items[i].reference;
        struct names names = NAMES_INIT;

        read_names(includes, i, &names);
        for (size_t j = 0; j < names.count; j++) {
            reference.spelling = names.items[j] + 1;
            reference.length = strlen(names.items[j]) - 2;
            reference.quoted = names.items[j][0] == '"';
            visit(includes->items[i].text, &reference, context);
        }
        names_free(&names);
    }
    includes->failed = includes->failed || includes->macros.failed || includes->words.failed;
    return !includes->failed;
}

/* ---- Whether they were all told ---------------------------------------------------------- */

static char *say(struct macro_includes *includes, const struct header_texts *texts, size_t index,
                 const char *why) {
    const struct header_text *text = &texts->items[includes->items[index].text];
    const struct scan_reference *reference = &includes->items[index].reference;
    size_t length = reference->what_length < 50 ? reference->what_length : 50;
    size_t line = scan_line_number(&text->scan, text->text, text->text_size, reference->what);
    char *reason;

    if (asprintf(&reason,
                 "%.70s:%zu, \"%.*s\": the compiler does not say which file that is, and %s: "
                 "write its name",
                 text->path, line, (int)length, reference->what, why) >= 0)
        return reason;
    includes->failed = true;
    return NULL;
}

/* The first include that a word leads to is the one to name. */
static char *say_word(struct macro_includes *includes, const struct header_texts *texts,
                      const char *word) {
    char why[MACRO_READINGS_WHY_SIZE];
    size_t index = 0;

    snprintf(why, sizeof(why), "may define \"%.60s\" by itself", word);
    names_free(&includes->words);
    for (size_t i = 0; i < includes->count && !names_has(&includes->words, word); i++) {
        struct names names = NAMES_INIT;

        read_names(includes, i, &names);
        names_free(&names);
        index = i;
    }
    return say(includes, texts, index, why);
}

char *macro_includes_check(struct macro_includes *includes, const struct header_texts *texts,
                           macro_predefined predefined, void *context) {
    const char *found;
    char *word, *reason;

    if (includes->count == 0)
        return NULL;
    for (size_t i = 0; i < texts->count; i++) {
        if (texts->items[i].scan.guessed) {
            char why[MACRO_READINGS_WHY_SIZE];

            snprintf(why, sizeof(why),
                     "what %.80s defines cannot be told for a blank behind a backslash",
                     texts->items[i].path);
            return say(includes, texts, 0, why);
        }
    }
    if (includes->is_lost)
        return say(includes, texts, includes->lost, includes->why);
    if (!predefined)
        return say(includes, texts, 0, "cannot be asked for its macros");
    found = predefined(&includes->words, context);
    if (!found)
        return NULL;
    word = strdup(found); /* the words it is one of are read anew */
    reason = word ? say_word(includes, texts, word) : NULL;
    includes->failed = includes->failed || !word;
    free(word);
    return reason;
}

void macro_includes_free(struct macro_includes *includes) {
    free(includes->items);
    macros_free(&includes->macros);
    names_free(&includes->words);
    *includes = (struct macro_includes){0};
}
