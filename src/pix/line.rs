//! One line of a PIX's configuration that may name a mail host.

use std::net::Ipv4Addr;

use super::SMTP_PORT;
use super::names::Names;

/// What a line says of mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// `mailhost`: the mail host's own address.
    Mailhost(Block),
    /// `static`: what is this from outside is that inside.
    Static(Static),
    /// `conduit` or `access-list`: who is let in, to where.
    Rule(Rule),
    /// `access-group`: the list that is in force at an interface.
    Group { list: String, interface: String },
    /// `name`.
    Name(Ipv4Addr),
    /// It says nothing of mail.
    Nothing,
}

/// Addresses with their first bits in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Block {
    pub(super) address: Ipv4Addr,
    pub(super) prefix: u8,
}

/// `static`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Static {
    /// From outside; none: the interface's own.
    pub(super) global: Option<Block>,
    pub(super) local: Local,
    /// Only this port from outside, and that one inside.
    pub(super) ports: Option<(u16, u16)>,
}

/// Whom a `static` leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Local {
    Block(Block),
    /// The source of this list's first permit line.
    List(String),
}

/// `conduit` and `access-list`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Rule {
    /// The list it belongs to; none: a conduit.
    pub(super) list: Option<String>,
    pub(super) is_permit: bool,
    pub(super) is_tcp: bool,
    /// Who may come.
    pub(super) source: Hosts,
    /// Whereto.
    pub(super) destination: Hosts,
    /// Of these ports; none: all.
    pub(super) ports: Option<(u16, u16)>,
}

/// Whom a line names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hosts {
    /// Anybody, or an interface.
    NoBlock,
    Block(Block),
    /// A network by its name, or a group of them.
    Named(String),
}

impl Hosts {
    pub(super) const fn block(&self) -> Option<Block> {
        if let Self::Block(block) = self { Some(*block) } else { None }
    }
}

/// The words of a line that are not yet read.
struct Words<'l> {
    rest: Vec<&'l str>,
    names: &'l Names,
}

impl<'l> Words<'l> {
    fn next(&mut self) -> Option<&'l str> {
        (!self.rest.is_empty()).then(|| self.rest.remove(0))
    }

    fn take(&mut self, word: &str) -> bool {
        let is_next = self.rest.first().is_some_and(|next| next.eq_ignore_ascii_case(word));
        if is_next {
            self.rest.remove(0);
        }
        is_next
    }

    fn expect(&mut self, what: &str) -> Result<&'l str, String> {
        self.next().ok_or_else(|| format!("expected {what} at the end"))
    }

    fn address(&mut self) -> Result<Ipv4Addr, String> {
        let word = self.expect("an address")?;
        let named = self.names.addresses.get(word).copied();
        let address = named.or_else(|| word.parse().ok());
        address.ok_or_else(|| format!("`{word}` found, expected an address or a name"))
    }

    /// `any`, `host A`, `A MASK`, `interface IF`, `object NAME`, `object-group NAME`.
    fn place(&mut self) -> Result<Hosts, String> {
        if self.take("any") || self.take("any4") {
            return Ok(Hosts::NoBlock);
        }
        if self.take("host") {
            return Ok(Hosts::Block(Block { address: self.address()?, prefix: 32 }));
        }
        if self.take("interface") {
            self.expect("a name")?;
            return Ok(Hosts::NoBlock);
        }
        if self.take("object-group") || self.take("object") {
            return Ok(Hosts::Named(self.expect("a name")?.to_owned()));
        }
        let address = self.address()?;
        let prefix = self.mask()?;
        Ok(if prefix > 0 { Hosts::Block(Block { address, prefix }) } else { Hosts::NoBlock })
    }

    fn mask(&mut self) -> Result<u8, String> {
        let word = self.expect("a mask")?;
        prefix_of(word).ok_or_else(|| format!("`{word}` found, expected a mask"))
    }

    /// `eq P`, `range P Q`, `gt P`, `lt P`, `object-group NAME`; none: all ports, or ones that are
    /// not told here.
    fn ports(&mut self) -> Result<Option<(u16, u16)>, String> {
        if let Some(&["object-group" | "object", name]) = self.rest.first_chunk()
            && let Some(ports) = self.names.service(name)
        {
            self.rest.drain(..2);
            return Ok(ports);
        }
        for operator in ["eq", "range", "gt", "lt", "neq"] {
            if self.take(operator) {
                let port = self.port()?;
                return Ok(match operator {
                    "eq" => Some((port, port)),
                    "range" => Some((port, self.port()?)),
                    "gt" => Some((port.saturating_add(1), u16::MAX)),
                    "lt" => Some((1, port.saturating_sub(1))),
                    _ => None,
                });
            }
        }
        Ok(None)
    }

    fn port(&mut self) -> Result<u16, String> {
        let word = self.expect("a port")?;
        Ok(port_named(word).unwrap_or_else(|| word.parse().unwrap_or(0)))
    }
}

/// How many bits a mask has.
pub(super) fn prefix_of(mask: &str) -> Option<u8> {
    let mask = mask.parse::<Ipv4Addr>().ok().map(u32::from);
    let mask = mask.filter(|mask| mask.leading_ones() + mask.trailing_zeros() >= 32);
    mask.and_then(|mask| u8::try_from(mask.leading_ones()).ok())
}

