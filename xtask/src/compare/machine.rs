//! Where and when it was measured.

use std::fs;
use std::thread;

use anyhow::Result;

use crate::call::Call;

/// What a reader has to know to compare figures with those of another run.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) date: String,
    pub(super) processor: String,
    pub(super) system: String,
    pub(super) compiler: String,
}

impl Machine {
    /// This one, today.
    pub(super) fn here() -> Result<Self> {
        let text = |name: &str, arguments: &[&str]| {
            Call::program(name, arguments).text().map(|text| text.trim().to_owned())
        };
        let information = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let threads = thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            date: text("date", &["+%Y-%m-%d"])?,
            processor: format!("{}, {threads} threads", processor(&information)),
            system: text("uname", &["-srm"])?,
            compiler: text("rustc", &["--version"])?,
        })
    }

    /// In one line.
    pub(super) fn line(&self) -> String {
        format!("{}, {}, {}, {}", self.date, self.processor, self.system, self.compiler)
    }
}

/// The processor's name, with the family and model where many have the same name.
fn processor(information: &str) -> String {
    let field = |name: &str| {
        information.lines().find_map(|line| {
            let (field, value) = line.split_once(':')?;
            (field.trim() == name).then(|| value.trim())
        })
    };
    let name = field("model name").unwrap_or("unknown processor");
    match (field("cpu family"), field("model")) {
        (Some(family), Some(model)) => format!("{name} (family {family}, model {model})"),
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::processor;

    #[test]
    fn the_processor_is_named_with_its_model() {
        let text = "processor\t: 0\ncpu family\t: 25\nmodel\t\t: 1\nmodel name\t: AMD EPYC\n";
        assert_eq!(processor(text), "AMD EPYC (family 25, model 1)");
        assert_eq!(processor(""), "unknown processor");
    }
}
