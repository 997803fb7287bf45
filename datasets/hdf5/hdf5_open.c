/* SPDX-License-Identifier: MIT */
/* hdf5_open.c - opening what is in a file, and nothing else of the machine.
 *
 * HDF5 lets a file name others: raw data kept elsewhere, links into other files, datasets put
 * together from them. A file from a stranger could so show any file of the machine as pictures. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "datasets/hdf5/hdf5_io.h"
#include "datasets/hdf5/hdf5_why.h"
#include "runtime/base/file.h"

enum { DEPTH = 8, NAME = 1024 }; /* of virtual datasets made of such; of names in them */

static bool follow;

void hdf5_follow_links(void)
{
    follow = true;
}

hid_t hdf5_open(const char *path, deer_error *err)
{
    struct stat info;
    int fd;
    hid_t file;

    hdf5_quiet();
    if (file_open(path, &fd, &info, err))
        return H5I_INVALID_HID;
    file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    if (file < 0)
        hdf5_why(path, fd, (uint64_t)info.st_size, err);
    close(fd);
    return file;
}

/* ---------------------------------------------------------------- links -------------------- */

/* The path of a regular file in the same folder, which is no link to elsewhere. */
static bool beside(const char *file, const char *name, char path[PATH_MAX])
{
    const char *slash = strrchr(file, '/');
    int folder = slash ? (int)(slash + 1 - file) : 0;
    struct stat info;

    return *name && !strchr(name, '/') &&
           snprintf(path, PATH_MAX, "%.*s%s", folder, file, name) < PATH_MAX &&
           !lstat(path, &info) && S_ISREG(info.st_mode);
}

/* HDF5 asks before it goes to another file. */
static herr_t may_follow(const char *parent, const char *group, const char *child,
                         const char *object, unsigned *flags, hid_t access, void *refused)
{
    char path[PATH_MAX];

    (void)group, (void)object, (void)flags, (void)access;
    if (follow && beside(parent, child, path))
        return 0;
    *(bool *)refused = true;
    return -1;
}

static hid_t open_asking(hid_t file, const char *name, bool group, bool *refused)
{
    hid_t access = H5Pcreate(group ? H5P_GROUP_ACCESS : H5P_DATASET_ACCESS);
    hid_t object = H5I_INVALID_HID;

    *refused = false;
    if (access >= 0 && H5Pset_elink_cb(access, may_follow, refused) >= 0)
        object = group ? H5Gopen2(file, name, access) : H5Dopen2(file, name, access);
    H5Pclose(access);
    return object;
}

static deer_status refuse_link(const char *path, const char *name, deer_error *err)
{
    return deer_fail(err,
                     follow ? "%s: %s lies in another file, which is not a regular one in the same "
                              "folder"
                            : "%s: %s lies in another file; --follow-links reads those in the same "
                              "folder",
                     path, name);
}

/* HDF5 wants every group on the way to be there. */
static htri_t exists_on_the_way(hid_t file, const char *name, hid_t access)
{
    char part[NAME];
    htri_t exists = strlen(name) < NAME ? 1 : -1;

    for (const char *end = name; exists > 0 && *end;) {
        end += *end == '/';
        end += strcspn(end, "/");
        snprintf(part, sizeof part, "%.*s", (int)(end - name), name);
        exists = H5Lexists(file, part, access);
    }
    return exists;
}

hdf5_found hdf5_has(hid_t file, const char *name)
{
    bool refused = false;
    hid_t access = H5Pcreate(H5P_LINK_ACCESS);
    htri_t exists = -1;

    if (access >= 0 && H5Pset_elink_cb(access, may_follow, &refused) >= 0)
        exists = exists_on_the_way(file, name, access);
    H5Pclose(access);
    return exists > 0 ? HDF5_FOUND : exists == 0 ? HDF5_ABSENT : HDF5_UNREADABLE;
}

/* ---------------------------------------------------------------- storage ------------------ */

