//! From an uploaded archive to a job definition, or to the refusal that the real server sends.
//!
//! Source: `reference/server-behaviour.md` section 15 and the meta validator of nvflare 2.9.0.

mod config_file;
mod docker;
mod participants;
mod refusal;
mod resources;
mod rules;
#[cfg(test)]
mod tests;

use std::io::{Read, Seek};

use flare_wire::hci::JsonObject;
use serde_json::Value;

use super::archive::Archive;
use super::python::{ExceptionClass, PythonError, is_truthy, type_name};
use crate::release::Release;

pub use config_file::load as load_config;
pub use participants::{ALL_SITES, SERVER_SITE, is_all_sites, participants};
pub use refusal::Refusal;
pub use resources::{launcher_brings_code, resource_requirement};

/// The key under which a user's meta may not smuggle in a submit token.
const SUBMIT_TOKEN: &str = "submit_token";

/// A job whose definition was found to be right.
#[derive(Debug, Clone, PartialEq)]
pub struct JobDefinition {
    /// The folder in the archive that holds the job, as the command named it.
    pub folder: String,
    /// The user's meta; `byoc` and `flower_predeployed` say what the content says.
    pub meta: JsonObject,
}

impl JobDefinition {
    /// Reads and checks the job in `folder` of an archive, as this release does.
    ///
    /// # Errors
    /// The refusal of the real server over the first rule that is broken.
    pub fn read<R: Read + Seek>(folder: &str, archive: &mut Archive<R>, release: Release) -> Result<Self, Refusal> {
        let mut meta = read_meta(folder, archive, release)?;
        let clients = rules::deploy_map(folder, &meta, release)?;
        rules::apps(folder, &mut meta, archive, release)?;
        rules::min_clients(folder, &meta, &clients)?;
        resources::resource_spec(folder, &meta, release)?;
        resources::launcher_spec(folder, &meta, release)?;
        if release >= Release::V2_9 {
            resources::conflicts(&meta)?;
        }
        rules::mandatory_clients(folder, &meta, &clients)?;
        meta.shift_remove(SUBMIT_TOKEN);
        Ok(Self { folder: folder.to_owned(), meta })
    }

    /// Checks that a study has every site that the job names; `enrolled` is `None` for a study without a list.
    ///
    /// # Errors
    /// [`Refusal::Definition`] naming the sites that are not enrolled.
    pub fn check_study(&self, study: &str, enrolled: Option<&[String]>) -> Result<(), Refusal> {
        let Some(enrolled) = enrolled else { return Ok(()) };
        let mut outside: Vec<String> = Vec::new();
        for entry in self.meta.get("deploy_map").and_then(Value::as_object).into_iter().flat_map(|map| map.values()) {
            for site in participants(entry)? {
                let quoted = format!("'{site}'");
                let counts = site != SERVER_SITE && !is_all_sites(site) && !enrolled.iter().any(|name| name == site);
                if counts && !outside.contains(&quoted) {
                    outside.push(quoted);
                }
            }
        }
        match outside.as_slice() {
            [] => Ok(()),
            [site] => Err(Refusal::Definition(format!("site {site} is not enrolled in study '{study}'"))),
            sites => {
                Err(Refusal::Definition(format!("sites {} are not enrolled in study '{study}'", sites.join(", "))))
            }
        }
    }
}

/// The user's meta. Any file that is empty in Python's sense counts as missing.
fn read_meta<R: Read + Seek>(
    folder: &str,
    archive: &mut Archive<R>,
    release: Release,
) -> Result<JsonObject, PythonError> {
    let meta = config_file::load(archive, &format!("{folder}/meta"))?.filter(is_truthy);
    match meta {
        Some(Value::Object(meta)) => {
            if release >= Release::V2_8
                && let Some(id) = meta.get("job_id").filter(|id| is_truthy(id))
            {
                rules::job_id(id)?;
            }
            Ok(meta)
        }
        Some(other) => Err(PythonError::new(
            ExceptionClass::Attribute,
            format!("'{}' object has no attribute 'get'", type_name(&other)),
        )),
        None => Err(PythonError::value(format!(
            "meta.[json|conf|yml] not existing for job {folder}, possible in legacy job format.  Please upgrade the \
             job structure."
        ))),
    }
}
