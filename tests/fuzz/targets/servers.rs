//! A whole dialogue through the engine, with a server of the model behind it: what must hold for
//! seeds holds for every choice a fuzzer can make.
//!
//! Input: one byte for the kind of client, then the choices, a byte or two each; zeros are calm.

#[path = "../../servers/model/mod.rs"]
mod model;

use model::choice::Choice;
use model::dialogue::{Kind, play};
use model::properties::check;
use model::trace::Trace;

use super::input::Input;

pub fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let kind = if input.byte() & 1 == 0 { Kind::Honest } else { Kind::Adversary };
    let dialogue = play(kind, &mut Choice::Scripted(input.rest()), Trace::default());
    if let Err(violation) = check(&dialogue) {
        panic!("{}: {}", violation.property, violation.what);
    }
}
