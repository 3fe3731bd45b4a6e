/* Decodes a plan, and reads all that harden-exec would read from it. */
#ifndef HARDEN_TEST_PLAN_READ_H
#define HARDEN_TEST_PLAN_READ_H

#include "plan.h"

/* Whether it was accepted. */
bool plan_read(const uint8_t *bytes, size_t size);

#endif
