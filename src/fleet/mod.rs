//! IOC instances that run: releases, plans, the local backend, logs and consoles.

pub mod console;
pub mod containers;
pub mod logs;
pub mod manifest;
pub mod plan;
pub mod workload;
