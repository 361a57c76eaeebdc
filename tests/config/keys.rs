//! The page that tells which keys need another run after a reload, from the code that decides it.

use super::support::assert_page;
use horust::model::{Effect, every_key};

const HEAD: &str = "\
<!-- Written by the tests from src/model/change.rs: change it there, then run `UPDATE_DOCS=1 cargo test --test config`. -->
# What a reload does to a service

`horust reload` and SIGHUP read the configuration again; with `--watch` any change of its files does. A service that is new is
started, if it is to start with Horust; one that is gone is stopped. Of a service that has changed it depends on the keys: most values
count from then on, and the service goes on. What a process is given at its start can't be changed later: then the service, if it
runs, is stopped and started. Others that start after it go on. `horust plan` tells all that beforehand.

";

const REST: &str = "
So is each entry of `[limits]`, and each variable in `[environment]`. `horust plan` also names the changed settings of
`horust.toml` that only count from the next start of Horust on.
";

#[test]
fn the_keys_that_need_another_run_are_the_committed_page() {
    let mut page = HEAD.to_owned();
    let keys = every_key();
    let list = |effect: Effect| keys.iter().filter(move |one| one.effect == effect);
    page.push_str("## Another run\n\n");
    list(Effect::Restart).for_each(|one| page.push_str(&format!("* `{}`\n", one.key)));
    page.push_str(REST);
    page.push_str("\n## No other run\n\n");
    list(Effect::Live).for_each(|one| page.push_str(&format!("* `{}`\n", one.key)));
    assert_page("docs/reload.md", &page);
}

/// But for the name, which is no change but another service, other spellings, and what is told of all in one sentence.
#[test]
fn every_key_of_the_reference_is_on_the_page() {
    let reference = horust::config::reference();
    let page = std::fs::read_to_string(super::support::root().join("docs/reload.md")).unwrap();
    let of_services = reference.split("\n## horust.toml").next().unwrap();
    let keys = of_services.lines().filter_map(|line| line.strip_prefix("#### `")?.strip_suffix('`'));
    let missing = keys.filter(|key| !page.contains(&format!("* `{key}`")) && !key.starts_with("limits."));
    let known = ["name", "environment.clear", "environment.additional", "log.rotate-size"];
    assert_eq!(missing.collect::<Vec<_>>(), known);
}
