//! What the page shows and does.

use crate::driver::{Browser, ENTER};
use crate::support::*;
use crate::{TOKEN, shop, web};
use nix::sys::signal::Signal;

/// The row of a service.
fn row(name: &str) -> String {
    format!("#services tr:has(a[href=\"#/service/{name}\"])")
}

fn button(verb: &str, name: &str) -> String {
    format!("button[aria-label=\"{verb} {name}\"]")
}

/// States are seen as they change; the token is asked for, and a service is stopped and started with a question before.
#[test]
fn services_are_watched_and_steered() {
    let Some(browser) = Browser::start() else { return };
    let port = free_port();
    let ready = "[readiness]\nfile-path = \"@DIR@/ready\"\ninterval = \"20ms\"\n[restart]\nstrategy = \"always\"";
    let horust = web(port)
        .bash("web", "echo up; until [ -e go ]; do sleep 0.02; done; touch ready; exec sleep 1000", ready)
        .start();
    horust.wait_for("up");
    browser.open(&format!("http://127.0.0.1:{port}/"));
    browser.wait_for(&row("web"), "Started");
    browser.wait_for("#health", "1 not well");
    std::fs::write(horust.dir().join("go"), "").unwrap();
    browser.wait_for(&row("web"), "Running");
    browser.wait_for("#health", "all is well");
    browser.wait_for("#link", "live");
    let first = browser.run(&format!("return document.querySelector('{} .pid').innerText", row("web")));
    assert!(first.as_str().is_some_and(|pid| pid.parse::<u32>().is_ok()), "{first}");
    // Without the token there is a question for it, and with a wrong one another.
    browser.click(&button("Restart", "web"));
    browser.wait("document.querySelector('#token').open");
    browser.press(&format!("nonsense{ENTER}"));
    browser.wait_for("#token-error", "This is not the token.");
    browser.press(&format!("{TOKEN}{ENTER}"));
    browser.wait_for("#ask-title", "Restart web?");
    browser.click("#ask button[value=no]");
    browser.wait("!document.querySelector('#ask').open");
    browser.wait_for("#token-open", "May steer");
    assert_eq!(horust.stdout().matches("up").count(), 1, "it was restarted although the answer was no");
    browser.click(&button("Restart", "web"));
    browser.click("#ask-yes");
    browser.wait_for("#banner", "web: is being restarted");
    horust.wait_for_count("up", 2);
    let pid = format!("document.querySelector('{} .pid').innerText", row("web"));
    browser.wait(&format!("{pid} && {pid} !== {first}"));
    // By keyboard alone.
    browser.wait_for(&row("web"), "Running");
    browser.run(&format!("document.querySelector('{}').focus()", button("Stop", "web")));
    browser.press(ENTER);
    browser.wait("document.querySelector('#ask').open");
    browser.press(&format!("{}{ENTER}", crate::driver::TAB));
    browser.wait_for(&row("web"), "Finished");
    browser.click(&button("Start", "web"));
    browser.click("#ask-yes");
    browser.wait_for(&row("web"), "Running");
    // A signal, from the view of the service.
    browser.run("location.hash = '#/service/web'");
    browser.click(&button("Signal…", "web"));
    browser.run("document.querySelector('#ask-signal').value = 'KILL'");
    browser.click("#ask-yes");
    browser.wait_for("#facts", "was killed by SIGKILL");
}

/// An answer tells what was when it was given: one that is late does not undo what has been seen since.
#[test]
fn a_late_answer_hides_nothing_newer() {
    let Some(browser) = Browser::start() else { return };
    let port = free_port();
    let horust = web(port).bash("web", "echo up; exec sleep 1000", "").start();
    horust.wait_for("up");
    browser.open(&format!("http://127.0.0.1:{port}/"));
    browser.wait_for(&row("web"), "Running");
    browser.run(
        "const fetch = window.fetch; window.fetch = async (...what) => {
            const answer = await fetch(...what);
            const finished = () => document.querySelector('#services').innerText.includes('Finished');
            if (what[1]?.method === 'POST') while (!finished()) await new Promise((done) => setTimeout(done, 20));
            return answer;
         }",
    );
    browser.click(&button("Stop", "web"));
    browser.wait("document.querySelector('#token').open");
    browser.press(&format!("{TOKEN}{ENTER}"));
    browser.click("#ask-yes");
    browser.wait_for("#banner", "web: is being stopped");
    let now = browser.run(&format!("return document.querySelector('{}').innerText", row("web")));
    assert!(now.as_str().is_some_and(|row| row.contains("Finished")), "{now}");
}

