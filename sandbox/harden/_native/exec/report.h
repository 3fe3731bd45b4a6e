/* What harden-exec says: lines of JSON to a Python parent, sentences to a person. */
#ifndef HARDEN_REPORT_H
#define HARDEN_REPORT_H

#include "text.h"

#include <stdbool.h>
#include <sys/types.h>

/* Writes one line to the status descriptor, if there is one. */
void report(struct text *line);
void report_ready(pid_t init, pid_t payload);
void report_enforced(struct text *document);
/* `failed`: the shared error record is set; `ended`: so is the payload's status. False, after saying so, where the report
 * that was asked for cannot be written. */
bool report_end(bool failed, bool ended, bool timed_out);
/* The shared error record in a sentence. */
void error_sentence(struct text *message);
/* That and its hint, on stderr. */
void print_error(void);

#endif
