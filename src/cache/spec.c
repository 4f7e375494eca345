/* SPDX-License-Identifier: Apache-2.0 */
#include "cache/spec.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cache/flight.h"
#include "entry/codec.h"
#include "os/env.h"
#include "util/error.h"
#include "util/units.h"

#define DEFAULT_MAX_SIZE "5G"

/* The spec under way, for messages that point into it. */
struct parser {
    const char *text;
    struct cubby_error *error;
};

static int fail_at(const struct parser *parser, const char *at, size_t length, const char *what) {
    return error_set(parser->error, CUBBY_ERR_INVALID,
                     "cache spec \"%.300s\": at character %zu, \"%.*s\": %s", parser->text,
                     (size_t)(at - parser->text) + 1, (int)(length < 80 ? length : 80), at, what);
}

static int fail_memory(const struct parser *parser) {
    return error_no_memory(parser->error);
}

/* ---- Parts ------------------------------------------------------------------------------- */

static int hex_value(char digit) {
    static const char DIGITS[] = "0123456789abcdef";
    const char *found =
        digit ? strchr(DIGITS, digit >= 'A' && digit <= 'F' ? digit + 32 : digit) : NULL;

    return found ? (int)(found - DIGITS) : -1;
}

/* The text with its %XX replaced, new. */
static int decode(const struct parser *parser, const char *at, size_t length, char **ret_text) {
    char *text = malloc(length + 1);
    size_t size = 0;

    if (!text)
        return fail_memory(parser);
    for (size_t i = 0; i < length; i++) {
        if (at[i] == '%') {
            int high = i + 2 < length ? hex_value(at[i + 1]) : -1;
            int low = i + 2 < length ? hex_value(at[i + 2]) : -1;

            if (high < 0 || low < 0 || high + low == 0) {
                free(text);
                return fail_at(parser, at + i, length - i < 3 ? length - i : 3,
                               "expected two hexadecimal digits after %, not 00 (a % itself is "
                               "%25)");
            }
            text[size++] = (char)(high * 16 + low);
            i += 2;
        } else {
            text[size++] = at[i];
        }
    }
    text[size] = '\0';
    *ret_text = text;
    return 0;
}

static bool parse_bool(const char *text, bool *ret_value) {
    if (strcmp(text, "0") != 0 && strcmp(text, "1") != 0)
        return false;
    *ret_value = *text == '1';
    return true;
}

static bool parse_seconds(const char *text, unsigned *ret_seconds) {
    unsigned long seconds;

    if (strspn(text, "0123456789") != strlen(text) || !*text || strlen(text) > 9)
        return false;
    seconds = strtoul(text, NULL, 10);
    *ret_seconds = (unsigned)seconds;
    return seconds <= FLIGHT_TIMEOUT_MAX_SECONDS;
}

/* Replaces a leading ~ by the home folder. */
static int expand_home(const struct parser *parser, const char *at, char **path) {
    const char *home;
    char *expanded;

    if ((*path)[0] != '~' || ((*path)[1] != '\0' && (*path)[1] != '/'))
        return 0;
    home = env_get("HOME");
    if (!home)
        return fail_at(parser, at, 1, "HOME is not set, so ~ means nothing: write the whole path");
    if (asprintf(&expanded, "%s%s", home, *path + 1) < 0)
        return fail_memory(parser);
    free(*path);
    *path = expanded;
    return 0;
}

/* "zstd" or "zstd:LEVEL". */
static bool parse_codec(const char *text, int *ret_level) {
    int level = 0;

    if (strcmp(text, "zstd") == 0) {
        *ret_level = CODEC_LEVEL_DEFAULT;
        return true;
    }
    if (strncmp(text, "zstd:", 5) != 0 || strlen(text + 5) > 2)
        return false;
    for (text += 5; *text >= '0' && *text <= '9'; text++)
        level = 10 * level + (*text - '0');
    if (*text || level < 1 || level > CODEC_LEVEL_MAX)
        return false;
    *ret_level = level;
    return true;
}

/* Takes the value of a parameter over, or says what was expected in its place; NULL: it is good. */
typedef const char *value_taker(struct spec_tier *tier, char **value);

static const char *take_max_size(struct spec_tier *tier, char **value) {
    return units_size(*value, &tier->params.max_size)
               ? NULL
               : "expected a size such as 512M, 5G or 1000000";
}

