//! The workspace as `cargo metadata` describes it.

use std::collections::BTreeMap;
use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::call::Call;

/// The facade for users of the 0.17 line. Cargo takes one package of a name in a workspace, and `vm-memory` is the
/// facade for those of 0.18; so this one is no member, and no command for the workspace reaches it.
pub(crate) const OUTSIDE: &str = "facades/vm-memory-0.17/Cargo.toml";

/// The members of the workspace.
#[derive(Debug)]
pub(crate) struct Workspace {
    pub(crate) target: PathBuf,
    pub(crate) packages: Vec<Package>,
}

/// One member.
#[derive(Clone, Debug, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Its directory, from the root of the workspace.
    pub(crate) directory: PathBuf,
    /// The source file of its library, or else of its program, from the root of the workspace.
    pub(crate) root_file: PathBuf,
    /// Whether it is one of the crates that users take: those under `crates/`, and the facades that are no members.
    pub(crate) stack: bool,
    /// Whether its manifest lets it be published.
    pub(crate) published: bool,
    /// The names of its bench targets.
    pub(crate) benches: Vec<String>,
    /// Its features and what each turns on, implicit ones included.
    pub(crate) features: BTreeMap<String, Vec<String>>,
    pub(crate) dependencies: Vec<Dependency>,
}

/// One line of a member's dependency tables, for whichever target.
#[derive(Clone, Debug)]
pub(crate) struct Dependency {
    pub(crate) name: String,
    /// Whether a user of the member gets it too: all but development dependencies, and those of the models of schedules, which no
    /// build has but that of `ci loom`.
    pub(crate) passed_on: bool,
    pub(crate) optional: bool,
    /// Whether it comes from a path and so from this workspace.
    pub(crate) ours: bool,
}

impl Workspace {
    /// Asks cargo, in the current directory.
    pub(crate) fn read() -> Result<Self> {
        let text = Call::cargo(["metadata", "--format-version", "1", "--no-deps"]).text()?;
        let json = serde_json::from_str(&text).context("cargo metadata printed no JSON")?;
        Self::parse(&json).context("cargo metadata printed JSON of a shape that xtask cannot read")
    }

    /// Asks cargo about the facade that is no member.
    pub(crate) fn read_outside() -> Result<Package> {
        let call = Call::cargo(["metadata", "--format-version", "1", "--no-deps"]);
        let text = call.args(["--manifest-path", OUTSIDE]).text()?;
        let json: Value = serde_json::from_str(&text).context("cargo metadata printed no JSON")?;
        let root = env::current_dir().context("there is no current directory")?;
        Package::parse(&json["packages"][0], &root)
            .context("cargo metadata printed JSON of a shape that xtask cannot read")
    }

    fn parse(json: &Value) -> Option<Self> {
        let root = Path::new(json["workspace_root"].as_str()?);
        let packages: Option<_> =
            json["packages"].as_array()?.iter().map(|json| Package::parse(json, root)).collect();
        let target = PathBuf::from(json["target_directory"].as_str()?);
        Some(Self { target, packages: packages? })
    }

    /// The crates under `crates/`.
    pub(crate) fn stack(&self) -> impl Iterator<Item = &Package> {
        self.packages.iter().filter(|package| package.stack)
    }

    /// `-p <package>` for each crate under `crates/`.
    pub(crate) fn stack_arguments(&self) -> Vec<String> {
        self.stack().flat_map(|package| ["-p".to_owned(), package.spec()]).collect()
    }

    /// The member of that name.
    pub(crate) fn package(&self, name: &str) -> Option<&Package> {
        self.packages.iter().find(|package| package.name == name)
    }
}

