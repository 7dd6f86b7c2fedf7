//! What an image of format 9 says of a flow, made what is remembered now.
//!
//! It knew of the transaction what the client had sent, and of the answers only some; nothing of
//! how a header's lines end. Where it leaves a doubt the stricter reading is taken.

use serde::Deserialize;

use super::Watch;
use super::line::LineWatch;
use super::message::{Message, MessageBefore};
use super::order::{Order, OrderBefore};
use super::reply::ReplyWatch;
use super::size::Size;
use super::speech::Speech;
use super::tally::Tally;

/// What was remembered of one flow.
#[derive(Debug, Deserialize)]
pub struct WatchBefore {
    line: LineWatch,
    speech: Speech,
    order: OrderBefore,
    tally: Tally,
    has_utf8_mail: bool,
    recipients: u32,
    message: MessageBefore,
    size: Size,
    reply: ReplyWatch,
}

impl From<WatchBefore> for Watch {
    fn from(before: WatchBefore) -> Self {
        Self {
            line: before.line,
            speech: before.speech,
            order: Order::remembered(before.order, before.recipients),
            tally: before.tally,
            has_utf8_mail: before.has_utf8_mail,
            message: Message::from(before.message),
            size: before.size,
            reply: before.reply,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{Talk, changed};
    use super::*;
    use crate::patch::Header;
    use crate::smtp::Speaker::{Client, Server};

    /// All that the formats share is what it was: an image says it in the order of the fields.
    #[test]
    fn what_both_formats_know_stays_as_it_is() {
        let mut talk = Talk::new(&changed("esmtp", &[("envelope", "lenient")]));
        talk.say(Server, b"220 a\r\n", 99);
        talk.say(Client, b"\r\nEHLO a\r\n", 99);
        talk.say(Server, b"500 no\r\n250-a\r\n250-SMTPUTF8\r\n250 SIZE 9\r\n", 99);
        talk.say(Client, b"MAIL FROM:<a@b> SMTPUTF8\r\n", 99);
        talk.say(Server, b"250 ok\r\n", 99);
        talk.say(Client, b"EXPN root\r\nRCPT TO:<c", 99);
        let now = talk.watch;
        assert!(now.has_utf8_mail && now.line != LineWatch::default());
        assert!(now.size != Size::default() && now.tally != Tally::default());
        assert!(now.speech != Speech::default() && now.reply != ReplyWatch::default());
        let order = (true, true, false, false, false, false, 0_u8, 0_u16);
        let message = (0_u32, 0_u8, 0_u16, 0_u16, 0_u32, 0_u32, Header::default());
        let watch =
            (now.line, now.speech, order, now.tally, true, 7_u32, message, now.size, now.reply);
        let image = postcard::to_allocvec(&watch).unwrap();
        let read = Watch::from(postcard::from_bytes::<WatchBefore>(&image).unwrap());
        let (order, message) = (read.order, read.message);
        assert_eq!(read, Watch { order, message, ..now });
        assert_eq!(read.order.clone().count_recipient(), (7, 8));
    }
}
