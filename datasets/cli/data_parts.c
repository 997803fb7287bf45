/* SPDX-License-Identifier: MIT */
/* data_parts.c - an import's finished episodes, kept beside the file they will be in. */
#include "datasets/cli/data_parts.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "runtime/base/file.h"
#include "runtime/base/json/json_build.h"
#include "runtime/base/json/json_file.h"
#include "runtime/base/machine_failure.h"

enum { PATH = 4352, MAX_NOTE = 4096, BLOCK = 1 << 20, SLACK = 1 << 14 };

/* ---------------------------------------------------------------- names -------------------- */

static void name_of(const parts *p, const char *name, char path[PATH])
{
    snprintf(path, PATH, "%s/%s", p->folder, name);
}

void parts_file(const parts *p, int k, char path[PATH])
{
    snprintf(path, PATH, "%s/part-%05d.h5", p->folder, k);
}

static void note_file(const parts *p, int k, char path[PATH])
{
    snprintf(path, PATH, "%s/part-%05d.json", p->folder, k);
}

int parts_first(const parts *p, int k)
{
    return k * p->each;
}

int parts_end(const parts *p, int k)
{
    return k == p->count - 1 ? p->episodes : (k + 1) * p->each;
}

/* ---------------------------------------------------------------- notes -------------------- */

/* Writes and frees it. */
static deer_status write_json(const char *path, json_t *json, deer_error *err)
{
    return json_write(path, json, JSON_SORT_KEYS, err);
}

/* Of a file's bytes; false when it cannot be read, or the machine fails, which is counted. */
static bool hash_file(const char *path, char hash[DEER_FINGERPRINT])
{
    int fd = -1;
    FILE *f = file_open(path, &fd, NULL, NULL) ? NULL : fdopen(fd, "rb");
    XXH3_state_t *state = XXH3_createState();
    char *block = malloc(BLOCK);
    bool ok =
        f && machine_gave(state) && machine_gave(block) && XXH3_128bits_reset(state) == XXH_OK;
    size_t n;
    XXH128_hash_t digest;

    machine_gave(f || fd < 0);
    while (ok && (n = fread(block, 1, BLOCK, f)) > 0)
        XXH3_128bits_update(state, block, n);
    ok = ok && machine_gave(!ferror(f));
    if (ok) {
        digest = XXH3_128bits_digest(state);
        snprintf(hash, DEER_FINGERPRINT, "%016llx%016llx", (unsigned long long)digest.high64,
                 (unsigned long long)digest.low64);
    }
    if (f)
        fclose(f);
    else if (fd >= 0)
        close(fd);
    XXH3_freeState(state);
    free(block);
    return ok;
}

/* Whether part k is finished and undamaged; then adds what is in it to sum. */
static bool finished(const parts *p, int k, parts_sum *sum)
{
    char path[PATH], hash[DEER_FINGERPRINT];
    const char *expected = "";
    deer_error ignored;
    json_t *note;
    int kept = -1, skipped = -1;
    json_int_t steps = 0;
    bool ok;

    note_file(p, k, path);
    note = json_file_read(path, MAX_NOTE, &ignored);
    ok = note && !json_unpack(note, "{s:i, s:i, s:I, s:s}", "kept", &kept, "skipped", &skipped,
                              "steps", &steps, "hash", &expected);
    ok = ok && kept >= 0 && skipped >= 0 && kept + skipped == parts_end(p, k) - parts_first(p, k);
    parts_file(p, k, path);
    ok = ok && (!kept || (hash_file(path, hash) && !strcmp(hash, expected)));
    if (ok) {
        sum->kept += kept;
        sum->skipped += skipped;
        sum->steps += (long)steps;
    }
    json_decref(note);
    return ok;
}

bool parts_have(const parts *p, int k, parts_sum *sum)
{
    parts_sum found = {0, 0, 0};

    if (!finished(p, k, &found) || found.skipped)
        return false;
    sum->kept += found.kept;
    sum->steps += found.steps;
    return true;
}

deer_status parts_note(const parts *p, int k, const parts_sum *made, deer_error *err)
{
    char path[PATH], hash[DEER_FINGERPRINT] = "";

    parts_file(p, k, path);
    if (made->kept && !hash_file(path, hash))
        return deer_fail(err, "cannot read %s: %s", path, strerror(errno));
    note_file(p, k, path);
    return write_json(path,
                      json_pack("{s:i, s:i, s:I, s:s}", "kept", made->kept, "skipped",
                                made->skipped, "steps", (json_int_t)made->steps, "hash", hash),
                      err);
}

/* ---------------------------------------------------------------- folder ------------------- */

/* Removes what imports leave in the folder: only what they did not finish, or everything and the
 * folder, if nothing else is in it. */
static void clean(const parts *p, bool everything)
{
    DIR *d = opendir(p->folder);
    struct dirent *e;

    while (d && (e = readdir(d)))
        if ((everything || strstr(e->d_name, ".tmp-")) &&
            (!strncmp(e->d_name, "part-", 5) || !strncmp(e->d_name, "about.json", 10) ||
             !strcmp(e->d_name, "lock")))
            unlinkat(dirfd(d), e->d_name, 0);
    if (d)
        closedir(d);
    if (everything)
        rmdir(p->folder);
}

