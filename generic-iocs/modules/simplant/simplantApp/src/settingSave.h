/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Setting save: values of records survive a restart of the IOC.
 *
 * A request file names the records; their values are written to a file when they have changed, and
 * put back before record initialisation. For sites with the autosave module that one is the better
 * choice; this is what a chain of base and simplant alone needs.
 *
 * Request file: one record or record.FIELD per line, macros as $(P), `#` begins a comment, and
 * `file OTHER.req P=…,R=…` includes another. It is looked for as given, then in the folders of
 * EPICS_DB_INCLUDE_PATH.
 *
 * Save file `DIR/NAME.sav` (NAME is the request file's name without `.req`): lines `name value`, the
 * value escaped as in C, after a first line that says what it is; the last line is `end`. It is
 * written under another name, synchronised and renamed, so there is always one whole file.
 */
#ifndef SIMPLANT_SETTING_SAVE_H
#define SIMPLANT_SETTING_SAVE_H

/* Before iocInit. Seconds between looks at the values: 0.1 to 3600. Returns 0, or -1 with a message. */
int settingSaveConfigure(const char *dir, const char *request, double period, const char *macros);

/* 1 while at least one file could not be written. */
int settingSaveFailed(void);

/* Seconds since the values were last known to be on disk; -1 if nothing is configured or yet saved. */
double settingSaveAge(void);

void settingSaveReport(int level);

/* Called once, by the registrar. */
void settingSaveRegister(void);

#endif
