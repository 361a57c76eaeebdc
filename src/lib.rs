//! Horust: an init and process supervisor for containers. This file is the map of the house.
//!
//! * [`model`]: plain data that everybody speaks: ids, time, signals, exits, service specs.
//! * [`config`]: TOML text in, a `Plan` and diagnostics out.
//! * [`supervisor`]: the pure state machine: events in, actions out.
//! * [`sys`]: Linux, and the only unsafe code.
//! * [`runtime`]: the shell around the supervisor: main loop, process table, threads.
//! * [`healthcheck`]: probes on a bounded pool of workers.
//! * [`logging`]: the output of services: capture, lines, rotation.
//! * [`control`]: the API on a unix socket.
//! * [`cli`]: arguments and verbs.
//! * [`connect`], [`limits`]: for all of them.
//! * [`chaos`], [`canary`]: panics and bugs on purpose, in tests only.

pub mod canary;
pub mod chaos;
pub mod cli;
pub mod config;
pub mod connect;
pub mod control;
pub mod healthcheck;
pub mod limits;
pub mod logging;
pub mod model;
pub mod runtime;
pub mod supervisor;
pub mod sys;
