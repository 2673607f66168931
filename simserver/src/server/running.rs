//! A server that runs.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use flare_wire::Moment;
use tokio::sync::{Mutex, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::builder::Prepared;
use super::kit_store::KitStore;
use super::{SimServerBuilder, StartError};
use crate::core::{Sim, Timer, TimerName};
use crate::driver::{Driver, Life, Phase};
use crate::faults::{Fault, FaultGuard};
use crate::kits::{KitError, Participant};
use crate::listen::{Addresses, Door, Ports, ReservedPort};
use crate::pki::{Identity, Subject, Validity};
use crate::project::{Project, Role};

/// Deadlines that one call jumps over. There are a few for every job and session; beyond this something is waited for
/// again and again, and what the caller hopes for will not come.
const MAX_JUMPS: usize = 1_000_000;

/// A running simulated FLARE server.
///
/// Dropping it ends its connections and tasks and frees its port as soon as the runtime gets to it;
/// [`SimServer::shutdown`] waits for that. Any number of servers can run in one process.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use flare_simserver::SimServer;
/// use flare_simserver::project::Role;
///
/// let server = SimServer::start().await?;
/// let kit = server.admin_kit(Role::Lead)?;
/// // Any FLARE client can log in with this kit now.
/// assert!(kit.join("startup/fed_admin.json").is_file());
/// server.shutdown().await;
/// # Ok(())
/// # }
/// ```
pub struct SimServer {
    project: Project,
    place: Place,
    kits: KitStore,
    running: Mutex<Running>,
}

/// The tasks of a server between two restarts from outside.
struct Running {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

/// What connections of one server have in common.
#[derive(Clone)]
struct Place {
    /// One of a pair has another address after a switch.
    address: watch::Sender<SocketAddr>,
    /// Where sites connect, when it is not the same.
    site_address: Option<SocketAddr>,
    door: Door,
    handshake_timeout: Duration,
    driver: Arc<Driver>,
    /// True when a command has ended the server, and nothing listens any more.
    stopped: watch::Sender<bool>,
}

/// How the process of a server ends before it starts again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Restart {
    /// It ends its connections in order.
    Graceful,
    /// It is killed: its connections break without a word.
    Kill,
}

impl SimServer {
    /// Starts a server that plays [`Project::default_demo`] on any free port.
    ///
    /// # Errors
    /// [`StartError`].
    ///
    /// # Cancel safety
    /// Dropping the future starts nothing.
    pub async fn start() -> Result<Self, StartError> {
        Self::builder().start().await
    }

    /// Sets up a server.
    pub fn builder() -> SimServerBuilder {
        SimServerBuilder::default()
    }

    pub(super) fn run(prepared: Prepared, ports: Ports) -> Self {
        let Prepared { project, door, driver, kits, handshake_timeout } = prepared;
        let Addresses { admins, sites } = ports.addresses();
        let place = Place {
            address: watch::Sender::new(admins),
            site_address: sites,
            door,
            handshake_timeout,
            driver,
            stopped: watch::Sender::new(false),
        };
        let running = Mutex::new(Running::start(ports, place.clone()));
        Self { project, place, kits, running }
    }

    /// The port it listens on for admins, which their kits name; mostly also that of sites.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address().port()
    }

    /// The port it listens on for sites, which their kits name. Another than that of admins where the project has two;
    /// admins are not let in there with mutual TLS.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::SimServer;
    /// use flare_simserver::project::Project;
    ///
    /// let server = SimServer::builder().project(Project::default_demo().with_ports(8002, 8003)).start().await?;
    /// assert_ne!(server.site_port(), server.port());
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn site_port(&self) -> u16 {
        self.place.site_address.map_or_else(|| self.port(), |address| address.port())
    }

    /// The address it listens on for admins.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        *self.place.address.borrow()
    }

    /// The federation it plays.
    #[must_use]
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// The startup kit of the participant `name`. Without a workspace it is written when it is first asked for,
    /// which takes tens of milliseconds.
    ///
    /// # Errors
    /// When the project has no such participant, or the kit cannot be written.
    pub fn kit(&self, name: &str) -> Result<PathBuf, KitError> {
        let participant = Participant::all(&self.project)
            .find(|participant| participant.name() == name)
            .ok_or_else(|| KitError::UnknownParticipant(name.to_owned()))?;
        self.kits.kit(&self.project, participant)
    }

    /// The startup kit of the first admin with `role`.
    ///
    /// # Errors
    /// As [`SimServer::kit`].
    pub fn admin_kit(&self, role: impl Into<Role>) -> Result<PathBuf, KitError> {
        let role = role.into();
        let admin = self
            .project
            .admin_of_role(&role)
            .ok_or_else(|| KitError::UnknownParticipant(format!("admin with the role {role}")))?;
        self.kits.kit(&self.project, Participant::Admin(admin))
    }

    /// Writes the kits that are not yet written, and returns the directory that holds one kit per participant.
    ///
    /// # Errors
    /// As [`SimServer::kit`].
    pub fn all_kits(&self) -> Result<PathBuf, KitError> {
        for participant in Participant::all(&self.project) {
            self.kits.kit(&self.project, participant)?;
        }
        Ok(self.kits.directory().to_owned())
    }

    /// Issues a certificate from the project's root with a new key: for a test that needs one that provisioning
    /// would not make, say an expired one.
    ///
    /// # Errors
    /// When a name cannot stand in a certificate.
    pub fn issue(&self, subject: &Subject, validity: Validity) -> Result<Identity, KitError> {
        self.kits.issue(subject, validity)
    }

    /// The simulated time: that of the clock, and what [`SimServer::skip_time`] and the jumps have added.
    #[must_use]
    pub fn now(&self) -> Moment {
        self.place.driver.with_sim(|_, now| now)
    }

    /// Moves the simulated time ahead, as if the server had been idle for that long: sessions expire, sites fall
    /// silent. Connections and certificates keep to the real time.
    pub fn skip_time(&self, time: Duration) {
        self.place.driver.skip(time);
    }

    /// What is waited for next, and when it is due; `None` when nothing happens by itself.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::{ClockMode, SimServer};
    ///
    /// let server = SimServer::builder().clock(ClockMode::Manual).start().await?;
    /// assert_eq!(server.next_timer(), None);
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn next_timer(&self) -> Option<Timer> {
        self.place.driver.with_sim(|sim, _| sim.timers().into_iter().next())
    }

    /// Moves the simulated time to what is waited for next, and lets it happen. Returns what that was; `None` when
    /// nothing is waited for, and then the time stays.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::{ClockMode, SimServer};
    ///
    /// let server = SimServer::builder().clock(ClockMode::Manual).start().await?;
    /// assert_eq!(server.jump_to_next(), None);
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn jump_to_next(&self) -> Option<Timer> {
        self.place.driver.jump()
    }

    /// Jumps from deadline to deadline until this one has come; everything that is due before it happens as well.
    /// Returns false when it does not come: nothing is waited for any more.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::core::TimerName;
    /// use flare_simserver::{ClockMode, SimServer};
    ///
    /// let server = SimServer::builder().clock(ClockMode::Manual).start().await?;
    /// // Nobody is logged in, so no session ends.
    /// assert!(!server.jump_to(&TimerName::SessionSweep));
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn jump_to(&self, name: &TimerName) -> bool {
        let mut jumps = std::iter::from_fn(|| self.jump_to_next()).take(MAX_JUMPS);
        jumps.any(|timer| timer.name == *name)
    }

    /// Jumps from deadline to deadline until `is_so` holds, which is asked first before the first jump. Returns
    /// false when it never does: nothing is waited for any more.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::{ClockMode, SimServer};
    ///
    /// let server = SimServer::builder().clock(ClockMode::Manual).start().await?;
    /// assert!(server.jump_until(|sim, _| sim.sessions().count() == 0));
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn jump_until(&self, mut is_so: impl FnMut(&Sim, Moment) -> bool) -> bool {
        for _ in 0..MAX_JUMPS {
            if self.place.driver.with_sim(|sim, now| is_so(sim, now)) {
                return true;
            }
            if self.jump_to_next().is_none() {
                return false;
            }
        }
        false
    }

    /// Makes connections faulty until the guard is dropped; those that stand now as well as those to come.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::SimServer;
    /// use flare_simserver::faults::{Direction, Fault};
    ///
    /// let server = SimServer::start().await?;
    /// let guard = server.inject(Fault::on(Direction::ToClient).nth_frame(5).cut_before());
    /// // The fifth frame that the server sends takes the connection with it.
    /// drop(guard);
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn inject(&self, fault: Fault) -> FaultGuard {
        self.place.driver.faults().inject(fault)
    }

    /// Looks at the simulation or changes it, between two requests: sessions, what sites answer, studies, jobs.
    /// `act` also gets the simulated time.
    ///
    /// Nothing else happens on the server meanwhile, so `act` should be short.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::SimServer;
    /// use flare_simserver::core::SiteBehaviour;
    ///
    /// let server = SimServer::start().await?;
    /// server.control(|sim, now| sim.set_site_behaviour(now, "site-1", SiteBehaviour::Silent));
    /// assert_eq!(server.control(|sim, _| sim.sessions().count()), 0);
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn control<T>(&self, act: impl FnOnce(&mut Sim, Moment) -> T) -> T {
        self.place.driver.with_sim(act)
    }

    /// Ends the server and starts it again, on the same port and with the same kits.
    ///
    /// What a real server keeps on its disk is kept: jobs, submit records, studies, workspaces. Its sessions are gone,
    /// but a token of one brings it back; so are downloads and half uploads. Jobs that ran stay RUNNING for ever.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use flare_simserver::{Restart, SimServer};
    ///
    /// let server = SimServer::start().await?;
    /// let port = server.port();
    /// server.restart(Restart::Kill).await?;
    /// assert_eq!(server.port(), port);
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`StartError::Listen`] when somebody has taken the port and keeps it. The server is down then; another restart
    /// may bring it up.
    ///
    /// # Cancel safety
    /// Dropping the future may leave the server down until it is restarted again.
    pub async fn restart(&self, how: Restart) -> Result<(), StartError> {
        self.restart_after(how, Duration::ZERO).await
    }

    /// [Restarts](Self::restart) the server, which stays away for a while: who connects meanwhile is refused.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// use flare_simserver::{Restart, SimServer};
    ///
    /// let server = SimServer::start().await?;
    /// server.restart_after(Restart::Graceful, Duration::from_millis(50)).await?;
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`SimServer::restart`].
    ///
    /// # Cancel safety
    /// As [`SimServer::restart`].
    pub async fn restart_after(&self, how: Restart, away: Duration) -> Result<(), StartError> {
        let mut running = self.running.lock().await;
        running.end(how).await;
        self.place.driver.restart();
        sleep(away).await;
        let ports = self.place.listen().await.map_err(|source| self.cannot_listen(self.address(), source))?;
        self.place.stopped.send_replace(false);
        *running = Running::start(ports, self.place.clone());
        Ok(())
    }

    /// [Restarts](Self::restart) the server at a reserved port, and reserves the one that it had.
    pub(super) async fn restart_at(&self, how: Restart, next: &mut Option<ReservedPort>) -> Result<(), StartError> {
        let mut running = self.running.lock().await;
        running.end(how).await;
        self.place.driver.restart();
        let before = self.address();
        if let Some(reserved) = next.take() {
            let address = reserved.address();
            let ports = Ports::with_admins(reserved, self.place.site_address).await;
            let ports = ports.map_err(|source| self.cannot_listen(address, source))?;
            self.place.address.send_replace(address);
            self.place.stopped.send_replace(false);
            *running = Running::start(ports, self.place.clone());
        }
        let reserved = ReservedPort::bind(before.ip(), before.port());
        *next = Some(reserved.map_err(|source| self.cannot_listen(before, source))?);
        Ok(())
    }

    fn cannot_listen(&self, address: SocketAddr, source: io::Error) -> StartError {
        StartError::Listen { address: address.ip(), port: address.port(), source }
    }

    /// True when the command `shutdown` has ended the server: its connections are gone and its port is closed.
    /// [`SimServer::restart`] starts it again, but not its sites.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let server = flare_simserver::SimServer::start().await?;
    /// assert!(!server.is_stopped());
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        *self.place.stopped.borrow()
    }

    /// Waits until the command `shutdown` has ended the server, see [`SimServer::is_stopped`].
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let server = flare_simserver::SimServer::start().await?;
    /// let waited = tokio::time::timeout(Duration::from_millis(10), server.stopped()).await;
    /// assert!(waited.is_err(), "nobody has told it to end");
    /// # server.shutdown().await;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Cancel safety
    /// Safe.
    pub async fn stopped(&self) {
        // The sender lives as long as this does.
        let _ = self.place.stopped.subscribe().wait_for(|stopped| *stopped).await;
    }

    /// Ends every connection in order, and returns when nothing of the server is left.
    ///
    /// # Cancel safety
    /// Dropping the future ends the server all the same, but does not wait for it.
    pub async fn shutdown(mut self) {
        self.running.get_mut().end(Restart::Graceful).await;
    }
}

