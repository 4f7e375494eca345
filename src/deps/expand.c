/* SPDX-License-Identifier: Apache-2.0 */
#include "deps/expand.h"

#include <stdlib.h>
#include <string.h>

#include "util/buffer.h"

#define MAX_PARAMETERS 16

/* Far more than the name of any header has. */
#define MAX_TOKENS 512
#define MAX_DEPTH 16 /* of uses in arguments */

/* One use of a macro. */
struct use {
    struct expander *expander;
    const struct macro *macro;
    const struct macro_token *word;
    struct macro_tokens body;
    struct macro_token parameters[MAX_PARAMETERS];
    size_t parameter_count;
    struct macro_tokens raw[MAX_PARAMETERS]; /* what it is given, as it is */
    struct macro_tokens expanded[MAX_PARAMETERS];
};

static void expand_all(struct expander *expander, struct macro_tokens *tokens, bool is_operand);

void expand_give_up(struct expander *expander, const struct macro_token *where, const char *why) {
    if (expander->why)
        return;
    expander->why = why;
    expander->where = (struct macro_text){where->text, where->text + where->length};
}

static bool is_going_on(const struct expander *expander, const struct macro_tokens *tokens) {
    return !expander->why && !expander->made.failed && !tokens->failed;
}

/* ---- Tokens that are made ---------------------------------------------------------------- */

/* The text of a new token, borrowed from the expander; "" where memory is short. */
static const char *keep(struct expander *expander, struct buffer *buffer) {
    size_t size = buffer->size;
    char *text = buffer_steal_text(buffer);
    const char *kept = "";

    if (text)
        names_add(&expander->made, text, size);
    else
        expander->made.failed = true;
    for (size_t i = 0; text && i < expander->made.count; i++) {
        if (strcmp(expander->made.items[i], text) == 0)
            kept = expander->made.items[i];
    }
    free(text);
    return kept;
}

/* #x: the tokens as one string. */
static void stringize(struct use *use, const struct macro_tokens *argument,
                      struct macro_token *ret_token) {
    struct buffer buffer = BUFFER_INIT;

    buffer_add(&buffer, "\"", 1);
    for (size_t i = 0; i < argument->count; i++) {
        const struct macro_token *token = &argument->items[i];

        if (token->kind == MACRO_ODD || token->kind == MACRO_STRING || (token->blank && i > 0))
            expand_give_up(use->expander, use->word, "makes a string of what is not plain");
        buffer_add(&buffer, token->text, token->length);
        ret_token->from |= token->from;
    }
    buffer_add(&buffer, "\"", 1);
    ret_token->kind = MACRO_STRING;
    ret_token->length = buffer.size;
    ret_token->text = keep(use->expander, &buffer);
}

/* x ## y: the last token of one and the first of the other as one. */
static void paste(struct use *use, struct macro_token *left, const struct macro_token *right) {
    struct buffer buffer = BUFFER_INIT;
    bool plain = (left->kind == MACRO_WORD || left->kind == MACRO_NUMBER) &&
                 (right->kind == MACRO_WORD || right->kind == MACRO_NUMBER) &&
                 !memchr(left->text, '.', left->length) && !memchr(right->text, '.', right->length);

    if (!plain)
        expand_give_up(use->expander, use->word, "pastes what is no word");
    buffer_add(&buffer, left->text, left->length);
    buffer_add(&buffer, right->text, right->length);
    left->length = buffer.size;
    left->text = keep(use->expander, &buffer);
    left->from |= right->from;
}

/* ---- What a macro is given --------------------------------------------------------------- */

static void read_parameters(struct use *use) {
    const struct macro_text *text = &use->macro->parameters;
    struct macro_tokens tokens = MACRO_TOKENS_INIT;
    bool plain = true;

    if (text->start)
        macro_tokens_read(&tokens, text->start, text->end);
    for (size_t i = 0; i < tokens.count && plain; i++) {
        const struct macro_token *token = &tokens.items[i];

        plain = i % 2 ? macro_token_is(token, ',')
                      : token->kind == MACRO_WORD && use->parameter_count < MAX_PARAMETERS;
        if (plain && i % 2 == 0)
            use->parameters[use->parameter_count++] = *token;
    }
    if (!plain || (tokens.count > 0 && tokens.count % 2 == 0))
        expand_give_up(use->expander, use->word, "takes arguments that are not plain");
    use->body.failed = tokens.failed;
    macro_tokens_free(&tokens);
}

