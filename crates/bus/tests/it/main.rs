//! Tests of the buses from outside: one contract over all of them, and what each of them has of its own.

mod contract;
mod scripted;
