//! All operations of the comparison, in each other's company.

use benches::compare::company;

fn main() {
    company();
}
