/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "util/utf8.h"

/* The text as it is, or with what is above ASCII marked where it is not UTF-8; new. jansson tells
 * of such text and of short memory alike that there is no value, so that it is not asked. */
static char *as_utf8(const char *text) {
    size_t invalid;
    bool valid = utf8_is_valid(text, strlen(text), &invalid);
    char *copy = strdup(text);

    if (!copy)
        out_of_memory();
    for (char *c = copy; !valid && *c; c++) {
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    }
    return copy;
}

json_t *text_json(const char *text) {
    char *copy = as_utf8(text);
    json_t *json = json_string(copy);

    free(copy);
    if (!json)
        out_of_memory();
    return json;
}

json_t *text_or_null(const char *text) {
    return text ? text_json(text) : json_null();
}

json_t *names_json(const struct cubby_object *object) {
    json_t *names = json_object();
    const char *expression, *lowered;

    for (size_t i = 0; object && (expression = cubby_object_name(object, i, &lowered)); i++) {
        char *name = as_utf8(expression);

        json_add(names, name, text_json(lowered));
        free(name);
    }
    return names;
}

static json_t *milliseconds(uint64_t ns) {
    uint64_t us = ns / 1000; /* three digits after the point are enough */

    return json_real((double)us / 1000.0);
}

json_t *report_new(const char *source, const char *output, const char *target, const char *arch,
                   const struct cubby_object *object, const struct cubby_outcome *outcome,
                   const struct cubby_error *error) {
    bool failed = error && error->code != CUBBY_OK;
    const char *log = failed && error->log ? error->log : object ? cubby_object_log(object) : "";
    char key[CUBBY_KEY_HEX_SIZE] = "";
    json_t *report = json_object();

    if (outcome->has_key)
        cubby_key_format(&outcome->key, key);
    json_add(report, "source", text_json(source));
    json_add(report, "output", text_or_null(output));
    json_add(report, "target", json_string(target));
    json_add(report, "arch", text_or_null(arch));
    json_add(report, "key", *key ? json_string(key) : json_null());
    json_add(report, "outcome", json_string(failed ? "error" : cubby_outcome_name(outcome->kind)));
    json_add(report, "tier", *outcome->tier ? json_string(outcome->tier) : json_null());
    json_add(report, "elapsed_ms", milliseconds(outcome->elapsed_ns));
    json_add(report, "compile_ms", milliseconds(outcome->compile_ns));
    json_add(report, "bytes", json_integer(object ? (json_int_t)cubby_object_size(object) : 0));
    json_add(report, "names", names_json(object));
    json_add(report, "log", text_json(log));
    json_add(report, "reason", text_or_null(*outcome->reason ? outcome->reason : NULL));
    if (failed) {
        json_add(report, "error", text_json(error->message));
        json_add(report, "status", json_integer(status_of(error->code)));
    }
    return report;
}

json_t *report_lost_job(const char *source, const char *target, const char *arch) {
    struct cubby_outcome outcome = {.kind = CUBBY_OUTCOME_ERROR};
    struct cubby_error error = {.code = CUBBY_ERR_IO};

    snprintf(error.message, sizeof(error.message),
             "%.400s: the process that compiled it ended before it answered", source);
    return report_new(source, NULL, target, arch, NULL, &outcome, &error);
}

int report_status(const json_t *report) {
    return (int)json_integer_value(json_object_get(report, "status"));
}

/* ---- For people -------------------------------------------------------------------------- */

static const char *text_in(const json_t *report, const char *name) {
    const char *text = json_string_value(json_object_get(report, name));

    return text ? text : "";
}

static double number_in(const json_t *report, const char *name) {
    return json_number_value(json_object_get(report, name));
}

static void print_progress(size_t done, size_t total) {
    if (total > 1 && isatty(STDERR_FILENO))
        fprintf(stderr, "[%zu/%zu] ", done, total);
}

/* What is compiled of a file: "scale.json: scale for n=64". */
static void print_part(const json_t *report) {
    json_t *dims = json_object_get(report, "dims"), *value;
    const char *name, *program = text_in(report, "program"), *before = " for ";

    fputs(text_in(report, "source"), stderr);
    if (*program)
        fprintf(stderr, ": %s", program);
    json_object_foreach(dims, name, value) {
        fprintf(stderr, "%s%s=%" JSON_INTEGER_FORMAT, before, name, json_integer_value(value));
        before = ",";
    }
}

/* "saxpy.cu -> saxpy.cubin", or what was compiled ahead: "scale.json: scale for n=64, sm_90". */
static void print_title(const json_t *report) {
    print_part(report);
    if (*text_in(report, "output"))
        fprintf(stderr, " -> %s  ", text_in(report, "output"));
    else
        fprintf(stderr, ", %s  ", text_in(report, "arch"));
}

static void print_outcome(const json_t *report) {
    static const struct {
        const char *outcome, *color;
    } COLORS[] = {{"hit", "\033[32m"},
                  {"compiled", "\033[33m"},
                  {"waited", "\033[36m"},
                  {"uncacheable", "\033[35m"}};
    const char *outcome = text_in(report, "outcome");
    bool color = isatty(STDERR_FILENO);
    double taken_ms;

    for (size_t i = 0; color && i < sizeof(COLORS) / sizeof(*COLORS); i++) {
        if (strcmp(COLORS[i].outcome, outcome) == 0)
            fputs(COLORS[i].color, stderr);
    }
    if (strcmp(outcome, "hit") == 0)
        fprintf(stderr, "hit (%s)", text_in(report, "tier"));
    else
        fputs(outcome, stderr);
    if (color)
        fputs("\033[0m", stderr);
    taken_ms = number_in(report, strcmp(outcome, "hit") == 0 || strcmp(outcome, "waited") == 0
                                     ? "elapsed_ms"
                                     : "compile_ms");
    fprintf(stderr, taken_ms < 1 ? " in %.2f ms" : " in %.1f ms", taken_ms);
    if (*text_in(report, "reason"))
        fprintf(stderr, " (not stored: %s)", text_in(report, "reason"));
    fputc('\n', stderr);
}

static void print_log(const json_t *report) {
    const char *log = text_in(report, "log");

    if (!*log)
        return;
    fputs(log, stderr);
    if (log[strlen(log) - 1] != '\n')
        fputc('\n', stderr);
}

/* The source that the message speaks of may be one of several that an engine has, and compiled for
 * several architectures and shapes. */
static void print_failure(const json_t *report) {
    fputs("cubby: ", stderr);
    if (json_is_object(json_object_get(report, "dims"))) {
        print_part(report);
        fprintf(stderr, ", %s: ", text_in(report, "arch"));
    }
    fprintf(stderr, "%s\n", text_in(report, "error"));
    print_log(report);
}

void report_print(const struct cli *cli, const json_t *report, size_t done, size_t total) {
    bool failed = json_object_get(report, "error") != NULL;

    if (cli->json) {
        print_json(report);
    }
    if (failed) {
        print_failure(report);
    } else if (!cli->json) {
        if (!cli->quiet) {
            print_progress(done, total);
            print_title(report);
            print_outcome(report);
        }
        print_log(report);
    }
}
