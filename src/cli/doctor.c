/* SPDX-License-Identifier: Apache-2.0 */
/* cubby doctor */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/report.h"

static error_t parse(int key, char *argument, struct argp_state *state) {
    (void)argument;
    if (key == ARGP_KEY_INIT) {
        state->child_inputs[0] = state->input;
        return 0;
    }
    return ARGP_ERR_UNKNOWN;
}

static const struct argp_child CHILDREN[] = {{&cli_argp, 0, "Common options:", 1}, {0}};
static const struct argp ARGP = {
    NULL,
    parse,
    "",
    "Shows what was found on this machine: compilers, driver, device, stores. Ends with status 3 "
    "where NVRTC is missing; a missing driver is told but is no failure, as compiling needs none.",
    CHILDREN,
    NULL,
    NULL};

/* ---- Findings ---------------------------------------------------------------------------- */

/* What is wrong. That memory was short is no finding, and ends the process. */
static json_t *problem_text(const struct cubby_error *error) {
    if (error->code == CUBBY_ERR_NO_MEMORY)
        out_of_memory();
    return text_json(error->message);
}

/* In place of what was to be found; frees the error. */
static json_t *problem_json(struct cubby_error *error) {
    json_t *problem = json_pack("{s:o}", "problem", problem_text(error));

    cubby_error_clear(error);
    return problem;
}

static json_t *find_nvrtc(struct cubby_cache *cache, enum status *ret_status) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_toolchain toolchain = {0};
    json_t *found;

    if (cubby_toolchain_find(cache, &toolchain, &error) < 0) {
        *ret_status = STATUS_MISSING;
        return problem_json(&error);
    }
    found = json_pack("{s:o, s:i, s:i, s:o, s:o, s:s}", "path", text_json(toolchain.nvrtc_path),
                      "major", toolchain.major, "minor", toolchain.minor, "builtins",
                      text_or_null(toolchain.builtins_path), "include",
                      text_or_null(toolchain.include_dir), "fingerprint", toolchain.fingerprint);
    cubby_toolchain_clear(&toolchain);
    return found;
}

/* One of the other tools; that it is missing is told but is no failure. */
static json_t *find_tool(struct cubby_cache *cache, enum cubby_tool tool) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_tool_info info = {0};
    json_t *found;

    if (cubby_tool_find(cache, tool, &info, &error) < 0)
        return problem_json(&error);
    found = json_pack("{s:o, s:i, s:i, s:o*, s:s}", "path", text_json(info.path), "major",
                      info.major, "minor", info.minor, "companion",
                      info.companion_path ? text_json(info.companion_path) : NULL, "fingerprint",
                      info.fingerprint);
    cubby_tool_info_clear(&info);
    return found;
}

static json_t *find_device(void) {
    struct cubby_error error = CUBBY_ERROR_INIT;
    struct cubby_device device;

    if (cubby_device_find(&device, &error) < 0)
        return problem_json(&error);
    return json_pack("{s:o, s:s, s:i, s:i}", "name", text_json(device.name), "arch", device.arch,
                     "count", device.count, "driver_version", device.driver_version);
}

static json_t *find_stores(struct cubby_cache *cache) {
    json_t *stores = json_array();
    const struct cubby_error *problem;

    for (size_t i = 0; i < cubby_cache_tier_count(cache); i++) {
        struct cubby_store_stats stats = {0};
        struct cubby_error error = CUBBY_ERROR_INIT;
        const char *name = cubby_cache_tier_name(cache, i);
        json_t *store;

        if (cubby_cache_tier_stats(cache, i, &stats, &error) == 0)
            store = json_pack("{s:s, s:I, s:I}", "tier", name, "bytes", (json_int_t)stats.bytes,
                              "max_size", (json_int_t)stats.max_size);
        else
            store = json_pack("{s:s, s:o}", "tier", name, "problem", problem_text(&error));
        json_append(stores, store);
        cubby_error_clear(&error);
    }
    for (size_t i = 0; (problem = cubby_cache_problem(cache, i)); i++)
        json_append(stores, json_pack("{s:o}", "problem", problem_text(problem)));
    return stores;
}

