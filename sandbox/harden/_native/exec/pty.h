/* The sandbox's own terminal: pty(7), devpts (Documentation/filesystems/devpts.rst), credentials(7).
 *
 * Init is the leader of a session whose controlling terminal it is, and the payload a job in it: a shell inside has job
 * control, and a stop key stops the program, because its process group is not orphaned (setpgid(2)). */
#ifndef HARDEN_PTY_H
#define HARDEN_PTY_H

/* Init: makes it in the devpts that is mounted at `devpts`, and hands the master to the supervisor. */
int pty_make(int devpts);
/* Init, when it gives everything else away: keeps what it needs for pty_attend() and pty_report_stop(). */
enum { PTY_INIT_FILES = 2 };
int pty_lock_down(void);
/* Init: the payload has stopped. */
void pty_report_stop(int number);
/* Payload: becomes a job on it, owned by `uid`, in place of those standard streams that are terminals of the caller. */
int pty_enter(unsigned uid);
/* Supervisor: the signal that the payload has stopped with since it was last asked, or 0. */
int pty_take_stop(void);
/* Supervisor: has init make the payload the terminal's foreground job, or take it out; it is when this returns, unless
 * init has ended or does not run. */
void pty_attend(int attended);

#endif
