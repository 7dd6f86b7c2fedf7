//! What each rule, reason and alarm means, and which settings decide about it: a table by the
//! words that the event log uses.

/// What a word of the event log stands for.
#[derive(Clone, Copy, Debug)]
pub struct Cause {
    /// The word.
    pub name: &'static str,
    /// What it says, and what to do.
    pub about: &'static str,
    /// The settings that decide, the first above all; none where it is not for anybody to decide.
    pub settings: &'static [&'static str],
}

/// The cause of this name.
#[must_use]
pub fn cause(name: &str) -> Option<&'static Cause> {
    CAUSES.iter().find(|cause| cause.name == name)
}

const fn row(name: &'static str, settings: &'static [&'static str], about: &'static str) -> Cause {
    Cause { name, about, settings }
}

/// What decides whether records of TLS are looked at.
const FRAMING: &[&str] = &["tls_framing", "tls_watch"];

/// Every word, in order.
pub const CAUSES: [Cause; 116] = [
    // Rules: what a setting forbids.
    row(
        "address",
        &["address_scan"],
        "A character in MAIL or RCPT that defines no address. The \
        old releases made a space of it.",
    ),
    row("auth-again", &["order"], "AUTH comes behind a successful one, or inside a transaction."),
    row(
        "banner",
        &["banner"],
        "The text of the server's greeting is masked, so that it does not \
        say which program answers.",
    ),
    row(
        "bare-last-line",
        &["bare_last_line"],
        "The last line of a reply of several lines has \
        nothing but its code. Some clients read beyond its end.",
    ),
    row("body-bytes", &["body_bytes_max"], "The body of a message is too long."),
    row("body-line", &["body_line_max"], "A line of a message's body is too long."),
    row(
        "command-gap",
        &["unit"],
        "A TAB stands behind the verb, and becomes a space: \
        servers do not agree whether it ends a verb.",
    ),
    row("data-after-bdat", &["order"], "DATA comes in a transaction that has begun with BDAT."),
    row("data-without-mail", &["order"], "DATA or BDAT comes outside of a transaction."),
    row("data-without-rcpt", &["order"], "DATA comes though no recipient was accepted, or may be."),
    row(
        "declared-size",
        &["syslog_names"],
        "A message is larger than the SIZE that its MAIL said. It passes; an ASA tells of it.",
    ),
    row(
        "ehlo-keyword",
        &["ehlo", "ehlo_keywords", "starttls"],
        "The server offers an extension \
        that is not listed. The client does not get to see it. To have it offered, add it to \
        `ehlo_keywords`.",
    ),
    row("empty-lines", &["empty_lines_max"], "Too many empty lines in a row."),
    row(
        "envelope",
        &["envelope", "recipient_refuse", "sender_refuse", "auth_mechanisms"],
        "An \
        argument is not as the grammar of its verb wants it. What real senders do passes under \
        \"lenient\"; \"log\" changes nothing.",
    ),
    row("failed-auth", &["failed_auth_max"], "Too many authentications failed."),
    row("header-bytes", &["header_bytes_max"], "The header of a message is too long."),
    row("header-fields", &["header_fields_max"], "The header of a message has too many fields."),
    row("header-line", &["header_line_max"], "A line of a message's header is too long."),
    row("hello-name", &["hello_refuse"], "The client calls itself by a name that is refused."),
    row(
        "idle-commands",
        &["idle_commands_max"],
        "Too many commands since the last message that \
        bring none on its way.",
    ),
    row("last-chunk", &["verbs"], "LAST behind BDAT leaves in capitals, which all servers know."),
    row("local-part", &["local_part_max"], "A local part is too long."),
    row(
        "long-line",
        &["line_max", "envelope_line_max", "auth_line_max", "auth_response_max", "long_lines"],
        "A line of the client is too long. What goes beyond a server's buffer would \
        run there as another line.",
    ),
    row(
        "lookalike",
        &["lookalikes"],
        "Something in a message only looks like its end, and some \
        servers take it for one (SMTP smuggling). The line end that makes it one becomes X.",
    ),
    row("mail-twice", &["order"], "MAIL comes inside a transaction."),
    row("masked-path", &["order"], "The server has taken a masked address: no message goes there."),
    row(
        "message-bytes",
        &["size_assumed"],
        "The message is larger than the server takes. Some servers lose their place in one that \
        is, and run text behind a dot: so what is beyond is masked, or the connection ends there.",
    ),
    row("messages", &["messages_max"], "Too many messages in one connection."),
    row(
        "other-protocol",
        &["http_words"],
        "The client does not speak SMTP but HTTP, TLS or \
        another protocol.",
    ),
    row(
        "parameter",
        &["parameters", "envelope"],
        "MAIL or RCPT has a parameter that the server \
        has not offered.",
    ),
    row(
        "patch",
        &["patches"],
        "A patch for a known hole of a mail server has struck. `mailguard \
        patches show ID` says all of it.",
    ),
    row("path", &["path_max"], "A path is too long."),
    row("rcpt-without-mail", &["order"], "RCPT comes outside of a transaction."),
    row("recipients", &["recipients_max"], "Too many recipients of one message."),
    row("refused-lines", &["refused_lines_max"], "Too many lines were refused here."),
    row(
        "rejected-recipients",
        &["rejected_recipients_max"],
        "The server has refused too many \
        recipients for good: somebody guesses addresses, or sends to an old list.",
    ),
    row("sender", &["sender_max"], "The sender's address is too long."),
    row("small-chunks", &["chunks_small_max"], "Too many small chunks in one message."),
    row(
        "stray-bytes",
        &["unit"],
        "Bytes that no server may take for a command: behind a bare CR \
        or a NUL in a line, behind a final reply, or of a BDAT that may not pass. They are masked \
        whatever is set.",
    ),
    row(
        "tls-required",
        &["require_tls", "auth_requires_tls"],
        "Mail or an authentication in clear \
        text, where TLS has to come first.",
    ),
    row(
        "verb",
        &["verbs", "starttls"],
        "The line's verb is not permitted, so the server gets a \
        masked line and itself answers 500. To let it pass, add it to `verbs`; the profile \
        `esmtp` permits what a server of today knows.",
    ),
    row(
        "downgrade",
        &["tls_downgrade"],
        "A server that used to offer STARTTLS does not, or \
        somebody on the way has masked its keyword.",
    ),
    row(
        "sni",
        &["tls_sni"],
        "A hello of TLS asks for a server by a name that is none, or cannot be \
        seen.",
    ),
    row(
        "tls-minimum",
        &["tls_minimum"],
        "A version of TLS was agreed on, or offered, that is below \
        the lowest.",
    ),
    // Reasons: why a packet was dropped or cut, or both ends reset.
    row(
        "awaiting-reply",
        &[],
        "What stands behind DATA, STARTTLS or AUTH waits until the server \
        has answered, since its answer says what these bytes are. TCP sends them again.",
    ),
    row("cleared", &[], "An operator typed `clear xlate` or `kill`."),
    row(
        "split-terminator",
        &["split_terminator", "split_scope", "split_action"],
        "The end of the \
        message is cut across two packets, and the release that this profile imitates rejected \
        the second (CSCds90792). The sender will deliver again and again.",
    ),
    row(
        "early-bytes",
        &[],
        "Bytes that had passed ahead of a gap turned out to be no message \
        text when the gap was filled.",
    ),
    row("flow-reset", &[], "The connection was reset before; nothing of it passes any more."),
    row(
        "flows-full",
        &["limits.flows_max"],
        "The table of connections was full, and this one's \
        client had the most.",
    ),
    row(
        "own-fault",
        &[],
        "The filter met a fault of its own. Please report it, with the program's log.",
    ),
    row(
        "store-pressure",
        &["limits.store_bytes_max"],
        "The memory for unacknowledged bytes was \
        full, and this connection held the most.",
    ),
    row(
        "unknown-flow",
        &["unknown_flow"],
        "The beginning of the connection was not seen: it is \
        older than the filter, or its way in one direction leads past it.",
    ),
    row("server-left", &[], "Said behind the server's FIN. A client that has it is reset for it."),
    row(
        "wrong-interface",
        &[],
        "The packet came in by another interface than its end had in the handshake, or from the \
        link address of the other end. Somebody speaks in another's name, the routes of the two \
        directions differ, or the path has moved (a failover, an interface made anew): what was \
        under way on the old one is reset after three seconds.",
    ),
    // What TCP cannot say here.
    row(
        "ack-of-unsent",
        &[],
        "It acknowledges bytes that were never let through: mail passes around \
        the filter (`mailguard check`). Said for 3 seconds, it resets.",
    ),
    row("beyond-fin", &[], "It lies beyond the end of its stream."),
    row(
        "beyond-window",
        &[],
        "Its receiver has not offered to take these bytes. TCP sends them \
        again.",
    ),
    row(
        "contradiction",
        &[],
        "Two copies of the same bytes differ. Somebody forges packets, or a \
        TCP is broken. Among commands the first copy stands; in a message the connection ends.",
    ),
    row("handshake", &[], "It is part of a handshake, and fits none that is under way."),
    row("old-ack", &[], "It acknowledges what no receiver could still acknowledge (RFC 5961 5.2)."),
    row(
        "out-of-order",
        &[],
        "It lies behind a gap. While commands are read it is dropped, and TCP sends it again.",
    ),
    row("repeated", &[], "All of it was acknowledged before."),
    row("server-syn", &[], "A SYN came from a port of the servers, to one that is none."),
    row("stray-reset", &[], "A RST that its receiver would not take either."),
    row(
        "store-full",
        &["limits.bytes_per_flow_max", "limits.store_bytes_max"],
        "There is no room \
        to keep its bytes until they are acknowledged. TCP sends them again.",
    ),
    row(
        "too-many-gaps",
        &[],
        "More than 16 separate runs of bytes lie behind gaps. TCP sends it \
        again.",
    ),
    // Alarms: the dialogue broke its own rules.
    row("unexpected-reply", &[], "The server's reply answers nothing that it had received."),
    row("malformed-reply", &[], "A line of the server begins with no code."),
    row(
        "reply-inside-data",
        &[],
        "The server gave its final reply before the message ended: it \
        takes something else for the end. The rest of the text is masked.",
    ),
    row(
        "skipped-reply",
        &[],
        "The server left out a reply: one that belongs to a later command \
        came first.",
    ),
    row("ended-early", &[], "The server ended the connection with replies outstanding."),
    row(
        "refused-chunk",
        &[],
        "The server refused a chunk that it had not received whole. What is \
        left of it is masked, so that it cannot run as commands.",
    ),
    row(
        "late-data",
        &[],
        "A 354 came behind text that was read as commands already. The \
        connection ends.",
    ),
    row("unasked-data", &[], "The server said 354 though nobody had asked. The connection ends."),
    row(
        "plaintext-for-tls",
        &[],
        "Plain text, or a 220 out of turn, came where TLS has to begin: somebody may have put \
        commands behind STARTTLS. The connection ends.",
    ),
    row("doubtful-chunk", &[], "Servers would count this BDAT differently. The connection ends."),
    row(
        "barred-chunk",
        &["verbs", "unit"],
        "A BDAT came that may not pass, or stands behind a refused chunk, which no setting \
        changes. Its octets would run as commands, so the connection ends.",
    ),
    row(
        "broken-prefix",
        &["proxy_protocol"],
        "What began like a header of the PROXY protocol is \
        none, or the server refuses it. The connection ends.",
    ),
    row(
        "doubtful-exchange",
        &[],
        "The server said 334 out of turn, or to a line with a bare CR, of which it may \
        have made two. The connection ends.",
    ),
    row("babble", &[], "The server goes on and on, and answers nothing. The connection ends."),
    // Packets that cannot be read.
    row("truncated", &[], "There is only a part of the packet. Record with a larger snaplen."),
    row("ip-header", &[], "It has no valid IP header, or that claims more bytes than there are."),
    row("ip-checksum", &[], "The checksum of its IPv4 header is wrong."),
    row(
        "fragment",
        &[],
        "It is a fragment. Connection tracking joins fragments before the filter \
        sees them: is it switched off for mail?",
    ),
    row("extension-header", &[], "It has an IPv6 extension header that no TCP walks here."),
    row("tcp-header", &[], "It has no valid TCP header."),
    row(
        "tcp-checksum",
        &[],
        "Its TCP checksum is wrong. In a capture that was made on the sending \
        machine that is normal: `--checksums=mend` reads such packets.",
    ),
    row("tcp-flags", &[], "It has flags that no TCP sends together."),
    // How TLS is broken.
    row("after-close", FRAMING, "A record of TLS came behind the alert that closed its side."),
    row("alert-flood", FRAMING, "More alerts of TLS came than anybody needs (CVE-2016-8610)."),
    row(
        "bad-ccs",
        FRAMING,
        "A ChangeCipherSpec of TLS has a wrong length or value, or is one too many.",
    ),
    row("early-ccs", FRAMING, "A ChangeCipherSpec came before there can be keys (CVE-2014-0224)."),
    row("hello-malformed", FRAMING, "A hello of TLS cannot be read whole."),
    row("hello-too-long", FRAMING, "A hello of TLS is longer than a record."),
    row("no-hello", FRAMING, "The first thing that was said in TLS is no hello."),
    row("not-tls", FRAMING, "Bytes came that begin no record of TLS, where TLS has to be."),
    row("record-length", FRAMING, "A record of TLS has a length that none can have."),
    row("record-type", FRAMING, "A record of TLS has a type that cannot come here."),
    row("record-version", FRAMING, "A record names a version that no TLS has."),
    row("server-first", FRAMING, "The server spoke TLS before it was spoken to."),
    row("sslv2-hello", FRAMING, "The client said the hello of SSL 2."),
    row("text-after-tls", FRAMING, "Text came where records of TLS were (CVE-2026-45185)."),
    // What is worth knowing.
    row("foreign-name", &["tls_names"], "The client asks for a server that is not in `tls_names`."),
    row("lost-place", &[], "The capture lacks bytes of TLS, and what follows is not read."),
    row("offer-gone", &["tls_downgrade"], "A server that used to offer STARTTLS does not."),
    row(
        "offer-masked",
        &["tls_downgrade"],
        "The keyword STARTTLS may be one of those that somebody else has masked.",
    ),
    row("plain-auth", &["auth_requires_tls"], "An authentication went in clear text."),
    row("plain-mail", &["require_tls"], "Mail went in clear text, although TLS was offered."),
    row(
        "renegotiation",
        &["tls_watch"],
        "Keys of TLS are negotiated anew under keys. What is said there cannot be judged.",
    ),
    row(
        "tls-failed",
        &["starttls"],
        "One side ended TLS before it was established. The log says which, and why.",
    ),
    // Entries that need no setting.
    row(
        "left-out",
        &["limits.log_burst_bytes", "limits.log_flow_bytes_per_second", "log.bytes_per_second"],
        "Entries are missing here: what comes again within a second is told once, and the log \
        takes so much and no more.",
    ),
    row("unshown", &[], "The log shows 16 edits of a line or a message, and counts the others."),
    row(
        "missed",
        &[],
        "Bytes were acknowledged that the capture lacks, or whose packets cannot be \
        judged. What is said of the connection from here on is uncertain.",
    ),
    row(
        "inspection",
        &["asa_map"],
        "An ASA's 507003: the row of its policy map that the 108004 before it names has ended the \
        connection.",
    ),
    row(
        "tls-begin",
        &["starttls"],
        "The client speaks TLS behind the server's 220. When the server does too, nothing is read.",
    ),
];