impl Place {
    async fn listen(&self) -> io::Result<Ports> {
        let admins = *self.address.borrow();
        Ports::bind_again(Addresses { admins, sites: self.site_address }).await
    }

    /// Serves connections, and obeys the commands that end the server and start it again, until `stop` says so or a
    /// command has ended it for good.
    async fn serve(self, mut ports: Ports, mut stop: watch::Receiver<bool>) {
        let mut life = self.driver.life();
        let mut ends = life.borrow().ends;
        loop {
            let (close, closed) = watch::channel(false);
            let ports_of_process = ports.with_handshake_timeout(self.handshake_timeout);
            let mut served = Box::pin(ports_of_process.run(self.door.clone(), Arc::clone(&self.driver), closed));
            let is_final = tokio::select! {
                () = &mut served => return,
                _ = until(&mut stop, |stop| *stop) => true,
                _ = until(&mut life, |life| life.ends != ends) => false,
            };
            if is_final || !life.borrow().was_killed {
                close.send_replace(true);
                served.as_mut().await;
            }
            // With it go the sockets, and the connections of one that was killed.
            drop(served);
            if is_final {
                return;
            }
            ends = life.borrow().ends;
            ports = match self.next(&mut life, &mut stop).await {
                Some(ports) => ports,
                None => return,
            };
        }
    }

