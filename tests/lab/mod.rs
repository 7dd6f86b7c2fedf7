//! The live lab: a client, a gateway and a server on a real kernel, sealed off from the host.
//!
//! A program enters the lab by running itself again in fresh network, mount and pid namespaces
//! ([`scenario`]). Inside, [`Network`] builds the three hosts, [`Root`] gives each mail program a
//! private file system with its unpacked package, and [`Postfix`], [`Session`] and [`Guard`] are
//! what runs there. Whatever happens, all of it ends with the pid namespace: nothing is left on
//! the host. Every wait is bounded. The lab knows no scenario; those are in `live/`.
//!
//! To use it from another test: `mod lab;`, a table of [`Scenario`], `lab::main(&TABLE)`, and
//! `harness = false` for that test in Cargo.toml.

#![allow(dead_code, reason = "each program that includes the lab uses its own part of it")]
#![allow(unused_imports, reason = "each program that includes the lab uses its own part of it")]

mod accept_all;
mod article;
mod capture;
mod client;
mod device;
mod guard;
mod hasty;
mod manager;
mod message;
mod mta;
mod network;
mod outcome;
mod postfix;
mod process;
mod recorder;
mod root;
mod scenario;
mod senders;
mod site;

pub(crate) use article::{Answers, Attempt};
pub(crate) use capture::{Capture, Tap};
pub(crate) use client::{Pace, Reply, Session};
pub(crate) use device::{Sniffer, Tun};
pub(crate) use guard::{Filter, Guard, mailguard};
pub(crate) use hasty::{HastyServer, Try};
pub(crate) use manager::Manager;
pub(crate) use message::{FALSE_ENDS, Message, Random};
pub(crate) use mta::{Letter, Likeness, Mta, PASSWORD, Program, USER, Way};
pub(crate) use network::{Family, Network, Side};
pub(crate) use outcome::{Because, Failure, Outcome, ensure, lacking, wrong};
pub(crate) use postfix::{Postfix, Tally};
pub(crate) use process::{Background, PATIENCE, Usage, now, run, run_any, tool, wait_until};
pub(crate) use recorder::{End, Recorder, Visit};
pub(crate) use root::{DIRECTORY, Root, target};
pub(crate) use scenario::{ACCEPT_ALL, Scenario, main, sealed, serve_if_asked, settle};
pub(crate) use senders::{smtplib, swaks};
pub(crate) use site::Site;
