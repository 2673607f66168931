//! What the server needs to know of a job's archive once it is stored: read once, when the job is uploaded.
//!
//! Later stages work on this summary alone, so no state machine ever reads an archive, and an upload of any size costs
//! the memory of its directory.

use std::collections::BTreeMap;
use std::io::{Read, Seek};

use flare_wire::Moment;
use flare_wire::certificate::Certificate;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::archive::Archive;
use super::definition::{JobDefinition, load_config};
use super::python::PythonError;
use super::signature::{SIGNATURE_FILE, Trust, verify_app};
use super::verdict::Verdict;

/// Longest custom code that is looked through for class names.
const MAX_SOURCE_LEN: u64 = 1 << 20;

/// What is in a job's archive.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobContent {
    /// The apps that the job deploys, by name.
    pub apps: BTreeMap<String, AppContent>,
    /// True when a member would leave its folder or is a symbolic link: such an archive is never unpacked, so the job
    /// fails at its deployment, without a word about why.
    pub is_unsafe: bool,
}

/// What is in one app.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AppContent {
    /// Whether its signatures hold.
    pub trust: Verdict,
    /// True when it brings its own code.
    pub has_custom_code: bool,
    /// Its server configuration, when it can be read.
    pub server_config: Option<Value>,
    /// Its client configuration, when it can be read.
    pub client_config: Option<Value>,
    /// The classes that its own code defines: `module.Class`.
    pub custom_classes: Vec<String>,
    /// Its files: path in the archive, and path below the app folder.
    pub files: Vec<(String, String)>,
}

impl JobContent {
    /// Reads what is needed of an archive whose definition was found right. Signatures are judged by the `roots` and
    /// the time of the upload.
    ///
    /// # Errors
    /// What reading the archive raises.
    pub fn read<R: Read + Seek>(
        definition: &JobDefinition,
        archive: &mut Archive<R>,
        roots: &[Certificate],
        now: Moment,
    ) -> Result<Self, PythonError> {
        Self::read_with(definition, archive, |archive, prefix| {
            verify_app(archive, prefix, roots, now).map(Verdict::from)
        })
    }

    /// The same, but for the signatures of apps that have any: `verdict` gives what is known of the app below a prefix.
    ///
    /// # Errors
    /// What reading the archive raises.
    pub fn read_unjudged<R: Read + Seek>(
        definition: &JobDefinition,
        archive: &mut Archive<R>,
        verdict: impl Fn(&str) -> Verdict,
    ) -> Result<Self, PythonError> {
        Self::read_with(definition, archive, |archive, prefix| {
            let is_signed = archive.contains(&format!("{prefix}{SIGNATURE_FILE}"));
            Ok(if is_signed { verdict(prefix) } else { Trust::Unsigned.into() })
        })
    }

    /// Reaches the verdicts that nobody has asked for yet. Takes as long as the archive is large.
    pub fn judge(&self) {
        for app in self.apps.values() {
            // For whoever asks next.
            let _ = app.trust.get();
        }
    }

    /// True when no verdict is missing.
    #[must_use]
    pub fn is_judged(&self) -> bool {
        self.apps.values().all(|app| app.trust.is_reached())
    }

    fn read_with<R: Read + Seek>(
        definition: &JobDefinition,
        archive: &mut Archive<R>,
        mut trust: impl FnMut(&mut Archive<R>, &str) -> Result<Verdict, PythonError>,
    ) -> Result<Self, PythonError> {
        let is_unsafe = archive.members().iter().any(|member| member.is_symlink || leaves_its_folder(&member.name));
        let map = definition.meta.get("deploy_map").and_then(Value::as_object);
        let mut apps = BTreeMap::new();
        for app in map.into_iter().flat_map(|map| map.keys()) {
            let prefix = format!("{}/{app}/", definition.folder);
            apps.insert(app.clone(), AppContent::read(archive, &prefix, &mut trust)?);
        }
        Ok(Self { apps, is_unsafe })
    }
}

impl AppContent {
    fn read<R: Read + Seek>(
        archive: &mut Archive<R>,
        prefix: &str,
        trust: &mut impl FnMut(&mut Archive<R>, &str) -> Result<Verdict, PythonError>,
    ) -> Result<Self, PythonError> {
        let members = archive.members().iter().filter(|member| !member.is_directory());
        let files: Vec<(String, String)> = members
            .filter_map(|member| Some((member.name.clone(), member.name.strip_prefix(prefix)?.to_owned())))
            .collect();
        let custom = format!("{prefix}custom/");
        let mut custom_classes = Vec::new();
        for (name, path) in &files {
            let Some(module) = path.strip_prefix("custom/").and_then(|path| path.strip_suffix(".py")) else { continue };
            let mut source = Vec::new();
            archive.read(name, MAX_SOURCE_LEN, |piece| source.extend_from_slice(piece))?;
            let module = module.trim_end_matches("/__init__").replace('/', ".");
            custom_classes.extend(defined_names(&source).map(|class| format!("{module}.{class}")));
        }
        Ok(Self {
            trust: trust(archive, prefix)?,
            has_custom_code: archive.members().iter().any(|member| member.name.starts_with(&custom)),
            server_config: load_config(archive, &format!("{prefix}config/config_fed_server")).unwrap_or_default(),
            client_config: load_config(archive, &format!("{prefix}config/config_fed_client")).unwrap_or_default(),
            custom_classes,
            files,
        })
    }
}

/// The names of the classes and functions at the top of a Python file.
fn defined_names(source: &[u8]) -> impl Iterator<Item = String> {
    let text = String::from_utf8_lossy(source).into_owned();
    let names: Vec<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("class ").or_else(|| line.strip_prefix("def ")))
        .map(|rest| rest.chars().take_while(|character| character.is_alphanumeric() || *character == '_').collect())
        .collect();
    names.into_iter()
}

/// Absolute paths, and paths with a `..` in them.
fn leaves_its_folder(name: &str) -> bool {
    name.starts_with('/') || name.starts_with('\\') || name.split(['/', '\\']).any(|part| part == "..")
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::jobs::testing::JobFolder;

    fn read(job: JobFolder) -> JobContent {
        let mut archive = Archive::open(Cursor::new(job.zip())).unwrap();
        let definition = JobDefinition::read("j", &mut archive, crate::release::Release::V2_9).unwrap();
        JobContent::read(&definition, &mut archive, &[], Moment::default()).unwrap()
    }

    #[test]
    fn an_app_is_summed_up() {
        let job = JobFolder::hello("j").app_file("custom/pkg/net.py", b"import x\nclass Net(Base):\n  def f(): pass\n");
        let content = read(job);
        let app = &content.apps["app"];
        assert_eq!((app.trust.get(), app.has_custom_code, content.is_unsafe), (&Trust::Unsigned, true, false));
        assert_eq!(app.custom_classes, ["pkg.net.Net"]);
        assert!(app.server_config.is_some() && app.client_config.is_some());
        assert!(app.files.contains(&("j/app/custom/pkg/net.py".into(), "custom/pkg/net.py".into())));
    }

    #[test]
    fn members_that_leave_their_folder_are_noticed() {
        for path in ["../x", "j/../../x", "/x", "j/a\\..\\b"] {
            assert!(read(JobFolder::hello("j").file(path, b"")).is_unsafe, "{path}");
        }
        assert!(!read(JobFolder::hello("j").file("j/..x", b"")).is_unsafe);
    }
}
