//! Studies, as the server shows them to the caller.

use std::collections::BTreeMap;

use flare_wire::hci::JsonObject;
use serde_json::Value;

use super::SiteName;
use super::fields::Fields;
use crate::Error;

/// The sites that a command puts into a study or takes out of it. Servers want the one form of organisation admins and
/// the other of project admins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StudySites {
    /// Sites of the caller's own organisation: the form of organisation admins.
    Sites(Vec<SiteName>),
    /// Sites by organisation: the form of project admins.
    SiteOrgs(Vec<(String, Vec<SiteName>)>),
}

impl StudySites {
    /// Sites of the caller's own organisation.
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) without sites, and for a name that is none.
    pub fn sites<I>(names: I) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        site_names(names).map(Self::Sites)
    }

    /// Sites of an organisation; more organisations are added with [`and_org`](StudySites::and_org).
    ///
    /// # Errors
    /// [`InvalidArgument`](crate::ErrorKind::InvalidArgument) without sites, for a name of a site that is none, and for
    /// one of an organisation that has other characters than letters, digits and underscores.
    pub fn of_org<I>(org: &str, names: I) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        Ok(Self::SiteOrgs(vec![(checked_org(org)?, site_names(names)?)]))
    }

    /// Adds the sites of one more organisation.
    ///
    /// # Errors
    /// As [`of_org`](StudySites::of_org), and for sites without organisations: a command takes one form only.
    pub fn and_org<I>(self, org: &str, names: I) -> Result<Self, Error>
    where
        I: IntoIterator,
        I::Item: Into<String>,
    {
        match self {
            Self::Sites(_) => Err(Error::argument("sites and sites by organisation are mutually exclusive")),
            Self::SiteOrgs(mut orgs) => {
                orgs.push((checked_org(org)?, site_names(names)?));
                Ok(Self::SiteOrgs(orgs))
            }
        }
    }

    /// The words of the command line.
    pub(crate) fn words(&self) -> Vec<String> {
        let joined = |sites: &[SiteName]| sites.iter().map(SiteName::as_str).collect::<Vec<_>>().join(",");
        match self {
            Self::Sites(sites) => vec!["--sites".to_owned(), joined(sites)],
            Self::SiteOrgs(orgs) => {
                let words = |(org, sites): &(String, Vec<SiteName>)| {
                    ["--site-org".to_owned(), format!("{org}:{}", joined(sites))]
                };
                orgs.iter().flat_map(words).collect()
            }
        }
    }
}

fn site_names<I>(names: I) -> Result<Vec<SiteName>, Error>
where
    I: IntoIterator,
    I::Item: Into<String>,
{
    let names: Vec<SiteName> = names.into_iter().map(SiteName::new).collect::<Result<_, _>>()?;
    if names.is_empty() { Err(Error::argument("sites are required")) } else { Ok(names) }
}

fn checked_org(org: &str) -> Result<String, Error> {
    if !org.is_empty() && org.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return Ok(org.to_owned());
    }
    Err(Error::argument(format!("organisation {org:?} must be letters, digits or underscores")))
}

/// A study.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Study {
    /// The name.
    pub name: String,
    /// Its sites by organisation; an organisation may have none.
    pub site_orgs: BTreeMap<String, Vec<String>>,
    /// All its sites, in alphabetical order.
    pub sites: Vec<String>,
    /// The users who may open sessions in it.
    pub users: Vec<String>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl Study {
    pub(crate) fn read(object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self {
            name: fields.text("name").unwrap_or_default(),
            site_orgs: fields.object("site_orgs").map(site_orgs).unwrap_or_default(),
            sites: fields.texts("sites").unwrap_or_default(),
            users: fields.texts("users").unwrap_or_default(),
            extra: fields.extra(),
        }
    }
}

fn site_orgs(orgs: JsonObject) -> BTreeMap<String, Vec<String>> {
    let texts = |sites: Value| match sites {
        Value::Array(sites) => sites.iter().filter_map(|site| site.as_str().map(str::to_owned)).collect(),
        _ => Vec::new(),
    };
    orgs.into_iter().map(|(org, sites)| (org, texts(sites))).collect()
}

