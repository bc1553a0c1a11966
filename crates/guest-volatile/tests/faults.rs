//! Faults on guest memory become errors, with the exact count, side and marks; all other faults are what they were.

#![cfg(all(
    feature = "fault",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    target_pointer_width = "64",
    any(target_os = "linux", target_os = "android"),
    not(guest_volatile_portable)
))]

#[path = "faults/atomics.rs"]
mod atomics;
mod common;
#[path = "faults/company.rs"]
mod company;
#[path = "faults/copies.rs"]
mod copies;
#[path = "faults/memory.rs"]
mod memory;
#[path = "faults/objects.rs"]
mod objects;
#[path = "faults/races.rs"]
mod races;
#[path = "faults/streams.rs"]
mod streams;
#[path = "faults/windows.rs"]
mod windows;