/// The names of ports that concern mail; others are some other port, 0 here.
pub(super) fn port_named(word: &str) -> Option<u16> {
    match word.to_ascii_lowercase().as_str() {
        "smtp" => Some(SMTP_PORT),
        "submission" => Some(587),
        "smtps" | "ssmtp" | "urd" => Some(465),
        _ => None,
    }
}

impl Line {
    /// Reads a line, whole words only, in whatever case.
    ///
    /// # Errors
    /// Why it is not understood, if it is one of those that may name mail hosts.
    pub(super) fn parse(line: &str, names: &Names) -> Result<Self, String> {
        let mut words = Words { rest: line.split_whitespace().collect(), names };
        match words.next().map(str::to_ascii_lowercase).as_deref() {
            Some("mailhost") => mailhost(&mut words),
            Some("static") => parse_static(&mut words).map(Self::Static),
            Some("conduit") => parse_rule(None, &mut words),
            Some("access-list") => {
                let list = words.expect("the name of a list")?.to_owned();
                if words.take("line") {
                    words.expect("a number")?;
                }
                words.take("extended");
                parse_rule(Some(list), &mut words)
            }
            Some("access-group") => {
                let list = words.expect("the name of a list")?.to_owned();
                if !words.take("in") || !words.take("interface") {
                    return Ok(Self::Nothing);
                }
                Ok(Self::Group { list, interface: words.expect("an interface")?.to_owned() })
            }
            Some("name") => {
                let address = words.expect("an address")?;
                let parsed = address.parse().map(Self::Name);
                parsed.map_err(|_| format!("`{address}` found, expected an address"))
            }
            _ => Ok(Self::Nothing),
        }
    }
}

/// The order of `mailhost`'s two addresses is not certain; the second one is the host's own here.
fn mailhost(words: &mut Words<'_>) -> Result<Line, String> {
    if words.rest.first().is_some_and(|word| word.starts_with('(')) {
        words.next();
    }
    words.address()?;
    Ok(Line::Mailhost(Block { address: words.address()?, prefix: 32 }))
}

fn parse_static(words: &mut Words<'_>) -> Result<Static, String> {
    if words.rest.first().is_some_and(|word| word.starts_with('(')) {
        words.next();
    }
    let has_ports = words.take("tcp");
    if words.take("udp") {
        // Nothing of mail, whatever follows.
        let local = Local::List(String::new());
        return Ok(Static { global: None, local, ports: Some((0, 0)) });
    }
    let global = if words.take("interface") { None } else { Some(words.address()?) };
    let outer = if has_ports { words.port()? } else { 0 };
    if words.take("access-list") {
        let local = Local::List(words.expect("the name of a list")?.to_owned());
        let ports = has_ports.then_some((outer, outer));
        return Ok(Static { global: global.map(host), local, ports });
    }
    let address = words.address()?;
    let inner = if has_ports { words.port()? } else { 0 };
    if outer == SMTP_PORT && inner == 0 {
        return Err("which port it is inside is not known here: expected a number".to_owned());
    }
    let mut prefix = 32;
    while let Some(word) = words.next() {
        if word == "netmask" {
            prefix = words.mask()?;
        }
    }
    let block = |address| Block { address, prefix };
    let ports = has_ports.then_some((outer, inner));
    Ok(Static { global: global.map(block), local: Local::Block(block(address)), ports })
}

const fn host(address: Ipv4Addr) -> Block {
    Block { address, prefix: 32 }
}

/// A conduit names the inner end first, a list the source.
fn parse_rule(list: Option<String>, words: &mut Words<'_>) -> Result<Line, String> {
    let is_permit = words.take("permit");
    if !is_permit && !words.take("deny") {
        // A remark, an older order, another kind of list.
        return match &list {
            Some(_) => Ok(Line::Nothing),
            None => Err("expected permit or deny".to_owned()),
        };
    }
    let protocol = words.expect("a protocol")?.to_ascii_lowercase();
    // A group of protocols may have TCP, and one of services has ports.
    let mut is_tcp = matches!(protocol.as_str(), "tcp" | "ip" | "6");
    let mut own_ports = None;
    if matches!(protocol.as_str(), "object-group" | "object") {
        let name = words.expect("a name")?;
        is_tcp = true;
        own_ports = words.names.service(name);
    }
    if !is_tcp {
        return Ok(Line::Nothing);
    }
    let first = words.place()?;
    let first_ports = words.ports()?;
    if words.rest.is_empty() {
        // A standard list: sources alone.
        return Ok(Line::Nothing);
    }
    let second = words.place()?;
    let second_ports = words.ports()?;
    let (source, destination, ports) = match &list {
        None => (second, first, first_ports),
        Some(_) => (first, second, second_ports),
    };
    let ports = own_ports.unwrap_or(ports);
    let has_mail = ports.is_none_or(|(low, high)| (low..=high).contains(&SMTP_PORT));
    if let Hosts::Named(name) = &destination
        && has_mail
        && words.names.members(name).is_none()
    {
        return Err(format!("not all of `{name}` are hosts or networks: name them yourself"));
    }
    // Of a port at the source, as the lists that a `static` names have it, only the host matters.
    let ports = if list.is_some() {
        ports.or_else(|| first_ports.filter(|_| destination == Hosts::NoBlock))
    } else {
        ports
    };
    Ok(Line::Rule(Rule { list, is_permit, is_tcp, source, destination, ports }))
}
