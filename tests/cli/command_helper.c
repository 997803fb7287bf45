/* SPDX-License-Identifier: MIT */
/* command_helper.c - what test_commands*.sh need that a bare machine's shell cannot do.
 *
 *   command_helper json FILE [KEY...]     FILE is one JSON object that has these keys
 *   command_helper number FILE KEY        prints a number of the object
 *   command_helper empty FILE             writes a demonstrations file without demonstrations
 *   command_helper sightless FILE         the same with one demonstration that has no images
 */
#include <hdf5.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_t *load(const char *path)
{
    json_error_t problem;
    json_t *root = json_load_file(path, JSON_REJECT_DUPLICATES, &problem);

    if (!root)
        fprintf(stderr, "%s: line %d: %s\n", path, problem.line, problem.text);
    return root;
}

static int check_json(const char *path, char **keys)
{
    json_t *root = load(path);
    int status = !json_is_object(root);

    for (; *keys && !status; keys++)
        if (!json_object_get(root, *keys)) {
            fprintf(stderr, "%s: there is no %s\n", path, *keys);
            status = 1;
        }
    json_decref(root);
    return status;
}

static int print_number(const char *path, const char *key)
{
    json_t *root = load(path), *value = json_object_get(root, key);
    int status = !json_is_number(value);

    if (!status)
        printf("%.9g\n", json_number_value(value));
    json_decref(root);
    return status;
}

/* /data, or /data/demo_0/actions [4, 7] of zeros and nothing to see. */
static int write_demos(const char *path, int with_actions)
{
    const hsize_t size[2] = {4, 7};
    hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT);
    hid_t data = H5Gcreate2(file, "data", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);

    if (with_actions) {
        hid_t demo = H5Gcreate2(data, "demo_0", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
        hid_t space = H5Screate_simple(2, size, NULL);
        H5Dclose(H5Dcreate2(demo, "actions", H5T_IEEE_F32LE, space, H5P_DEFAULT, H5P_DEFAULT,
                            H5P_DEFAULT));
        H5Sclose(space);
        H5Gclose(demo);
    }
    H5Gclose(data);
    return H5Fclose(file) < 0;
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";

    if (!strcmp(what, "json"))
        return check_json(argv[2], argv + 3);
    if (!strcmp(what, "number") && argc == 4)
        return print_number(argv[2], argv[3]);
    if (!strcmp(what, "empty"))
        return write_demos(argv[2], 0);
    if (!strcmp(what, "sightless"))
        return write_demos(argv[2], 1);
    fprintf(stderr, "command_helper: json FILE [KEY...] | number FILE KEY | empty FILE | "
                    "sightless FILE\n");
    return 2;
}
