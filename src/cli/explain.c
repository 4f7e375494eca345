/* SPDX-License-Identifier: Apache-2.0 */
/* cubby explain: why a program is not in the cache. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/program_args.h"
#include "cli/report.h"

struct explain_args {
    struct program_args program;
    char *file;
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct verb_input *input = state->input;
    struct explain_args *args = input->own;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &args->program;
        state->child_inputs[1] = input;
        return 0;
    case ARGP_KEY_ARG:
        if (args->file)
            argp_error(state, "one source file is expected, not also \"%s\"", argument);
        args->file = argument;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "a source file is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child CHILDREN[] = {
    {&program_argp, 0, "What would be compiled and how:", 1},
    {&cli_argp, 0, "Common options:", 2},
    {0}};
static const struct argp ARGP = {NULL,
                                 parse,
                                 "FILE",
                                 "Says whether a program is in the cache, and where it is not, how "
                                 "it differs from the stored one "
                                 "that is nearest to it. Compiles nothing.",
                                 CHILDREN,
                                 NULL,
                                 NULL};

/* ---- One difference in words ------------------------------------------------------------- */

static bool is_field(const struct cubby_difference *difference, const char *field) {
    return strcmp(difference->field, field) == 0;
}

/* What an option does, for the few of which people think in other words. */
static const char *option_noun(const char *option) {
    if (strncmp(option, "-D=", 3) == 0 || strncmp(option, "-U=", 3) == 0)
        return "macro";
    return strncmp(option, "-I=", 3) == 0 ? "include folder" : "option";
}

/* Prints an option as people write it: the key spells -DX as -D=X. */
static void print_option(const char *option) {
    bool is_short = strcmp(option_noun(option), "option") != 0;

    printf("%.*s%s", is_short ? 2 : 0, option, is_short ? option + 3 : option);
}

static void print_option_difference(const struct cubby_difference *difference) {
    const char *then = difference->then, *now = difference->now;

    printf("%s ", option_noun(then ? then : now));
    print_option(then ? then : now);
    if (!then) {
        fputs(" was added", stdout);
    } else if (!now) {
        fputs(" was taken away", stdout);
    } else if (strcmp(then, now) == 0) {
        fputs(" stands at another place among the options", stdout);
    } else {
        fputs(" then, ", stdout);
        print_option(now);
        fputs(" now", stdout);
    }
}

/* The first two words of a toolchain: its name and its version. */
static int version_length(const char *toolchain) {
    size_t name = strcspn(toolchain, " ");

    return (int)(name + (toolchain[name] ? 1 + strcspn(toolchain + name + 1, " ") : 0));
}

static void print_toolchain(const char *then, const char *now) {
    int length = version_length(then);

    if (length == version_length(now) && strncmp(then, now, (size_t)length) == 0)
        printf("toolchain: another build of %.*s", length, now);
    else
        printf("toolchain: %.*s then, %.*s now", length, then, version_length(now), now);
}

static void print_header(const struct cubby_difference *difference) {
    if (difference->then)
        printf("header %s %s", difference->name,
               difference->now ? "changed" : "is gone or cannot be read");
    else if (difference->before)
        printf("header %s appeared, and is found before %s", difference->name, difference->before);
    else if (strcmp(difference->now, "not a file") == 0)
        printf("%s appeared, where a header was looked for in vain, though it is no readable file",
               difference->name);
    else
        printf("header %s appeared, where it was looked for in vain", difference->name);
}

static bool is_digest(const char *text) {
    return text && strlen(text) == 2 * CUBBY_KEY_SIZE &&
           strspn(text, "0123456789abcdef") == 2 * CUBBY_KEY_SIZE;
}

static void print_lone(const char *value, const char *what_happened) {
    if (!is_digest(value))
        printf(" %s", value);
    printf(" %s", what_happened);
}

/* Any other field. Of digests nobody reads more than that they differ. */
static void print_other(const struct cubby_difference *difference) {
    const char *then = difference->then, *now = difference->now;

    fputs(difference->field, stdout);
    if (difference->name)
        printf(" %s", difference->name);
    if (then && now && strcmp(then, now) == 0)
        printf(" %s stands at another place", now);
    else if (then && now && !is_digest(now))
        printf(": %s then, %s now", then, now);
    else if (then && now)
        fputs(" changed", stdout);
    else
        print_lone(then ? then : now, then ? "was taken away" : "was added");
}

static void print_difference(const struct cubby_difference *difference) {
    fputs("  ", stdout);
    if (is_field(difference, "option"))
        print_option_difference(difference);
    else if (is_field(difference, "header file"))
        print_header(difference);
    else if (is_field(difference, "source digest") && difference->then && difference->now)
        fputs("the source changed", stdout);
    else if (is_field(difference, "toolchain") && difference->then && difference->now)
        print_toolchain(difference->then, difference->now);
    else if (is_field(difference, "header stamp"))
        printf("header %s has another time stamp, which the object holds", difference->name);
    else if (is_field(difference, "object"))
        fputs("nothing differs, but the object is not stored any more", stdout);
    else if (is_field(difference, "header list"))
        fputs("nothing but perhaps its headers: which ones it read is not stored any more", stdout);
    else
        print_other(difference);
    putchar('\n');
}