/* Reads the arguments, whose parenthesis is at the index. Returns the index behind them. */
static size_t read_arguments(struct use *use, const struct macro_tokens *tokens, size_t index) {
    size_t argument = 0, depth = 1;

    for (index++; index < tokens->count; index++) {
        const struct macro_token *token = &tokens->items[index];

        depth += macro_token_is(token, '(');
        depth -= macro_token_is(token, ')');
        if (depth == 0)
            break;
        if (depth == 1 && macro_token_is(token, ',')) {
            argument++;
            continue;
        }
        if (argument < MAX_PARAMETERS)
            macro_tokens_add(&use->raw[argument], token);
    }
    if (depth > 0 || (use->parameter_count > 0 ? argument + 1 != use->parameter_count
                                               : argument > 0 || use->raw[0].count > 0))
        expand_give_up(use->expander, use->word, "is not given what it takes");
    return index + 1;
}

static void expand_arguments(struct use *use) {
    if (++use->expander->depth > MAX_DEPTH)
        expand_give_up(use->expander, use->word, "is used in its like too deeply");
    for (size_t i = 0; i < use->parameter_count && !use->expander->why; i++) {
        if (use->raw[i].count > 0)
            use->raw[i].items[0].blank = false;
        macro_tokens_replace(&use->expanded[i], 0, 0, &use->raw[i]);
        expand_all(use->expander, &use->expanded[i], false);
        use->body.failed = use->body.failed || use->expanded[i].failed;
    }
    use->expander->depth--;
}

/* The parameter of that name; parameter_count where it is none. */
static size_t find_parameter(const struct use *use, const struct macro_token *token) {
    size_t i = 0;

    while (i < use->parameter_count &&
           (token->kind != MACRO_WORD || use->parameters[i].length != token->length ||
            memcmp(use->parameters[i].text, token->text, token->length) != 0))
        i++;
    return i;
}

/* ---- What it stands for ------------------------------------------------------------------ */

/* Adds tokens whose first has the blank of the token that they come in the place of; where there
 * are none, what follows has it. */
static void add_in_place(struct macro_tokens *result, const struct macro_tokens *added,
                         bool *blank) {
    size_t first = result->count;

    macro_tokens_replace(result, first, 0, added);
    if (result->count == first || result->failed)
        return;
    result->items[first].blank = result->items[first].blank || *blank;
    *blank = false;
}

/* The operand of ## at the index of the body, or what # makes; returns how many tokens it takes. */
static size_t read_piece(struct use *use, size_t index, bool is_pasted,
                         struct macro_tokens *ret_piece) {
    const struct macro_token *token = &use->body.items[index];
    size_t parameter = find_parameter(use, token);
    struct macro_token made = *token;

    if (parameter < use->parameter_count) {
        macro_tokens_replace(ret_piece, 0, 0,
                             is_pasted ? &use->raw[parameter] : &use->expanded[parameter]);
        return 1;
    }
    if (!use->macro->parameters.start || !macro_token_is(token, '#')) {
        macro_tokens_add(ret_piece, &made);
        return 1;
    }
    parameter = index + 1 < use->body.count ? find_parameter(use, token + 1) : MAX_PARAMETERS;
    if (parameter < use->parameter_count)
        stringize(use, &use->raw[parameter], &made);
    else
        expand_give_up(use->expander, use->word, "makes a string of what is not plain");
    macro_tokens_add(ret_piece, &made);
    return 2;
}

static bool is_paste(const struct use *use, size_t index) {
    return index < use->body.count && use->body.items[index].kind == MACRO_PASTE;
}

/* Pastes the piece at the index, behind a ##, to what is there. */
static size_t paste_piece(struct use *use, size_t index, struct macro_tokens *into) {
    struct macro_tokens piece = MACRO_TOKENS_INIT, rest;
    size_t used = 0;

    if (index < use->body.count)
        used = read_piece(use, index, true, &piece);
    else
        expand_give_up(use->expander, use->word, "pastes what is no word");
    rest = piece;
    if (into->count > 0 && piece.count > 0 && !piece.failed) {
        paste(use, &into->items[into->count - 1], &piece.items[0]);
        rest.items++;
        rest.count--;
    }
    macro_tokens_replace(into, into->count, 0, &rest);
    macro_tokens_free(&piece);
    return used;
}

