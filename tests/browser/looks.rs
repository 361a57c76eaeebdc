//! Every view, in light, in dark and on a phone: can everybody read and use it?

use crate::driver::{Browser, TAB};
use crate::support::free_port;
use crate::{TOKEN, shop};
use serde_json::{Value, json};

const VIEWS: [(&str, &str); 7] = [
    ("services", "document.querySelectorAll('#services tbody tr').length === 9"),
    ("service/app", "document.querySelector('#tail').innerText.includes('serving')"),
    ("service/reports", "document.querySelector('#why').innerText.includes('warehouse')"),
    ("graph", "document.querySelectorAll('#graph .node').length === 9"),
    ("timeline", "document.querySelectorAll('#timeline .ph-ready').length >= 4"),
    ("logs", "document.querySelector('#log').innerText.includes('serving')"),
    ("events", "document.querySelectorAll('#events li').length > 9"),
];

/// Roles whose names a screen reader reads.
const NAMED: [&str; 14] = [
    "button",
    "link",
    "textbox",
    "searchbox",
    "combobox",
    "checkbox",
    "dialog",
    "region",
    "image",
    "table",
    "navigation",
    "heading",
    "log",
    "DisclosureTriangle",
];

#[test]
fn everybody_can_use_it() {
    let Some(browser) = Browser::start() else { return };
    let port = free_port();
    let horust = shop(port);
    horust.wait_for("worker started");
    browser.open(&format!("http://localhost:{port}/#token={TOKEN}"));
    for (look, width, height, scheme) in [
        ("light", 1280, 900, "light"),
        ("dark", 1280, 900, "dark"),
        ("phone", 390, 844, "light"),
        ("phone-dark", 390, 844, "dark"),
    ] {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        browser.chrome("Emulation.setDeviceMetricsOverride", size);
        let features = json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]});
        browser.chrome("Emulation.setEmulatedMedia", features);
        for (view, there) in VIEWS {
            browser.run(&format!("location.hash = '#/{view}'"));
            browser.wait(there);
            browser.picture(&format!("{look}-{}", view.replace('/', "-")));
            check(&browser, &format!("{look} {view}"));
        }
        dialogs(&browser, look);
    }
    tab_through(&browser);
}

/// The rules, as far as they can be checked by a program: what `rules.js` says, and what the browser itself tells of names.
#[track_caller]
fn check(browser: &Browser, place: &str) {
    let faults = browser.run(include_str!("rules.js"));
    assert_eq!(faults, json!([]), "{place}");
    let tree = browser.chrome("Accessibility.getFullAXTree", json!({}));
    for node in tree["nodes"].as_array().unwrap() {
        let text = |what: &str| node[what]["value"].as_str().unwrap_or_default().to_owned();
        let nameless = NAMED.contains(&text("role").as_str()) && text("name").trim().is_empty();
        assert!(node["ignored"] == true || !nameless, "{place}: a {} without a name: {node}", text("role"));
    }
}

fn dialogs(browser: &Browser, look: &str) {
    browser.run("location.hash = '#/services'");
    for (opener, dialog) in [("button[aria-label^=Stop]", "ask"), ("#token-open", "token")] {
        browser.click(opener);
        browser.wait(&format!("document.querySelector('#{dialog}').open"));
        browser.wait(&format!("document.querySelector('#{dialog}').contains(document.activeElement)"));
        browser.picture(&format!("{look}-dialog-{dialog}"));
        check(browser, &format!("{look} {dialog}"));
        browser.press("\u{e00c}");
        browser.wait(&format!("!document.querySelector('#{dialog}').open"));
        // Who has closed it is where they were.
        browser.wait(&format!("document.activeElement.matches({opener:?})"));
    }
}

/// Everything that can be clicked can be reached, and is seen to have the focus.
fn tab_through(browser: &Browser) {
    browser.chrome("Emulation.clearDeviceMetricsOverride", json!({}));
    browser.run("location.hash = '#/services'; document.activeElement.blur(); window.reached = new Set()");
    let all = "[...document.querySelectorAll('a[href], button, input, select, summary, [tabindex=\"0\"]')]\
               .filter((e) => e.checkVisibility())";
    let count = browser.run(&format!("return {all}.length")).as_u64().unwrap();
    assert!(count > 20, "{count}");
    for _ in 0..count + 2 {
        browser.press(TAB);
        let seen = browser.run(
            "const e = document.activeElement; if (e === document.body) return true; window.reached.add(e); \
             const s = getComputedStyle(e); \
             return (s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2) || e.outerHTML.slice(0, 200)",
        );
        assert_eq!(seen, Value::Bool(true), "the focus can't be seen");
    }
    let missed = browser
        .run(&format!("return {all}.filter((e) => !window.reached.has(e)).map((e) => e.outerHTML.slice(0, 200))"));
    assert_eq!(missed, json!([]), "not reached by the tabulator");
}
