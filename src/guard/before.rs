//! What an image of the format before says of a flow, made what is remembered now.
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
