//! Charts from wherever they are: a folder, an archive, a registry, a chart repository.
//!
//! [`dependency`] vendors what a chart needs and writes `Chart.lock`; [`values`] reads what is given for its templates.
//! [`locate`] turns what a person writes into a chart; [`repository`] reads the `index.yaml` of chart repositories.
//! What a chart *is* lives in `crates/helm`, how a registry is talked to in [`crate::registry`].

pub mod dependency;
pub mod error;
pub mod locate;
pub mod repository;
pub mod unpack;
pub mod values;
