/* What a call does to files and sockets, by the rows that harden.trace.calls gives to either recorder. */
#ifndef HARDEN_NOTIFY_CALL_H
#define HARDEN_NOTIFY_CALL_H

#include "notify_task.h"

void call_see(const struct waiting *call, const struct task *task);

#endif
