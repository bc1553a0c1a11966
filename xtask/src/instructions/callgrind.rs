//! What callgrind writes, read: how many instructions each operation takes, with all that it calls.

use std::collections::BTreeMap;

/// What the name of an operation's function begins with, after its path.
const PREFIX: &str = "op_";

/// Instructions a call of each operation, by name.
///
/// The file has a line of costs for each line of code, below a line that names the function; and for each place that calls
/// another function a line of how often, followed by the cost of these calls with everything in them. That of the
/// calls of an operation, by how many they are, is what it takes.
pub(super) fn operations(text: &str) -> BTreeMap<String, f64> {
    let mut totals: BTreeMap<String, (f64, f64)> = BTreeMap::new();
    let mut called = None;
    let mut calls = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("cfn=") {
            called = operation(name);
        } else if let Some(rest) = line.strip_prefix("calls=") {
            calls = rest.split(' ').next().and_then(|count| count.parse::<f64>().ok());
        } else if let Some(count) = calls.take() {
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse::<f64>().ok());
            if let (Some(name), Some(cost)) = (called.take(), cost) {
                let total = totals.entry(name).or_default();
                *total = (total.0 + count, total.1 + cost);
            }
        }
    }
    totals.into_iter().map(|(name, (calls, cost))| (name, cost / calls)).collect()
}

/// The operation that a function is.
fn operation(function: &str) -> Option<String> {
    let name = function.rsplit("::").find(|part| !part.is_empty())?;
    // A symbol may end in a hash of the compiler's.
    let name = if name.starts_with(PREFIX) { name } else { function.rsplit("::").nth(1)? };
    Some(name.strip_prefix(PREFIX)?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::operations;

    #[test]
    fn the_cost_of_calls_is_divided_among_them() {
        let text = "fn=instructions::main\n10 5\ncfi=a.rs\ncfn=instructions::op_read_u32\ncalls=10 0\n11 220\n\
                    cfn=instructions::op_read_u32\ncalls=10 0\n12 240\ncfn=memcpy\ncalls=1 0\n13 9\n\n\
                    fn=instructions::op_read_u32\n20 460\n";
        let found = operations(text);
        assert_eq!(found.into_iter().collect::<Vec<_>>(), [("read_u32".to_owned(), 23.0)]);
    }
}
