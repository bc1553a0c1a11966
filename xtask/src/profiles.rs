//! The build profiles under which speed is claimed: whatever a user takes, one of them is near.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::call::Call;

/// A profile of the workspace's manifest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Profile {
    /// Cargo's own for releases.
    Release,
    /// All crates optimized as one.
    Fat,
    /// For size, all crates as one.
    Small,
}

impl Profile {
    pub(crate) const ALL: [Self; 3] = [Self::Release, Self::Fat, Self::Small];

    /// Its name in tables and on the command line.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Fat => "fat",
            Self::Small => "small",
        }
    }

    /// What a reader should know of it.
    pub(crate) const fn says(self) -> &'static str {
        match self {
            Self::Release => "cargo's default release profile",
            Self::Fat => "fat LTO, one codegen unit",
            Self::Small => "opt-level \"s\", fat LTO",
        }
    }

    /// The profile of a name.
    pub(crate) fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|profile| profile.name() == name)
    }

    /// Its name in the manifest, and in the target directory.
    pub(crate) const fn in_manifest(self) -> &'static str {
        match self {
            Self::Release => "release",
            Self::Fat => "compare-fat",
            Self::Small => "compare-small",
        }
    }

    /// Builds programs of the package of benches; returns the directory where they are.
    pub(crate) fn build(self, package: &str, programs: &[&str], target: &Path) -> Result<PathBuf> {
        let bins = programs.iter().flat_map(|name| ["--bin", name]);
        Call::cargo(["build", "--quiet", "-p", package, "--profile", self.in_manifest()])
            .args(bins)
            .run()?;
        Ok(target.join(self.in_manifest()))
    }
}

#[cfg(test)]
mod tests {
    use super::Profile;

    #[test]
    fn every_profile_is_found_by_its_name_and_is_in_the_manifest() {
        let manifest = include_str!("../../Cargo.toml");
        for profile in Profile::ALL {
            assert_eq!(Profile::named(profile.name()), Some(profile));
            let section = format!("[profile.{}]", profile.in_manifest());
            assert!(profile == Profile::Release || manifest.contains(&section), "{section}");
        }
        assert_eq!(Profile::named("debug"), None);
    }
}
