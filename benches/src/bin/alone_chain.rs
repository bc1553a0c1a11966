//! Chains of a queue, in a program that does nothing else.

use benches::compare::{Alone, chain};

fn main() {
    chain::<Alone>();
}
