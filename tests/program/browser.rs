//! What a person sees who opens a report: a real Chromium (unpacked in target/lab by
//! `make pictures`, not installed) draws the page, without a network.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

use crate::run::succeed;
use crate::sealed::sealed;

/// The browser as it was unpacked; none where it was not fetched, since it is large.
fn chromium() -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_mailguard")).ancestors().nth(2)?;
    let root = target.join("lab/roots/chromium");
    root.join("usr/lib/chromium/chromium").exists().then_some(root)
}

/// Runs it on a file, with these words besides.
fn browse(root: &Path, words: &[&str], file: &str) -> Output {
    let libraries = root.join("usr/lib/x86_64-linux-gnu");
    let libraries = format!("{0}:{0}/pulseaudio", libraries.display());
    let quiet = [
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--hide-scrollbars",
        "--allow-file-access-from-files",
        "--user-data-dir=/run/chromium",
    ];
    Command::new(root.join("usr/lib/chromium/chromium"))
        .env("LD_LIBRARY_PATH", libraries)
        .args(quiet)
        .args(words)
        .arg(format!("file://{file}"))
        .output()
        .unwrap()
}

/// What the browser makes of the page in a window so wide.
fn seen(root: &Path, width: u32) -> Value {
    let frame = format!(
        "<!DOCTYPE html><body><iframe id=\"f\" src=\"report.html\" \
         style=\"width:{width}px;height:800px;border:0\"></iframe><script>\
         f.onload = () => {{ const d = f.contentDocument, w = f.contentWindow; \
         const at = d.querySelector(\".d a\").getClientRects().length; \
         document.body.textContent = \"BEGIN\" + btoa(JSON.stringify({{ \
         width: d.documentElement.scrollWidth, room: d.documentElement.clientWidth, pieces: at, \
         loaded: w.performance.getEntriesByType(\"resource\").length, \
         text: btoa(unescape(encodeURIComponent(d.body.innerText))) }})) + \"END\"; }};\
         </script></body>"
    );
    fs::write("/run/frame.html", frame).unwrap();
    let output = browse(root, &["--dump-dom"], "/run/frame.html");
    let dumped = String::from_utf8(output.stdout).unwrap();
    let inside = dumped.split_once("BEGIN").and_then(|(_, rest)| rest.split_once("END"));
    let Some((encoded, _)) = inside else {
        panic!("{dumped}{}", String::from_utf8_lossy(&output.stderr))
    };
    let mut seen: Value = serde_json::from_slice(&base64(encoded)).unwrap();
    let text = base64(seen["text"].as_str().unwrap());
    seen["text"] = String::from_utf8(text).unwrap().into();
    seen
}

/// Undoes the browser's `btoa`, which keeps what is said from being read as markup.
fn base64(text: &str) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let values = text.bytes().filter_map(|byte| LETTERS.iter().position(|&one| one == byte));
    let bits: Vec<u32> = values.map(|value| u32::try_from(value).unwrap()).collect();
    let quarters = bits.chunks(4).flat_map(|four| {
        let all = four.iter().fold(0, |all, six| all << 6 | six) << (6 * (4 - four.len()));
        let bytes = all.to_be_bytes();
        bytes[1..four.len()].to_vec()
    });
    quarters.collect()
}

#[test]
fn a_report_is_seen_in_a_browser_on_a_desk_and_on_a_phone() {
    let Some(root) = chromium() else {
        eprintln!("not run: needs Chromium in target/lab: `make pictures`");
        return;
    };
    sealed(&["true"], || {
        let pcap = Path::new(env!("CARGO_MANIFEST_DIR")).join("pcaps/refused-commands.pcap");
        succeed(&["replay", pcap.to_str().unwrap(), "--report", "/run/report.html"]);
        for width in [900, 390] {
            let seen = seen(&root, width);
            // All of it lies within the window, nothing was loaded, and no reference is torn.
            assert_eq!(seen["width"], seen["room"], "{width}: has to be scrolled sideways");
            assert!(seen["room"].as_u64().unwrap() <= u64::from(width));
            assert_eq!((&seen["loaded"], &seen["pieces"]), (&0.into(), &1.into()), "{width}");
            let text = seen["text"].as_str().unwrap();
            for part in [
                "client 13\nVRFY root\nXXXXXXXXX\n[3]",
                "HELP\nHELX\n",
                "The client's bytes 13 to 21, \"VRFY root\", left as \"XXXXXXXXX\". Why: verb; \
                 the setting `verbs` decides.",
                "verbs = DATA,HELO,MAIL,NOOP,QUIT,RCPT,RSET",
            ] {
                assert!(text.replace('\t', "\n").contains(part), "{width}: {part}\n{text}");
            }
        }
        let picture = std::env::var("PICTURES")
            .map_or_else(|_| "/run/report.png".to_owned(), |folder| format!("{folder}/report.png"));
        let words = ["--window-size=760,620".to_owned(), format!("--screenshot={picture}")];
        browse(&root, &[&words[0], &words[1]], "/run/report.html");
        let drawn = fs::read(&picture).unwrap();
        // Bytes of a white page of that size: 4,000.
        assert!(drawn.starts_with(b"\x89PNG") && drawn.len() > 20_000, "{} bytes", drawn.len());
    });
}
