/* SPDX-License-Identifier: Apache-2.0 */
/* cubby stats */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "cli/cli.h"
#include "util/counters.h"

enum { OPTION_ZERO = 1024 };

static const struct argp_option OPTIONS[] = {
    {"zero", OPTION_ZERO, NULL, 0, "Set the counters to zero; what is stored stays", 0},
    {0},
};

static error_t parse(int key, char *argument, struct argp_state *state) {
    struct verb_input *input = state->input;

    (void)argument;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = input;
        return 0;
    case OPTION_ZERO:
        *(bool *)input->own = true;
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_child CHILDREN[] = {{&cli_argp, 0, "Common options:", 1}, {0}};
static const struct argp ARGP = {
    OPTIONS,
    parse,
    "",
    "Prints what the stores hold, and what happened to them since they were made or their counters "
    "were set to zero, by all processes together.",
    CHILDREN,
    NULL,
    NULL};

/* Entries that a user asked for; what the cache keeps for itself is not among them. */
static uint64_t user_entries(const struct cubby_store_stats *stats) {
    return stats->entries[CUBBY_ENTRY_OBJECT] + stats->entries[CUBBY_ENTRY_RUNTIME] +
           stats->entries[CUBBY_ENTRY_USER];
}

static void add_stats(struct cubby_store_stats *sum, const struct cubby_store_stats *one) {
    for (size_t i = 0; i < CUBBY_ENTRY_KINDS; i++)
        sum->entries[i] += one->entries[i];
    sum->bytes += one->bytes;
    counters_add(&sum->counters, &one->counters);
}

static json_t *stats_json(const struct cubby_store_stats *stats) {
    const struct cubby_counters *c = &stats->counters;

    return json_pack("{s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:I,s:f,s:f}", "hits",
                     (json_int_t)c->hits, "misses", (json_int_t)c->misses, "compiles",
                     (json_int_t)c->compiles, "waits", (json_int_t)c->waits, "entries",
                     (json_int_t)user_entries(stats), "bytes", (json_int_t)stats->bytes, "puts",
                     (json_int_t)c->puts, "evictions", (json_int_t)c->evictions, "corrupt",
                     (json_int_t)c->corrupt, "dropped", (json_int_t)c->dropped, "errors",
                     (json_int_t)c->errors, "compile_ms", (double)c->compile_ns / 1e6, "saved_ms",
                     (double)c->saved_ns / 1e6);
}

static void print_text(const struct cubby_store_stats *stats) {
    const struct cubby_counters *c = &stats->counters;
    uint64_t requests = c->hits + c->misses;

    printf("hits       %10" PRIu64 "   (%.1f %% of %" PRIu64 " requests)\n", c->hits,
           requests ? 100.0 * (double)c->hits / (double)requests : 0.0, requests);
    printf("misses     %10" PRIu64 "\n", c->misses);
    printf("compiles   %10" PRIu64 "   (%.1f s; hits and waits saved %.1f s)\n", c->compiles,
           (double)c->compile_ns / 1e9, (double)c->saved_ns / 1e9);
    printf("waits      %10" PRIu64 "\n", c->waits);
    printf("entries    %10" PRIu64 "   (%s)\n", user_entries(stats), format_bytes(stats->bytes));
    printf("evictions  %10" PRIu64 "\n", c->evictions);
    printf("corrupt    %10" PRIu64 "\n", c->corrupt);
    printf("dropped    %10" PRIu64 "\n", c->dropped);
    printf("errors     %10" PRIu64 "\n", c->errors);
}

static int print_stats(const struct cli *cli, struct cubby_cache *cache,
                       struct cubby_error *error) {
    struct cubby_store_stats sum = {0};
    json_t *tiers = json_array();
    json_t *report;
    int result = 0;

    for (size_t i = 0; i < cubby_cache_tier_count(cache) && result == 0; i++) {
        struct cubby_store_stats one = {0};
        json_t *tier;

        result = cubby_cache_tier_stats(cache, i, &one, error);
        add_stats(&sum, &one);
        tier = stats_json(&one);
        json_add(tier, "tier", json_string(cubby_cache_tier_name(cache, i)));
        json_add(tier, "max_size", json_integer((json_int_t)one.max_size));
        json_append(tiers, tier);
    }
    if (result == 0 && cli->json) {
        report = stats_json(&sum);
        json_add(report, "tiers", json_incref(tiers));
        print_json(report);
        json_decref(report);
    } else if (result == 0) {
        print_text(&sum);
    }
    json_decref(tiers);
    return result;
}

int verb_stats(struct cli *cli, int argc, char **argv) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    bool zero = false;
    struct verb_input input = {cli, &zero};
    enum status status = STATUS_OK;
    struct cubby_cache *cache;
    int result;

    argv[0] = (char *)"cubby stats";
    parse_arguments(&ARGP, argc, argv, 0, &input);
    cache = open_store(cli, &status);
    if (!cache)
        return status;
    result = zero ? cubby_cache_zero(cache, &error) : print_stats(cli, cache, &error);
    if (result < 0) {
        print_error(&error);
        status = STATUS_STORE;
    }
    cubby_error_clear(&error);
    cubby_cache_unref(cache);
    return status;
}
