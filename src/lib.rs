//! The `ioc` command-line tool as a library, so that the tests reach its parts.
