//! Faults of connections: rules that let frames get lost, change, or take the connection with them.
//!
//! A rule looks at the frames that pass in one direction, counts those it is about, and strikes at all of them or at
//! one. It wraps the link of every connection of its server and knows nothing of what the frames mean to the simulation.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use flare_wire::cell::{Message, headers};
use flare_wire::frame::{Frame, FrameKind, PREFIX_LEN};
use serde::Deserialize;

/// Which way a frame goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From a client to the server.
    ToServer,
    /// From the server to a client.
    ToClient,
}

/// What happens to a frame.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Action {
    /// The connection breaks before it.
    CutBefore,
    /// The connection breaks after it.
    CutAfter,
    /// It gets lost.
    Drop,
    /// A byte of it changes.
    Corrupt,
    /// It and all behind it get lost; the connection stands.
    Silence,
    /// It comes that many seconds late, and with it all behind it.
    Delay(f64),
}

/// A fault of connections.
///
/// ```
/// use std::time::Duration;
///
/// use flare_simserver::faults::{Direction, Fault};
///
/// let third_is_lost = Fault::on(Direction::ToClient).nth_frame(3).drop_frame();
/// let slow_downloads =
///     Fault::on(Direction::ToServer).about("download_service__").delay(Duration::from_millis(50));
/// let nobody_registers = Fault::on(Direction::ToServer).about("task").on_topic("register").drop_frame();
/// ```
///
/// In a scenario file a fault is a mapping of its parts, of which `nth`, `channel` and `topic` may be missing:
/// `{direction: to-client, nth: 3, channel: task, topic: register, action: drop}`. The actions are
/// `cut-before`, `cut-after`, `drop`, `corrupt`, `silence` and `{delay: SECONDS}`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    direction: Direction,
    /// Which frame, counted from 1 since the rule is there; without it every frame.
    #[serde(default)]
    nth: Option<u64>,
    /// Only messages on this channel.
    #[serde(default)]
    channel: Option<String>,
    /// Only messages with this topic.
    #[serde(default)]
    topic: Option<String>,
    action: Action,
}

impl Fault {
    /// A fault of frames in this direction, handshake and heartbeats included: all of them are lost, unless the methods
    /// below say otherwise.
    #[must_use]
    pub const fn on(direction: Direction) -> Self {
        Self { direction, nth: None, channel: None, topic: None, action: Action::Drop }
    }

    /// Strikes once, at this frame, counted from 1 over all connections since the fault was injected.
    #[must_use]
    pub const fn nth_frame(mut self, number: u64) -> Self {
        self.nth = Some(number);
        self
    }

    /// Looks only at messages on this channel, such as `hci_channel` or `aux_communication`, and does not count the
    /// others.
    #[must_use]
    pub fn about(mut self, channel: &str) -> Self {
        self.channel = Some(channel.to_owned());
        self
    }

    /// Looks only at messages with this topic, such as `register` or `command`, and does not count the others. Together
    /// with [`Fault::about`] both have to fit.
    #[must_use]
    pub fn on_topic(mut self, topic: &str) -> Self {
        self.topic = Some(topic.to_owned());
        self
    }

    /// The connection breaks, without a word, before the frame arrives.
    #[must_use]
    pub const fn cut_before(mut self) -> Self {
        self.action = Action::CutBefore;
        self
    }

    /// The connection breaks, without a word, after the frame has arrived.
    #[must_use]
    pub const fn cut_after(mut self) -> Self {
        self.action = Action::CutAfter;
        self
    }

    /// The frame gets lost.
    #[must_use]
    pub const fn drop_frame(mut self) -> Self {
        self.action = Action::Drop;
        self
    }

    /// A byte of the frame changes.
    #[must_use]
    pub const fn corrupt(mut self) -> Self {
        self.action = Action::Corrupt;
        self
    }

    /// The frame and everything behind it, on every connection, gets lost while the connection stands.
    #[must_use]
    pub const fn silence(mut self) -> Self {
        self.action = Action::Silence;
        self
    }

    /// The frame arrives late, and with it all that is behind it on the same connection. Real time, not simulated.
    #[must_use]
    pub const fn delay(mut self, time: Duration) -> Self {
        self.action = Action::Delay(time.as_secs_f64());
        self
    }
}

/// The faults of one server.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    rules: Mutex<Vec<Arc<Rule>>>,
}

