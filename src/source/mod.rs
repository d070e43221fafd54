//! Sources of support modules: fetched on this machine, checked, cached, handed to the build.
