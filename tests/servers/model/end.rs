//! One end's TCP, as far as a filter can tell: bytes in order, cumulative ACKs, repetition from
//! the oldest byte that is not acknowledged.

/// What one end sends.
#[derive(Clone, Debug)]
pub struct Segment {
    /// [`CLIENT`] or [`SERVER`].
    pub from: usize,
    /// Position of its first byte in its sender's stream.
    pub offset: u64,
    pub payload: Vec<u8>,
    pub has_fin: bool,
    /// How far its sender has heard, the FIN counted as a byte.
    pub ack: u64,
}

/// Index of the client's things.
pub const CLIENT: usize = 0;
/// Index of the server's things.
pub const SERVER: usize = 1;

/// The window that each end advertises (`support::packet`), never scaled.
pub const WINDOW: u64 = 64_240;

/// One end.
#[derive(Default)]
pub struct End {
    /// All that its application has handed over.
    pub said: Vec<u8>,
    /// The application says no more.
    pub is_closing: bool,
    /// SND.UNA and SND.NXT, as offsets; the FIN takes one.
    pub una: u64,
    nxt: u64,
    /// What has come in order.
    pub heard: Vec<u8>,
    /// Everything has come, the FIN too.
    pub is_eof: bool,
    /// What has come behind a gap.
    early: Vec<(u64, Vec<u8>)>,
    fin_at: Option<u64>,
    pub owes_ack: bool,
}

impl End {
    fn end(&self) -> u64 {
        self.said.len() as u64 + u64::from(self.is_closing)
    }

    pub fn ack(&self) -> u64 {
        self.heard.len() as u64 + u64::from(self.is_eof)
    }

    /// Whether something that was said is not acknowledged.
    pub fn is_waiting(&self) -> bool {
        self.una < self.end()
    }

    /// Whether something may be sent that has not been.
    pub fn has_news(&self) -> bool {
        self.nxt < self.end() && self.nxt < self.una + WINDOW
    }

    /// From here on everything that is not acknowledged is sent again.
    pub fn rewind(&mut self) {
        self.nxt = self.una;
    }

    /// The next segment, of so many bytes at most.
    pub fn send(&mut self, from: usize, size: usize) -> Segment {
        let length = self.said.len() as u64;
        let window = self.una + WINDOW;
        let stop = (self.nxt + size as u64).min(length).min(window).max(self.nxt);
        let payload = self.said.get(self.nxt as usize..stop as usize).unwrap_or_default().to_vec();
        let has_fin = self.is_closing && stop >= length;
        let segment = Segment { from, offset: self.nxt, payload, has_fin, ack: self.ack() };
        self.nxt = stop + u64::from(has_fin && stop == length);
        self.owes_ack = false;
        segment
    }

    /// A segment with nothing in it.
    pub fn send_ack(&mut self, from: usize) -> Segment {
        self.owes_ack = false;
        let (offset, ack) = (self.nxt, self.ack());
        Segment { from, offset, payload: Vec::new(), has_fin: false, ack }
    }

    /// A segment of the other end arrives.
    pub fn receive(&mut self, segment: Segment) {
        if segment.ack > self.una && segment.ack <= self.end() {
            self.una = segment.ack;
            self.nxt = self.nxt.max(self.una);
        }
        let end = segment.offset + segment.payload.len() as u64;
        // What lies below, and be it empty, draws an ACK (RFC 9293 3.10.7.4).
        let is_old = segment.offset < self.ack();
        self.owes_ack |= !segment.payload.is_empty() || segment.has_fin || is_old;
        if segment.has_fin {
            self.fin_at = Some(end);
        }
        if !segment.payload.is_empty() {
            self.early.push((segment.offset, segment.payload));
        }
        while let Some(index) = self.early.iter().position(|(at, _)| *at <= self.heard.len() as u64)
        {
            let (at, bytes) = self.early.swap_remove(index);
            let old = self.heard.len() - at as usize;
            self.heard.extend_from_slice(bytes.get(old..).unwrap_or_default());
        }
        self.is_eof |= self.fin_at == Some(self.heard.len() as u64);
    }
}