/* Is this folder of the same import? A new one is made to be. */
static deer_status settle(const parts *p, const char *source, deer_error *err)
{
    char path[PATH];
    const char *had = "";
    int episodes = 0, each = 0;
    unsigned before = machine_failures();
    json_t *about;
    bool same;

    name_of(p, "about.json", path);
    if (access(path, F_OK))
        return write_json(path,
                          json_pack("{s:s, s:i, s:i}", "source", source, "episodes", p->episodes,
                                    "each", p->each),
                          err);
    about = json_file_read(path, MAX_NOTE, err);
    same = about &&
           !json_unpack(about, "{s:s, s:i, s:i}", "source", &had, "episodes", &episodes, "each",
                        &each) &&
           !strcmp(had, source) && episodes == p->episodes && each == p->each;
    if (about && machine_failures() != before)
        deer_fail(err, "out of memory reading %s", path);
    json_decref(about);
    if (same || machine_failures() != before)
        return same ? DEER_OK : DEER_FAILED;
    return deer_fail(err, "%s holds parts of an import of something else; remove it", p->folder);
}

static deer_status take_lock(parts *p, deer_error *err)
{
    char path[PATH];

    name_of(p, "lock", path);
    p->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (p->lock < 0)
        return deer_fail(err, "cannot create %s: %s", path, strerror(errno));
    if (!flock(p->lock, LOCK_EX | LOCK_NB))
        return DEER_OK;
    close(p->lock);
    p->lock = -1;
    return deer_fail(err, "another process is importing to %s", p->out);
}

deer_status parts_open(const char *out, const char *source, int episodes, int each, parts *p,
                       deer_error *err)
{
    deer_status status = DEER_OK;
    struct stat was;
    bool exists;

    *p = (parts){.out = file_target(out, &was, &exists, err),
                 .episodes = episodes,
                 .each = each,
                 .lock = -1};
    p->count = (episodes + each - 1) / each;
    if (!p->out)
        return DEER_FAILED;
    if (strlen(p->out) > 4096 || asprintf(&p->folder, "%s.parts", p->out) < 0) {
        p->folder = NULL;
        status = deer_fail(err, "out of memory writing %s", out);
    }
    if (!status && mkdir(p->folder, 0777) && errno != EEXIST)
        status = deer_fail(err, "cannot create %s: %s", p->folder, strerror(errno));
    if (!status)
        status = take_lock(p, err);
    if (!status)
        status = settle(p, source, err);
    if (!status)
        clean(p, false);
    else
        parts_close(p);
    return status;
}

void parts_close(parts *p)
{
    bool any = p->lock < 0; /* without the lock nothing here is ours to remove */
    unsigned before = machine_failures();
    parts_sum ignored = {0, 0, 0};

    for (int k = 0; k < p->count && !any; k++)
        any = parts_have(p, k, &ignored);
    if (!any && machine_failures() == before)
        clean(p, true);
    if (p->lock >= 0)
        close(p->lock);
    free(p->folder);
    free(p->out);
    *p = (parts){.lock = -1};
}

/* ---------------------------------------------------------------- joining ------------------ */

static deer_status add_part(const parts *p, int k, demos_writer *w, deer_error *err)
{
    parts_sum sum = {0, 0, 0};
    char path[PATH];
    demos *d;
    deer_status status = DEER_OK;

    if (!finished(p, k, &sum))
        return deer_fail(err, "part %d of %s is damaged; start the import again", k, p->folder);
    if (!sum.kept)
        return DEER_OK;
    parts_file(p, k, path);
    if (demos_open(path, &d, err))
        return DEER_FAILED;
    for (int i = 0; i < demos_count(d) && !status; i++)
        status = demos_writer_copy(w, d, i, err);
    demos_close(d);
    return status;
}

/* Whether the disk has room for all parts once more. HDF5 crashes in many ways where it has not. */
static deer_status check_room(const parts *p, deer_error *err)
{
    struct statvfs disk;
    uint64_t need = 0;

    for (int k = 0; k < p->count; k++) {
        char path[PATH];
        struct stat info;

        parts_file(p, k, path);
        if (!stat(path, &info))
            need += (uint64_t)info.st_size + SLACK;
    }
    if (statvfs(p->folder, &disk) || need <= (uint64_t)disk.f_bavail * disk.f_frsize)
        return DEER_OK;
    return deer_fail(err,
                     "no room to write %s: %llu MB more are needed; what is imported so far stays "
                     "in %s",
                     p->out, (unsigned long long)(need >> 20) + 1, p->folder);
}

deer_status parts_join(const parts *p, const char *env_args, deer_error *err)
{
    char path[PATH]; /* in the folder: what is left of it when killed is removed later */
    demos_writer *w;
    deer_status status;

    if (check_room(p, err))
        return DEER_FAILED;
    name_of(p, "part-all.h5", path);
    status = demos_writer_open(path, env_args, &w, err);
    for (int k = 0; k < p->count && !status; k++) {
        status = add_part(p, k, w, err);
        if (status)
            demos_writer_abandon(w);
    }
    if (!status)
        status = demos_writer_finish(w, err);
    if (!status)
        status = file_publish(path, p->out, err);
    if (!status)
        clean(p, true);
    return status;
}
