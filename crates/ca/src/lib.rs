//! Channel Access client.
