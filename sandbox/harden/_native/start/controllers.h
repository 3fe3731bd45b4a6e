#ifndef HARDEN_CONTROLLERS_H
#define HARDEN_CONTROLLERS_H

#include <stdbool.h>

/* Lets the children of the cgroup `name`, in the folder `base`, have these controllers (words between blanks), as
 * harden.kernel.cgroupfs does: cgroups(7), "no internal processes". */
bool pass_controllers_on(int base, const char *name, const char *controllers);

#endif
