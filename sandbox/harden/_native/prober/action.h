/* The catalogue: what the prober tries. */
#ifndef HARDEN_PROBER_ACTION_H
#define HARDEN_PROBER_ACTION_H

/* One action. Its functions give the kernel's answer. An answer is "allowed" when it is not negative, or when its
 * errno is among the listed ones: those come after every check, from arguments chosen so that nothing happens. */
struct action {
	const char *id;
	const char *call;  /* the system call that a filter would refuse */
	const char *about; /* what an attacker would do with it */
	long (*in_child)(void);
	long (*alone)(void); /* without a child process: safe in the prober itself; NULL: needs a child */
	int passed[3];	     /* errnos that mean allowed, ended by 0 */
	int passed_alone[3];
	const char *first_call; /* a call that has to succeed before `call` can be tried; NULL: none */
	long (*first)(void);
};

/* Rows in order: harmless ones first, those that a filter answers by killing after them, positive twins last. */
extern const struct action actions[];
extern const unsigned int action_count;

#endif
