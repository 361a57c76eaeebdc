//! Pages of somebody else, in the same browser: they can't see anything, and can't do anything.

use crate::driver::{Browser, EVIL};
use crate::support::free_port;
use crate::{TOKEN, web};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

/// A server of empty pages. It lives as long as the test.
fn stranger() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        // A browser opens connections that it may need later: each has its thread.
        for mut stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let _ = stream.read(&mut [0; 4096]);
                let page = "<!doctype html><title>stranger</title>";
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\nconnection: close\r\n";
                let _ = write!(stream, "{head}content-length: {}\r\n\r\n{page}", page.len());
            });
        }
    });
    at
}

#[test]
fn other_sites_see_and_do_nothing() {
    let Some(browser) = Browser::start() else { return };
    let port = free_port();
    let horust = web(port).bash("web", "echo up; exec sleep 1000", "").start();
    horust.wait_for("up");
    let here = format!("http://localhost:{port}");
    // Another name, and the same name with another port: both are other origins, and the second is the same site.
    let elsewhere = stranger().port();
    for origin in [format!("http://{EVIL}:{elsewhere}"), format!("http://localhost:{elsewhere}")] {
        browser.open(&origin);
        browser.wait("document.title === 'stranger'");
        let outcome =
            |script: &str| browser.await_run(&format!("try {{ {script} }} catch (error) {{ return 'refused' }}"));
        for path in ["/v1/services", "/metrics", "/v1/access", "/livez"] {
            assert_eq!(outcome(&format!("return await (await fetch('{here}{path}')).text()")), "refused", "{path}");
        }
        // Requests that a form could send are sent, and nobody sees the answer; they must have no effect.
        for mode in ["no-cors", "cors"] {
            outcome(&format!("await fetch('{here}/v1/services/web/stop', {{ method: 'POST', mode: '{mode}' }})"));
            let header = format!("headers: {{ authorization: 'Bearer {TOKEN}' }}");
            outcome(&format!(
                "await fetch('{here}/v1/services/web/stop', {{ method: 'POST', mode: '{mode}', {header} }})"
            ));
        }
        let frame = "const frame = document.createElement('iframe'); frame.src = HERE + '/'; \
                     const loaded = new Promise((done) => frame.onload = done); document.body.append(frame); await loaded; \
                     return frame.contentWindow.length === 0 && frame.contentDocument ? 'seen' : 'refused'";
        assert_eq!(outcome(&frame.replace("HERE", &format!("'{here}'"))), "refused");
    }
    // A name of somebody else that leads here: the page itself is refused, with the token too.
    browser.open(&format!("http://{EVIL}:{port}/"));
    browser.wait_for("body", "is no name of this Horust");
    let header = format!("{{ headers: {{ authorization: 'Bearer {TOKEN}' }} }}");
    let rebound = browser.await_run(&format!("return (await fetch('/v1/services', {header})).status"));
    assert_eq!(rebound, 421);
    // All of that time nothing has happened to it; and a link from elsewhere leads to the page.
    browser.open(&format!("http://localhost:{elsewhere}"));
    browser.run(&format!("location.href = '{here}/'"));
    browser.wait("document.querySelector('#services .starts')?.innerText === '1'");
    browser.wait_for("#services", "Running");
}
