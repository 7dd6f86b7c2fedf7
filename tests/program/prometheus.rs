//! A real Prometheus (unpacked in target/lab, not installed) collects from a running filter, and
//! answers each query of the dashboard and of the alerts that are shipped.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::ctl::{Client, FILE, serve};
use crate::run::{Filter, NEEDS, is_soon, mailguard, succeed};
use crate::sealed::sealed;

/// A program of its package; none where it could not be fetched.
fn program(name: &str) -> Option<PathBuf> {
    let target = Path::new(env!("CARGO_BIN_EXE_mailguard")).ancestors().nth(2)?;
    let path = target.join("lab/roots/prometheus/usr/bin").join(name);
    path.exists().then_some(path)
}

fn programs() -> [PathBuf; 2] {
    let found = program("prometheus").zip(program("promtool"));
    assert!(found.is_some(), "needs Prometheus in target/lab: `make setup`");
    found.unwrap().into()
}

fn shipped(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("dist").join(path)
}

/// What promtool says with these words, to this on its standard input.
fn promtool(promtool: &Path, words: &[&str], input: &str) {
    let mut child = Command::new(promtool)
        .args(words)
        .current_dir(shipped("prometheus"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (said, error) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "promtool {words:?}\n{said}{error}");
}

struct Prometheus(Child);

impl Prometheus {
    fn start(program: &Path) -> Self {
        let rules = shipped("prometheus/mailguard.rules.yml");
        let config = format!(
            "global: {{ scrape_interval: 1s, evaluation_interval: 1s }}\nrule_files: [{}]\n\
             scrape_configs:\n  - job_name: mailguard\n    static_configs:\n      \
             - targets: ['127.0.0.1:9625']\n",
            rules.display()
        );
        fs::write("/run/prometheus.yml", config).unwrap();
        let arguments = [
            "--config.file=/run/prometheus.yml",
            "--storage.tsdb.path=/run/prometheus",
            "--web.listen-address=127.0.0.1:9090",
            "--log.level=error",
        ];
        let child = Command::new(program).args(arguments).spawn().unwrap();
        Self(child)
    }

    /// What its interface answers at this place; nothing while there is nobody.
    fn ask(path: &str) -> String {
        let mut answer = String::new();
        if let Ok(mut stream) = TcpStream::connect("127.0.0.1:9090") {
            let request = format!("GET {path} HTTP/1.0\r\n\r\n");
            // Whatever goes wrong is no answer.
            let _ = stream.write_all(request.as_bytes());
            let _ = stream.read_to_string(&mut answer);
        }
        answer
    }

    /// Whether a query has series.
    fn has_series(query: &str) -> bool {
        let encoded: String = query.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = Self::ask(&format!("/api/v1/query?query={encoded}"));
        assert!(!answer.contains("\"status\":\"error\""), "{query}\n{answer}");
        answer.contains("\"result\":[{")
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Every query of the dashboard, for this instance.
fn dashboard() -> Vec<String> {
    let text = fs::read_to_string(shipped("grafana/mailguard.json")).unwrap();
    let dashboard: serde_json::Value = serde_json::from_str(&text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels.iter().filter_map(|panel| panel["targets"].as_array()).flatten();
    let queries = targets.map(|target| target["expr"].as_str().unwrap());
    queries.map(|query| query.replace("$instance", "127.0.0.1:9625")).collect()
}

/// What every alert is made of: the sides of its comparisons.
fn alerts() -> Vec<String> {
    let text = fs::read_to_string(shipped("prometheus/mailguard.rules.yml")).unwrap();
    let words = text.split(|c: char| !c.is_ascii_lowercase() && c != '_');
    let mut names: Vec<String> =
        words.filter(|word| word.starts_with("mailguard_")).map(str::to_owned).collect();
    names.sort();
    names.dedup();
    names
}

#[test]
fn the_rules_that_are_shipped_are_right_and_do_what_their_tests_say() {
    let [_, tool] = programs();
    promtool(&tool, &["check", "rules", "mailguard.rules.yml"], "");
    promtool(&tool, &["test", "rules", "mailguard.rules.test.yml"], "");
}

#[test]
fn a_prometheus_collects_and_the_dashboard_and_the_alerts_have_series() {
    let [program, tool] = programs();
    sealed(NEEDS, || {
        let local = "[rules]\nlocal = true\n[metrics]\nlisten = \"127.0.0.1:9625\"\n";
        fs::write(FILE, local).unwrap();
        serve();
        // One is older than the filter, and one says something too early.
        let (mut old, _) = Client::connect();
        succeed(&["rules", "up", "--config", FILE]);
        let filter = Filter::start(&["--config", FILE]);
        let prometheus = Prometheus::start(&program);
        assert!(old.try_say("NOOP").is_err(), "a connection that nobody knows goes on");
        let (mut client, _) = Client::connect();
        client.say("VRFY root");
        for line in ["HELO a", "MAIL FROM:<a@example.org>", "RCPT TO:<b@example.org>"] {
            client.say(line);
        }
        client.say("DATA\r\ntoo early");

        let metrics = String::from_utf8(mailguard(&["ctl", "metrics"]).stdout).unwrap();
        promtool(&tool, &["check", "metrics"], &metrics);
        for query in dashboard().iter().chain(&alerts()) {
            assert!(is_soon(|| Prometheus::has_series(query)), "no series: {query}");
        }
        assert!(dashboard().len() > 20 && alerts().len() > 8);
        // The rules are those of the file, and none of them finds a fault.
        let rules = Prometheus::ask("/api/v1/rules");
        assert!(rules.contains("MailguardQueueDrops"), "{rules}");
        assert!(!rules.contains("\"health\":\"err\""), "{rules}");
        assert!(Prometheus::has_series("up{job=\"mailguard\"} == 1"));
        filter.end("-TERM");
        assert!(is_soon(|| Prometheus::has_series("up{job=\"mailguard\"} == 0")));
        drop(prometheus);
    });
}
