/* SPDX-License-Identifier: Apache-2.0 */
#include "key/options.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/error.h"

#define WHY_PCH "precompiled headers can serve a header that has changed since"
#define WHY_FILE "the file that it writes would not be written on a hit"

static const struct option_rule NVRTC_RULES[] = {
    {{"--gpu-architecture", "-arch"}, VALUE_DETACHED, OPTION_COUNTS, NULL},
    {{"-D"}, VALUE_ATTACHED, OPTION_COUNTS, NULL},
    {{"-D", "--define-macro"}, VALUE_DETACHED, OPTION_COUNTS, NULL},
    {{"-U"}, VALUE_ATTACHED, OPTION_COUNTS, NULL},
    {{"-U", "--undefine-macro"}, VALUE_DETACHED, OPTION_COUNTS, NULL},
    {{"-I"}, VALUE_ATTACHED, OPTION_INCLUDE_DIR, NULL},
    {{"-I", "--include-path"}, VALUE_DETACHED, OPTION_INCLUDE_DIR, NULL},
    {{"--pre-include", "-include"}, VALUE_DETACHED, OPTION_PRE_INCLUDE, NULL},
    {{"--no-source-include", "-no-source-include"}, VALUE_NONE, OPTION_NOT_BESIDE, NULL},
    {{"--std", "-std"}, VALUE_EQUALS, OPTION_COUNTS, NULL},
    {{"--device-debug", "-G"}, VALUE_NONE, OPTION_NAMES_SOURCE, NULL},
    {{"--generate-line-info", "-lineinfo"}, VALUE_NONE, OPTION_NAMES_SOURCE, NULL},
    {{"--dlink-time-opt", "-dlto"}, VALUE_NONE, OPTION_NAMES_SOURCE, NULL},
    {{"--optix-ir", "-optix-ir"}, VALUE_NONE, OPTION_NAMES_SOURCE, NULL},
    {{"--gen-opt-lto", "-gen-opt-lto"}, VALUE_NONE, OPTION_NAMES_SOURCE, NULL},
    {{"--relocatable-device-code", "-rdc"}, VALUE_DETACHED, OPTION_COUNTS, NULL},
    {{"--relocatable-device-code=true", "-dc", "--device-c"}, VALUE_NONE, OPTION_COUNTS, NULL},
    {{"--relocatable-device-code=false", "-dw", "--device-w"}, VALUE_NONE, OPTION_COUNTS, NULL},
    {{"--maxrregcount", "-maxrregcount"}, VALUE_DETACHED, OPTION_COUNTS, NULL},
    {{"--ptxas-options", "-Xptxas"}, VALUE_DETACHED, OPTION_COUNTS, NULL},
    {{"--frandom-seed", "-frandom-seed"}, VALUE_EQUALS, OPTION_SEED, NULL},
    {{"--no-cache", "-no-cache"}, VALUE_IGNORED, OPTION_NEUTRAL, NULL},
    {{"--modify-stack-limit", "-modify-stack-limit"}, VALUE_DETACHED, OPTION_NEUTRAL, NULL},
    {{"--pch-verbose", "-pch-verbose"}, VALUE_DETACHED, OPTION_NEUTRAL, NULL},
    {{"--pch-messages", "-pch-messages"}, VALUE_DETACHED, OPTION_NEUTRAL, NULL},
    {{"--pch", "-pch"}, VALUE_NONE, OPTION_BYPASSED, WHY_PCH},
    {{"--use-pch", "-use-pch"}, VALUE_EQUALS, OPTION_BYPASSED, WHY_PCH},
    {{"--pch-dir", "-pch-dir"}, VALUE_EQUALS, OPTION_BYPASSED, WHY_PCH},
    {{"-Xcudafe"}, VALUE_DETACHED, OPTION_BYPASSED, "what it tells the front end is not known"},
    {{"--create-pch", "-create-pch"}, VALUE_EQUALS, OPTION_REFUSED, WHY_FILE},
    {{"--time", "-time"}, VALUE_EQUALS, OPTION_REFUSED, WHY_FILE},
    {{"--fdevice-time-trace", "-fdevice-time-trace"}, VALUE_EQUALS, OPTION_REFUSED, WHY_FILE},
};

const struct option_dialect DIALECT_NVRTC = {
    NVRTC_RULES, sizeof(NVRTC_RULES) / sizeof(*NVRTC_RULES), BLANKS_AROUND, false};

/* An option as matched: its rule and its value, borrowed; NULL for none. */
struct match {
    const struct option_rule *rule;
    const char *value;
    bool detached; /* the value is the next string */
};

static const char *skip_space(const char *text) {
    while (isspace((unsigned char)*text))
        text++;
    return text;
}

