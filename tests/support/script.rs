//! Dialogues written down as turns, played between two ends that repeat what is not acknowledged.

use mailguard::flow::Direction;

use super::rig::Rig;

/// What one end says, and when: each piece once that many bytes of the other end have come.
pub type Script = Vec<(u64, Vec<u8>)>;

/// A dialogue written down as turns becomes two scripts.
pub fn scripts(turns: &[(Direction, &str)]) -> [Script; 2] {
    let mut said = [0_u64; 2];
    let mut scripts: [Script; 2] = [Vec::new(), Vec::new()];
    for (direction, text) in turns {
        let who = usize::from(*direction == Direction::Reply);
        scripts[who].push((said[1 - who], text.as_bytes().to_vec()));
        said[who] += text.len() as u64;
    }
    scripts
}

/// What of a script may be said, given what has been heard.
pub fn available(script: &Script, heard: u64) -> Vec<u8> {
    script
        .iter()
        .take_while(|(after, _)| *after <= heard)
        .flat_map(|(_, text)| text.clone())
        .collect()
}

/// Plays both scripts with each stream cut at the given offsets until nobody has anything left to
/// say, or for `rounds_max` rounds without progress.
pub fn play(rig: &mut Rig, scripts: &[Script; 2], cuts: [&[u64]; 2]) {
    let mut idle = 0;
    while idle < 3 {
        let before = (rig.original.received, rig.reply.received);
        for (who, direction) in Direction::BOTH.into_iter().enumerate() {
            let heard = rig.side(direction.other()).received;
            let text = available(&scripts[who], heard);
            let mut start = rig.side(direction).received;
            let edges = cuts[who].iter().copied().chain([text.len() as u64]);
            for edge in edges.filter(|&edge| edge <= text.len() as u64) {
                if edge > start {
                    let _ = rig.send(direction, start, &text[start as usize..edge as usize]);
                    start = edge;
                }
            }
            let said = rig.side(direction.other()).received;
            let _ = (said, rig.ack(direction, start));
        }
        idle = if before == (rig.original.received, rig.reply.received) { idle + 1 } else { 0 };
    }
}
