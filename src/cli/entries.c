/* SPDX-License-Identifier: Apache-2.0 */
/* cubby ls, show, get, rm, clear: the stored objects one by one. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/input.h"
#include "cli/report.h"
#include "util/error.h"

/* ---- Command lines ----------------------------------------------------------------------- */

struct entry_args {
    const char *output;
    char **keys;
    size_t key_count;
    size_t wanted; /* number of keys; SIZE_MAX for one or more */
};

static const struct argp_option GET_OPTIONS[] = {
    {"output", 'o', "FILE", 0, "Write the object to FILE; - is standard output", 0},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct verb_input *input = state->input;
    struct entry_args *args = input->own;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = input;
        return 0;
    case 'o':
        args->output = argument;
        return 0;
    case ARGP_KEY_ARGS:
        args->keys = state->argv + state->next;
        args->key_count = (size_t)(state->argc - state->next);
        return 0;
    case ARGP_KEY_END:
        if (args->wanted == 1 && args->key_count != 1)
            argp_error(state, "one key is expected");
        if (args->wanted == SIZE_MAX && args->key_count == 0)
            argp_error(state, "a key is missing");
        if (args->wanted == 0 && args->key_count != 0)
            argp_error(state, "\"%s\": nothing is expected here", args->keys[0]);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child CHILDREN[] = {{&cli_argp, 0, "Common options:", 1}, {0}};

/* Reads the command line and opens the store; NULL with the status where that fails. */
static struct cubby_cache *begin(struct cli *cli, struct entry_args *args, const char *name,
                                 const char *usage, const char *doc, int argc, char **argv,
                                 enum status *ret_status) {
    struct verb_input input = {cli, args};
    const struct argp argp = {strcmp(name, "cubby get") == 0 ? GET_OPTIONS : NULL,
                              parse,
                              usage,
                              doc,
                              CHILDREN,
                              NULL,
                              NULL};

    argv[0] = (char *)name;
    parse_arguments(&argp, argc, argv, 0, &input);
    *ret_status = STATUS_OK;
    return open_store(cli, ret_status);
}

static enum status end(struct cubby_cache *cache, enum status status, struct cubby_error *error) {
    if (error->code != CUBBY_OK) {
        print_error(error);
        /* Asking for what is not there is an answer of the store's, not a misuse. */
        status = error->code == CUBBY_ERR_INVALID ? STATUS_USAGE : STATUS_STORE;
    }
    cubby_error_clear(error);
    cubby_cache_unref(cache);
    return status;
}

/* ---- Finding ----------------------------------------------------------------------------- */

/* cubby_cache_peek() and cubby_cache_describe(). */
typedef int finder(struct cubby_cache *cache, enum cubby_entry_kind kind,
                   const struct cubby_key *key, struct cubby_object **ret_object);

/* The object of a key, compiled or the caller's own. */
static int find_object(struct cubby_cache *cache, finder *find, const char *hex,
                       struct cubby_object **ret_object, struct cubby_error *error) {
    struct cubby_key key;
    int result = cubby_key_parse(hex, &key, error);

    if (result < 0)
        return result;
    if (find(cache, CUBBY_ENTRY_OBJECT, &key, ret_object) == 0 ||
        find(cache, CUBBY_ENTRY_USER, &key, ret_object) == 0)
        return 0;
    return error_set(error, CUBBY_ERR_NOT_FOUND, "no store holds the key %s: see `cubby ls`", hex);
}

/* ---- ls ---------------------------------------------------------------------------------- */

struct listing {
    const struct cli *cli;
    struct cubby_cache *cache;
};

static int list_entry(const char *tier, const struct cubby_entry_info *info, void *context) {
    const struct listing *listing = context;
    struct cubby_object_info object_info = {"", "", "", "", 0, 0};
    struct cubby_object *object = NULL;
    char hex[CUBBY_KEY_HEX_SIZE], created[32];

    if (info->kind != CUBBY_ENTRY_OBJECT && info->kind != CUBBY_ENTRY_USER)
        return 0;
    if (cubby_cache_describe(listing->cache, info->kind, &info->key, &object) < 0)
        return 0; /* gone meanwhile, or damaged */
    cubby_object_info(object, &object_info);
    cubby_key_format(&info->key, hex);
    format_time(object_info.created_at, created);
    if (listing->cli->json) {
        json_t *line = json_pack("{s:s,s:s,s:I,s:s,s:o,s:o,s:s}", "key", hex, "tier", tier, "bytes",
                                 (json_int_t)cubby_object_size(object), "target",
                                 object_info.target, "arch", text_json(object_info.arch), "source",
                                 text_json(object_info.source_name), "created", created);

        print_json(line);
        json_decref(line);
    } else {
        printf("%s  %-6s  %9s  %-5s  %-11s  %s  %s\n", hex, tier,
               format_bytes(cubby_object_size(object)), object_info.target, object_info.arch,
               created, object_info.source_name);
    }
    cubby_object_unref(object);
    return 0;
}

int verb_ls(struct cli *cli, int argc, char **argv) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct entry_args args = {0};
    struct listing listing = {cli, NULL};
    enum status status;

    listing.cache = begin(cli, &args, "cubby ls", "",
                          "Lists the stored objects: key, store, size, target, architecture, time "
                          "of compiling, source.",
                          argc, argv, &status);
    if (!listing.cache)
        return status;
    cubby_cache_iterate(listing.cache, list_entry, &listing, &error);
    return end(listing.cache, status, &error);
}

