//! Reads of 32 bits, in a program that does nothing else.

use benches::compare::{Alone, read};

fn main() {
    read::<Alone>();
}
