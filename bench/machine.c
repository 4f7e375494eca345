/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"

#include <gnu/libc-version.h>
#include <linux/magic.h>
#ifdef HAVE_SQLITE
#include <sqlite3.h>
#endif
#include <stdio.h>
#include <string.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>
#include <xxhash.h>

#include <cubby/cubby.h>

#define XFS_MAGIC 0x58465342
#define ZFS_MAGIC 0x2fc12fc1

static json_t *processor(void) {
    FILE *file = fopen("/proc/cpuinfo", "re");
    json_t *model = NULL;
    char line[512];

    while (file && !model && fgets(line, sizeof(line), file)) {
        char *colon = strchr(line, ':');

        if (!colon || strncmp(line, "model name", strlen("model name")) != 0)
            continue;
        line[strcspn(line, "\n")] = '\0';
        model = json_string(colon + 1 + strspn(colon + 1, " "));
    }
    if (file)
        fclose(file);
    return model ? model : json_string("unknown");
}

static json_t *file_system(const char *folder) {
    static const struct {
        unsigned long magic;
        const char *name;
    } KNOWN[] = {
        {EXT4_SUPER_MAGIC, "ext4"},           {XFS_MAGIC, "xfs"},
        {BTRFS_SUPER_MAGIC, "btrfs"},         {TMPFS_MAGIC, "tmpfs"},
        {OVERLAYFS_SUPER_MAGIC, "overlayfs"}, {NFS_SUPER_MAGIC, "nfs"},
        {F2FS_SUPER_MAGIC, "f2fs"},           {ZFS_MAGIC, "zfs"},
    };
    struct statfs status;

    if (statfs(folder, &status) < 0)
        return json_string("unknown");
    for (size_t i = 0; i < sizeof(KNOWN) / sizeof(*KNOWN); i++) {
        if ((unsigned long)status.f_type == KNOWN[i].magic)
            return json_string(KNOWN[i].name);
    }
    return json_sprintf("0x%lx", (unsigned long)status.f_type);
}

static json_t *kernel(void) {
    struct utsname name;

    return uname(&name) < 0 ? json_string("unknown")
                            : json_sprintf("%s %s %s", name.sysname, name.release, name.machine);
}

static json_t *date(void) {
    time_t now = time(NULL);
    struct tm utc;
    char text[32];

    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&now, &utc));
    return json_string(text);
}

/* NVRTC as the rows that need it find it. */
static json_t *nvrtc(void) {
    struct cubby_toolchain toolchain;
    json_t *version;

    if (cubby_toolchain_find(NULL, &toolchain, NULL) < 0)
        return json_null();
    version = json_sprintf("%d.%d", toolchain.major, toolchain.minor);
    cubby_toolchain_clear(&toolchain);
    return version;
}

static json_t *versions(void) {
    unsigned xxh = XXH_versionNumber();
    json_t *versions = json_pack("{s:s, s:s, s:s, s:o, s:s, s:o}", "cubby", cubby_version(), "libc",
                                 gnu_get_libc_version(), "compiler", __VERSION__, "xxhash",
                                 json_sprintf("%u.%u.%u", xxh / 10000, xxh / 100 % 100, xxh % 100),
                                 "jansson", jansson_version_str(), "nvrtc", nvrtc());

#ifdef HAVE_SQLITE
    json_object_set_new(versions, "sqlite", json_string(sqlite3_libversion()));
#endif
    return versions;
}

json_t *machine_facts(const char *folder) {
    return json_pack("{s:o, s:I, s:o, s:o, s:o, s:o}", "processor", processor(), "cores",
                     (json_int_t)sysconf(_SC_NPROCESSORS_ONLN), "kernel", kernel(), "file_system",
                     file_system(folder), "date", date(), "versions", versions());
}
