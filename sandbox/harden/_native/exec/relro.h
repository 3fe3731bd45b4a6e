#ifndef HARDEN_RELRO_H
#define HARDEN_RELRO_H

#include <stdbool.h>

/* Makes the tables of pointers of this program read-only (ld(1), -z relro); false, with errno, where it cannot. */
bool protect_relocated(void);

#endif
