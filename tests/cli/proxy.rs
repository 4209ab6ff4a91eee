//! Downloads through an intercepting proxy with its own certificate, as companies use.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use libtest_mimic::Failed;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::program::{Home, Run};

const HOSTS: [&str; 2] = ["storage.googleapis.com", "ossci-datasets.s3.amazonaws.com"];

/// With the certificate, what the proxy sends is read, which is not MNIST; without it, nothing is.
pub(crate) fn certificates(home: &Home) -> Result<(), Failed> {
    let (authority, address) = start_proxy()?;
    fs::write(home.path("company.pem"), authority)?;
    let train = |certificates: Option<&str>| -> Result<Run, Failed> {
        let words = ["train", "--device", "cpu", "--dataset", "mnist"];
        let mut program = home.command(&words);
        program.env("ALL_PROXY", &address).env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
        if let Some(certificates) = certificates {
            program.env("SSL_CERT_FILE", certificates);
        }
        Ok(Run::new(&words, program.output()?))
    };
    train(Some("company.pem"))?.is_refused(&["SHA-256 of the unpacked content is"])?;
    train(None)?.is_refused(&["cannot load MNIST", "certificate", "--data"])?;
    train(Some("nowhere.pem"))?.is_refused(&["$SSL_CERT_FILE contains no readable certificate", "nowhere.pem"])
}

/// Starts it; gives its authority's certificate as PEM, and its address.
fn start_proxy() -> Result<(String, String), Failed> {
    let authority_key = KeyPair::generate()?;
    let mut authority = CertificateParams::new(vec![])?;
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let pem = authority.self_signed(&authority_key)?.pem();
    let key = KeyPair::generate()?;
    let certificate =
        CertificateParams::new(HOSTS.map(str::to_owned))?.signed_by(&key, &Issuer::new(authority, authority_key))?;
    let key = PrivateKeyDer::try_from(key.serialize_der())?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)?;
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = format!("http://{}", listener.local_addr()?);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            // A client that does not trust it hangs up.
            let _ = answer(stream, &config);
        }
    });
    Ok((pem, address))
}

/// Takes a tunnel to any server, and answers a request in it as that server.
fn answer(mut stream: TcpStream, config: &Arc<ServerConfig>) -> Result<(), Failed> {
    let mut lines = BufReader::new(stream.try_clone()?).lines();
    while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let mut server = StreamOwned::new(ServerConnection::new(Arc::clone(config))?, stream);
    let mut request = [0; 4096];
    let _ = server.read(&mut request)?;
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\n<html>")?;
    server.conn.send_close_notify();
    server.flush()?;
    Ok(())
}
