/* SPDX-License-Identifier: Apache-2.0 */
/* What is told of one compile: a line for people, or a JSON object. */
#ifndef CUBBY_CLI_REPORT_H
#define CUBBY_CLI_REPORT_H

#include <jansson.h>

#include "cli/cli.h"

/* A JSON string, new: names of files and what a compiler wrote need not be UTF-8; then each byte
 * above ASCII is a question mark. Ends the process where memory is short. */
json_t *text_json(const char *text);

/* As text_json(); null for NULL. */
json_t *text_or_null(const char *text);

/* The name expressions of an object (NULL: none) and their lowered names, new. */
json_t *names_json(const struct cubby_object *object);

/* The report as new JSON, with the keys that the man page lists. error may be NULL. */
json_t *report_new(const char *source, const char *output, const char *target, const char *arch,
                   const struct cubby_object *object, const struct cubby_outcome *outcome,
                   const struct cubby_error *error);

/* The new report of a source whose worker process ended before it answered. */
json_t *report_lost_job(const char *source, const char *target, const char *arch);

/* Prints it: a line of JSON on standard output, or a sentence on standard error with the log below.
 * done of total shows how far it is; total 1 or less shows nothing. */
void report_print(const struct cli *cli, const json_t *report, size_t done, size_t total);

/* The exit status that the report stands for. */
int report_status(const json_t *report);

#endif
