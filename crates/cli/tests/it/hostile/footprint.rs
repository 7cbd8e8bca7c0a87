//! What a gateway holds: descriptors, threads, tasks, processes, memory.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::installation::Gateway;

/// How long things may take to be let go of: a call on a server that was taken away, twice the time
/// that a child has to leave, and the ten seconds that a thread of the runtime waits for work.
const PATIENCE: Duration = Duration::from_mins(1);

/// Threads of the runtime for work on the disk. They end after ten seconds without any, and one look a
/// second at the configuration keeps as many of them as it finds in these ten seconds.
const SPARE_THREADS: usize = 10;

/// What the pools of two databases open at most: a file and its log for each connection.
const MAX_DATABASES: usize = 40;

/// What a bad one may leave in memory the first time, when tables and the allocator's pages grow to
/// what they stay at: less than one of the lines of 16 MiB that are read of a longer one.
const FIRST_KIB: usize = 14 * 1024;

/// What it may add when it comes again: less than half such a line, or than 10,000 sessions.
const AGAIN_KIB: usize = 8 * 1024;

/// How often a hungry one comes again at most, and how long it is waited each time.
const MOST_VISITS: usize = 4;
const SETTLING: Duration = Duration::from_secs(10);

/// What all bad ones that come to a gateway one after the other may leave together.
const ALL_KIB: usize = 48 * 1024;

/// Most that a gateway ever holds: a line of 16 MiB of each of the few servers that send longer ones.
const PEAK_KIB: usize = 400 * 1024;

/// What a process holds at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Footprint {
    /// Without those of databases, whose pools grow to their bound.
    descriptors: usize,
    databases: usize,
    threads: usize,
    /// Of the runtime.
    tasks: usize,
    /// Children, and theirs.
    processes: usize,
    resident_kib: usize,
}

impl Footprint {
    /// What `gateway` holds now.
    pub(super) fn of(gateway: &Gateway) -> Self {
        let tasks = tasks(gateway);
        Self { tasks, ..Self::outside(gateway.process_id(), gateway.mark()) }
    }

    /// What a process holds whose children have `mark`, as far as the system tells.
    pub(super) fn outside(process: u32, mark: &str) -> Self {
        let (databases, others): (Vec<_>, Vec<_>) =
            open(process).into_iter().partition(|path| path.contains(".db"));
        Self {
            descriptors: others.len(),
            databases: databases.len(),
            threads: fs::read_dir(format!("/proc/{process}/task")).expect("it runs").count(),
            tasks: 0,
            processes: processes(mark).len(),
            resident_kib: resident_kib(process),
        }
    }

    fn exceeds(&self, before: &Self) -> bool {
        self.descriptors > before.descriptors
            || self.databases > MAX_DATABASES
            || self.threads > before.threads + SPARE_THREADS
            || self.tasks > before.tasks
            || self.processes > before.processes
    }