static hid_t dataset_open(hid_t file, const char *path, const char *name, int depth,
                          deer_error *err);

/* One source of a virtual dataset: itself in this file or in one beside it. */
static deer_status check_source(hid_t file, const char *path, const char *source, const char *name,
                                int depth, deer_error *err)
{
    char real[PATH_MAX];
    bool own = !strcmp(source, ".");
    hid_t other, dataset;

    if (strchr(source, '%') || strchr(name, '%') || depth >= DEPTH ||
        (!own && (!follow || !beside(path, source, real))))
        return refuse_link(path, name, err);
    other = own ? file : hdf5_open(real, err);
    dataset =
        other < 0 ? H5I_INVALID_HID : dataset_open(other, own ? path : real, name, depth + 1, err);
    if (dataset >= 0)
        H5Dclose(dataset);
    if (!own && other >= 0)
        H5Fclose(other);
    return dataset < 0 ? DEER_FAILED : DEER_OK;
}

/* All sources, as the file sees them that the dataset is in: a link may have led to it. */
static deer_status check_sources(hid_t virtual, const char *name, hid_t creation, int depth,
                                 deer_error *err)
{
    char path[PATH_MAX] = "";
    hid_t file = H5Iget_file_id(virtual);
    size_t count = 0;
    deer_status status = DEER_OK;

    if (file < 0 || H5Fget_name(virtual, path, sizeof path) < 0 ||
        H5Pget_virtual_count(creation, &count) < 0)
        status = deer_fail(err, "%s: dataset %s cannot be read", path, name);
    for (size_t i = 0; i < count && !status; i++) {
        char source[NAME], dataset[NAME];
        ssize_t a = H5Pget_virtual_filename(creation, i, source, sizeof source);
        ssize_t b = H5Pget_virtual_dsetname(creation, i, dataset, sizeof dataset);

        status = a < 0 || b < 0 || a >= NAME || b >= NAME
                     ? deer_fail(err, "%s: the sources of %s cannot be read", path, name)
                     : check_source(file, path, source, dataset, depth, err);
    }
    if (file >= 0)
        H5Fclose(file);
    return status;
}

static deer_status check_storage(const char *path, const char *name, hid_t dataset, int depth,
                                 deer_error *err)
{
    hid_t creation = H5Dget_create_plist(dataset);
    H5D_layout_t layout = creation < 0 ? H5D_LAYOUT_ERROR : H5Pget_layout(creation);
    deer_status status = DEER_OK;

    if (layout == H5D_LAYOUT_ERROR)
        status = deer_fail(err, "%s: dataset %s cannot be read", path, name);
    else if (layout == H5D_VIRTUAL)
        status = check_sources(dataset, name, creation, depth, err);
    else if (H5Pget_external_count(creation) != 0)
        status = deer_fail(err, "%s: dataset %s keeps its data in another file, which is not read",
                           path, name);
    H5Pclose(creation);
    return status;
}

static hid_t dataset_open(hid_t file, const char *path, const char *name, int depth,
                          deer_error *err)
{
    bool refused;
    hid_t dataset = open_asking(file, name, false, &refused);

    if (refused)
        refuse_link(path, name, err);
    else if (dataset < 0)
        deer_fail(err, "%s: there is no dataset %s", path, name);
    if (dataset < 0 || !check_storage(path, name, dataset, depth, err))
        return dataset;
    H5Dclose(dataset);
    return H5I_INVALID_HID;
}

hid_t hdf5_dataset_open(hid_t file, const char *path, const char *name, deer_error *err)
{
    return dataset_open(file, path, name, 0, err);
}

hid_t hdf5_group_open(hid_t file, const char *path, const char *name, deer_error *err)
{
    bool refused;
    hid_t group = open_asking(file, name, true, &refused);

    if (refused)
        refuse_link(path, name, err);
    else if (group < 0)
        deer_fail(err, "%s has no group /%s; is it a demonstrations file?", path, name);
    return group;
}
