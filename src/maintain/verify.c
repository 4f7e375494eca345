/* SPDX-License-Identifier: Apache-2.0 */
/* Reads every entry of every tier. */
#include "cache/state.h"
#include "maintain/sound.h"
#include "util/error.h"

struct verification {
    struct cubby_cache *cache;
    size_t tier; /* the one at hand */
    bool repair;
    cubby_finding_visitor visit;
    void *context;
    struct cubby_verify_result result;
};

static struct cubby_backend *backend_of(const struct verification *verification) {
    return verification->cache->tiers[verification->tier];
}

/* Counts a finding and shows it; also called by the stores for theirs. */
static int note(const struct cubby_finding *finding, void *context) {
    struct verification *verification = context;
    struct cubby_finding shown = *finding;

    shown.tier = backend_of(verification)->ops->name;
    verification->result.damaged += shown.damage;
    verification->result.repaired += shown.damage && shown.repaired;
    verification->result.remarks += !shown.damage;
    return verification->visit ? verification->visit(&shown, verification->context) : 0;
}

/* A whole entry that another secret signed, or in a form that this build cannot read, is no damage:
 * it is good for others, and here it is a miss. */
static int note_problem(struct verification *verification, const struct cubby_entry_info *info,
                        const struct cubby_error *problem, bool repaired) {
    struct cubby_finding finding = {
        .problem = problem->message,
        .damage = problem->code != CUBBY_ERR_INVALID && problem->code != CUBBY_ERR_UNSUPPORTED,
        .repaired = repaired,
    };

    if (info) {
        finding.has_key = true;
        finding.kind = info->kind;
        finding.key = info->key;
    }
    return note(&finding, verification);
}

static int remove_damaged(struct verification *verification, const struct cubby_entry_info *info) {
    struct cubby_backend *tier = backend_of(verification);
    int result = tier->ops->remove(tier, info->kind, &info->key, NULL);

    cache_count(verification->cache, EVENT_CORRUPT, 1);
    return result == CUBBY_ERR_NOT_FOUND ? 0 : result;
}

static int verify_entry(const struct cubby_entry_info *info, void *context) {
    struct verification *verification = context;
    struct cubby_error problem = CUBBY_ERROR_INIT;
    struct cubby_object *object = NULL;
    bool repaired = false;
    size_t size;
    int result;

    if (cache_check_kind(info->kind, NULL) < 0)
        return 0; /* the store's own inspection tells */
    result = sound_peek(verification->cache, verification->tier, info->kind, &info->key, &object,
                        &size, &problem);
    if (result == CUBBY_ERR_NOT_FOUND) { /* gone meanwhile */
        cubby_error_clear(&problem);
        return 0;
    }
    verification->result.entries++;
    verification->result.bytes += size;
    cubby_object_unref(object);
    if (result == 0)
        return 0;
    if (result == CUBBY_ERR_NO_MEMORY) { /* whether it is whole is not known */
        cubby_error_clear(&problem);
        return result;
    }
    if (verification->repair && (result == CUBBY_ERR_CORRUPT || result == CUBBY_ERR_IO))
        repaired = remove_damaged(verification, info) == 0;
    result = note_problem(verification, info, &problem, repaired);
    cubby_error_clear(&problem);
    return result;
}

/* A walk that fails is damage of the store, and the next tier's turn. */
static int conclude(struct verification *verification, int result, struct cubby_error *problem,
                    struct cubby_error *error) {
    if (result == CUBBY_ERR_NO_MEMORY)
        error_no_memory(error);
    else if (result < 0 && problem->code == result)
        result = note_problem(verification, NULL, problem, false);
    cubby_error_clear(problem);
    return result;
}

static int verify_tier(struct verification *verification, struct cubby_error *error) {
    struct cubby_backend *tier = backend_of(verification);
    struct cubby_error problem = CUBBY_ERROR_INIT;
    int result = tier->ops->iterate(tier, verify_entry, verification, &problem);

    result = conclude(verification, result, &problem, error);
    if (result != 0 || !tier->ops->inspect)
        return result;
    result = tier->ops->inspect(tier, verification->repair, note, verification, &problem);
    return conclude(verification, result, &problem, error);
}

int cubby_cache_verify(struct cubby_cache *cache, unsigned flags, cubby_finding_visitor visit,
                       void *context, struct cubby_verify_result *ret_result,
                       struct cubby_error *error) {
    struct verification verification = {
        .cache = cache, .repair = flags & CUBBY_VERIFY_REPAIR, .visit = visit, .context = context};
    int result = 0;

    for (; verification.tier < cache->tier_count && result == 0; verification.tier++)
        result = verify_tier(&verification, error);
    if (ret_result)
        *ret_result = verification.result;
    return result;
}
