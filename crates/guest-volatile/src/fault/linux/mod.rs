//! The handler of Linux, for instructions that have an entry in the table.

mod table;
mod previous;
mod context;
mod handler;

pub(super) use handler::{install, is_installed};
