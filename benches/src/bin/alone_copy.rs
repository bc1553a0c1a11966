//! Copies of 256 bytes, in a program that does nothing else.

use benches::compare::{Alone, copy};

fn main() {
    copy::<Alone>();
}