/* ---- For people -------------------------------------------------------------------------- */

static const char *text_in(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));

    return text ? text : "not found";
}

static bool print_problem(const char *label, const json_t *found) {
    const char *problem = json_string_value(json_object_get(found, "problem"));

    if (problem)
        printf("%-10s %s\n", label, problem);
    return problem != NULL;
}

static void print_nvrtc(const json_t *found) {
    if (print_problem("NVRTC", found))
        return;
    printf("%-10s %d.%d, %s\n", "NVRTC", (int)json_integer_value(json_object_get(found, "major")),
           (int)json_integer_value(json_object_get(found, "minor")), text_in(found, "path"));
    printf("%-10s %s\n", "builtins", text_in(found, "builtins"));
    printf("%-10s %s\n", "headers", text_in(found, "include"));
    printf("%-10s %s\n", "identity", text_in(found, "fingerprint"));
}

static void print_tool(const char *label, const json_t *found) {
    const char *companion = json_string_value(json_object_get(found, "companion"));

    if (print_problem(label, found))
        return;
    printf("%-10s %d.%d, %s\n", label, (int)json_integer_value(json_object_get(found, "major")),
           (int)json_integer_value(json_object_get(found, "minor")), text_in(found, "path"));
    if (companion)
        printf("%-10s %s\n", "libdevice", companion);
}

static void print_device(const json_t *found) {
    int version = (int)json_integer_value(json_object_get(found, "driver_version"));

    if (!print_problem("GPU", found))
        printf("%-10s %s (%s), driver for CUDA %d.%d\n", "GPU", text_in(found, "name"),
               text_in(found, "arch"), version / 1000, version % 1000 / 10);
}

static void print_stores(const json_t *stores) {
    const json_t *store;
    size_t i;

    if (json_array_size(stores) == 0)
        printf("%-10s none: storage is turned off\n", "store");
    json_array_foreach(stores, i, store) {
        uint64_t cap = (uint64_t)json_integer_value(json_object_get(store, "max_size"));

        if (!print_problem("store", store))
            printf("%-10s %s, holds %s, at most %s\n", "store", text_in(store, "tier"),
                   format_bytes((uint64_t)json_integer_value(json_object_get(store, "bytes"))),
                   cap ? format_bytes(cap) : "what fits the disk");
    }
}

static void print_report(const json_t *report) {
    printf("%-10s %s\n", "cubby", cubby_version());
    print_nvrtc(json_object_get(report, "nvrtc"));
    print_tool("nvJitLink", json_object_get(report, "nvjitlink"));
    print_tool("libNVVM", json_object_get(report, "nvvm"));
    print_device(json_object_get(report, "device"));
    print_stores(json_object_get(report, "stores"));
}

int verb_doctor(struct cli *cli, int argc, char **argv) {
    struct verb_input input = {cli, NULL};
    enum status status = STATUS_OK;
    struct cubby_cache *cache;
    json_t *report;

    argv[0] = (char *)"cubby doctor";
    parse_arguments(&ARGP, argc, argv, 0, &input);
    cache = open_cache(cli, &status);
    if (!cache)
        return status;
    report = json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o}", "version", cubby_version(), "nvrtc",
        find_nvrtc(cache, &status), "nvjitlink", find_tool(cache, CUBBY_TOOL_NVJITLINK), "nvvm",
        find_tool(cache, CUBBY_TOOL_NVVM), "device", find_device(), "stores", find_stores(cache));
    if (!report)
        out_of_memory();
    if (cli->json)
        print_json(report);
    else
        print_report(report);
    json_decref(report);
    cubby_cache_unref(cache);
    return status;
}
