//! The table of all that may be typed: the mode from which on, the words, what they ask for. Words
//! in capitals stand for values; `REST` for all that follows.

use super::words::Mode;

/// What a line asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// How the filter is.
    Status,
    /// Every counter.
    Stats,
    /// The connections, one a line.
    Flows,
    /// One connection.
    Flow,
    /// Resets one connection.
    Kill,
    /// The kernel's queues.
    Queues,
    /// The last lines of the event log.
    Events,
    /// The metrics.
    Metrics,
    /// Which version runs.
    Version,
    /// Whether anybody answers.
    Ping,
    /// What may be typed.
    Help,
    /// To `#`.
    Enable,
    /// Back to `>`.
    Disable,
    /// One mode back, or the end.
    Leave,
    /// The configuration file once more.
    Reload,
    /// To `(config)#`.
    Configure,
    /// The configuration, printed.
    WriteTerminal,
    /// The configuration, written to its file.
    WriteMemory,
    /// What the PIX's words can say, taken out of the file.
    WriteErase,
    /// Out of `(config)#`.
    End,
    /// The ports that are guarded.
    ShowFixup,
    /// The lines `mailhost`.
    ShowMailhost,
    /// The lines `static`.
    ShowStatic,
    /// The lines `conduit`.
    ShowConduit,
    /// The lines `access-list`.
    ShowAccessList,
    /// The connections, as an ASA writes them.
    ShowConn,
    /// The same, with all there is.
    ShowConnLong,
    /// How many there are.
    ShowConnCount,
    /// How many translations: one a connection.
    ShowXlate,
    /// Lines of the configuration in force.
    ShowRunning,
    /// The file.
    ShowConfigure,
    /// What the inspection counted.
    ShowServicePolicy,
    /// Resets the connections that began under other settings.
    ClearXlate,
    /// A change to the configuration in force.
    Edit(Edit),
}

/// What a line makes of the configuration in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Edit {
    /// Port 25 and no other.
    ClearFixup,
    /// No line `mailhost`.
    ClearMailhost,
    /// No line `conduit`.
    ClearConduit,
    /// No line `static`.
    ClearStatic,
    /// Guards a port.
    Fixup,
    /// A protocol that is none of ours.
    OtherFixup,
    /// Guards a port no more.
    NoFixup,
    /// A line that names mail hosts.
    Line,
    /// Takes one back.
    NoLine,
    /// Whether names count, which they always do here.
    Names,
}

impl Command {
    /// Whether it changes anything.
    #[must_use]
    pub const fn changes(self) -> bool {
        matches!(
            self,
            Self::Reload
                | Self::Kill
                | Self::WriteMemory
                | Self::WriteErase
                | Self::Configure
                | Self::ClearXlate
                | Self::Edit(_)
        )
    }
}

/// One line that may be typed.
#[derive(Debug)]
pub(super) struct Row {
    /// The mode from which on it may be typed.
    pub(super) mode: Mode,
    pub(super) words: &'static str,
    pub(super) command: Command,
}

/// The lines that may be typed in a mode.
pub fn lines_of(mode: Mode) -> impl Iterator<Item = String> {
    COMMANDS.iter().filter(move |row| row.mode <= mode).map(Row::shown)
}

impl Row {
    /// Its words, as whoever may type them is told.
    pub(super) fn shown(&self) -> String {
        self.words.replace("REST", "...")
    }
}

const fn row(mode: Mode, words: &'static str, command: Command) -> Row {
    Row { mode, words, command }
}

const fn edit(words: &'static str, edit: Edit) -> Row {
    row(Mode::Configuring, words, Command::Edit(edit))
}

