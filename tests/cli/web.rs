//! `web`: the page from this machine alone.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;

use libtest_mimic::Failed;

use crate::program::{Home, check};

/// Whether the page was built before the program, which then embeds it.
fn has_page() -> bool {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/web/dist/index.html")).is_file()
}

/// What a server at this address answers.
fn answer(address: &str, request: &str) -> Result<String, Failed> {
    let host = address.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(host)?;
    write!(stream, "{request} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// Serves the page, or says how it is built.
pub(crate) fn web(home: &Home) -> Result<(), Failed> {
    if !has_page() {
        return home.run(&["web", "--port", "0"]).is_refused(&["built without the page", "`web/build`"]);
    }
    let mut server = home.command(&["web", "--port", "0"]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()?;
    let asked = || -> Result<[String; 5], Failed> {
        let mut address = String::new();
        BufReader::new(server.stdout.as_mut().expect("it is piped")).read_line(&mut address)?;
        let address = address.trim();
        Ok([
            answer(address, "GET /?op=relu_forward")?,
            answer(address, "GET /engine_bg.wasm")?,
            answer(address, "HEAD /page.js")?,
            answer(address, "GET /mnist/train-labels-idx1-ubyte.gz")?,
            answer(address, "POST /")?,
        ])
    };
    let mut asked = asked;
    let answers = asked();
    server.kill()?;
    server.wait()?;
    let [page, engine, head, mnist, post] = answers?;
    check(page.starts_with("HTTP/1.1 200") && page.contains("text/html") && page.contains("<title>gpu-digits"), &page)?;
    check(engine.starts_with("HTTP/1.1 200") && engine.contains("application/wasm"), "the engine")?;
    check(head.starts_with("HTTP/1.1 200") && head.ends_with("\r\n\r\n"), &head)?;
    check(mnist.starts_with("HTTP/1.1 404"), &mnist)?;
    check(post.starts_with("HTTP/1.1 405"), &post)
}

/// A port that is taken, and a folder without MNIST.
pub(crate) fn wrong_web(home: &Home) -> Result<(), Failed> {
    if !has_page() {
        return Ok(());
    }
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let port = taken.local_addr()?.port().to_string();
    home.run(&["web", "--port", &port])
        .is_refused(&[&format!("cannot listen at 127.0.0.1:{port}"), "another --port"])?;
    std::fs::create_dir(home.path("empty"))?;
    home.run(&["web", "--data", "empty"]).is_refused(&["empty does not hold the four files of MNIST"])
}

/// Checks that are made several times, with other operands.
pub(crate) fn verify_repeatedly(home: &Home, index: &str) -> Result<(), Failed> {
    let words = [
        "verify",
        "max_pool_forward",
        "--device",
        index,
        "--repeat",
        "3",
        "--seed",
        "9",
        "--reproducer",
        "wrong",
        "--reduce",
    ];
    home.run(&words).exits_with(0)?.prints(&["0 failed"])?;
    check(!home.path("wrong").exists(), "a folder for no failure")?;
    home.run(&["verify", "--repeat", "0"]).is_refused(&["--repeat"])
}