impl Package {
    /// What cargo calls it, and no other package: a name alone may also be that of a dependency.
    pub(crate) fn spec(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    fn parse(json: &Value, root: &Path) -> Option<Self> {
        let from_root =
            |path: &Value| Some(Path::new(path.as_str()?).strip_prefix(root).ok()?.to_path_buf());
        let directory = from_root(&json["manifest_path"])?.parent()?.to_path_buf();
        let targets = json["targets"].as_array()?;
        let of_kind = |kind: &str| {
            let kind = Value::from(kind);
            targets.iter().filter(move |target| {
                target["kind"].as_array().is_some_and(|kinds| kinds.contains(&kind))
            })
        };
        let root_target = of_kind("lib").chain(of_kind("bin")).next()?;
        let benches: Option<_> =
            of_kind("bench").map(|target| Some(target["name"].as_str()?.to_owned())).collect();
        let features: Option<_> = json["features"]
            .as_object()?
            .iter()
            .map(|(name, turns_on)| Some((name.clone(), strings(turns_on)?)))
            .collect();
        let dependencies: Option<_> =
            json["dependencies"].as_array()?.iter().map(Dependency::parse).collect();
        Some(Self {
            name: json["name"].as_str()?.to_owned(),
            version: json["version"].as_str()?.to_owned(),
            root_file: from_root(&root_target["src_path"])?,
            stack: directory.starts_with("crates") || directory.starts_with("facades"),
            // A list of registries, of which there may be none; without the list, any.
            published: !json["publish"].as_array().is_some_and(Vec::is_empty),
            benches: benches?,
            features: features?,
            dependencies: dependencies?,
            directory,
        })
    }
}

impl Dependency {
    fn parse(json: &Value) -> Option<Self> {
        Some(Self {
            name: json["name"].as_str()?.to_owned(),
            passed_on: json["kind"].as_str() != Some("dev")
                && json["target"].as_str() != Some("cfg(loom)"),
            optional: json["optional"].as_bool()?,
            ours: json["path"].is_string(),
        })
    }
}

fn strings(json: &Value) -> Option<Vec<String>> {
    json.as_array()?.iter().map(|value| Some(value.as_str()?.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, from_str};

    use super::Workspace;

    const METADATA: &str = r#"{
        "workspace_root": "/w", "target_directory": "/w/target",
        "packages": [
            { "name": "upper", "version": "0.1.0", "publish": [], "manifest_path": "/w/crates/upper/Cargo.toml",
              "features": { "default": ["std"], "std": [] },
              "targets": [{ "name": "upper", "kind": ["lib"], "src_path": "/w/crates/upper/src/lib.rs" }],
              "dependencies": [
                { "name": "lower", "kind": null, "optional": false, "path": "/w/crates/lower" },
                { "name": "libc", "kind": null, "optional": true, "target": "cfg(unix)" },
                { "name": "loom", "kind": null, "optional": false, "target": "cfg(loom)" },
                { "name": "rstest", "kind": "dev", "optional": false } ] },
            { "name": "benches", "version": "0.2.0", "publish": null, "manifest_path": "/w/benches/Cargo.toml", "features": {},
              "targets": [
                { "name": "upper", "kind": ["bench"], "src_path": "/w/benches/benches/upper.rs" },
                { "name": "benches", "kind": ["lib"], "src_path": "/w/benches/src/lib.rs" } ],
              "dependencies": [] }
        ] }"#;

    #[test]
    fn metadata_is_read() {
        let json: Value = from_str(METADATA).unwrap();
        let workspace = Workspace::parse(&json).unwrap();
        let stack: Vec<_> = workspace.stack().map(|package| package.name.as_str()).collect();
        assert_eq!(stack, ["upper"]);
        let upper = workspace.package("upper").unwrap();
        assert_eq!(upper.root_file.to_str(), Some("crates/upper/src/lib.rs"));
        assert_eq!(upper.features["default"], ["std"]);
        let told: Vec<_> = upper
            .dependencies
            .iter()
            .map(|d| (&*d.name, d.passed_on, d.optional, d.ours))
            .collect();
        assert_eq!(
            told,
            [
                ("lower", true, false, true),
                ("libc", true, true, false),
                ("loom", false, false, false),
                ("rstest", false, false, false)
            ]
        );
        assert_eq!(workspace.stack_arguments(), ["-p", "upper@0.1.0"]);
        let benches = workspace.package("benches").unwrap();
        assert_eq!(benches.benches, ["upper"]);
        assert!(benches.published && !upper.published);
    }

    #[test]
    fn another_shape_is_no_workspace() {
        assert!(Workspace::parse(&from_str("{}").unwrap()).is_none());
    }
}
