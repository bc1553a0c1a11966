//! Loads and stores of 16 bits, in a program that does nothing else.

use benches::compare::{Alone, atomics};

fn main() {
    atomics::<Alone>();
}
