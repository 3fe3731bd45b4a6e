/* The sandbox's cgroups: made and limited by Python, ended and removed here. */
#ifndef HARDEN_CGROUP_H
#define HARDEN_CGROUP_H

/* Ends every process of the payload's cgroup, where the kernel has cgroup.kill (Linux 5.14). */
void cgroup_kill(void);
/* Removes the sandbox's cgroups, where that is left to harden-exec. */
void cgroup_remove(void);

#endif
