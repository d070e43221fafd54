//! The bus on Kafka: the contract on the oldest and on the newest version, and what only it has.

mod broker;
mod mock;
mod outage;
mod secure;
mod topics;

mod newest {
    use super::broker::{Broker, or_not_checked};
    use crate::contract;

    contract::suite!(or_not_checked!(Broker::shared()).connect().await);
}

mod oldest {
    use super::broker::{Broker, or_not_checked};
    use crate::contract;

    contract::suite!(or_not_checked!(Broker::old()).connect().await);
}
