/* The caller's terminal, and the relay between it and the sandbox's own. */
#ifndef HARDEN_TERMINAL_H
#define HARDEN_TERMINAL_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>

enum { TERMINAL_FILES = 3 };

/* Sets run.terminals and run.attended. A harden that was stopped goes on at `deadline_ms` (0: never); false where the
 * kernel has no timer for that. */
bool terminal_find(uint64_t deadline_ms);
/* The master of the sandbox's terminal has arrived. */
void terminal_adopt(int master);
/* The program is about to run. */
void terminal_begin(void);
/* What there is to wait for, and what to do when it has come. */
void terminal_poll(struct pollfd files[TERMINAL_FILES]);
void terminal_move(const struct pollfd files[TERMINAL_FILES]);
/* The payload was stopped by the signal `number`: harden stops as well, or gives it the terminal it asked for. */
void terminal_stopped(int number);
/* A shell continued harden, or the window has another size. */
void terminal_continued(void);
void terminal_resize(void);
/* Everything that the sandbox wrote is on the terminal, and the terminal as it was. `signals` can cut that short, the
 * parent's end, and a terminal that takes nothing when it is later than `deadline_ms` (0: never). */
void terminal_end(int signals, uint64_t deadline_ms);

#endif