/// What became of the sites of a study. The lists of the other command are empty.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StudySiteChange {
    /// The study's name.
    pub study: String,
    /// Sites that were added.
    pub added: Vec<String>,
    /// Sites that were to be added, and were there already.
    pub already_enrolled: Vec<String>,
    /// Sites that were removed.
    pub removed: Vec<String>,
    /// Sites that were to be removed, and were not there.
    pub not_enrolled: Vec<String>,
    /// The sites by organisation now; an organisation may have none.
    pub site_orgs: BTreeMap<String, Vec<String>>,
    /// All sites now, in alphabetical order.
    pub sites: Vec<String>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl StudySiteChange {
    pub(crate) fn read(object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self {
            study: fields.text("study").unwrap_or_default(),
            added: fields.texts("added").unwrap_or_default(),
            already_enrolled: fields.texts("already_enrolled").unwrap_or_default(),
            removed: fields.texts("removed").unwrap_or_default(),
            not_enrolled: fields.texts("not_enrolled").unwrap_or_default(),
            site_orgs: fields.object("site_orgs").map(site_orgs).unwrap_or_default(),
            sites: fields.texts("sites").unwrap_or_default(),
            extra: fields.extra(),
        }
    }
}

/// A study that was removed.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RemovedStudy {
    /// Its name.
    pub name: String,
    /// That it was removed.
    pub removed: Option<bool>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl RemovedStudy {
    pub(crate) fn read(object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self { name: fields.text("name").unwrap_or_default(), removed: fields.flag("removed"), extra: fields.extra() }
    }
}

/// A user who was added to a study or removed from it.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StudyUser {
    /// The study's name.
    pub study: String,
    /// The user's name.
    pub user: String,
    /// That the user was removed; `None` for one who was added.
    pub removed: Option<bool>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl StudyUser {
    pub(crate) fn read(object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self {
            study: fields.text("study").unwrap_or_default(),
            user: fields.text("user").unwrap_or_default(),
            removed: fields.flag("removed"),
            extra: fields.extra(),
        }
    }
}

/// The studies that the caller may see.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StudyListing {
    /// Who is asking, in the server's eyes.
    pub identity: Identity,
    /// The names.
    pub studies: Vec<String>,
    /// What the caller may do in each.
    pub details: Vec<StudyDetail>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl StudyListing {
    pub(crate) fn read(object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self {
            identity: fields.object("identity").map(Identity::read).unwrap_or_default(),
            studies: fields.texts("studies").unwrap_or_default(),
            details: fields.objects("study_details", StudyDetail::read).unwrap_or_default(),
            extra: fields.extra(),
        }
    }
}

/// A user as the server knows it from the certificate.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Identity {
    /// The user's name.
    pub name: Option<String>,
    /// The user's organisation.
    pub org: Option<String>,
    /// The user's role.
    pub role: Option<String>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl Identity {
    fn read(object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self { name: fields.text("name"), org: fields.text("org"), role: fields.text("role"), extra: fields.extra() }
    }
}

/// What the caller may do in a study.
#[non_exhaustive]
#[derive(Debug, Clone, PartialEq, Default)]
pub struct StudyDetail {
    /// The name.
    pub name: String,
    /// The caller's role in it.
    pub role: Option<String>,
    /// Whether the caller may submit jobs to it.
    pub can_submit_job: Option<bool>,
    /// Why not.
    pub reason: Option<String>,
    /// All capabilities, by name.
    pub capabilities: Option<JsonObject>,
    /// What this library does not know.
    pub extra: JsonObject,
}

impl StudyDetail {
    fn read(object: JsonObject) -> Self {
        let mut fields = Fields::of(object);
        Self {
            name: fields.text("name").unwrap_or_default(),
            role: fields.text("role"),
            can_submit_job: fields.flag("can_submit_job"),
            reason: fields.text("reason"),
            capabilities: fields.object("capabilities"),
            extra: fields.extra(),
        }
    }
}
