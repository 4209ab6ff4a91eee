//! `gpu-digits web`: the page, from the files that are embedded in the program.

use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail, ensure};
use axum::Router;
use axum::http::{StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::Verdict;
use crate::data::{Folders, MNIST_NAMES, mnist_files};
use crate::program::cli::WebArgs;

// `PAGE`: the names of the page's files and their bytes; empty where `web/build` was not run before the program was built.
include!(concat!(env!("OUT_DIR"), "/page.rs"));

pub(super) fn run(args: &WebArgs) -> Result<Verdict> {
    ensure!(
        !PAGE.is_empty(),
        "this program was built without the page; in a clone of the project run `web/build`, then `cargo build --release`"
    );
    let folders = Folders::from_environment(args.data.clone());
    let mnist = mnist_files(&folders);
    if let (Some(folder), None) = (&args.data, &mnist) {
        bail!("{} does not hold the four files of MNIST; give another folder with --data", folder.display());
    }
    // Only this machine reaches it.
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, args.port)).with_context(|| {
        format!("cannot listen at 127.0.0.1:{}; choose another --port, or 0 for a free one", args.port)
    })?;
    let address = format!("http://{}/", listener.local_addr()?);
    out!("{address}");
    if mnist.is_none() {
        note!("no MNIST here, so the page generates digits, or takes MNIST's files from you");
    }
    note!("Ctrl-C ends it");
    if args.open
        && let Err(error) = open::that_detached(&address)
    {
        warning!("warning: cannot open a browser: {error}; open {address} yourself");
    }
    serve(listener, mnist)?;
    Ok(Verdict::Passed)
}

/// Answers until the program is ended.
fn serve(listener: TcpListener, mnist: Option<[PathBuf; 4]>) -> Result<()> {
    const CANNOT: &str = "cannot serve the page";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().context(CANNOT)?;
    runtime.block_on(async {
        listener.set_nonblocking(true).context(CANNOT)?;
        let listener = tokio::net::TcpListener::from_std(listener).context(CANNOT)?;
        let mnist = Arc::new(mnist);
        let answer = async move |uri: Uri| answer(uri.path(), mnist.as_ref().as_ref());
        axum::serve(listener, Router::new().fallback(get(answer))).await.context(CANNOT)
    })
}

/// A file of the page or of MNIST.
fn answer(path: &str, mnist: Option<&[PathBuf; 4]>) -> Response {
    let name = match path.trim_start_matches('/') {
        "" => "index.html",
        name => name,
    };
    let with_kind = |kind, body: Vec<u8>| {
        let headers = [
            (header::CONTENT_TYPE, kind),
            (header::CACHE_CONTROL, "no-cache"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (headers, body).into_response()
    };
    if let Some((_, bytes)) = PAGE.iter().find(|(known, _)| *known == name) {
        return with_kind(kind(name), bytes.to_vec());
    }
    let wanted = name.strip_prefix("mnist/").and_then(|name| name.strip_suffix(".gz"));
    let place = wanted.and_then(|name| MNIST_NAMES.iter().position(|known| *known == name));
    let file = place.zip(mnist).map(|(place, files)| fs::read(&files[place]));
    match file {
        // The bytes as they are: the page sees whether they are compressed.
        Some(Ok(bytes)) => with_kind(kind(name), bytes),
        _ => (StatusCode::NOT_FOUND, format!("there is no {name} here\n")).into_response(),
    }
}

/// The type of a file's content, by its name's ending.
fn kind(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("html") => "text/html; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("wasm") => "application/wasm",
        _ => "application/octet-stream",
    }
}
