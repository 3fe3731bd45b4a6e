/* The caller's terminal, where the payload is a job of its own. */
#ifndef HARDEN_TERMINAL_H
#define HARDEN_TERMINAL_H

#include <sys/types.h>

enum { TERMINAL_TICK_MS = 100 };

/* Sets run.on_terminal and run.foreground. SIGTTOU must be blocked for all that follows. */
void terminal_find(void);
/* If harden is in the foreground: the payload from here on. */
void terminal_give(pid_t payload);
/* At the end, and when the payload stops. */
void terminal_take(pid_t payload);
/* The payload has stopped: so does harden, and both go on together. */
void terminal_suspend(pid_t payload);

#endif
