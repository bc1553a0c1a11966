//! Writes of 32 bits, in a program that does nothing else.

use benches::compare::{Alone, write};

fn main() {
    write::<Alone>();
}
