/* import.c - deer-data import: other people's datasets as demonstrations. */
#include <stdio.h>

#include "datasets/calvin.h"
#include "datasets/data/commands.h"
#include "runtime/tool.h"

typedef struct {
    const char *folder, *out;
    long limit, threads;
    bool skip_bad;
    int kept, skipped;
    long steps;
} job;

static deer_status import_runs(job *j, calvin *d, demos_writer *w, deer_error *err)
{
    int n = calvin_count(d) < j->limit || !j->limit ? calvin_count(d) : (int)j->limit;
    tool_progress bar;
    deer_status status = DEER_OK;

    tool_progress_start(&bar, "import", "episodes", n);
    for (int i = 0; i < n && !status; i++) {
        demo_episode e;

        status = calvin_read(d, i, (int)j->threads, &e, err);
        if (!status) {
            status = demos_writer_add(w, &e, err);
            j->steps += e.steps;
            j->kept++;
            demo_episode_free(&e);
        } else if (j->skip_bad) {
            fprintf(stderr, "skipped: %s\n", err->message);
            j->skipped++;
            status = DEER_OK;
        }
        tool_progress_update(&bar, i + 1);
    }
    tool_progress_end(&bar);
    if (!status && !j->kept)
        status = deer_fail(err, "%s has no episode that can be read", j->folder);
    return status;
}

static deer_status run(job *j, deer_error *err)
{
    calvin *d;
    demos_writer *w;
    deer_status status;

    if (calvin_open(j->folder, &d, err))
        return DEER_FAILED;
    status = demos_writer_open(j->out, "{\"env_name\":\"calvin\"}", &w, err);
    if (!status) {
        status = import_runs(j, d, w, err);
        if (status)
            demos_writer_abandon(w);
        else
            status = demos_writer_finish(w, err);
    }
    calvin_close(d);
    return status;
}

int data_import_main(int argc, char **argv)
{
    job j = {.threads = tool_cores()};
    const tool_option options[] = {
        {"calvin", TOOL_STRING, &j.folder, "DIR",
         "a split of CALVIN: task_D_D/training (required)"},
        {"out", TOOL_STRING, &j.out, "FILE", "demonstrations file to write (required)"},
        {"limit", TOOL_INT, &j.limit, "N", "only the first N annotated episodes"},
        {"skip-bad", TOOL_FLAG, &j.skip_bad, NULL, "leave out episodes with files that are broken"},
        {"threads", TOOL_INT, &j.threads, "N", "threads (default one per core)"},
        {NULL, 0, NULL, NULL, NULL}};
    const tool_command self = {
        "deer-data import", "makes demonstrations of the language-annotated episodes of CALVIN",
        "--calvin DIR --out FILE [options]", options,
        "deer-data import --calvin task_D_D/validation --out validation.h5\n"
        "deer-data import --calvin task_D_D/training --limit 200 --skip-bad --out some.h5"};
    deer_error err;
    deer_status status;
    int ended;

    if (tool_parse(&self, argc, argv, NULL, NULL, &ended))
        return ended;
    if (!j.folder || !j.out)
        return tool_usage(&self, "--calvin DIR and --out FILE are required");
    if (j.limit < 0 || j.threads < 1)
        return tool_usage(&self, "--limit and --threads must be positive");
    status = run(&j, &err);
    if (status)
        return tool_fail(&self, status, &err);
    fprintf(stderr, "%s: %d episodes, %ld steps", j.out, j.kept, j.steps);
    fprintf(stderr, j.skipped ? ", %d skipped\n" : "\n", j.skipped);
    return DEER_OK;
}