/* What follows the spelling in one string; false where the string is another option. */
static bool match_spelling(const struct option_rule *rule, const char *spelling, const char *text,
                           struct match *ret_match) {
    size_t length = strlen(spelling);
    const char *rest = text + length;

    if (strncmp(text, spelling, length) != 0)
        return false;
    *ret_match = (struct match){.rule = rule};
    if (*rest == '\0') {
        ret_match->detached = rule->form == VALUE_DETACHED || rule->form == VALUE_ATTACHED;
        return rule->form != VALUE_EQUALS;
    }
    if (*rest == '=' && rule->form != VALUE_NONE) {
        ret_match->value = rule->form == VALUE_IGNORED ? NULL : rest + 1;
        return true;
    }
    ret_match->value = skip_space(rest);
    return rule->form == VALUE_ATTACHED;
}

static bool match_option(const struct option_dialect *dialect, const char *text,
                         struct match *ret_match) {
    for (size_t i = 0; i < dialect->count; i++) {
        const struct option_rule *rule = &dialect->rules[i];

        for (size_t j = 0; j < 3 && rule->spellings[j]; j++) {
            if (match_spelling(rule, rule->spellings[j], text, ret_match))
                return true;
        }
    }
    return false;
}

/* The text without the blanks that say nothing, new. */
static char *trimmed(enum blanks blanks, const char *text) {
    size_t length;

    if (blanks == BLANKS_AROUND)
        text = skip_space(text);
    length = strlen(text);
    while (blanks != BLANKS_COUNT && length > 0 && isspace((unsigned char)text[length - 1]))
        length--;
    return strndup(text, length);
}

static char *canonical_text(const struct match *match) {
    const char *name = match->rule->spellings[0];
    char *text;

    if (!match->value)
        return strdup(name);
    return asprintf(&text, "%s=%s", name, match->value) < 0 ? NULL : text;
}

static int refuse(const char *text, const char *why, struct cubby_error *error) {
    return error_set(error, CUBBY_ERR_INVALID, "the option \"%s\" cannot be used with a cache: %s",
                     text, why);
}

/*
 * True if the assembler is told of a file: of its options by name, or as a word that is no option,
 * which it takes for one more input.
 */
static bool names_file(const char *text) {
    static const char *const FILES[] = {"-optf", "options-file", "-o=", "-o ", "output-file"};

    if (strncmp(text, "--ptxas-options=", 16) != 0 && strncmp(text, "-Xptxas=", 8) != 0)
        return false;
    text = strchr(text, '=') + 1;
    for (size_t i = 0; i < sizeof(FILES) / sizeof(*FILES); i++) {
        if (strstr(text, FILES[i]))
            return true;
    }
    return *skip_space(text) != '-' || strcmp(text, "-o") == 0;
}

/* Reads the option at the front of the strings; *ret_used is how many of them it took. */
static int parse_one(const struct option_dialect *dialect, const char *const *strings, size_t count,
                     struct option *ret_option, size_t *ret_used, struct cubby_error *error) {
    char *text = trimmed(dialect->blanks, strings[0]);
    char *value = NULL;
    struct match match;
    int result = 0;

    *ret_used = 1;
    if (!text)
        return error_no_memory(error);
    if (!match_option(dialect, text, &match)) {
        *ret_option = (struct option){text, OPTION_COUNTS, NULL};
        return 0;
    }
    if (match.detached && count > 1) {
        value = trimmed(dialect->blanks, strings[1]);
        match.value = value;
        *ret_used = 2;
    }
    if (match.rule->effect == OPTION_REFUSED) {
        result = refuse(text, match.rule->why, error);
    } else {
        *ret_option = (struct option){canonical_text(&match), match.rule->effect, match.rule->why};
        if (!ret_option->text || (*ret_used == 2 && !value))
            result = error_no_memory(error);
        else if (names_file(ret_option->text))
            *ret_option = (struct option){ret_option->text, OPTION_BYPASSED,
                                          "what a file says that the assembler reads or writes is "
                                          "not part of the key"};
    }
    free(value);
    free(text);
    return result;
}

static int compare_options(const void *left, const void *right) {
    return strcmp(((const struct option *)left)->text, ((const struct option *)right)->text);
}

int options_parse(const struct option_dialect *dialect, const char *const *strings, size_t count,
                  struct options *ret_options, struct cubby_error *error) {
    struct options options = {count > 0 ? calloc(count, sizeof(struct option)) : NULL, 0};
    int result = 0;

    if (count > 0 && !options.items)
        return error_no_memory(error);
    for (size_t i = 0; i < count && result == 0;) {
        size_t used = 1;

        if (!strings[i])
            result = error_set(error, CUBBY_ERR_INVALID, "option %zu is NULL", i);
        else
            result = parse_one(dialect, strings + i, count - i, &options.items[options.count],
                               &used, error);
        if (result == 0) {
            options.count++;
            i += used;
        }
    }
    if (result == 0 && dialect->sorted && count > 0)
        qsort(options.items, options.count, sizeof(*options.items), compare_options);
    if (result == 0)
        *ret_options = options;
    else
        options_free(&options);
    return result;
}

const char *option_value(const struct option *option) {
    const char *equals = strchr(option->text, '=');

    return equals ? equals + 1 : "";
}

void options_free(struct options *options) {
    for (size_t i = 0; options->items && i < options->count; i++)
        free(options->items[i].text);
    free(options->items);
    *options = (struct options){NULL, 0};
}
