//! Three hosts in a row, each a network namespace: client - gateway - server, IPv4 and IPv6,
//! from the documentation prefixes. The gateway forwards; nobody has any other way out.
//!
//! Also reads the counters that tell whether the kernel was content with what it got.

use std::fs;
use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::outcome::{Because, Failure, Outcome, wrong};
use super::process::{PATIENCE, run, tool};

/// One of the three hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    /// Sends mail.
    Client,
    /// Forwards, and guards.
    Gateway,
    /// Receives mail.
    Server,
}

/// An address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// The three hosts, up and connected.
pub(crate) struct Network {}

/// The interfaces, from the client to the server.
const INTERFACES: [(Side, &str); 4] =
    [(Side::Client, "c0"), (Side::Gateway, "gc"), (Side::Gateway, "gs"), (Side::Server, "s0")];

impl Side {
    /// All three.
    pub(crate) const ALL: [Self; 3] = [Self::Client, Self::Gateway, Self::Server];

    /// The name of its network namespace.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Gateway => "gateway",
            Self::Server => "server",
        }
    }

    /// A command that will run on this host.
    pub(crate) fn command(self, program: &str, arguments: &[&str]) -> Command {
        let mut command = tool("nsenter", &[&format!("--net={}", self.file()), program]);
        command.args(arguments);
        command
    }

    /// Does something on this host, in a thread of its own. Sockets made there stay there and may
    /// be used from anywhere.
    pub(crate) fn within<T: Send>(self, act: impl FnOnce() -> Outcome<T> + Send) -> Outcome<T> {
        let enter = move || self.enter().and_then(|()| act());
        let done = thread::scope(|scope| scope.spawn(enter).join());
        done.unwrap_or_else(|_| wrong(format!("a panic on the {}", self.name())))
    }

    /// Moves the calling thread to this host for good.
    pub(crate) fn enter(self) -> Outcome {
        let namespace = File::open(self.file()).because(self.file())?;
        let kind = Some(LinkNameSpaceType::Network);
        let moved = move_into_link_name_space(namespace.as_fd(), kind);
        moved.map_err(std::io::Error::from).because(self.name())
    }

    /// Sets a kernel parameter of this host's network, such as `ipv4/tcp_early_retrans`.
    pub(crate) fn set(self, name: &str, value: &str) -> Outcome {
        let file = format!("/proc/sys/net/{name}");
        self.within(|| fs::write(&file, value).because(&file))
    }

    /// A counter of the kernel's TCP on this host, such as `InCsumErrors`, both families together.
    pub(crate) fn tcp_counter(self, name: &str) -> Outcome<u64> {
        let text = self.within(|| Ok(fs::read_to_string("/proc/thread-self/net/snmp")?))?;
        let mut rows = text.lines().filter(|line| line.starts_with("Tcp:"));
        let (names, values) = (rows.next().unwrap_or(""), rows.next().unwrap_or(""));
        let mut pairs = names.split(' ').zip(values.split(' '));
        let value = pairs.find(|pair| pair.0 == name).map(|pair| pair.1).because(name)?;
        value.parse().ok().because(name)
    }

    /// How many TCP connections on this host are neither established nor properly over.
    pub(crate) fn half_closed(self) -> Outcome<usize> {
        let (established, time_wait, listening) = ("01", "06", "0A");
        self.within(|| {
            let mut count = 0;
            for table in ["tcp", "tcp6"] {
                let text = fs::read_to_string(format!("/proc/thread-self/net/{table}"))?;
                let states = text.lines().skip(1).filter_map(|row| row.split_whitespace().nth(3));
                let is_open = |state: &&str| ![established, time_wait, listening].contains(state);
                count += states.filter(is_open).count();
            }
            Ok(count)
        })
    }

    fn file(self) -> String {
        format!("/run/netns/{}", self.name())
    }
}

impl Family {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The client's address.
    pub(crate) fn client(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::from([192, 0, 2, 2]),
            Self::V6 => IpAddr::from([0x2001, 0xdb8, 1, 0, 0, 0, 0, 2]),
        }
    }

    /// Where the mail server listens.
    pub(crate) fn server(self) -> SocketAddr {
        let address = match self {
            Self::V4 => IpAddr::from([198, 51, 100, 2]),
            Self::V6 => IpAddr::from([0x2001, 0xdb8, 2, 0, 0, 0, 0, 2]),
        };
        SocketAddr::new(address, 25)
    }
}

impl Network {
    /// Builds the hosts in the present namespace, which must be the lab's own.
    pub(crate) fn build() -> Outcome<Self> {
        for side in Side::ALL {
            run(&mut tool("ip", &["netns", "add", side.name()]), PATIENCE)?;
            // Nobody else can have our addresses; looking for them would cost a second.
            side.within(|| fs::write(DUPLICATE_DETECTION, "0").because(DUPLICATE_DETECTION))?;
        }
        batch(&mut tool("ip", &["-batch", "-"]), LINKS)?;
        batch(&mut Side::Client.command("ip", &["-batch", "-"]), CLIENT)?;
        batch(&mut Side::Gateway.command("ip", &["-batch", "-"]), GATEWAY)?;
        batch(&mut Side::Server.command("ip", &["-batch", "-"]), SERVER)?;
        Side::Gateway.within(|| {
            for setting in FORWARDING {
                fs::write(setting, "1").because(setting)?;
            }
            Ok(())
        })?;
        let network = Self {};
        network.count_invalid()?;
        Ok(network)
    }