    /// The sockets of the next process; none when there is not going to be one.
    async fn next(&self, life: &mut watch::Receiver<Life>, stop: &mut watch::Receiver<bool>) -> Option<Ports> {
        let life = tokio::select! {
            _ = until(stop, |stop| *stop) => return None,
            life = until(life, |life| life.phase != Phase::Away) => life?,
        };
        if life.phase == Phase::Up {
            match self.listen().await {
                Ok(ports) => return Some(ports),
                Err(error) => {
                    tracing::error!(%error, address = %*self.address.borrow(), "somebody has taken the server's port")
                }
            }
        }
        self.stopped.send_replace(true);
        None
    }
}

/// Waits for a value; `None` when there is nobody left to send one.
async fn until<T: Copy>(receiver: &mut watch::Receiver<T>, is_so: impl FnMut(&T) -> bool) -> Option<T> {
    receiver.wait_for(is_so).await.ok().map(|value| *value)
}

impl Running {
    fn start(ports: Ports, place: Place) -> Self {
        let (stop, stopped) = watch::channel(false);
        let driver = Arc::clone(&place.driver);
        let task = tokio::spawn(async move {
            tokio::select! {
                () = driver.run() => {}
                () = place.serve(ports, stopped) => {}
            }
        });
        Self { stop, task }
    }

    /// Returns when nothing is left of it.
    async fn end(&mut self, how: Restart) {
        match how {
            Restart::Graceful => drop(self.stop.send_replace(true)),
            Restart::Kill => self.task.abort(),
        }
        if !self.task.is_finished() {
            // That it was aborted is no failure, and a panic was reported where it happened.
            let _ = (&mut self.task).await;
        }
    }
}

impl Drop for SimServer {
    fn drop(&mut self) {
        self.running.get_mut().task.abort();
    }
}

impl fmt::Debug for SimServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SimServer")
            .field("project", &self.project.name())
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}
