/* SPDX-License-Identifier: Apache-2.0 */
#include "bench.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool bench_begin(const struct bench *bench, struct row *row, const char *what, size_t size) {
    memset(row, 0, sizeof(*row));
    if (size == 0)
        snprintf(row->name, sizeof(row->name), "%s", what);
    else if (size < 1048576)
        snprintf(row->name, sizeof(row->name), "%s/%zuK", what, size / 1024);
    else
        snprintf(row->name, sizeof(row->name), "%s/%zuM", what, size / 1048576);
    return !bench->filter || strstr(row->name, bench->filter) != NULL;
}

static void keep(struct bench *bench, const struct row *row) {
    struct row *grown = realloc(bench->rows, (bench->row_count + 1) * sizeof(*grown));

    if (!grown) {
        fprintf(stderr, "cubby-bench: out of memory: %s is lost\n", row->name);
        bench->failed = true;
        return;
    }
    bench->rows = grown;
    grown[bench->row_count++] = *row;
    if (bench->show)
        bench->show(row);
}

/* What one batch leaves behind must not weigh in the other's: such batches are longer, and fewer.
 */
static struct plan plan_of(const struct bench *bench, const struct row *row) {
    struct plan plan = bench->plan;

    if (row->lingers) {
        plan.batch_ns *= 16;
        plan.runs = (plan.runs + 3) / 4;
    }
    if (row->is_long)
        plan.runs = (plan.runs + 14) / 15;
    return plan;
}

void bench_measure(struct bench *bench, struct row *row) {
    struct plan plan = plan_of(bench, row);

    if (measure_pair(&row->floor, &row->subject, &plan, &row->comparison) < 0) {
        bench_fail(bench, row, "an operation that was to be timed failed");
        return;
    }
    row->measured = true;
    keep(bench, row);
}

void bench_keep(struct bench *bench, struct row *row, const struct comparison *comparison) {
    row->comparison = *comparison;
    row->measured = true;
    if (!bench->filter || strstr(row->name, bench->filter))
        keep(bench, row);
}

static void keep_problem(struct bench *bench, struct row *row, const char *format,
                         va_list arguments) {
    vsnprintf(row->problem, sizeof(row->problem), format, arguments);
    keep(bench, row);
}

void bench_skip(struct bench *bench, struct row *row, const char *format, ...) {
    va_list arguments;

    va_start(arguments, format);
    keep_problem(bench, row, format, arguments);
    va_end(arguments);
}

void bench_fail(struct bench *bench, struct row *row, const char *format, ...) {
    va_list arguments;

    bench->failed = true;
    va_start(arguments, format);
    keep_problem(bench, row, format, arguments);
    va_end(arguments);
}

bool row_met(const struct row *row) {
    switch (row->goal) {
    case GOAL_RATIO:
        return row->comparison.ratio.p50 <= row->limit;
    case GOAL_MICROSECONDS:
        return row->comparison.subject_ns.p50 <= row->limit * 1000;
    case GOAL_NONE:
        break;
    }
    return true;
}
