//! The tests of the changed tree, each in a process of its own or several in one: which changes
//! each reaches, and whether it notices one.

use std::collections::{BTreeSet, HashSet};
use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::compile::SWITCHED;
use crate::mutant::Fate;
use crate::tree::Tree;

/// A test, and what is known of it once it ran.
pub struct Test {
    program: PathBuf,
    name: String,
    time: Duration,
    reached: HashSet<usize>,
}

/// All tests, quickest first, and those by number that noticed a change, the last one first: it is
/// likely to notice the next as well.
pub struct Tests {
    all: Vec<Test>,
    recent: Mutex<Vec<usize>>,
}

/// Fewer rounds of what is random: what a thousand more would find is the business of `make soak`.
const ROUNDS: [(&str, &str); 2] = [("SEEDS", "40"), ("ROUNDS", "2000")];
/// Tests are run in heaps, quickest first; the first takes so long, each further one this many
/// times as long as the one before. To the first come some that noticed a change just now.
const FIRST_HEAP: Duration = Duration::from_millis(100);
const GROWTH: u32 = 4;
const RECENT_MAX: usize = 4;
/// How many times as long as without a change tests may take, and so much more. What counts is
/// the time of the processor, but a test that only waits is given up as well.
const PATIENCE: (u32, Duration) = (20, Duration::from_secs(5));
/// Seconds a test may take without a change: longer ones, which try what is random or all there is
/// in some respect, take no part. So a change may seem to be missed, but none to be noticed.
const LONGEST: Duration = Duration::from_secs(2);
const WAIT: Duration = Duration::from_secs(120);
/// A change that asks for ever more memory gets no more bytes than this.
const MEMORY: u64 = 8 << 30;

impl Tests {
    /// All tests but those of the style, each run once without a change.
    pub fn run(programs: &[PathBuf], jobs: usize) -> Result<Self, Box<dyn Error>> {
        let mut tests = Vec::new();
        for program in programs {
            let list =
                Command::new(program).arg("--list").current_dir(SWITCHED.path()).output()?.stdout;
            let names = String::from_utf8(list)?;
            let names = names.lines().filter_map(|line| line.strip_suffix(": test"));
            tests.extend(names.filter(|name| !name.contains("tidy")).map(|name| Test {
                program: program.clone(),
                name: name.to_owned(),
                time: Duration::ZERO,
                reached: HashSet::new(),
            }));
        }
        eprintln!("running {} tests", tests.len());
        let (failed, mut all): (Vec<Test>, Vec<Test>) =
            in_parallel(jobs, tests, trace).into_iter().flatten().partition(|t| t.time.is_zero());
        if !failed.is_empty() {
            let names: Vec<String> = failed.into_iter().map(|test| test.name).collect();
            return Err(format!("fail without a change: {}", names.join(" ")).into());
        }
        all.sort_by_key(|test| test.time);
        Ok(Self { all, recent: Mutex::default() })
    }

    /// What the tests say about a change.
    pub fn try_out(&self, mutant: usize) -> Fate {
        let reaches = |number: &usize| self.all[*number].reached.contains(&mutant);
        let is_quick = |number: &usize| self.all[*number].time <= FIRST_HEAP;
        let recent = self.recent.lock().expect("no panic").clone();
        let first: Vec<usize> =
            recent.into_iter().filter(reaches).filter(is_quick).take(RECENT_MAX).collect();
        let others = (0..self.all.len()).filter(reaches).filter(|number| !first.contains(number));
        let mut others = others.peekable();
        let (mut heap, mut limit) = (first.clone(), FIRST_HEAP);
        while others.peek().is_some() || !heap.is_empty() {
            let mut time = Duration::ZERO;
            while let Some(number) =
                others.next_if(|number| heap.is_empty() || time + self.all[*number].time <= limit)
            {
                time += self.all[number].time;
                heap.push(number);
            }
            match self.run_heap(mutant, &heap) {
                Fate::Missed => {}
                fate => return fate,
            }
            heap.clear();
            limit *= GROWTH;
        }
        Fate::Missed
    }

    fn run_heap(&self, mutant: usize, heap: &[usize]) -> Fate {
        for program in heap.iter().map(|number| &self.all[*number].program).collect::<BTreeSet<_>>()
        {
            let tests = heap.iter().map(|number| &self.all[*number]);
            let tests: Vec<&Test> = tests.filter(|test| test.program == *program).collect();
            let time = tests.iter().map(|test| test.time).sum::<Duration>();
            let patience = time * PATIENCE.0 + PATIENCE.1;
            let (fate, name) = run(&tests, ("MUTANT", mutant.to_string()), patience);
            if let Some(number) = self.all.iter().position(|test| Some(&test.name) == name.as_ref())
            {
                let mut recent = self.recent.lock().expect("no panic");
                recent.retain(|other| *other != number);
                recent.insert(0, number);
            }
            if fate != Fate::Missed {
                return fate;
            }
        }
        Fate::Missed
    }
}

