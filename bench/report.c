/* SPDX-License-Identifier: Apache-2.0 */
#include "report.h"

#include <stdio.h>

#define TEXT_SIZE 32

/* ---- The table --------------------------------------------------------------------------- */

static const char *text_in(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "";
}

void report_table_head(const json_t *machine) {
    printf("%s, %lld cores, %s, %s, %s\n\n", text_in(machine, "processor"),
           (long long)json_integer_value(json_object_get(machine, "cores")),
           text_in(machine, "kernel"), text_in(machine, "file_system"), text_in(machine, "date"));
    printf("%-24s %10s %10s  %7s %-15s  %-10s %s\n", "what", "floor", "Cubby", "ratio",
           " (p10 - p90)", "goal", "verdict");
    fflush(stdout);
}

/* Three digits and a unit. */
static const char *duration(double ns, char text[TEXT_SIZE]) {
    static const char *const UNITS[] = {"ns", "us", "ms", "s"};
    unsigned unit = 0;

    while (ns >= 999.5 && unit < 3) {
        ns /= 1000;
        unit++;
    }
    snprintf(text, TEXT_SIZE,
             ns < 9.995   ? "%.2f %s"
             : ns < 99.95 ? "%.1f %s"
                          : "%.0f %s",
             ns, UNITS[unit]);
    return text;
}

static const char *goal_text(const struct row *row, char text[TEXT_SIZE]) {
    switch (row->goal) {
    case GOAL_RATIO:
        snprintf(text, TEXT_SIZE, "<= %gx", row->limit);
        break;
    case GOAL_MICROSECONDS:
        snprintf(text, TEXT_SIZE, "<= %g us", row->limit);
        break;
    case GOAL_NONE:
        snprintf(text, TEXT_SIZE, "-");
        break;
    }
    return text;
}

static const char *verdict(const struct row *row) {
    return row->goal == GOAL_NONE ? "-" : row_met(row) ? "met" : "not met";
}

void report_table_row(const struct row *row) {
    char floor[TEXT_SIZE], subject[TEXT_SIZE], goal[TEXT_SIZE], range[TEXT_SIZE];

    if (row->measured) {
        snprintf(range, TEXT_SIZE, "(%.2f - %.2f)", row->comparison.ratio.p10,
                 row->comparison.ratio.p90);
        printf("%-24s %10s %10s  %6.2fx %-15s  %-10s %s\n", row->name,
               duration(row->comparison.floor_ns.p50, floor),
               duration(row->comparison.subject_ns.p50, subject), row->comparison.ratio.p50, range,
               goal_text(row, goal), verdict(row));
    } else {
        printf("%-24s not measured: %s\n", row->name, row->problem);
    }
    fflush(stdout);
}

/* ---- JSON -------------------------------------------------------------------------------- */

static json_t *spread_json(const struct spread *spread) {
    return json_pack("{s:f, s:f, s:f}", "p10", spread->p10, "p50", spread->p50, "p90", spread->p90);
}

static json_t *work_json(const struct work *work, const struct spread *ns, uint64_t batch) {
    return json_pack("{s:s, s:o, s:I}", "what", work->name, "ns", spread_json(ns), "batch",
                     (json_int_t)batch);
}

static json_t *goal_json(const struct row *row) {
    switch (row->goal) {
    case GOAL_RATIO:
        return json_pack("{s:f}", "ratio_at_most", row->limit);
    case GOAL_MICROSECONDS:
        return json_pack("{s:f}", "us_at_most", row->limit);
    case GOAL_NONE:
        break;
    }
    return json_null();
}

static json_t *row_json(const struct row *row) {
    const struct comparison *comparison = &row->comparison;

    if (!row->measured)
        return json_pack("{s:s, s:s}", "name", row->name, "problem", row->problem);
    return json_pack("{s:s, s:I, s:o, s:o, s:o, s:o, s:o}", "name", row->name, "runs",
                     (json_int_t)comparison->runs, "floor",
                     work_json(&row->floor, &comparison->floor_ns, comparison->floor_batch),
                     "subject",
                     work_json(&row->subject, &comparison->subject_ns, comparison->subject_batch),
                     "ratio", spread_json(&comparison->ratio), "goal", goal_json(row), "met",
                     row->goal == GOAL_NONE ? json_null() : json_boolean(row_met(row)));
}

json_t *report_json(const struct bench *bench, json_t *machine) {
    json_t *rows = json_array();

    for (size_t i = 0; i < bench->row_count; i++)
        json_array_append_new(rows, row_json(&bench->rows[i]));
    return json_pack("{s:o, s:{s:I, s:f, s:f}, s:o}", "machine", machine, "plan", "runs",
                     (json_int_t)bench->plan.runs, "batch_ms", (double)bench->plan.batch_ns / 1e6,
                     "warm_up_ms", (double)bench->plan.warm_up_ns / 1e6, "rows", rows);
}
