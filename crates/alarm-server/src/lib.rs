//! The alarm server: Channel Access, bus, control API, metrics and actions around the logic of [`alarm`].
