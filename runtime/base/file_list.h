/* SPDX-License-Identifier: MIT */
/* file_list.h - names of files in the order given. */
#ifndef RUNTIME_FILE_LIST_H
#define RUNTIME_FILE_LIST_H

enum { FILE_LIST_MOST = 1024 };

typedef struct {
    const char *name[FILE_LIST_MOST]; /* not owned: words of a command line */
    int count;
} file_list;

#endif