/// Output comes as it is written, is searched, and is there before the page was.
#[test]
fn output_is_read_followed_and_searched() {
    let Some(browser) = Browser::start() else { return };
    let port = free_port();
    let horust = web(port).bash("talks", &format!("echo first; NAME=talks; {PUPPET}"), "").bash(
        "other",
        "echo from other >&2",
        "",
    );
    let horust = horust.start();
    horust.wait_for("first");
    browser.open(&format!("http://localhost:{port}/#/logs"));
    browser.wait_for("#log", "first");
    browser.wait_for("#log .stderr", "from other");
    horust.tell("talks", "<b>needle</b> in the hay\\n");
    browser.wait_for("#log", "<b>needle</b> in the hay");
    browser.click("#log-search");
    browser.press("NEEDLE");
    browser.wait_for("#log mark", "needle");
    browser.wait_for("#log-note", "1 of 3 lines match");
    browser.click("#log-matching");
    browser.wait("document.querySelector('#log').innerText.trim().split('\\n').length === 1");
    browser.run("location.hash = '#/logs/other'");
    browser.wait("!document.querySelector('#log').innerText.includes('hay')");
    browser.run("location.hash = '#/service/talks'");
    browser.wait_for("#tail", "first");
    horust.tell("talks", "later\\n");
    browser.wait_for("#tail", "later");
}

/// Why something is not up, what starts after what, how all came up, what has happened.
#[test]
fn the_other_views_tell_what_they_are_for() {
    let Some(browser) = Browser::start() else { return };
    let port = free_port();
    let horust = shop(port);
    horust.wait_for("worker started");
    browser.open(&format!("http://localhost:{port}/#/service/reports"));
    browser.wait_for("#why", "warehouse");
    browser.click("#why a");
    browser.wait_for("#h-service", "warehouse");
    browser.run("location.hash = '#/graph'");
    browser.wait("document.querySelectorAll('#graph .node').length === 9");
    assert_eq!(browser.run("return document.querySelectorAll('#graph path.edge').length"), 5);
    assert_eq!(browser.run("return document.querySelectorAll('#graph path.loose').length"), 1);
    browser.wait("document.querySelector('#graph [data-name=mailer].bad')");
    browser.run("location.hash = '#/timeline'");
    browser.wait("document.querySelectorAll('#timeline .ph-ready').length >= 4");
    browser.wait(
        "[...document.querySelectorAll('#timeline .critical')].some((row) => row.textContent.includes('database'))",
    );
    browser.run("location.hash = '#/events'");
    browser.wait_for("#events .bad-word", "exited with code 3");
}

/// Horust is stopped, and another one is started at the same address: the page goes on without a hand.
#[test]
fn it_survives_a_restart_of_horust() {
    let Some(browser) = Browser::start() else { return };
    let port = free_port();
    let horust = web(port).bash("old", "echo up; exec sleep 1000", "").start();
    horust.wait_for("up");
    browser.open(&format!("http://localhost:{port}/#token={TOKEN}"));
    browser.wait_for(&row("old"), "Running");
    browser.wait_for("#token-open", "May steer");
    assert_eq!(browser.run("return location.hash"), "#/services", "the token is left in the address");
    let (done, _) = horust.stop(Signal::SIGTERM);
    done.assert_code(0);
    browser.wait_for("#link", "no connection");
    browser.wait_for("#banner", "does not answer");
    let horust = web(port).bash("new", "echo up; exec sleep 1000", "").start();
    horust.wait_for("up");
    browser.wait_for(&row("new"), "Running");
    browser.wait_for("#banner", "Horust was restarted");
    browser.wait(&format!("!document.querySelector('{}')", row("old")));
    browser.click(&button("Restart", "new"));
    browser.click("#ask-yes");
    horust.wait_for_count("up", 2);
}

/// A browser has six connections to one place for all its tabs, so one that nobody looks at must hold none.
#[test]
fn a_tab_that_nobody_looks_at_lets_its_connections_go() {
    let Some(browser) = Browser::start() else { return };
    let port = free_port();
    let horust = web(port).bash("talks", &format!("echo first; NAME=talks; {PUPPET}"), "").start();
    horust.wait_for("first");
    let connections = || {
        // proc_pid_net(5): the local address is the second field, the state (01: established) the fourth.
        let all = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let ours = format!(":{port:04X}");
        let fields = all.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        fields.filter(|fields| fields[1].ends_with(&ours) && fields[3] == "01").count()
    };
    let look = |hidden: bool| {
        browser.run(&format!(
            "Object.defineProperty(document, 'hidden', {{ value: {hidden}, configurable: true }}); \
             document.dispatchEvent(new Event('visibilitychange'))"
        ))
    };
    browser.open(&format!("http://127.0.0.1:{port}/#/service/talks"));
    browser.wait_for("#tail", "first");
    assert!(connections() >= 2, "the services and the output are followed");
    look(true);
    wait_until("no connection is left", || connections() == 0);
    horust.tell("talks", "unseen\\n");
    look(false);
    browser.wait_for("#link", "live");
    browser.wait_for("#tail", "unseen");
    // Each line is there once.
    assert_eq!(browser.run("return document.querySelector('#tail').innerText.split('first').length"), 2);
    horust.tell("talks", "later\\n");
    browser.wait_for("#tail", "later");
}
