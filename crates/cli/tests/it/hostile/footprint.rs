//! What a gateway holds: descriptors, threads, tasks, processes, memory.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::installation::Gateway;

/// How long things may take to be let go of: a call on a server that was taken away, twice the time
/// that a child has to leave, and the ten seconds that a thread of the runtime waits for work.
const PATIENCE: Duration = Duration::from_mins(1);

/// Threads of the runtime for work on the disk. They end after ten seconds without any, and one look a
/// second at the configuration keeps as many of them as it finds in these ten seconds.
const SPARE_THREADS: usize = 10;

/// What the pools of two databases open at most: a file and its log for each connection.
const MAX_DATABASES: usize = 40;

/// What one round may add to the memory after another like it, as far as an allocator has its own mind
/// about that: far less than what one of the bad ones sends.
const ALLOWANCE_KIB: usize = 24 * 1024;

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
        Self { tasks, ..Self::outside(gateway) }
    }

    /// The same as far as the system tells.
    fn outside(gateway: &Gateway) -> Self {
        let process = gateway.process_id();
        let (databases, others): (Vec<_>, Vec<_>) =
            open(process).into_iter().partition(|path| path.contains(".db"));
        Self {
            descriptors: others.len(),
            databases: databases.len(),
            threads: fs::read_dir(format!("/proc/{process}/task")).expect("it runs").count(),
            tasks: 0,
            processes: processes(gateway.mark()).len(),
            resident_kib: status_kib(process, "VmRSS:"),
        }
    }

    fn exceeds(&self, before: &Self) -> bool {
        self.descriptors > before.descriptors
            || self.databases > MAX_DATABASES
            || self.threads > before.threads + SPARE_THREADS
            || self.tasks > before.tasks
            || self.processes > before.processes
    }

    /// Waits until `gateway` holds no more than this.
    pub(super) fn is_back(&self, gateway: &Gateway) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let mut now = Self::outside(gateway);
            if !now.exceeds(self) {
                now.tasks = tasks(gateway);
                if !now.exceeds(self) {
                    return;
                }
            }
            if Instant::now() > deadline {
                let (open, left) = (open(gateway.process_id()), processes(gateway.mark()));
                panic!("left behind: {now:?}\nafter {self:?}\n{open:#?}\n{left:#?}");
            }
            std::thread::sleep(Duration::from_millis(50));
        }
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

/// Memory came back after the last two of `rounds`, and there never was too much.
pub(super) fn memory_is_back(gateway: &Gateway, rounds: &[Footprint]) {
    let resident: Vec<usize> = rounds.iter().map(|round| round.resident_kib).collect();
    let [.., before, after] = *resident.as_slice() else { panic!("there must be two rounds") };
    assert!(after < before + ALLOWANCE_KIB, "{resident:?} KiB");
    let peak = peak_of(gateway.process_id());
    assert!(peak < PEAK_KIB, "{peak} KiB");
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

/// How many tasks run, as the gateway logs when it is asked to read its configuration again.
fn tasks(gateway: &Gateway) -> usize {
    let told = || {
        let log = gateway.log();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let tasks: Vec<u64> = lines
            .filter(|line| line["event"] == "gateway.tasks")
            .filter_map(|line| line["tasks"].as_u64())
            .collect();
        tasks
    };
    let before = told().len();
    gateway.signal(Signal::HUP);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = told();
        if now.len() > before {
            return usize::try_from(*now.last().expect("one")).expect("a small number");
        }
        assert!(Instant::now() < deadline, "the gateway did not react to SIGHUP: {}", gateway.log());
        std::thread::sleep(Duration::from_millis(20));
    }
}
