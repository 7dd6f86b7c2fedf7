//! The table of all keys but the guard's own settings.
//!
//! Each row declares a key once: what it is for, its section, its name, its type, and what stands
//! for it in the file that is shipped. What is read, what is said about a wrong value, what
//! `--set` takes, what holds where nothing is given and the shipped file's documentation all come
//! from the rows.

use super::tree::Node;
use super::value::{AbsolutePath, LogPlace, Loopback, Number, ProfileName, Read, Wrong};
use super::{Backend, Fail, RulesBackend};
use crate::engine::UnknownFlow;
use crate::event::Format;
use crate::flow::Network;

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its section; empty at the top of the file.
    pub section: &'static str,
    /// Its name there.
    pub name: &'static str,
    /// What it is for.
    pub about: &'static str,
    /// What the file that is shipped says, as TOML.
    pub preset: Preset,
    /// Whether its value is a list.
    pub(super) is_list: bool,
    expected: fn() -> String,
    pub(super) read: fn(&mut Given, &Node) -> Result<(), Vec<Wrong>>,
}

/// What the shipped file says for a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Preset {
    /// Its default.
    Default(&'static str),
    /// It has none, or it follows another key; this may be written.
    Example(&'static str),
}

impl Key {
    /// What may be given, to stand behind "expected".
    #[must_use]
    pub fn expected(&self) -> String {
        (self.expected)()
    }

    /// How it is called: behind its section.
    #[must_use]
    pub fn path(&self) -> String {
        match self.section {
            "" => self.name.to_owned(),
            section => format!("{section}.{}", self.name),
        }
    }
}

/// What holds where nothing is given: the default, or nothing.
macro_rules! preset {
    (Default $type:ty, $text:literal) => {
        <$type as Read>::preset($text)
    };
    (Example $type:ty, $text:literal) => {
        <$type>::default()
    };
}

/// Declares the keys: the structs that hold their values, and the table.
macro_rules! keys {
    ($($section:literal $field:ident: $struct:ident {
        $($(#[doc = $about:literal])+ $name:ident: $type:ty = $kind:ident $text:literal;)+
    })+) => {
        $(
            /// The keys of a section.
            #[derive(Debug)]
            pub(super) struct $struct {
                $($(#[doc = $about])+ pub(super) $name: $type,)+
            }
        )+

        /// What was given, key by key; what was not is as the rows say.
        #[derive(Debug)]
        pub(super) struct Given {
            $(pub(super) $field: $struct,)+
        }

        impl Given {
            /// Nothing was given.
            pub(super) fn nothing() -> Self {
                Self {
                    $($field: $struct { $($name: preset!($kind $type, $text),)+ },)+
                }
            }
        }

        /// Every key there is, but the guard's own settings and those of exceptions.
        pub const KEYS: &[Key] = &[$($(Key {
            section: $section,
            name: stringify!($name),
            about: concat!($($about),+).trim_ascii(),
            preset: Preset::$kind($text),
            is_list: <$type as Read>::IS_LIST,
            expected: <$type as Read>::expected,
            read: |given, node| {
                given.$field.$name = Read::read(node)?;
                Ok(())
            },
        },)+)+];
    };
}

keys! {
    "" general: General {
        /// The profile whose presets all settings begin with.
        profile: ProfileName = Default "\"mailguard\"";

        /// TCP ports of SMTP servers. With none, no mail is looked at.
        ports: Vec<Number<1, 65_535>> = Default "[25]";

        /// Judge and log, change nothing.
        monitor: bool = Default "false";

        /// What becomes of connections that were open before the filter was there.
        unknown_flow: UnknownFlow = Default "\"reset\"";

        /// Whether a running filter gives up what it does not need: files, capabilities, calls of
        /// the kernel.
        sandbox: bool = Default "true";
    }

    "queue" queue: QueueKeys {
        /// The lowest NFQUEUE number.
        first: Number<0, 65_535> = Default "0";

        /// The highest, at most 63 above. One thread serves each. As `first` if it is not given.
        last: Option<Number<0, 65_535>> = Default "0";

        /// What talks to the kernel: our own messages, several a system call, or the nfq crate.
        backend: Backend = Default "\"netlink\"";

        /// Packets that the kernel keeps for each queue.
        // 8,192 of 3 KiB lasted through a burst of 10,000 a second at 300 us each.
        length: Number<1, 1_048_576> = Default "8192";

        /// Bytes of each queue's socket. 3072 a packet, 32 MiB at most, if it is not given.
        socket_buffer: Option<Number<SOCKET_BUFFER_MIN, SOCKET_BUFFER_MAX>> = Default "25165824";

        /// Whether GSO packets come whole. False where rules.local is true, if it is not given.
        gso: Option<bool> = Default "true";

        /// What becomes of mail while no filter runs.
        fail: Fail = Default "\"closed\"";
    }

    "rules" rules: RulesKeys {
        /// What keeps the rules: tables of iptables, or one of our own, by nft. "auto": whatever
        /// holds them now; else nft where the kernel has all that it takes, and iptables elsewhere.
        backend: RulesBackend = Default "\"auto\"";

        /// Hosts to which nobody may open a connection but to the ports above. They are behind this
        /// machine: its own ports are closed to nobody.
        mail_hosts: Vec<Network> = Example "[\"192.0.2.25\", \"2001:db8::25\"]";

        /// Also guard a mail server on this machine.
        local: bool = Default "false";

        /// Bit of packets: sent by the filter, or speaking for it.
        // Apart from those that routing and containers are known to use.
        mark: Number<1, 0xffff_ffff> = Default "0x10000000";

        /// Bit of connections that need no filter.
        offload_mark: Number<1, 0xffff_ffff> = Default "0x20000000";
    }

    "limits" limits: LimitsKeys {
        /// Established connections.
        flows_max: Number<1, 16_777_216> = Default "100000";

        /// Records of handshakes under way, of at most 64 bytes; the oldest makes room.
        handshakes_max: Number<1, 16_777_216> = Default "65536";

        /// Bytes kept until they are acknowledged, for each direction of a connection.
        // The largest receive window Linux opens by default (tcp_rmem[2]) is 6 MiB.
        bytes_per_flow_max: Number<65_536, BYTES_MAX> = Default "8388608";

        /// The same for all connections together.
        store_bytes_max: Number<1_048_576, BYTES_MAX> = Default "268435456";

        /// How long an unfinished handshake is remembered.
        handshake_seconds: Number<1, 3_600> = Default "30";

        /// How long a silent connection is remembered.
        // RFC 5321 4.5.3.2.6: a client waits 10 minutes for the reply to the end of data.
        idle_seconds: Number<1, 2_678_400> = Default "1200";

        /// How long a connection that has ended is remembered.
        closed_seconds: Number<1, 3_600> = Default "30";

        /// Packets of unknown connections that are answered with RSTs in a second.
        // After a restart every flow of a full table gets its RSTs within two minutes, which no
        // sender takes for the end of the world (RFC 5321 4.5.3.2: five minutes).
        orphan_resets_per_second: Number<0, 1_000_000> = Default "1000";

        /// What one connection may put into the event log at once.
        // Enough for a thousand recipients and their answers.
        log_burst_bytes: Number<1_024, 0xffff_ffff> = Default "1048576";

        /// What it may add each second.
        // A sender of one such message every ten seconds is logged whole.
        log_flow_bytes_per_second: Number<0, 0xffff_ffff> = Default "65536";
    }

    "control" control: ControlKeys {
        /// The Unix socket that `mailguard ctl` talks to. If it is not given, the filter runs
        /// without one where there can be none.
        socket: AbsolutePath = Default "\"/run/mailguard/control\"";

        /// A group whose members may connect. Without one, the group the filter runs as.
        group: Option<String> = Example "\"adm\"";

        /// Whether members of the group may change things, and not only root and the filter's user.
        group_may_change: bool = Default "false";
    }

    "metrics" metrics: MetricsKeys {
        /// Where Prometheus may collect metrics by HTTP: an address of this machine alone.
        listen: Option<Loopback> = Example "\"127.0.0.1:9625\"";
    }

    "pix" pix: PixKeys {
        /// Lines of a PIX that name mail hosts, as they were typed: they are only remembered here,
        /// what they mean stands in the keys above. `write memory` keeps this up.
        lines: Vec<String> = Default "[]";
    }

    "log" log: LogKeys {
        /// Where the event log is written: a file or a FIFO, "-" for standard output, "journald",
        /// or "syslog"; behind these and a colon their socket, if it is not the usual one.
        events: Option<LogPlace> = Example "\"/var/log/mailguard/events.log\"";

        /// Its form.
        format: Format = Default "\"text\"";

        /// Bytes that it may grow by in a second. What is more is left out, and counted.
        // 2,000 messages a second at 20 lines of 100 bytes; a disk of 100 GB lasts seven hours.
        bytes_per_second: Number<1_024, BYTES_MAX> = Default "4194304";
    }

    "patches" patches: PatchesKeys {
        /// Where patches of your own are, as files of TOML. Beside it: off, log or on by ID.
        directory: Option<String> = Example "\"/etc/mailguard/patches\"";
    }
}

/// Room for one packet; the kernel takes no less than about half of it.
pub(super) const SOCKET_BUFFER_MIN: u64 = 4_096;

/// The kernel doubles the figure and keeps it in a signed 32-bit number.
const SOCKET_BUFFER_MAX: u64 = 1 << 29;

/// Memory no gateway has to give.
const BYTES_MAX: u64 = 1 << 40;
