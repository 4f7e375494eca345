/* SPDX-License-Identifier: Apache-2.0 */
/* A store of many entries beside one of few: opening it, hits, and puts at the cap. */
#include <stdio.h>

#include "bench.h"
#include "populous.h"
#include "scratch.h"

#define FEW 10000      /* at most, in the store that is the floor */
#define LATENCIES 1000 /* of single puts, in one run */

static const struct {
    const char *name;
    double part, limit;
} QUANTILES[] = {{"p50", 0.5, 1.2}, {"p99", 0.99, 2}, {"max", 1, 0}};
#define QUANTILE_COUNT 3

/* "1e5", or the number itself where it is no power of ten. */
static void name_row(char *name, size_t size, const char *what, const char *kind, unsigned entries,
                     const char *quantile) {
    unsigned power = 0, rest = entries;

    for (; rest >= 10 && rest % 10 == 0; rest /= 10)
        power++;
    if (rest == 1)
        snprintf(name, size, "%s/%s/1e%u%s%s", what, kind, power, *quantile ? "/" : "", quantile);
    else
        snprintf(name, size, "%s/%s/%u%s%s", what, kind, entries, *quantile ? "/" : "", quantile);
}

static bool begin(const struct bench *bench, struct row *row, const char *what, const char *kind,
                  unsigned entries, const char *quantile) {
    char name[32];

    name_row(name, sizeof(name), what, kind, entries, quantile);
    return bench_begin(bench, row, name, 0);
}

/* The stores of one kind, made when the first row wants them. */
struct stores {
    const char *kind;
    struct populous none, few, many;
    bool made, failed;
};

static int make_one(struct bench *bench, struct populous *store, const char *kind,
                    unsigned entries) {
    const char *folder = scratch_folder(bench->scratch);

    return folder ? populous_open(store, kind, folder, entries) : -1;
}

static bool have_stores(struct bench *bench, struct stores *stores, struct row *row) {
    unsigned few = bench->entries / 10 < FEW ? bench->entries / 10 : FEW;

    if (!stores->made)
        stores->failed = make_one(bench, &stores->none, stores->kind, 0) < 0 ||
                         make_one(bench, &stores->few, stores->kind, few) < 0 ||
                         make_one(bench, &stores->many, stores->kind, bench->entries) < 0;
    stores->made = true;
    if (stores->failed)
        bench_fail(bench, row, "a store of %u entries could not be made", bench->entries);
    return !stores->failed;
}

static void measure_open(struct bench *bench, struct stores *stores) {
    struct row row;

    if (!begin(bench, &row, "open", stores->kind, bench->entries, "") ||
        !have_stores(bench, stores, &row))
        return;
    row.floor = (struct work){"open an empty store, a miss, close", populous_reopen, &stores->none};
    row.subject = (struct work){"open, a miss, close", populous_reopen, &stores->many};
    row.goal = GOAL_RATIO;
    row.limit = 2;
    bench_measure(bench, &row);
}

static void measure_hits(struct bench *bench, struct stores *stores) {
    struct row row;

    if (!begin(bench, &row, "get", stores->kind, bench->entries, "") ||
        !have_stores(bench, stores, &row))
        return;
    row.floor = (struct work){"a hit among few", populous_get, &stores->few};
    row.subject = (struct work){"a hit among many", populous_get, &stores->many};
    bench_measure(bench, &row);
}

static void measure_puts(struct bench *bench, struct stores *stores) {
    struct comparison comparisons[QUANTILE_COUNT];
    struct row rows[QUANTILE_COUNT];
    double parts[QUANTILE_COUNT];
    bool wanted = false;
    int result = -1;

    for (unsigned i = 0; i < QUANTILE_COUNT; i++) {
        struct row *row = &rows[i];

        wanted |= begin(bench, row, "cap", stores->kind, bench->entries, QUANTILES[i].name);
        row->floor = (struct work){"a put at the cap, few", populous_put, &stores->few};
        row->subject = (struct work){"a put at the cap, many", populous_put, &stores->many};
        row->goal = QUANTILES[i].limit > 0 ? GOAL_RATIO : GOAL_NONE;
        row->limit = QUANTILES[i].limit;
        parts[i] = QUANTILES[i].part;
    }
    if (!wanted)
        return;
    if (have_stores(bench, stores, &rows[0])) {
        struct plan plan = bench->plan;

        plan.runs = (plan.runs + 14) / 15;
        result = measure_latencies(&rows[0].floor, &rows[0].subject, NULL, &plan, LATENCIES, parts,
                                   QUANTILE_COUNT, comparisons);
    }
    for (unsigned i = 0; i < QUANTILE_COUNT && !stores->failed; i++) {
        if (result == 0)
            bench_keep(bench, &rows[i], &comparisons[i]);
        else
            bench_fail(bench, &rows[i], "a put failed");
    }
}

/* As many puts as bring about an eviction in the larger, and the same number in the smaller. */
static void measure_cycle(struct bench *bench, struct stores *stores) {
    struct row row;

    if (!begin(bench, &row, "cycle", stores->kind, bench->entries, "") ||
        !have_stores(bench, stores, &row))
        return;
    stores->few.per_cycle = stores->many.per_cycle;
    row.floor = (struct work){"puts and evictions, few", populous_cycle, &stores->few};
    row.subject = (struct work){"as many puts, an eviction, many", populous_cycle, &stores->many};
    row.is_long = true;
    bench_measure(bench, &row);
}

void scale_rows(struct bench *bench) {
    static const char *const KINDS[] = {
        "file",
#ifdef HAVE_SQLITE
        "sqlite",
#endif
    };

    for (size_t i = 0; i < sizeof(KINDS) / sizeof(*KINDS); i++) {
        struct stores stores = {.kind = KINDS[i]};

        measure_open(bench, &stores);
        measure_hits(bench, &stores);
        measure_puts(bench, &stores);
        measure_cycle(bench, &stores);
        if (stores.made) {
            populous_close(&stores.none);
            populous_close(&stores.few);
            populous_close(&stores.many);
        }
    }
}
