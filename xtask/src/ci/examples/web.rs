//! The web server, asked by curl and by wrk.

use std::net::SocketAddr;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::process::{Echo, collect};
use crate::scratch::Scratch;
use crate::setup;

/// How long wrk asks.
const LOAD: &str = "1s";

/// Fetches from the server at `address`, which serves `folder`.
pub(super) fn browse(address: SocketAddr, folder: &Scratch, deadline: Instant) -> Result<()> {
    setup::CURL.require()?;
    setup::WRK.require()?;
    let page = "<p>A page.</p>\n".repeat(7);
    // More than a server sends at a time, and text, so that the answer can be compared.
    let book = (0..20_000).map(|line| format!("line {line}\n")).collect::<String>();
    folder.write("index.html", &page);
    folder.write("shelf/book.txt", &book);
    let curl = Curl { address, deadline };
    curl.expect(&["/"], &page)?;
    curl.expect(&["/shelf/book.txt?edition=1"], &book)?;
    // Two on one connection, the second one sent once the first is answered.
    curl.expect(&["/index.html", "/shelf/book.txt"], &format!("{page}{book}"))?;
    let told = curl.text(&["-w", "%{http_code} %{content_type} %{num_connects} "], &["/", "/"])?;
    let each = |connects| format!("{page}200 text/html; charset=utf-8 {connects} ");
    ensure!(told == each(1) + &each(0), "curl was told `{told}`");
    let head = curl.text(&["-I"], &["/shelf/book.txt"])?;
    ensure!(head.contains(&format!("Content-Length: {}", book.len())), "HEAD was answered with {head}");
    for (options, path, status) in [
        (&[][..], "/missing", "404"),
        (&[], "/shelf", "404"),
        (&["--path-as-is"], "/../secret", "403"),
        (&["-X", "DELETE"], "/", "501"),
        (&["-H", "Connection: close"], "/shelf/book.txt", "200"),
        (&["--http1.0"], "/", "200"),
    ] {
        let options = [options, &["-o", "/dev/null", "-w", "%{http_code}"]].concat();
        let told = curl.text(&options, &[path])?;
        ensure!(told == status, "{path} was answered with {told}, not {status}");
    }
    load(address, deadline)
}

struct Curl {
    address: SocketAddr,
    deadline: Instant,
}

impl Curl {
    fn expect(&self, paths: &[&str], text: &str) -> Result<()> {
        let fetched = self.text(&[], paths)?;
        ensure!(fetched == text, "{paths:?} are {} bytes, not the right {}", fetched.len(), text.len());
        Ok(())
    }

    /// What curl prints.
    fn text(&self, options: &[&str], paths: &[&str]) -> Result<String> {
        let mut command = Command::new("curl");
        let left = self.deadline.saturating_duration_since(Instant::now());
        command.args(["-sS", "--max-time", &left.as_secs().max(1).to_string()]).args(options);
        command.args(paths.iter().map(|path| format!("http://{}{path}", self.address)));
        let output = command.output().context("cannot start curl")?;
        let errors = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "curl {paths:?}: {}, {errors}", output.status);
        String::from_utf8(output.stdout).context("curl fetched what is no text")
    }
}

/// Many requests on several connections, each of which has to succeed.
fn load(address: SocketAddr, deadline: Instant) -> Result<()> {
    let mut command = Command::new("wrk");
    command.args(["-t1", "-c8", "-d", LOAD, &format!("http://{address}/index.html")]);
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_secs(1));
    let finished = collect(&mut command, left, Echo::Quiet)?;
    ensure!(finished.end.success(), "wrk: {}", finished.end);
    let lines = finished.lines.join("\n");
    ensure!(!lines.contains("Non-2xx") && !lines.contains("Socket errors"), "wrk says:\n{lines}");
    let requests = finished.lines.iter().find_map(|line| line.trim().split_once(" requests in "));
    let requests: u64 = requests.context("wrk counted no requests")?.0.parse()?;
    ensure!(requests > 0, "no request was answered");
    println!("http under wrk: {requests} requests in {LOAD}");
    Ok(())
}
