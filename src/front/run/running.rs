//! The configuration in force: the one place that holds it, and what a new one changes.
//!
//! Whoever asks for a change (a signal, an operator) hands over a whole configuration. What a
//! running filter can take is in force for every connection that begins from then on; the rest
//! stays as it was, and is named together with what brings it about.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::config::{Config, Control, Fail, Queue, Rules};
use crate::engine::{Engine, Exception, Settings, Treatment};
use crate::time::Instant;

/// The configuration in force.
#[derive(Debug)]
pub(super) struct Running<'a> {
    engine: &'a Engine,
    /// Held by the one who makes another configuration, for as long as that takes.
    changes: Mutex<()>,
    /// Never held for long: the main thread, whose life a manager watches, looks at it as well.
    config: Mutex<Config>,
    /// What was dropped by now may have passed, or the other way round.
    has_monitored_in_part: AtomicBool,
}

/// What was changed and is not yet in force everywhere: a key or section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pending {
    Ports,
    MailHosts,
    Backend,
    Local,
    Fail,
    QueueNumbers,
    Marks,
    Limits,
    Sandbox,
    Queue,
    Log,
    Control,
    Metrics,
}

/// What brings a change about that the filter cannot make while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needs {
    /// The filter has it; the packet filter's rules do not.
    Rules,
    /// The filter has to be started anew.
    Restart,
    /// Both, one right behind the other: rules and filter have to mean the same.
    RestartAndRules,
}

impl Pending {
    const fn name(self) -> &'static str {
        match self {
            Self::Ports => "ports",
            Self::MailHosts => "rules.mail_hosts",
            Self::Backend => "rules.backend",
            Self::Local => "rules.local",
            Self::Fail => "queue.fail",
            Self::QueueNumbers => "queue.first, queue.last",
            Self::Marks => "the marks of [rules]",
            Self::Limits => "[limits]",
            Self::Sandbox => "sandbox",
            Self::Queue => "[queue]",
            Self::Log => "[log]",
            Self::Control => "[control]",
            Self::Metrics => "[metrics]",
        }
    }

    /// What brings it about.
    pub(super) const fn needs(self) -> Needs {
        match self {
            Self::Ports | Self::MailHosts | Self::Backend | Self::Local | Self::Fail => {
                Needs::Rules
            }
            Self::QueueNumbers | Self::Marks => Needs::RestartAndRules,
            Self::Limits
            | Self::Sandbox
            | Self::Queue
            | Self::Log
            | Self::Control
            | Self::Metrics => Needs::Restart,
        }
    }
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let needs = match self.needs() {
            Needs::Rules => "`mailguard rules up` brings the packets here accordingly",
            Needs::Restart => "that takes effect at the next start",
            Needs::RestartAndRules => {
                "that takes effect at the next start, with `mailguard rules up` right behind it"
            }
        };
        write!(f, "{} changed: {needs}", self.name())
    }
}

impl<'a> Running<'a> {
    /// The configuration the filter starts with, which its engine has.
    pub(super) fn new(engine: &'a Engine, config: Config) -> Self {
        Self {
            engine,
            changes: Mutex::new(()),
            config: Mutex::new(config),
            has_monitored_in_part: AtomicBool::new(false),
        }
    }

