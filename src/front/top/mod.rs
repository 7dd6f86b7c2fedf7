//! `mailguard top`: a running filter, seen live over its control socket.
//!
//! Here are the terminal, the clock and the one thread that asks. What was answered is read in
//! `sample`, what is seen of it is made in `draw`, which is given everything and touches nothing.
//! A filter that goes away is said in a line, and asked again until it is back.

mod draw;
mod sample;
#[cfg(test)]
mod tests;

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, KeyCode, KeyEvent, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

use self::sample::{Answers, Sample, View};
use super::{FrontError, Outcome, control};

/// What to look at.
#[derive(Debug)]
pub struct Options<'a> {
    /// The daemon's socket.
    pub socket: &'a Path,
    /// How often it is asked.
    pub interval: Duration,
}

/// Shows the filter until somebody has seen enough.
///
/// # Errors
/// No daemon answers at the beginning, or there is no terminal to draw on.
pub fn run(options: &Options<'_>) -> Result<Outcome, FrontError> {
    let start = now();
    let mut view = View::default();
    view.take(look(options.socket, start));
    if let Some(why) = view.trouble() {
        return Err(FrontError::new(why));
    }
    if !io::stdout().is_terminal() {
        let what = "top: standard output is no terminal: `mailguard ctl stats` prints the numbers";
        return Err(FrontError::new(what));
    }
    let failed = |error| FrontError::io("the terminal", error);
    let is_over = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        flag::register(signal, Arc::clone(&is_over)).map_err(failed)?;
    }
    // A terminal that hung up has nothing to be restored, and whoever waits for its keys is never
    // told: crossterm reads an end of file for ever.
    let is_gone = Arc::new(AtomicBool::new(true));
    flag::register_conditional_shutdown(SIGHUP, 0, is_gone).map_err(failed)?;
    let answers = ask_again_and_again(options.socket.to_owned(), options.interval, start)?;
    let seen = ratatui::try_init().and_then(|mut terminal| {
        let mut stage = Stage { view, answers, is_over: &is_over };
        stage.play(&mut terminal)
    });
    // Whatever happened, the terminal is to be as it was.
    let restored = ratatui::try_restore();
    seen.and(restored).map_err(failed)?;
    Ok(Outcome::Done)
}

/// What is seen, and what changes it.
struct Stage<'a> {
    view: View,
    answers: Receiver<Result<Sample, FrontError>>,
    is_over: &'a AtomicBool,
}

impl Stage<'_> {
    fn play(&mut self, terminal: &mut DefaultTerminal) -> io::Result<()> {
        while !self.is_over.load(Ordering::Relaxed) {
            terminal.draw(|frame| frame.render_widget(&self.view, frame.area()))?;
            if !self.wait()? {
                break;
            }
        }
        Ok(())
    }

    /// Waits for something new to be seen; false once somebody has seen enough.
    fn wait(&mut self) -> io::Result<bool> {
        while !self.is_over.load(Ordering::Relaxed) {
            // A signal ends this wait by an error on some systems, and by time on others.
            let is_there = match event::poll(GLANCE) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                polled => polled?,
            };
            if is_there {
                let event = event::read()?;
                if event.as_key_press_event().is_some_and(is_farewell) {
                    return Ok(false);
                }
                if event.is_resize() {
                    return Ok(true);
                }
            }
            let mut is_new = false;
            while let Ok(answer) = self.answers.try_recv() {
                self.view.take(answer);
                is_new = true;
            }
            if is_new {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// In raw mode Ctrl-C is a key as any other.
fn is_farewell(key: KeyEvent) -> bool {
    let is_control_c = key.code == KeyCode::Char('c') && key.modifiers == KeyModifiers::CONTROL;
    is_control_c || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc)
}

/// Asks from a thread of its own, so that a daemon that does not answer keeps no key waiting. It
/// ends with the program.
fn ask_again_and_again(
    socket: PathBuf,
    interval: Duration,
    start: Instant,
) -> Result<Receiver<Result<Sample, FrontError>>, FrontError> {
    let (sender, receiver) = channel();
    let work = move || {
        loop {
            thread::sleep(interval);
            if sender.send(look(&socket, start)).is_err() {
                return;
            }
        }
    };
    thread::Builder::new()
        .name("asking".to_owned())
        .spawn(work)
        .map_err(|error| FrontError::io("cannot start a thread", error))?;
    Ok(receiver)
}

/// What the daemon says now.
fn look(socket: &Path, start: Instant) -> Result<Sample, FrontError> {
    let ask = |words: &str| control::ask(socket, words);
    let answers = Answers {
        status: &ask("status")?,
        stats: &ask("stats")?,
        queues: &ask("queues")?,
        flows: &ask(&format!("flows --limit {FLOWS_MAX}"))?,
    };
    let at = now().duration_since(start);
    Sample::read(at, &answers).ok_or_else(|| {
        let what = "gave an answer that cannot be read: is it of another version?";
        FrontError::file(socket, what)
    })
}

#[expect(clippy::disallowed_methods, reason = "this front owns the clock")]
fn now() -> Instant {
    Instant::now()
}

/// Flows that are looked at for the busiest: few enough for one answer of the daemon's.
const FLOWS_MAX: usize = 1_000;

/// How long nobody looks for answers and signals while no key is pressed.
const GLANCE: Duration = Duration::from_millis(100);
