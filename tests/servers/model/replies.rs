//! A client's reader of replies.

/// A whole reply.
#[derive(Debug)]
pub struct Reply {
    /// `None` for a line that begins with no code.
    pub code: Option<u16>,
    /// The first word of each line's text, in upper case.
    pub keywords: Vec<String>,
}

impl Reply {
    pub fn is_good(&self) -> bool {
        self.code.is_some_and(|code| code / 100 == 2)
    }
}

/// What has come so far.
#[derive(Default)]
pub struct Replies {
    line: Vec<u8>,
    keywords: Vec<String>,
}

impl Replies {
    /// The replies that these bytes complete; lines without a code count if they are wanted.
    pub fn read(&mut self, bytes: &[u8], wants_noise: bool) -> Vec<Reply> {
        let mut replies = Vec::new();
        for &byte in bytes {
            if byte != b'\n' {
                self.line.push(byte);
                continue;
            }
            let line = std::mem::take(&mut self.line);
            let line = String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned();
            let code = line.get(..3).filter(|code| code.bytes().all(|b| b.is_ascii_digit()));
            let code = code.and_then(|code| code.parse().ok());
            if code.is_none() {
                if wants_noise && !line.is_empty() {
                    replies.push(Reply { code, keywords: Vec::new() });
                }
                continue;
            }
            let text = line.get(4..).unwrap_or_default();
            let keyword = text.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            self.keywords.push(keyword);
            if line.as_bytes().get(3) != Some(&b'-') {
                replies.push(Reply { code, keywords: std::mem::take(&mut self.keywords) });
            }
        }
        replies
    }
}