static const char *take_durable(struct spec_tier *tier, char **value) {
    return parse_bool(*value, &tier->params.durable) ? NULL : "expected 0 or 1";
}

static const char *take_read_only(struct spec_tier *tier, char **value) {
    return parse_bool(*value, &tier->params.read_only) ? NULL : "expected 0 or 1";
}

static const char *take_compress(struct spec_tier *tier, char **value) {
    if (tier->store == SPEC_MEMORY)
        return "memory keeps objects ready for use: compress them in a file or SQLite store";
    return parse_codec(*value, &tier->level) ? NULL : "expected zstd, or zstd:LEVEL from 1 to 19";
}

static const char *take_secret_file(struct spec_tier *tier, char **value) {
    if (tier->store == SPEC_MEMORY)
        return "no one else can write this process's memory: a file or SQLite store has a secret";
    if (!**value)
        return "expected the path of a file";
    free(tier->secret_file);
    tier->secret_file = *value;
    *value = NULL;
    return NULL;
}

/* Not for SQLite. SQLite would make the files beside the database with its mode, so that sharing
 * one works; but each member's process maps PATH-shm and runs the triggers of the schema, so any
 * other member could end it with a bus error, or have it execute SQL. Of a folder of files a member
 * can take away entries, or plant some, against which there is secret_file. */
static const char *take_shared(struct spec_tier *tier, char **value) {
    if (tier->store == SPEC_SQLITE)
        return "a SQLite database is not for sharing between users, who could end each other's "
               "processes through it: use file:PATH?shared=group";
    if (tier->store == SPEC_MEMORY)
        return "memory is this process's own: a file store is what a group can share";
    tier->params.shared = strcmp(*value, "group") == 0;
    return tier->params.shared ? NULL : "expected group";
}

static const char *take_flight_timeout(struct spec_tier *tier, char **value) {
    tier->names_flight_timeout = parse_seconds(*value, &tier->flight_timeout);
    return tier->names_flight_timeout ? NULL : "expected seconds, from 0 to 1000000";
}

static const struct parameter {
    const char *name;
    value_taker *take;
} PARAMETERS[] = {
    {"max_size", take_max_size},
    {"durable", take_durable},
    {"read_only", take_read_only},
    {"compress", take_compress},
    {"secret_file", take_secret_file},
    {"shared", take_shared},
    {"flight_timeout", take_flight_timeout},
};

static const struct parameter *find_parameter(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof(PARAMETERS) / sizeof(*PARAMETERS); i++) {
        if (strlen(PARAMETERS[i].name) == length && memcmp(name, PARAMETERS[i].name, length) == 0)
            return &PARAMETERS[i];
    }
    return NULL;
}

static int parse_parameter(const struct parser *parser, const char *at, size_t length,
                           struct spec_tier *tier) {
    const char *equals = memchr(at, '=', length), *wrong;
    size_t name = equals ? (size_t)(equals - at) : length;
    const struct parameter *parameter = find_parameter(at, name);
    char *value = NULL;
    int result;

    if (!equals)
        return fail_at(parser, at, length, "expected a parameter of the form name=value");
    if (!parameter)
        return fail_at(parser, at, name,
                       "not a known parameter; known are max_size, durable, read_only, compress, "
                       "secret_file, shared and flight_timeout");
    result = decode(parser, equals + 1, length - name - 1, &value);
    if (result == 0)
        result = expand_home(parser, equals + 1, &value);
    if (result == 0) {
        wrong = parameter->take(tier, &value);
        result = wrong ? fail_at(parser, at, length, wrong) : 0;
    }
    free(value);
    return result;
}

static int parse_parameters(const struct parser *parser, const char *at, const char *end,
                            struct spec_tier *tier) {
    for (;;) {
        const char *joint = memchr(at, '&', (size_t)(end - at));
        const char *stop = joint ? joint : end;
        int result = parse_parameter(parser, at, (size_t)(stop - at), tier);

        if (result < 0 || !joint)
            return result;
        at = joint + 1;
    }
}

/* ---- Tiers ------------------------------------------------------------------------------- */

static bool has_prefix(const char *at, const char *end, const char *prefix) {
    size_t length = strlen(prefix);

    return (size_t)(end - at) >= length && memcmp(at, prefix, length) == 0;
}

