//! What a case works with.

use std::sync::Arc;

use flare_client::{Session, StartupKit};

use crate::kits::{AdminKit, RootKey};
use crate::raw::DOOR;
use crate::{CaseResult, Finding, Home, Need, Target, Who};

/// The surroundings of one case: the target it runs on.
#[derive(Debug, Clone)]
pub struct Context {
    target: Arc<Target>,
}

impl Context {
    /// A context on `target`.
    #[must_use]
    pub fn new(target: Arc<Target>) -> Self {
        Self { target }
    }

    /// The target.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The kit of such an administrator.
    ///
    /// # Errors
    /// Untestable when there is none.
    pub fn kit(&self, who: Who) -> CaseResult<&AdminKit> {
        self.target.admin(who).ok_or_else(|| Target::lacks(Need::Admin(who)))
    }

    /// The kit of some administrator, for what does not depend on role and organisation.
    ///
    /// # Errors
    /// Untestable when there is none.
    pub fn any_kit(&self) -> CaseResult<&AdminKit> {
        self.target.any_admin().ok_or_else(|| Finding::untestable("the target lacks: kit of any administrator"))
    }

    /// The name of a site of such an organisation.
    ///
    /// # Errors
    /// Untestable when there is none.
    pub fn site(&self, home: Home) -> CaseResult<&str> {
        let site = self.target.site(home).ok_or_else(|| Target::lacks(Need::Site(home)))?;
        Ok(&site.name)
    }

    /// A session of our client with this kit.
    ///
    /// # Errors
    /// Fails when the client cannot log in.
    pub async fn connect(&self, kit: &AdminKit) -> CaseResult<Session> {
        let builder = Session::builder(StartupKit::open(&kit.path)?);
        let turn = DOOR.acquire().await.map_err(|error| Finding::harness(error.to_string()))?;
        let connected = builder.connect().await;
        drop(turn);
        connected.map_err(|error| Finding::from(error).during(&format!("login of {}", kit.user)))
    }

    /// A session of our client as such an administrator.
    ///
    /// # Errors
    /// Untestable when there is none; fails when the client cannot log in.
    pub async fn session(&self, who: Who) -> CaseResult<Session> {
        self.connect(self.kit(who)?).await
    }

    /// The key of the project's root.
    ///
    /// # Errors
    /// Untestable when it is not at hand.
    pub fn root_key(&self) -> CaseResult<RootKey> {
        self.target.root_key().ok_or_else(|| Target::lacks(Need::RootKey))
    }
}