/// Runs a test alone, if it can take part. Its time stays zero if it fails.
fn trace(job: usize, mut test: Test) -> Option<Test> {
    // Seen from the tree, where the test runs.
    let name = format!("reached{job}");
    let path = SWITCHED.path().join(&name);
    let _ = fs::remove_file(&path);
    let start = Instant::now();
    match run(&[&test], ("MUTANTS_REACHED", name), LONGEST).0 {
        Fate::Missed => test.time = start.elapsed(),
        Fate::TooSlow => {
            eprintln!("too long to take part: {}", test.name);
            return None;
        }
        // It may measure memory, which the record takes, or run itself again for too long.
        _ if run(&[&test], ("MUTANT", u32::MAX.to_string()), WAIT).0 == Fate::Missed => {
            eprintln!("does not bear to be watched: {}", test.name);
            return None;
        }
        _ => return Some(test),
    }
    let bytes = fs::read(&path).unwrap_or_default();
    let numbers = bytes.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes));
    test.reached = numbers.map(|number| number as usize).collect();
    Some(test)
}

/// Runs tests of one program, one after the other, until one fails or too much time has gone. Says
/// which one failed.
fn run(tests: &[&Test], environment: (&str, String), patience: Duration) -> (Fate, Option<String>) {
    let Some(first) = tests.first() else { return (Fate::Missed, None) };
    let mut command = limited(&first.program, &SWITCHED, patience);
    command.args(["--exact", "--test-threads=1"]).args(tests.iter().map(|test| &test.name));
    watch(command.env(environment.0, environment.1), patience + WAIT)
}

/// What all tests of a program say, but for those of the style: that of a changed source is not to
/// be judged.
pub fn all_of(program: &Path, tree: &Tree, patience: Duration) -> Fate {
    watch(limited(program, tree, patience).args(["--skip", "tidy"]), patience).0
}

/// A program that gets so much of the processor's time, and less memory than there is.
fn limited(program: &Path, tree: &Tree, time: Duration) -> Command {
    let mut command = Command::new("prlimit");
    command
        .args([format!("--cpu={}", time.as_secs().max(1)), format!("--as={MEMORY}")])
        .args(["--core=0", "--"])
        .arg(program)
        .current_dir(tree.path())
        .envs(ROUNDS)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

/// Waits until a test fails or all are good.
fn watch(command: &mut Command, patience: Duration) -> (Fate, Option<String>) {
    let mut child = command.spawn().expect("prlimit runs");
    let until = Instant::now() + patience;
    let (sender, lines) = channel();
    let output = child.stdout.take().expect("it is piped");
    thread::spawn(move || {
        BufReader::new(output).lines().map_while(Result::ok).try_for_each(|line| sender.send(line))
    });
    let fate = loop {
        match lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(line) if line.ends_with(" ... FAILED") => {
                let name = line.strip_prefix("test ").and_then(|rest| rest.split(' ').next());
                break (Fate::Caught, name.map(str::to_owned));
            }
            Ok(_) => {}
            Err(RecvTimeoutError::Timeout) => break (Fate::TooSlow, None),
            Err(RecvTimeoutError::Disconnected) => {
                let status = child.wait().expect("it was started");
                let fate = match status.signal() {
                    // The limit of its time.
                    Some(9 | 24) => Fate::TooSlow,
                    _ if status.success() => Fate::Missed,
                    _ => Fate::Caught,
                };
                return (fate, None);
            }
        }
    };
    let _ = child.kill();
    let _ = child.wait();
    fate
}

/// Does something with each item, some at a time; the function is told which job it runs in.
pub fn in_parallel<T: Send, R: Send>(
    jobs: usize,
    items: Vec<T>,
    act: impl Fn(usize, T) -> R + Sync,
) -> Vec<R> {
    let (queue, results) = (Mutex::new(items.into_iter()), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for job in 0..jobs {
            let (queue, results, act) = (&queue, &results, &act);
            scope.spawn(move || {
                loop {
                    let Some(item) = queue.lock().expect("no panic").next() else { break };
                    let result = act(job, item);
                    results.lock().expect("no panic").push(result);
                }
            });
        }
    });
    results.into_inner().expect("no panic")
}
