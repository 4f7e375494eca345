/* SPDX-License-Identifier: Apache-2.0 */
/* The results as a table for people and as JSON for programs. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include <jansson.h>

#include "bench.h"

void report_table_head(const json_t *machine);
void report_table_row(const struct row *row);

/* A new object {"machine": ..., "plan": ..., "rows": [...]}; machine is stolen. NULL when memory is
 * short. */
json_t *report_json(const struct bench *bench, json_t *machine);

#endif
