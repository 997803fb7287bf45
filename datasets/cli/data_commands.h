/* SPDX-License-Identifier: MIT */
/* data_commands.h - the sub-commands of deer-data. */
#ifndef DATA_COMMANDS_H
#define DATA_COMMANDS_H

int data_info_main(int argc, char **argv);
int data_frame_main(int argc, char **argv);
int data_import_main(int argc, char **argv);

#endif
