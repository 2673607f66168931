//! The section `studies` of a project (`api_version: 4`).

use serde_json::{Map, Value};

use super::names::NameKind;
use super::{Project, ProjectError, ProjectErrorKind};

/// A study that a project declares: which sites of which organisations, and which admins, belong to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Study {
    name: String,
    site_orgs: Vec<(String, Vec<String>)>,
    admins: Vec<String>,
}

impl Study {
    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Sites by organisation, in the order of the project.
    #[must_use]
    pub fn site_orgs(&self) -> &[(String, Vec<String>)] {
        &self.site_orgs
    }

    /// Admins that may log in to the study.
    #[must_use]
    pub fn admins(&self) -> &[String] {
        &self.admins
    }

    /// As provisioning writes it into `study_registry.json`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let site_orgs: Map<String, Value> =
            self.site_orgs.iter().map(|(org, sites)| (org.clone(), sites.clone().into())).collect();
        let mut study = Map::new();
        study.insert("site_orgs".to_owned(), site_orgs.into());
        study.insert("admins".to_owned(), self.admins.clone().into());
        study.into()
    }
}

/// Checks the declared studies against the participants of `project`, as provisioning does.
pub(super) fn read(declared: &Map<String, Value>, project: &Project) -> Result<Vec<Study>, ProjectError> {
    declared.iter().map(|(name, study)| read_study(name, study, project)).collect()
}

fn read_study(name: &str, declared: &Value, project: &Project) -> Result<Study, ProjectError> {
    let wrong = |problem: String| ProjectError::from(ProjectErrorKind::Study { name: name.to_owned(), problem });
    NameKind::Study.check(name)?;
    if name == "default" {
        return Err(wrong("the name is reserved".to_owned()));
    }
    let empty = Map::new();
    let declared = match declared {
        Value::Null => &empty,
        Value::Object(declared) => declared,
        _ => return Err(wrong("must be a mapping".to_owned())),
    };

    let mut site_orgs: Vec<(String, Vec<String>)> = Vec::new();
    let declared_orgs = match declared.get("site_orgs") {
        None | Some(Value::Null) => &empty,
        Some(Value::Object(orgs)) => orgs,
        Some(_) => return Err(wrong("site_orgs must be a mapping".to_owned())),
    };
    for (org, declared_sites) in declared_orgs {
        if !has_organization(project, org) {
            return Err(wrong(format!("unknown org '{org}'")));
        }
        let declared_sites =
            names(declared_sites).ok_or_else(|| wrong(format!("the sites of org '{org}' must be a list of names")))?;
        let mut sites = Vec::new();
        for site in declared_sites {
            let known = project.sites().iter().find(|candidate| candidate.name() == site);
            match known {
                None => return Err(wrong(format!("unknown client '{site}'"))),
                Some(known) if known.org() != org => {
                    return Err(wrong(format!("client '{site}' belongs to org '{}', not '{org}'", known.org())));
                }
                Some(_) if sites.contains(&site) => return Err(wrong(format!("client '{site}' is listed twice"))),
                Some(_) => sites.push(site),
            }
        }
        site_orgs.push((org.clone(), sites));
    }

    let declared_admins = match declared.get("admins") {
        None | Some(Value::Null) => Vec::new(),
        Some(list) => names(list).ok_or_else(|| wrong("admins must be a list of names".to_owned()))?,
    };
    let mut admins = Vec::new();
    for admin in declared_admins {
        if !project.admins().iter().any(|candidate| candidate.name() == admin) {
            return Err(wrong(format!("unknown admin '{admin}'")));
        }
        if !admins.contains(&admin) {
            admins.push(admin);
        }
    }
    Ok(Study { name: name.to_owned(), site_orgs, admins })
}

fn has_organization(project: &Project, org: &str) -> bool {
    project.server().org() == org
        || project.sites().iter().any(|site| site.org() == org)
        || project.admins().iter().any(|admin| admin.org() == org)
}

/// The strings of a list; none when it is no list of strings.
fn names(list: &Value) -> Option<Vec<String>> {
    list.as_array()?.iter().map(|name| name.as_str().map(str::to_owned)).collect()
}