    /// The configuration, for as long as it takes to look at it.
    pub(super) fn config(&self) -> MutexGuard<'_, Config> {
        self.config.lock()
    }

    /// What became of packets that are counted as dropped: those that monitoring lets pass are as
    /// well.
    pub(super) fn dropped(&self) -> &'static str {
        let mixed = "dropped, or would have where monitoring,";
        self.word(["dropped", "monitoring only, would have dropped", mixed])
    }

    /// The same of payloads that are counted as held back.
    pub(super) fn held_back(&self) -> &'static str {
        let mixed = "held back, or would have where monitoring,";
        self.word(["held back", "monitoring only, would have held back", mixed])
    }

    fn word(&self, words: [&'static str; 3]) -> &'static str {
        word(words, &self.config().engine, self.has_monitored_in_part.load(Ordering::Relaxed))
    }

    /// Has another configuration made of this one, while nobody else makes one, and puts in force
    /// of it what can be; says what cannot, and what else was to be said of it.
    pub(super) fn change<T, E>(
        &self,
        make: impl FnOnce(&Config) -> Result<(Config, T), E>,
    ) -> Result<(Vec<Pending>, T), E> {
        let _only_one = self.changes.lock();
        let old = self.config().clone();
        let (new, said) = make(&old)?;
        Ok((self.apply(&mut self.config(), new), said))
    }

    fn apply(&self, config: &mut Config, new: Config) -> Vec<Pending> {
        let pending = pending(config, &new);
        // Connections under way keep what they began with.
        if config.engine.monitor != new.engine.monitor {
            self.has_monitored_in_part.store(true, Ordering::Relaxed);
        }
        self.engine.reload(&new.engine);
        config.engine = Settings { limits: config.engine.limits, ..new.engine };
        config.profile = new.profile;
        config.rules =
            Rules { mark: config.rules.mark, offload_mark: config.rules.offload_mark, ..new.rules };
        config.queue.fail = new.queue.fail;
        config.pix = new.pix;
        config.control.group_may_change = new.control.group_may_change;
        pending
    }
}

/// What is said where all is enforced, all is monitored, or one of the two.
fn word(
    [enforced, monitored, mixed]: [&'static str; 3],
    settings: &Settings,
    is_in_part: bool,
) -> &'static str {
    let is_monitored = |one: &Exception| matches!(one.treatment, Treatment::Monitor(_));
    if is_in_part || (!settings.monitor && settings.exceptions.iter().any(is_monitored)) {
        mixed
    } else if settings.monitor {
        monitored
    } else {
        enforced
    }
}

/// How often the configuration was read anew.
#[derive(Debug, Default)]
pub(super) struct Reloads {
    done: AtomicU64,
    failed: AtomicU64,
    /// When it was last tried, microseconds of the clock; the lowest bit says that it failed.
    last: AtomicU64,
}

impl Reloads {
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    /// When it was last tried, and whether that went well; none: never.
    pub(super) fn last(&self) -> Option<(Instant, bool)> {
        let last = self.last.load(Ordering::Relaxed);
        (last != 0).then(|| (Instant::from_micros(last & !1), last & 1 == 0))
    }

    /// It was tried.
    pub(super) fn note(&self, now: Instant, has_failed: bool) {
        let counter = if has_failed { &self.failed } else { &self.done };
        counter.fetch_add(1, Ordering::Relaxed);
        self.last.store(now.micros() & !1 | u64::from(has_failed), Ordering::Relaxed);
    }
}

fn pending(old: &Config, new: &Config) -> Vec<Pending> {
    let marks = |rules: &Rules| (rules.mark, rules.offload_mark);
    let place = |control: &Control| (control.socket.clone(), control.group.clone());
    let numbers = |queue: Queue| (queue.first, queue.last);
    let fixed = |queue: Queue| Queue { fail: Fail::Closed, first: 0, last: 0, ..queue };
    let changes = [
        (Pending::Ports, old.engine.ports != new.engine.ports),
        (Pending::MailHosts, old.rules.mail_hosts != new.rules.mail_hosts),
        (Pending::Backend, old.rules.backend != new.rules.backend),
        (Pending::Local, old.rules.local != new.rules.local),
        (Pending::Fail, old.queue.fail != new.queue.fail),
        (Pending::QueueNumbers, numbers(old.queue) != numbers(new.queue)),
        (Pending::Marks, marks(&old.rules) != marks(&new.rules)),
        (Pending::Limits, old.engine.limits != new.engine.limits),
        (Pending::Sandbox, old.sandbox != new.sandbox),
        (Pending::Queue, fixed(old.queue) != fixed(new.queue)),
        (Pending::Log, old.log != new.log),
        (Pending::Control, place(&old.control) != place(&new.control)),
        (Pending::Metrics, old.metrics != new.metrics),
    ];
    changes.into_iter().filter(|(_, is_changed)| *is_changed).map(|(one, _)| one).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Override;

    fn config(sets: &[&str]) -> Config {
        let overrides: Vec<_> = sets.iter().map(|set| Override::parse(set).unwrap()).collect();
        Config::build(None, &overrides).unwrap()
    }

    #[test]
    fn each_key_is_in_force_or_names_what_it_needs() {
        for (set, expected) in [
            ("profile=esmtp", None),
            ("monitor=true", None),
            ("unknown_flow=pass", None),
            ("starttls=strip", None),
            ("ports=[25, 587]", Some(("ports", Needs::Rules))),
            ("rules.mail_hosts=[\"192.0.2.1\"]", Some(("rules.mail_hosts", Needs::Rules))),
            ("rules.backend=nft", Some(("rules.backend", Needs::Rules))),
            ("queue.fail=open", Some(("queue.fail", Needs::Rules))),
            ("rules.mark=4", Some(("the marks of [rules]", Needs::RestartAndRules))),
            ("queue.last=4", Some(("queue.first, queue.last", Needs::RestartAndRules))),
            ("limits.idle_seconds=9", Some(("[limits]", Needs::Restart))),
            ("sandbox=false", Some(("sandbox", Needs::Restart))),
            ("queue.length=9", Some(("[queue]", Needs::Restart))),
            ("log.events=-", Some(("[log]", Needs::Restart))),
            ("control.socket=/x", Some(("[control]", Needs::Restart))),
            ("control.group_may_change=true", None),
            ("metrics.listen=127.0.0.1:9", Some(("[metrics]", Needs::Restart))),
            ("pix.lines=names", None),
        ] {
            let old = config(&[]);
            let engine = Engine::new(old.engine.clone(), 0);
            let running = Running::new(&engine, old.clone());
            let new = config(&[set]);
            let apply = |new: &Config| running.apply(&mut running.config(), new.clone());
            let pending = apply(&new);
            let first = pending.first().map(|one| (one.name(), one.needs()));
            assert_eq!(first, expected, "{set}");
            assert_eq!(pending.len(), usize::from(expected.is_some()), "{set}");
            let is_restart = expected.is_some_and(|(_, needs)| needs != Needs::Rules);
            assert_eq!(*running.config(), if is_restart { old } else { new }, "{set}");
            // Said each time until it is so, and only then.
            assert_eq!(apply(&config(&[set])).len(), usize::from(is_restart), "{set}");
        }
    }

    #[test]
    fn changes_made_at_once_are_all_in_force() {
        let old = config(&["ports=[25]"]);
        let engine = Engine::new(old.engine.clone(), 0);
        let running = Running::new(&engine, old);
        let open = |first: u16| {
            for port in first..first + 100 {
                let changed = running.change(|old| {
                    let mut new = old.clone();
                    new.engine.ports.push(port);
                    std::thread::yield_now();
                    Ok::<_, ()>((new, ()))
                });
                assert!(changed.is_ok());
            }
        };
        std::thread::scope(|scope| {
            scope.spawn(|| open(1_000));
            scope.spawn(|| open(2_000));
        });
        assert_eq!(running.config().engine.ports.len(), 201);
        // Whoever looks at the one in force waits for nobody who makes another.
        let can_look = || Err::<(Config, ()), _>(running.config.try_lock().is_some());
        assert_eq!(running.change(|_| can_look()), Err(true));
    }

    #[test]
    fn what_monitoring_lets_pass_is_not_said_to_be_dropped() {
        let verb = |text: &str, is_in_part| {
            let source = crate::config::Source { name: "m", text };
            let settings = Config::build(Some(source), &[]).unwrap().engine;
            word(["enforced", "monitored", "mixed"], &settings, is_in_part)
        };
        assert_eq!(verb("", false), "enforced");
        assert_eq!(verb("monitor = true\n", false), "monitored");
        let one = "[[exceptions]]\nclient = \"192.0.2.1\"\ntreatment = \"monitor\"\n";
        for (text, is_in_part) in [(one, false), ("", true), ("monitor = true\n", true)] {
            assert_eq!(verb(text, is_in_part), "mixed", "{text}");
        }
    }
}
