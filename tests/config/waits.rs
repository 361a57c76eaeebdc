//! What services wait for: conditions, and what is said about those that make no sense.

use super::support::Set;
use horust::model::{Condition, Need, ServiceId};

#[test]
fn entries_may_be_names_or_tables() {
    let web = "command = \"x\"\nstart-after = [\"db\", { name = \"job.toml\", condition = \"completed-successfully\" }, { name = \"cache\", required = false }]";
    let by_tables = "command = \"x\"\n[[start-after]]\nname = \"db\"\n[[start-after]]\nname = \"job\"\ncondition = \"completed-successfully\"\n[[start-after]]\nname = \"cache\"\nrequired = false";
    let alone = "command = \"x\"\nstart-after = { name = \"db\", condition = \"healthy\" }";
    let set = Set::new(&[
        ("0db.toml", "name = \"db\"\ncommand = \"x\"\n[healthiness]\nfile-path = \"/up\""),
        ("1job.toml", "name = \"job\"\ncommand = \"x\""),
        ("2cache.toml", "name = \"cache\"\ncommand = \"x\""),
        ("web.toml", web),
        ("web2.toml", by_tables),
        ("web3.toml", alone),
    ]);
    let services = set.services();
    let need = |id, condition, required| Need { service: ServiceId(id), condition, required };
    let wanted = [
        need(0, Condition::Ready, true),
        need(1, Condition::CompletedSuccessfully, true),
        need(2, Condition::Ready, false),
    ];
    assert_eq!(services[3].start_after, wanted);
    assert_eq!(services[4].start_after, wanted);
    assert_eq!(services[5].start_after, [need(0, Condition::Healthy, true)]);
}

#[test]
fn every_condition_has_its_word() {
    for condition in Condition::ALL {
        let a = format!("command = \"x\"\nstart-after = {{ name = \"b\", condition = \"{condition}\" }}");
        let set = Set::new(&[("a.toml", &a), ("b.toml", "command = \"x\"\n[healthiness]\nfile-path = \"/up\"")]);
        assert_eq!(set.services()[0].start_after, [Need { condition, ..Need::ready(ServiceId(1)) }]);
    }
}

#[test]
fn what_is_left_out_is_not_waited_for_where_it_is_about_the_order_only() {
    let set = Set::new(&[
        (
            "a.toml",
            "command = \"x\"\nstart-after = [{ name = \"bad\", required = false }, { name = \"worse\", required = false }, \"b\"]",
        ),
        ("b.toml", "command = \"x\""),
        ("bad.toml", "comand = \"x\""),
        ("worse.toml", "command = "),
        ("z.toml", "command = \"x\"\nstart-after = [{ name = \"b\", condition = \"healthy\" }]"),
    ]);
    let loaded = set.load_with(&[set.dir.path().to_owned()], None, true);
    let names: Vec<_> = loaded.plan.services.iter().map(|service| service.name.as_str()).collect();
    assert_eq!(names, ["a", "b"], "{}", set.shown(&loaded));
    assert_eq!(loaded.plan.services[0].start_after, [Need::ready(ServiceId(1))]);
    let said = set.shown(&loaded);
    assert!(said.contains("`z` is left out: it waits for `b` to be healthy, which nothing tells"), "{said}");
}
