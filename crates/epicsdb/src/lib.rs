//! EPICS database files.
