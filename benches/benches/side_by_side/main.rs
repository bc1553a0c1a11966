//! The same operations three times: by a raw pointer, by our crates, by the published vm-memory 0.18.
//!
//! Names are `side_by_side/operation/size/contestant`. A raw pointer is translated already, so there is none
//! where translation is what is measured.

// The order is the layer list: a room uses only rooms above it.
mod contest;
mod objects;
mod lookups;
mod slices;
mod snapshot;
mod dirty;

use criterion::Criterion;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    objects::bench(&mut criterion);
    lookups::bench(&mut criterion);
    slices::bench(&mut criterion);
    snapshot::bench(&mut criterion);
    dirty::bench(&mut criterion);
    criterion.final_summary();
}
