//! Slices, in a program that does nothing else.

use benches::compare::{Alone, slice};

fn main() {
    slice::<Alone>();
}
