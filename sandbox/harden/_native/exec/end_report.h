/* The report of how a run ended and what it took: harden.model.end_report has the format. */
#ifndef HARDEN_END_REPORT_H
#define HARDEN_END_REPORT_H

#include <stdbool.h>

/* The program is about to run. */
void end_report_begin(void);
/* It is over, and its cgroup is still there. */
void end_report_count(void);
/* Puts the report in its place. As for report_end(). False, after saying so, when that cannot be done. */
bool end_report_write(bool failed, bool ended, bool timed_out);

#endif
