//! What a case works with.

use std::sync::Arc;

use flare_client::{Session, StartupKit, StudyName};

use crate::kits::{AdminKit, RootKey};
use crate::raw::{Admin, DOOR};
use crate::scope::{self, Tap};
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

    /// The same surroundings on a target that this case has for itself; see [`Target::can_be_had_alone`].
    ///
    /// # Errors
    /// When such a target cannot be started.
    pub(crate) async fn alone(&self) -> CaseResult<Self> {
        Ok(Self { target: self.target.alone().await? })
    }

    /// The same surroundings on the target where things are made.
    ///
    /// # Errors
    /// When such a target cannot be started.
    pub(crate) async fn workshop(&self) -> CaseResult<Self> {
        Ok(Self { target: self.target.workshop().await? })
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
        self.connect_to(kit, StudyName::default()).await
    }

    /// A session of our client with this kit in a study.
    ///
    /// # Errors
    /// Fails when the client cannot log in.
    pub async fn connect_to(&self, kit: &AdminKit, study: StudyName) -> CaseResult<Session> {
        let connected = self.connect_to_raw(kit, study).await?;
        connected.map_err(|error| Finding::from(error).during(&format!("login of {}", kit.user)))
    }

    /// The same for a login that may fail: gives what the client says.
    ///
    /// # Errors
    /// When the client is not even asked.
    pub(crate) async fn connect_to_raw(
        &self,
        kit: &AdminKit,
        study: StudyName,
    ) -> CaseResult<flare_client::Result<Session>> {
        let tap = Tap::new(&kit.user);
        let builder = Session::builder(StartupKit::open(&kit.path)?).study(study);
        let builder = builder.observer(move |seen| tap.observe(seen));
        let turn = DOOR.acquire().await.map_err(|error| Finding::harness(error.to_string()))?;
        let connected = builder.connect().await;
        drop(turn);
        Ok(connected)
    }

    /// A session of our client as such an administrator.
    ///
    /// # Errors
    /// Untestable when there is none; fails when the client cannot log in.
    pub async fn session(&self, who: Who) -> CaseResult<Session> {
        self.connect(self.kit(who)?).await
    }

    /// A session as such an administrator that other cases use as well: not to be closed, nor to be given a timeout.
    ///
    /// # Errors
    /// Untestable when there is no kit; fails when the client cannot log in.
    pub(crate) async fn shared(&self, who: Who) -> CaseResult<Session> {
        let mut sessions = self.target.shared().lock().await;
        if let Some(session) = sessions.get(&who) {
            return Ok(session.clone());
        }
        let session = self.session(who).await?;
        sessions.insert(who, session.clone());
        Ok(session)
    }

    /// A raw endpoint that is logged in as such an administrator, for one command that leaves the session as it is; it may
    /// have served other cases. A run with a seed has a new one for every case, so that its names are those of the seed.
    ///
    /// # Errors
    /// Untestable when there is no kit; fails when the login does.
    pub(crate) async fn spare_admin(&self, who: Who) -> CaseResult<Admin> {
        let spare = if scope::is_seeded() { None } else { self.target.spares().take(who) };
        match spare {
            Some(admin) => Ok(admin),
            None => Admin::login(self.kit(who)?).await,
        }
    }

    /// The key of the project's root.
    ///
    /// # Errors
    /// Untestable when it is not at hand.
    pub fn root_key(&self) -> CaseResult<RootKey> {
        self.target.root_key().ok_or_else(|| Target::lacks(Need::RootKey))
    }
}