    /// Waits until `gateway` holds no more than this after `whom`, memory aside.
    pub(super) fn is_back(&self, gateway: &Gateway, whom: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut now = Self::outside(gateway.process_id(), gateway.mark());
            if !now.exceeds(self) {
                now.tasks = tasks(gateway);
                if !now.exceeds(self) {
                    return;
                }
            }
            if Instant::now() > deadline {
                now.tasks = tasks(gateway);
                let (open, left) = (open(gateway.process_id()), processes(gateway.mark()));
                panic!("`{whom}` left behind: {now:?}\nafter {self:?}\n{open:#?}\n{left:#?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until a process without a gateway's log holds no more than this after `whom`.
    pub(super) fn is_back_outside(&self, (process, mark): (u32, &str), whom: &str) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = Self::outside(process, mark);
            if !now.exceeds(self) && now.resident_kib <= self.resident_kib + FIRST_KIB {
                return;
            }
            assert!(Instant::now() < deadline, "`{whom}` left behind: {now:?}\nafter {self:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// What comes to a gateway, one after the other, and leaves nothing.
pub(super) struct Visits<'a> {
    gateway: &'a Gateway,
    before: Footprint,
}

impl<'a> Visits<'a> {
    /// Begins with what `gateway` holds now.
    pub(super) fn of(gateway: &'a Gateway) -> Self {
        Self { gateway, before: Footprint::of(gateway) }
    }

    /// Has `visit` come; then all must be back where it was. One that is `hungry` comes again, until it adds
    /// no more than it may: what an allocator keeps for a thread it keeps once, and what leaks leaks each time.
    pub(super) fn receive(&self, whom: &str, hungry: bool, visit: impl Fn()) {
        let resident_kib = || resident_kib(self.gateway.process_id());
        let once = || {
            let before_kib = resident_kib();
            visit();
            self.before.is_back(self.gateway, whom);
            before_kib
        };
        let before_kib = once();
        if !hungry {
            return self.memory_is_back(before_kib + FIRST_KIB, whom);
        }
        let added: Vec<usize> = std::iter::repeat_with(|| {
            let most_kib = once() + AGAIN_KIB;
            self.settles_at(most_kib, SETTLING);
            resident_kib().saturating_sub(most_kib)
        })
        .take(MOST_VISITS)
        .take_while(|beyond_kib| *beyond_kib > 0)
        .collect();
        assert!(added.len() < MOST_VISITS, "`{whom}` left more each time than it may, by KiB: {added:?}");
    }

    /// All of them together left no more than that either.
    pub(super) fn end(self) {
        self.memory_is_back(self.before.resident_kib + ALL_KIB, "all together");
        peak_is_bounded(self.gateway);
    }

    fn memory_is_back(&self, most_kib: usize, whom: &str) {
        let is_back = self.settles_at(most_kib, PATIENCE);
        let now_kib = resident_kib(self.gateway.process_id());
        assert!(is_back, "`{whom}` left {now_kib} KiB, more than {most_kib} KiB");
    }

    /// Whether no more than that is resident before the time is over.
    fn settles_at(&self, most_kib: usize, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        while resident_kib(self.gateway.process_id()) > most_kib {
            if Instant::now() > deadline {
                return false;
            }
            // An allocator gives free pages back when the thread that has them next uses it, and here nothing
            // else happens: the threads that serve are asked for something, and one that makes planes.
            self.gateway.signal(Signal::HUP);
            for _ in 0..8 {
                self.gateway.metrics();
            }
            std::thread::sleep(Duration::from_millis(250));
        }
        true
    }
}

/// What the descriptors lead to.
fn open(process: u32) -> Vec<String> {
    let entries = fs::read_dir(format!("/proc/{process}/fd")).expect("it runs").filter_map(Result::ok);
    let mut open: Vec<String> =
        entries.filter_map(|entry| Some(fs::read_link(entry.path()).ok()?.display().to_string())).collect();
    open.sort();
    open
}

/// There never was too much in memory.
pub(super) fn peak_is_bounded(gateway: &Gateway) {
    let peak = peak_of(gateway.process_id());
    assert!(peak < PEAK_KIB, "{peak} KiB");
}

fn resident_kib(process: u32) -> usize {
    status_kib(process, "VmRSS:")
}

/// Most memory that `process` ever held.
pub(super) fn peak_of(process: u32) -> usize {
    status_kib(process, "VmHWM:")
}

fn status_kib(process: u32, name: &str) -> usize {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// The processes that were started with `mark`, whoever their parent is by now.
pub(super) fn processes(mark: &str) -> Vec<String> {
    let entries = fs::read_dir("/proc").expect("processes").filter_map(Result::ok);
    let commands = entries.filter_map(|entry| {
        let command = fs::read(entry.path().join("cmdline")).ok()?;
        let command = String::from_utf8_lossy(&command).replace('\0', " ");
        Some(format!("{} {command}", entry.file_name().display()))
    });
    commands.filter(|command| command.contains(mark)).collect()
}

/// How many tasks the gateway has, as its metrics say.
fn tasks(gateway: &Gateway) -> usize {
    let text = gateway.metrics();
    let told = text.lines().find_map(|line| line.strip_prefix("quaymaster_tasks "));
    told.unwrap_or_else(|| panic!("no tasks: {text}")).parse().expect("a number")
}