#[derive(Debug)]
struct Rule {
    fault: Fault,
    /// Frames that it was about so far.
    seen: Mutex<u64>,
}

/// Keeps a fault; it is gone when this is dropped.
#[must_use = "a fault is gone when its guard is dropped"]
pub struct FaultGuard {
    faults: Arc<Faults>,
    rule: Arc<Rule>,
}

impl FaultGuard {
    /// How many frames the fault was about so far.
    #[must_use]
    pub fn frames_seen(&self) -> u64 {
        *lock(&self.rule.seen)
    }
}

impl Drop for FaultGuard {
    fn drop(&mut self) {
        lock(&self.faults.rules).retain(|rule| !Arc::ptr_eq(rule, &self.rule));
    }
}

impl fmt::Debug for FaultGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultGuard").field("fault", &self.rule.fault).finish_non_exhaustive()
    }
}

/// What becomes of a frame.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fate {
    /// It passes.
    Pass(Bytes),
    /// It passes after this time.
    Late(Bytes, Duration),
    /// It is lost.
    Lost,
    /// The connection breaks before it.
    CutBefore,
    /// The connection breaks after it.
    CutAfter(Bytes),
}

impl Faults {
    /// Adds a fault.
    pub(crate) fn inject(self: &Arc<Self>, fault: Fault) -> FaultGuard {
        let rule = Arc::new(Rule { fault, seen: Mutex::new(0) });
        lock(&self.rules).push(Arc::clone(&rule));
        FaultGuard { faults: Arc::clone(self), rule }
    }

    /// Adds a fault for good.
    pub(crate) fn keep(&self, fault: Fault) {
        lock(&self.rules).push(Arc::new(Rule { fault, seen: Mutex::new(0) }));
    }

    /// What becomes of a frame. The first fault that strikes decides; all that are about it count it.
    pub(crate) fn fate(&self, direction: Direction, frame: Bytes) -> Fate {
        let rules = lock(&self.rules);
        if rules.is_empty() {
            return Fate::Pass(frame);
        }
        let mut action = None;
        for rule in rules.iter().filter(|rule| rule.fault.direction == direction && rule.fault.is_about(&frame)) {
            let mut seen = lock(&rule.seen);
            *seen += 1;
            let strikes = match (rule.fault.nth, rule.fault.action) {
                (None, _) => true,
                (Some(nth), Action::Silence) => *seen >= nth,
                (Some(nth), _) => *seen == nth,
            };
            if strikes && action.is_none() {
                action = Some(rule.fault.action);
            }
        }
        drop(rules);
        match action {
            None => Fate::Pass(frame),
            Some(Action::CutBefore) => Fate::CutBefore,
            Some(Action::CutAfter) => Fate::CutAfter(frame),
            Some(Action::Drop | Action::Silence) => Fate::Lost,
            Some(Action::Corrupt) => Fate::Pass(corrupted(&frame)),
            Some(Action::Delay(seconds)) => {
                // What is no length of time is no delay.
                Fate::Late(frame, Duration::try_from_secs_f64(seconds).unwrap_or_default())
            }
        }
    }
}

impl Fault {
    fn is_about(&self, frame: &Bytes) -> bool {
        if self.channel.is_none() && self.topic.is_none() {
            return true;
        }
        let fits = |wanted: &Option<String>, found: Option<String>| wanted.is_none() || *wanted == found;
        subject_of(frame).is_some_and(|(channel, topic)| fits(&self.channel, channel) && fits(&self.topic, topic))
    }
}

/// Channel and topic of a message, or of the stream that it is a part of.
fn subject_of(frame: &Bytes) -> Option<(Option<String>, Option<String>)> {
    let frame = Frame::decode(frame.clone()).ok().filter(|frame| frame.kind == FrameKind::Data)?;
    let message = Message::from_frame(&frame).ok()?;
    let text = |of_stream, of_message| {
        let text = message.headers.text(of_stream).or_else(|| message.headers.text(of_message));
        text.map(str::to_owned)
    };
    Some((text(headers::STREAM_CHANNEL, headers::CHANNEL), text(headers::STREAM_TOPIC, headers::TOPIC)))
}

