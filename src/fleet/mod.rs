//! IOC instances that run: releases, plans, the local backend, logs and consoles.

pub mod access;
pub mod answer;
pub mod autosave;
pub mod console;
pub mod containers;
pub mod deploy;
pub mod facility;
pub mod health;
pub mod kubernetes;
pub mod lifecycle;
pub mod local;
pub mod logs;
pub mod manifest;
pub mod overview;
pub mod plan;
pub mod progress;
pub mod release;
pub mod session;
pub mod store;
pub mod story;
pub mod workload;
