//! What runs inside the guest of `cargo xtask vm`: a static program for a machine whose only other user is busybox.
//!
//! Each command prints what it saw in one line, begun with its name, and ends well only if all that it checked is right:
//!
//! - `storm` writes and reads a part of a disk at random from several threads, and knows what each sector has to hold;
//! - `rate` counts how many requests of one size are answered in a time, with so many at once under way;
//! - `hold` keeps memory that a disk fills while the machine moves to another host;
//! - `span` sends requests whose buffers lie on both sides of the border of two memory modules.
//!
//! Nothing here is unsafe: direct I/O goes through `std::fs` with one flag more, on memory that is aligned by taking some more.
//! The pattern is a library's, since the host checks the image by it when the guest is gone.

#![forbid(unsafe_code)]

pub mod pattern;
pub mod random;
pub mod buffer;
pub mod disk;
pub mod memory;
pub mod words;
pub mod storm;
pub mod rate;
pub mod hold;
pub mod span;