/// All of them.
pub(super) const COMMANDS: &[Row] = &[
    row(Mode::Looking, "status", Command::Status),
    row(Mode::Looking, "stats", Command::Stats),
    row(Mode::Looking, "flows", Command::Flows),
    row(Mode::Looking, "flows REST", Command::Flows),
    row(Mode::Looking, "flow ID", Command::Flow),
    row(Mode::Looking, "queues", Command::Queues),
    row(Mode::Looking, "show queues", Command::Queues),
    row(Mode::Looking, "events", Command::Events),
    row(Mode::Looking, "events REST", Command::Events),
    row(Mode::Looking, "metrics", Command::Metrics),
    row(Mode::Looking, "version", Command::Version),
    row(Mode::Looking, "ping", Command::Ping),
    row(Mode::Looking, "help", Command::Help),
    row(Mode::Looking, "help REST", Command::Help),
    row(Mode::Looking, "?", Command::Help),
    row(Mode::Looking, "enable", Command::Enable),
    row(Mode::Looking, "disable", Command::Disable),
    row(Mode::Looking, "exit", Command::Leave),
    row(Mode::Looking, "quit", Command::Leave),
    row(Mode::Looking, "logout", Command::Leave),
    row(Mode::Looking, "show version", Command::Version),
    row(Mode::Looking, "show status", Command::Status),
    row(Mode::Looking, "show stats", Command::Stats),
    row(Mode::Exec, "kill ID", Command::Kill),
    row(Mode::Exec, "reload", Command::Reload),
    row(Mode::Exec, "reload noconfirm", Command::Reload),
    row(Mode::Exec, "configure terminal", Command::Configure),
    row(Mode::Exec, "configure memory", Command::Reload),
    row(Mode::Exec, "write terminal", Command::WriteTerminal),
    row(Mode::Exec, "write memory", Command::WriteMemory),
    row(Mode::Exec, "write erase", Command::WriteErase),
    row(Mode::Exec, "write erase noconfirm", Command::WriteErase),
    row(Mode::Exec, "end", Command::End),
    row(Mode::Exec, "show fixup", Command::ShowFixup),
    row(Mode::Exec, "show fixup protocol smtp", Command::ShowFixup),
    row(Mode::Exec, "show mailhost", Command::ShowMailhost),
    row(Mode::Exec, "show static", Command::ShowStatic),
    row(Mode::Exec, "show conduit", Command::ShowConduit),
    row(Mode::Exec, "show access-list", Command::ShowAccessList),
    row(Mode::Exec, "show conn", Command::ShowConn),
    row(Mode::Exec, "show conn long", Command::ShowConnLong),
    row(Mode::Exec, "show conn count", Command::ShowConnCount),
    row(Mode::Exec, "show xlate", Command::ShowXlate),
    row(Mode::Exec, "show running-config", Command::WriteTerminal),
    row(Mode::Exec, "show running-config REST", Command::ShowRunning),
    row(Mode::Exec, "show configure", Command::ShowConfigure),
    row(Mode::Exec, "show service-policy", Command::ShowServicePolicy),
    row(Mode::Exec, "show service-policy inspect esmtp", Command::ShowServicePolicy),
    row(Mode::Exec, "show flows", Command::Flows),
    row(Mode::Exec, "show flows REST", Command::Flows),
    row(Mode::Exec, "show events", Command::Events),
    row(Mode::Exec, "clear xlate", Command::ClearXlate),
    edit("clear fixup", Edit::ClearFixup),
    edit("clear mailhost", Edit::ClearMailhost),
    edit("clear conduit", Edit::ClearConduit),
    edit("clear static", Edit::ClearStatic),
    edit("fixup protocol smtp", Edit::Fixup),
    edit("fixup protocol smtp PORT", Edit::Fixup),
    edit("fixup protocol REST", Edit::OtherFixup),
    edit("no fixup protocol smtp", Edit::NoFixup),
    edit("no fixup protocol smtp PORT", Edit::NoFixup),
    edit("no fixup protocol REST", Edit::OtherFixup),
    edit("mailhost REST", Edit::Line),
    edit("no mailhost REST", Edit::NoLine),
    edit("static REST", Edit::Line),
    edit("no static REST", Edit::NoLine),
    edit("conduit REST", Edit::Line),
    edit("no conduit REST", Edit::NoLine),
    edit("access-list REST", Edit::Line),
    edit("no access-list REST", Edit::NoLine),
    edit("access-group REST", Edit::Line),
    edit("no access-group REST", Edit::NoLine),
    edit("name REST", Edit::Line),
    edit("no name REST", Edit::NoLine),
    edit("names", Edit::Names),
    edit("no names", Edit::Names),
];