    /// Switches the segmentation offloads of every interface: on, veth carries packets of up to
    /// 64 kB with unfinished checksums; off, packets of the MTU with finished ones.
    pub(crate) fn set_offloads(&self, on: bool) -> Outcome {
        let state = if on { "on" } else { "off" };
        for (side, link) in INTERFACES {
            let options = ["-K", link, "tso", state, "gso", state, "gro", state, "tx", state];
            run(&mut side.command("ethtool", &options), PATIENCE)?;
        }
        Ok(())
    }

    /// Has one processor take in all packets of a flow, as network cards see to it. Left to
    /// themselves, these devices let a flow's packets from two processors overtake each other.
    pub(crate) fn steer_flows(&self) -> Outcome {
        let processors = thread::available_parallelism()?.get().min(31);
        let mask = (1_u32 << processors) - 1;
        for (side, link) in INTERFACES {
            let file = format!("/sys/class/net/{link}/queues/rx-0/rps_cpus");
            let script = format!("mount -t sysfs sysfs /sys && echo {mask:x} > {file}");
            run(&mut side.command("unshare", &["-m", "sh", "-c", &script]), PATIENCE)?;
        }
        Ok(())
    }

    /// How many forwarded packets the gateway's connection tracking has called invalid so far.
    pub(crate) fn invalid(&self) -> Outcome<u64> {
        let mut sum = 0;
        for program in ["iptables", "ip6tables"] {
            let list = ["-w", "-t", "filter", "-nvxL", "FORWARD"];
            let text = run(&mut Side::Gateway.command(program, &list), PATIENCE)?;
            let row = text.lines().find(|row| row.contains("INVALID")).because(&text)?;
            let count = row.split_whitespace().next().and_then(|word| word.parse::<u64>().ok());
            sum += count.because(row)?;
        }
        Ok(sum)
    }

    /// The gateway's packet filter rules and chains, both families, without their counters; the
    /// kernel's own empty chains, which come into being when they are looked at, are left out.
    pub(crate) fn saved_rules(&self) -> Outcome<String> {
        let mut saved = String::new();
        for program in ["iptables-save", "ip6tables-save"] {
            let text = run(&mut Side::Gateway.command(program, &[]), PATIENCE)?;
            for line in text.lines().filter(|line| line.starts_with("-A") || line.contains(" - ["))
            {
                saved.push_str(&format!("{program} {}\n", line.split(" [").next().unwrap_or(line)));
            }
        }
        Ok(saved)
    }

    /// A rule without a target counts, and makes sure that connections are tracked at all.
    fn count_invalid(&self) -> Outcome {
        for program in ["iptables", "ip6tables"] {
            let rule = ["-w", "-A", "FORWARD", "-m", "conntrack", "--ctstate", "INVALID"];
            let done = run(&mut Side::Gateway.command(program, &rule), PATIENCE);
            done.map_err(|failure| Failure::Lacking(format!("connection tracking: {failure}")))?;
        }
        Ok(())
    }
}

fn batch(command: &mut Command, lines: &str) -> Outcome {
    let mut child = command.stdin(Stdio::piped()).spawn().because("ip -batch")?;
    // Dropping the pipe ends its input.
    child.stdin.take().because("its input")?.write_all(lines.as_bytes())?;
    let status = child.wait()?;
    if status.success() { Ok(()) } else { wrong(format!("ip -batch ({status})\n{lines}")) }
}

const LINKS: &str = "\
link add c0 netns client type veth peer name gc netns gateway
link add s0 netns server type veth peer name gs netns gateway
";

const CLIENT: &str = "\
link set lo up
link set c0 up
address add 192.0.2.2/24 dev c0
address add 2001:db8:1::2/64 dev c0 nodad
route add default via 192.0.2.1
route add default via 2001:db8:1::1
";

const GATEWAY: &str = "\
link set lo up
link set gc up
link set gs up
address add 192.0.2.1/24 dev gc
address add 198.51.100.1/24 dev gs
address add 2001:db8:1::1/64 dev gc nodad
address add 2001:db8:2::1/64 dev gs nodad
";

const SERVER: &str = "\
link set lo up
link set s0 up
address add 198.51.100.2/24 dev s0
address add 2001:db8:2::2/64 dev s0 nodad
route add default via 198.51.100.1
route add default via 2001:db8:2::1
";

const DUPLICATE_DETECTION: &str = "/proc/sys/net/ipv6/conf/default/accept_dad";

const FORWARDING: [&str; 2] =
    ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"];