/* ---- show -------------------------------------------------------------------------------- */

static json_t *fields_json(const struct cubby_object *object) {
    json_t *fields = json_array();
    const char *name, *value;

    for (size_t i = 0; (name = cubby_object_field(object, i, &value)); i++)
        json_append(fields, json_pack("{s:s, s:o}", "name", name, "value", text_json(value)));
    return fields;
}

static void show_json(const char *hex, const struct cubby_object *object,
                      const struct cubby_object_info *info, const char *created) {
    json_t *shown =
        json_pack("{s:s,s:I,s:s,s:o,s:o,s:o,s:s,s:f,s:o,s:o,s:o}", "key", hex, "bytes",
                  (json_int_t)cubby_object_size(object), "target", info->target, "arch",
                  text_json(info->arch), "source", text_json(info->source_name), "toolchain",
                  text_json(info->toolchain), "created", created, "compile_ms",
                  (double)info->compile_ns / 1e6, "names", names_json(object), "log",
                  text_json(cubby_object_log(object)), "fields", fields_json(object));

    print_json(shown);
    json_decref(shown);
}

static void show_text(const char *hex, const struct cubby_object *object,
                      const struct cubby_object_info *info, const char *created) {
    const char *expression, *lowered, *field, *value;

    printf("key         %s\n", hex);
    printf("size        %zu bytes\n", cubby_object_size(object));
    printf("target      %s\n", info->target);
    printf("arch        %s\n", info->arch);
    printf("source      %s\n", info->source_name);
    printf("toolchain   %s\n", info->toolchain);
    printf("created     %s\n", created);
    printf("compile     %.1f ms\n", (double)info->compile_ns / 1e6);
    for (size_t i = 0; (expression = cubby_object_name(object, i, &lowered)); i++)
        printf("name        %s -> %s\n", expression, lowered);
    for (size_t i = 0; (field = cubby_object_field(object, i, &value)); i++)
        printf("%s%-16s %s\n", i == 0 ? "fields of the key\n    " : "    ", field, value);
    if (*cubby_object_log(object))
        printf("log\n%s\n", cubby_object_log(object));
}

int verb_show(struct cli *cli, int argc, char **argv) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct entry_args args = {.wanted = 1};
    struct cubby_object *object;
    struct cubby_cache *cache;
    enum status status;

    cache =
        begin(cli, &args, "cubby show", "KEY", "Describes one stored object.", argc, argv, &status);
    if (!cache)
        return status;
    if (find_object(cache, cubby_cache_describe, args.keys[0], &object, &error) == 0) {
        struct cubby_object_info info;
        char created[32];

        cubby_object_info(object, &info);
        format_time(info.created_at, created);
        (cli->json ? show_json : show_text)(args.keys[0], object, &info, created);
        cubby_object_unref(object);
    }
    return end(cache, status, &error);
}

/* ---- get --------------------------------------------------------------------------------- */

int verb_get(struct cli *cli, int argc, char **argv) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct entry_args args = {.wanted = 1};
    struct cubby_object *object;
    struct cubby_cache *cache;
    enum status status;

    cache = begin(cli, &args, "cubby get", "KEY -o FILE", "Writes one stored object to a file.",
                  argc, argv, &status);
    if (!cache)
        return status;
    if (!args.output) {
        fputs("cubby get: -o FILE is missing; -o - writes to standard output\n", stderr);
        return end(cache, STATUS_USAGE, &error);
    }
    if (find_object(cache, cubby_cache_peek, args.keys[0], &object, &error) == 0) {
        output_write(args.output, cubby_object_data(object), cubby_object_size(object), &error);
        cubby_object_unref(object);
    }
    return end(cache, status, &error);
}

/* ---- rm, clear --------------------------------------------------------------------------- */

static int remove_key(struct cubby_cache *cache, const char *hex, struct cubby_error *error) {
    static const enum cubby_entry_kind KINDS[] = {CUBBY_ENTRY_OBJECT, CUBBY_ENTRY_USER};
    struct cubby_key key;
    bool removed = false;
    int result = cubby_key_parse(hex, &key, error);

    for (size_t i = 0; i < 2 && result == 0; i++) {
        struct cubby_error problem = CUBBY_ERROR_INIT;

        result = cubby_cache_remove(cache, KINDS[i], &key, &problem);
        removed = removed || result == 0;
        if (result == CUBBY_ERR_NOT_FOUND)
            result = 0;
        else
            error_move(error, &problem);
        cubby_error_clear(&problem);
    }
    if (result == 0 && !removed)
        result =
            error_set(error, CUBBY_ERR_NOT_FOUND, "no store holds the key %s: see `cubby ls`", hex);
    return result;
}

int verb_rm(struct cli *cli, int argc, char **argv) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct entry_args args = {.wanted = SIZE_MAX};
    struct cubby_cache *cache;
    enum status status;

    cache = begin(cli, &args, "cubby rm", "KEY...", "Removes stored objects from every store.",
                  argc, argv, &status);
    if (!cache)
        return status;
    for (size_t i = 0; i < args.key_count; i++)
        remove_key(cache, args.keys[i], &error);
    return end(cache, status, &error);
}

int verb_clear(struct cli *cli, int argc, char **argv) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct entry_args args = {0};
    struct cubby_cache *cache;
    enum status status;

    cache = begin(cli, &args, "cubby clear", "", "Removes everything from the stores.", argc, argv,
                  &status);
    if (!cache)
        return status;
    cubby_cache_clear(cache, &error);
    return end(cache, status, &error);
}