/* ---- All of it --------------------------------------------------------------------------- */

static json_t *difference_json(const struct cubby_difference *difference) {
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "field", text_json(difference->field), "name",
                     text_or_null(difference->name), "then", text_or_null(difference->then), "now",
                     text_or_null(difference->now), "before", text_or_null(difference->before));
}

/* The differences come before what they are differences from: they are kept until that is known. */
static void keep_difference(const struct cubby_difference *difference, void *context) {
    json_append(context, difference_json(difference));
}

static json_t *nearest_json(const struct cubby_comparison *found) {
    struct cubby_object_info info;
    char hex[CUBBY_KEY_HEX_SIZE], created[32];

    if (!found->has_nearest)
        return json_null();
    cubby_key_format(&found->nearest_key, hex);
    if (!found->nearest)
        return json_pack("{s:s, s:n, s:n}", "key", hex, "source", "created_at");
    cubby_object_info(found->nearest, &info);
    format_time(info.created_at, created);
    return json_pack("{s:s, s:o, s:s}", "key", hex, "source", text_json(info.source_name),
                     "created_at", created);
}

static void print_comparison(const char *source, const struct cubby_comparison *found,
                             json_t *differences) {
    char hex[CUBBY_KEY_HEX_SIZE] = "";
    json_t *report;

    if (found->has_key)
        cubby_key_format(&found->key, hex);
    report =
        json_pack("{s:o, s:o, s:s, s:o, s:o, s:o, s:O}", "source", text_json(source), "key",
                  text_or_null(*hex ? hex : NULL), "outcome", cubby_comparison_name(found->kind),
                  "tier", text_or_null(*found->tier ? found->tier : NULL), "reason",
                  text_or_null(*found->reason ? found->reason : NULL), "nearest",
                  nearest_json(found), "differences", differences);
    print_json(report);
    json_decref(report);
}

static const char *member(const json_t *object, const char *name) {
    return json_string_value(json_object_get(object, name));
}

static void print_nearest(const struct cubby_comparison *found) {
    char hex[CUBBY_KEY_HEX_SIZE], created[32];
    struct cubby_object_info info;

    cubby_key_format(&found->nearest_key, hex);
    if (!found->nearest) {
        printf("nearest: %s, which is not stored any more\n", hex);
        return;
    }
    cubby_object_info(found->nearest, &info);
    format_time(info.created_at, created);
    printf("nearest: %s of %s, stored %s\n", hex, info.source_name, created);
}

static void print_text(const char *source, const struct cubby_comparison *found,
                       json_t *differences) {
    char hex[CUBBY_KEY_HEX_SIZE] = "";
    const json_t *kept;
    size_t i;

    if (found->has_key)
        cubby_key_format(&found->key, hex);
    if (found->kind == CUBBY_COMPARISON_HIT)
        printf("%s: hit (%s), key %s\n", source, found->tier, hex);
    else if (found->kind == CUBBY_COMPARISON_UNCACHEABLE)
        printf("%s: uncacheable: %s\n", source, found->reason);
    else
        printf("%s: miss%s%s\n", source, *found->reason ? ": " : "", found->reason);
    if (found->has_nearest)
        print_nearest(found);
    json_array_foreach(differences, i, kept) {
        const struct cubby_difference difference = {member(kept, "field"), member(kept, "name"),
                                                    member(kept, "then"), member(kept, "now"),
                                                    member(kept, "before")};

        print_difference(&difference);
    }
}

static int explain(const struct cli *cli, const struct explain_args *args,
                   struct cubby_cache *cache, struct cubby_error *error) {
    struct cubby_program *program = NULL;
    struct cubby_comparison found = {0};
    json_t *differences = json_array();
    int result = program_from_file(&args->program, args->file, &program, error);

    if (result == 0)
        result = cubby_program_compare(cache, program, keep_difference, differences, &found, error);
    if (result == 0)
        (cli->json ? print_comparison : print_text)(args->file, &found, differences);
    cubby_object_unref(found.nearest);
    cubby_program_unref(program);
    json_decref(differences);
    return result;
}

int verb_explain(struct cli *cli, int argc, char **argv) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct explain_args args = {0};
    struct verb_input input = {cli, &args};
    enum status opened = STATUS_USAGE;
    struct cubby_cache *cache;
    int status;

    argv[0] = (char *)"cubby explain";
    parse_arguments(&ARGP, argc, argv, 0, &input);
    cache = open_store(cli, &opened);
    status = cache ? program_args_finish(&args.program, cache, &args.file, 1) : (int)opened;
    if (status == STATUS_OK) {
        explain(cli, &args, cache, &error);
        if (error.code != CUBBY_OK)
            print_error(&error);
        status = status_of(error.code);
    }
    cubby_error_clear(&error);
    cubby_cache_unref(cache);
    program_args_clear(&args.program);
    return status;
}
