//! A sign of life on a terminal, while something takes its time.

use std::io::{self, IsTerminal};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar or a spinner on the terminal, gone when it is dropped; nothing where the output goes elsewhere.
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// For work whose end nobody can foresee.
    pub(crate) fn spinner(text: &'static str) -> Self {
        Self::new(ProgressBar::new_spinner(), "   {spinner} {msg}", text)
    }

    /// For work of `steps` steps.
    pub(crate) fn bar(steps: u64, text: &'static str) -> Self {
        Self::new(ProgressBar::new(steps), "   {spinner} {msg} [{bar:32}] {pos}/{len}", text)
    }

    /// A step is done.
    pub(crate) fn step(&self) {
        self.0.inc(1);
    }

    fn new(bar: ProgressBar, style: &str, text: &'static str) -> Self {
        // It is drawn on standard error, between lines that go to standard output.
        if !(io::stdout().is_terminal() && io::stderr().is_terminal()) {
            return Self(ProgressBar::hidden());
        }
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style);
        }
        bar.set_message(text);
        bar.enable_steady_tick(Duration::from_millis(80));
        Self(bar)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