/// Changes a byte in the middle of what follows the prefix: lengths stay as they are, so that the frames behind it can
/// still be told apart.
fn corrupted(frame: &Bytes) -> Bytes {
    let mut bytes = frame.to_vec();
    let middle = PREFIX_LEN + bytes.len().saturating_sub(PREFIX_LEN) / 2;
    if let Some(byte) = bytes.get_mut(middle) {
        *byte ^= 0x55;
    }
    bytes.into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds one of these locks can panic; even then the value is a whole one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Bytes {
        Bytes::from_static(&[0; 40])
    }

    #[test]
    fn a_fault_strikes_at_the_frame_it_names_and_is_gone_with_its_guard() {
        let faults = Arc::new(Faults::default());
        let guard = faults.inject(Fault::on(Direction::ToClient).nth_frame(2).cut_before());
        assert_eq!(faults.fate(Direction::ToServer, frame()), Fate::Pass(frame()));
        assert_eq!(faults.fate(Direction::ToClient, frame()), Fate::Pass(frame()));
        assert_eq!(faults.fate(Direction::ToClient, frame()), Fate::CutBefore);
        assert_eq!(faults.fate(Direction::ToClient, frame()), Fate::Pass(frame()));
        assert_eq!(guard.frames_seen(), 3);
        drop(guard);
        let _every = faults.inject(Fault::on(Direction::ToClient));
        assert_eq!(faults.fate(Direction::ToClient, frame()), Fate::Lost);
    }

    #[test]
    fn silence_lasts_and_other_actions_do_what_they_say() {
        let faults = Arc::new(Faults::default());
        let silence = faults.inject(Fault::on(Direction::ToServer).nth_frame(2).silence());
        let fates: Vec<Fate> = (0..3).map(|_| faults.fate(Direction::ToServer, frame())).collect();
        assert_eq!(fates, [Fate::Pass(frame()), Fate::Lost, Fate::Lost]);
        drop(silence);
        let corrupt = faults.inject(Fault::on(Direction::ToServer).corrupt());
        let Fate::Pass(changed) = faults.fate(Direction::ToServer, frame()) else { panic!("lost") };
        assert_eq!((changed.len(), changed == frame()), (40, false));
        drop(corrupt);
        let _late = faults.inject(Fault::on(Direction::ToServer).delay(Duration::from_secs(2)));
        assert_eq!(faults.fate(Direction::ToServer, frame()), Fate::Late(frame(), Duration::from_secs(2)));
    }

    #[test]
    fn a_fault_about_a_channel_looks_at_nothing_else() {
        let faults = Arc::new(Faults::default());
        let guard = faults.inject(Fault::on(Direction::ToServer).about("hci_channel"));
        assert_eq!(faults.fate(Direction::ToServer, frame()), Fate::Pass(frame()));
        assert_eq!(guard.frames_seen(), 0);
        for frame in &flare_fixtures::vector("plain_command").frames {
            let raw = Bytes::from(frame.raw.clone());
            let is_hci = subject_of(&raw).is_some_and(|(channel, _)| channel.as_deref() == Some("hci_channel"));
            assert_eq!(faults.fate(Direction::ToServer, raw.clone()) == Fate::Lost, is_hci);
        }
        assert!(guard.frames_seen() > 0);
    }
    #[test]
    fn a_fault_about_a_topic_looks_at_nothing_else_and_wants_the_channel_as_well() {
        let faults = Arc::new(Faults::default());
        let frames: Vec<Bytes> =
            flare_fixtures::vector("plain_command").frames.iter().map(|frame| frame.raw.clone().into()).collect();
        let lost = |fault: Fault| {
            let _guard = faults.inject(fault);
            frames.iter().map(|raw| faults.fate(Direction::ToServer, raw.clone()) == Fate::Lost).collect::<Vec<_>>()
        };
        let commands: Vec<bool> = frames
            .iter()
            .map(|raw| subject_of(raw).is_some_and(|(_, topic)| topic.as_deref() == Some("command")))
            .collect();
        assert!(commands.contains(&true) && commands.contains(&false), "{commands:?}");
        assert_eq!(lost(Fault::on(Direction::ToServer).on_topic("command")), commands);
        assert_eq!(lost(Fault::on(Direction::ToServer).about("hci_channel").on_topic("command")), commands);
        let elsewhere = lost(Fault::on(Direction::ToServer).about("task").on_topic("command"));
        assert!(!elsewhere.contains(&true));
    }
}
