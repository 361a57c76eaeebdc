//! What services wait for: conditions, and what is said about those that make no sense.

use super::cases::Case;
use super::support::Set;
use horust::model::{Condition, Need, ServiceId};

/// Broken sets, and the pages they must produce.
pub const CASES: &[Case] = &[
    (
        "entries of start-after",
        &[(
            "a.toml",
            "command = \"/bin/a\"\nstart-after = [{ nam = \"b\" }, { condition = \"ready\" }, { name = \"b\", condition = \"up\", required = 1 }, true]\n",
        )],
        r#"
error: unknown key `nam`
 --> a.toml:2:18
  |
2 | start-after = [{ nam = "b" }, { condition = "ready" }, { name = "b", condition = "up", required = 1 }, true]
  |                  ^^^
  |
  = help: did you mean `name`?

error: an entry of `start-after` needs the `name` of a service
 --> a.toml:2:31
  |
2 | start-after = [{ nam = "b" }, { condition = "ready" }, { name = "b", condition = "up", required = 1 }, true]
  |                               ^^^^^^^^^^^^^^^^^^^^^^^

error: `condition`: unknown variant `up`, expected one of `started`, `ready`, `healthy`, `completed`, `completed-successfully`, `failed`
 --> a.toml:2:82
  |
2 | start-after = [{ nam = "b" }, { condition = "ready" }, { name = "b", condition = "up", required = 1 }, true]
  |                                                                                  ^^^^

error: `required` must be true or false, not an integer
 --> a.toml:2:99
  |
2 | start-after = [{ nam = "b" }, { condition = "ready" }, { name = "b", condition = "up", required = 1 }, true]
  |                                                                                                   ^ this is an integer

error: `start-after` must be a name, a table such as { name = "db", condition = "healthy" }, or a list of these, not a boolean
 --> a.toml:2:104
  |
2 | start-after = [{ nam = "b" }, { condition = "ready" }, { name = "b", condition = "up", required = 1 }, true]
  |                                                                                                        ^^^^ this is a boolean

error: there is no service `b`
 --> a.toml:2:65
  |
2 | start-after = [{ nam = "b" }, { condition = "ready" }, { name = "b", condition = "up", required = 1 }, true]
  |                                                                 ^^^

6 errors
"#,
    ),
    (
        "conditions",
        &[
            (
                "a.toml",
                "command = \"/bin/a\"\nstart-after = [{ name = \"b\", condition = \"healthy\" }, \"c\", \"c\", { name = \"c\", condition = \"failed\" }]\n",
            ),
            ("b.toml", "command = \"/bin/b\"\n"),
            ("c.toml", "command = \"/bin/c\"\n[restart]\nstrategy = \"always\"\n"),
            ("d.toml", "command = \"/bin/d\"\nstart-after = { name = \"c\", condition = \"completed\" }\n"),
        ],
        r#"
error: `a` waits for `c` twice, and not for the same
 --> a.toml:2:74
  |
2 | start-after = [{ name = "b", condition = "healthy" }, "c", "c", { name = "c", condition = "failed" }]
  |                                                                          ^^^ again here
  |
 ::: a.toml:2:55
  |
2 | start-after = [{ name = "b", condition = "healthy" }, "c", "c", { name = "c", condition = "failed" }]
  |                                                       --- first here
  |
  = help: keep one of them

error: nothing tells whether `b` is healthy
 --> a.toml:2:25
  |
2 | start-after = [{ name = "b", condition = "healthy" }, "c", "c", { name = "c", condition = "failed" }]
  |                         ^^^
  |
  = help: add a check below [healthiness] of that service, or wait until it is `ready`

warning: `c` is restarted each time, so it is never over
 --> d.toml:2:24
  |
2 | start-after = { name = "c", condition = "completed" }
  |                        ^^^ `d` waits for `completed`

2 errors, 1 warning
"#,
    ),
    (
        "order only",
        &[
            (
                "a.toml",
                "command = \"/bin/a\"\nstart-after = [{ name = \"data-base\", required = false }, { name = \"metrics\", required = false }]\n",
            ),
            (
                "database.toml",
                "command = \"/bin/b\"\nautostart = false\nstart-after = [{ name = \"a\", required = false }, { name = \"manual\", required = false }]\n",
            ),
            ("manual.toml", "command = \"/bin/b\"\nautostart = false\n"),
        ],
        r#"
warning: there is no service `data-base`, so nothing waits for it
 --> a.toml:2:25
  |
2 | start-after = [{ name = "data-base", required = false }, { name = "metrics", required = false }]
  |                         ^^^^^^^^^^^
  |
  = help: did you mean `database`?

1 warning
"#,
    ),
    (
        "a cycle through a condition",
        &[
            (
                "a.toml",
                "command = \"/bin/a\"\nstart-after = [{ name = \"b\", required = false, condition = \"failed\" }]\n",
            ),
            ("b.toml", "command = \"/bin/b\"\nstart-after = [\"a\"]\n"),
        ],
        r#"
error: a cycle: these services wait for each other to start: `a` -> `b` -> `a`
 --> a.toml:2:25
  |
2 | start-after = [{ name = "b", required = false, condition = "failed" }]
  |                         ^^^ `a` starts after `b`
  |
 ::: b.toml:2:16
  |
2 | start-after = ["a"]
  |                ^^^ `b` starts after `a`

1 error
"#,
    ),
];

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