static void substitute(struct use *use, struct macro_tokens *result, bool *blank) {
    for (size_t i = 0; i < use->body.count && is_going_on(use->expander, result);) {
        struct macro_tokens piece = MACRO_TOKENS_INIT;
        bool is_string = use->macro->parameters.start && macro_token_is(&use->body.items[i], '#');
        size_t next = i + (is_string ? 2 : 1);

        if (is_paste(use, i))
            expand_give_up(use->expander, use->word, "pastes what is no word");
        *blank = *blank || (i > 0 && use->body.items[i].blank);
        i += read_piece(use, i, is_paste(use, next), &piece);
        if (piece.count > 0)
            piece.items[0].blank = false; /* that of its place counts */
        while (is_paste(use, i) && is_going_on(use->expander, &piece))
            i += 1 + paste_piece(use, i + 1, &piece);
        add_in_place(result, &piece, blank);
        result->failed = result->failed || piece.failed;
        macro_tokens_free(&piece);
    }
}

static void free_use(struct use *use) {
    for (size_t i = 0; i < MAX_PARAMETERS; i++) {
        macro_tokens_free(&use->raw[i]);
        macro_tokens_free(&use->expanded[i]);
    }
    macro_tokens_free(&use->body);
}

/* Puts what the macro at the index stands for in its place. */
static void replace(struct expander *expander, struct macro_tokens *tokens, size_t index,
                    const struct macro *macro, uint64_t bit) {
    struct macro_token word = tokens->items[index];
    struct use use = {.expander = expander, .macro = macro, .word = &word};
    struct macro_tokens result = MACRO_TOKENS_INIT;
    size_t behind = index + 1;
    bool blank = word.blank;

    macro_tokens_read(&use.body, macro->body.start, macro->body.end);
    read_parameters(&use);
    if (macro->parameters.start && !expander->why)
        behind = read_arguments(&use, tokens, index + 1);
    expand_arguments(&use);
    if (!expander->why)
        substitute(&use, &result, &blank);
    for (size_t i = 0; i < result.count; i++)
        result.items[i].from |= word.from | bit;
    if (!expander->why) {
        macro_tokens_replace(tokens, index, behind - index, &result);
        if (blank && index + result.count < tokens->count)
            tokens->items[index + result.count].blank = true;
    }
    tokens->failed = tokens->failed || use.body.failed || result.failed;
    macro_tokens_free(&result);
    free_use(&use);
}

/* Expands the word at the index; false where it stays. */
static bool expand_word(struct expander *expander, struct macro_tokens *tokens, size_t index) {
    const struct macro_token *word = &tokens->items[index];
    uint64_t bit = 0;
    const struct macro *macro = expander->choose(expander, word, &bit);

    if (!macro)
        return false;
    if (macro->parameters.start && (index + 1 == tokens->count || !macro_token_is(word + 1, '(')))
        return false;
    if (word->from & bit)
        expand_give_up(expander, word, "stands for itself");
    else
        replace(expander, tokens, index, macro, bit);
    if (tokens->count > MAX_TOKENS)
        expand_give_up(expander, &tokens->items[index], "becomes too long");
    return true;
}

static bool may_begin_name(const struct macro_token *token) {
    return token->kind == MACRO_STRING || token->kind == MACRO_ODD || macro_token_is(token, '<');
}

static void expand_all(struct expander *expander, struct macro_tokens *tokens, bool is_operand) {
    for (size_t i = 0; i < tokens->count && is_going_on(expander, tokens);) {
        if (tokens->items[i].kind == MACRO_WORD && expand_word(expander, tokens, i))
            continue;
        if (is_operand && i == 0 && !may_begin_name(&tokens->items[0]))
            return;
        i++;
    }
}

void expand_operand(struct expander *expander, struct macro_tokens *tokens) {
    expand_all(expander, tokens, true);
}
