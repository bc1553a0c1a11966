//! The documentation, with the figures of the newest whole run in their place.

use anyhow::{Context as _, Result};

/// What stands around the figures in the file; nobody writes between them by hand.
const BEGIN: &str = "<!-- figures: written by `cargo xtask bench --compare` -->";
const END: &str = "<!-- end of figures -->";

/// The text with other figures.
pub(super) fn with_figures(text: &str, figures: &str) -> Result<String> {
    let (before, rest) = text.split_once(BEGIN).context("there is no place for figures")?;
    let (_, after) = rest.split_once(END).context("the place for figures has no end")?;
    Ok(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", figures.trim()))
}