/* The store's name; *at moves to the path. */
static int parse_store(const struct parser *parser, const char **at, const char *end,
                       enum spec_store *ret_store) {
    const char *colon = memchr(*at, ':', (size_t)(end - *at));
    const char *slash = memchr(*at, '/', (size_t)(end - *at));

    if (has_prefix(*at, end, "file:")) {
        *ret_store = SPEC_FILE;
        *at += 5;
    } else if (has_prefix(*at, end, "sqlite:")) {
        *ret_store = SPEC_SQLITE;
        *at += 7;
    } else if (end - *at == 6 && has_prefix(*at, end, "memory")) {
        *ret_store = SPEC_MEMORY;
        *at = end;
    } else if (colon && (!slash || colon < slash)) {
        return fail_at(parser, *at, (size_t)(colon - *at),
                       "not a known store; known are memory, file:PATH and sqlite:PATH (for a path "
                       "with a colon write file:PATH)");
    } else {
        *ret_store = SPEC_FILE;
    }
    return 0;
}

static int parse_tier(const struct parser *parser, const char *at, const char *end,
                      struct spec_tier *tier) {
    const char *question = memchr(at, '?', (size_t)(end - at));
    const char *stop = question ? question : end;
    int result;

    if (at == stop)
        return fail_at(parser, at, (size_t)(end - at), "expected a store here, such as file:PATH");
    result = parse_store(parser, &at, stop, &tier->store);
    if (result == 0 && tier->store != SPEC_MEMORY) {
        if (at == stop)
            return fail_at(parser, at, 0, "expected a path here");
        result = decode(parser, at, (size_t)(stop - at), &tier->path);
        if (result == 0)
            result = expand_home(parser, at, &tier->path);
        tier->params.path = tier->path;
    }
    if (result == 0 && question)
        result = parse_parameters(parser, question + 1, end, tier);
    return result;
}

int spec_parse(const char *text, struct spec *ret_spec, struct cubby_error *error) {
    struct parser parser = {text, error};
    struct spec spec = {NULL, 0};
    const char *at = text;
    size_t commas = 0;
    int result = 0;

    for (const char *c = text; *c; c++)
        commas += *c == ',';
    spec.tiers = calloc(commas + 1, sizeof(*spec.tiers));
    if (!spec.tiers)
        return error_no_memory(error);
    while (result == 0) {
        const char *end = at + strcspn(at, ",");

        result = parse_tier(&parser, at, end, &spec.tiers[spec.count++]);
        if (!*end)
            break;
        at = end + 1;
    }
    if (result == 0)
        *ret_spec = spec;
    else
        spec_clear(&spec);
    return result;
}

/* A path as a spec spells it, new. */
static char *encode_path(const char *path) {
    char *text = malloc(3 * strlen(path) + 1);
    size_t size = 0;

    for (; text && *path; path++) {
        if (strchr(",?&%", *path))
            size += (size_t)sprintf(text + size, "%%%02X", (unsigned char)*path);
        else
            text[size++] = *path;
    }
    if (text)
        text[size] = '\0';
    return text;
}

int spec_default(char **ret_text, struct cubby_error *error) {
    const char *disable = env_get("CUBBY_DISABLE");
    const char *spec = env_get("CUBBY_CACHE");
    const char *folder = env_get("XDG_CACHE_HOME");
    const char *below = "cubby";
    char *text = NULL, *encoded;

    if (disable && strcmp(disable, "0") != 0)
        text = strdup("");
    else if (spec)
        text = strdup(spec);
    if (text || spec) {
        *ret_text = text;
        return text ? 0 : error_no_memory(error);
    }
    if (!folder || folder[0] != '/') { /* a relative XDG_CACHE_HOME is invalid, says its standard */
        folder = env_get("HOME");
        below = ".cache/cubby";
    }
    if (!folder)
        return error_set(error, CUBBY_ERR_INVALID,
                         "no place for the cache: neither CUBBY_CACHE nor XDG_CACHE_HOME nor HOME "
                         "is set; set one of them, or CUBBY_DISABLE=1");
    encoded = encode_path(folder);
    if (!encoded || asprintf(&text, "file:%s/%s?max_size=" DEFAULT_MAX_SIZE, encoded, below) < 0)
        text = NULL;
    free(encoded);
    if (!text)
        return error_no_memory(error);
    *ret_text = text;
    return 0;
}

void spec_clear(struct spec *spec) {
    for (size_t i = 0; spec->tiers && i < spec->count; i++) {
        free(spec->tiers[i].path);
        free(spec->tiers[i].secret_file);
    }
    free(spec->tiers);
    *spec = (struct spec){NULL, 0};
}
