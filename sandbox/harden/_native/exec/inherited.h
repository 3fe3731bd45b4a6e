/* Descriptors of the caller that the program gets (--pass-fd), how many it may have, and the process that harden ends with. */
#ifndef HARDEN_INHERITED_H
#define HARDEN_INHERITED_H

#include <stdbool.h>

bool is_folder(int fd);
/* Closes everything from 3 on but what OP_PASS_FD named; false and errno when it cannot. */
bool close_not_passed(void);
/* The supervisor's own copies: the reader of a pipe must not wait for harden. */
void drop_passed(void);
/* As many descriptors for the pieces of the file system as the hard limit permits; the caller's limit is remembered for
 * the program. False and errno when it cannot be done. */
bool raise_file_limit(void);
/* Whether the process that started harden has ended, and else watches it. False and errno when it cannot be watched. */
bool watch_parent(bool *gone);
/* A pidfd of it, readable when it is gone; -1: it is not watched. */
int parent_fd(void);

#endif
