/* Calls on sockets. */
#ifndef HARDEN_NOTIFY_SOCKET_H
#define HARDEN_NOTIFY_SOCKET_H

#include "notify_look.h"

void socket_see(const struct waiting *call, const struct call_row *row);

#endif
