//! Laws that hold for all sequences of mapping, unmapping, looking up and accessing, against models that know no ranges: a table
//! of pages, and a map of bytes.

#[path = "../common/mod.rs"]
mod common;
mod pages;
mod table;
mod memory;
mod leases;
