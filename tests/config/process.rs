//! What a process becomes: values that load, and the pages for those that don't.

use super::cases::Case;
use super::support::one;
use horust::model::{CapSet, Capabilities, IdOrName, Limit, Process};

/// Broken settings.
pub const CASES: &[Case] = &[
    (
        "users and groups",
        &[(
            "a.toml",
            r#"command = "/bin/a"
user = 4294967295
group = true
supplementary-groups = ["audio", "", -1, 1.5]
"#,
        )],
        r#"
error: `user`: an id must be between 0 and 4294967294
 --> a.toml:2:8
  |
2 | user = 4294967295
  |        ^^^^^^^^^^

error: `group` must be a name or an id, not a boolean
 --> a.toml:3:9
  |
3 | group = true
  |         ^^^^ this is a boolean

error: `supplementary-groups`: a name can't be empty
 --> a.toml:4:34
  |
4 | supplementary-groups = ["audio", "", -1, 1.5]
  |                                  ^^

error: `supplementary-groups`: an id must be between 0 and 4294967294
 --> a.toml:4:38
  |
4 | supplementary-groups = ["audio", "", -1, 1.5]
  |                                      ^^

error: `supplementary-groups` must be a name or an id, not a float
 --> a.toml:4:42
  |
4 | supplementary-groups = ["audio", "", -1, 1.5]
  |                                          ^^^ this is a float

5 errors
"#,
    ),
    (
        "umasks",
        &[
            ("a.toml", "command = \"/bin/a\"\numask = 27\n"),
            ("b.toml", "command = \"/bin/b\"\numask = 99\n"),
            ("c.toml", "command = \"/bin/c\"\numask = \"0888\"\n"),
            ("d.toml", "command = \"/bin/d\"\numask = 0o1777\n"),
            ("e.toml", "command = \"/bin/e\"\numask = true\n"),
            ("f.toml", "command = \"/bin/f\"\numask = \"+27\"\n"),
            ("g.toml", "command = \"/bin/g\"\numask = -1\n"),
            ("h.toml", "command = \"/bin/h\"\numask = 027\n"),
        ],
        r#"
error: `umask` must be an octal number such as "0027", not a decimal one
 --> a.toml:2:9
  |
2 | umask = 27
  |         ^^
  |
  = help: write it as "0027" or 0o27

error: `umask` must be an octal number such as "0027", not a decimal one
 --> b.toml:2:9
  |
2 | umask = 99
  |         ^^
  |
  = help: write three octal digits, such as "027": from 000 to 777

error: `umask`: "0888" is no file mode creation mask
 --> c.toml:2:9
  |
2 | umask = "0888"
  |         ^^^^^^
  |
  = help: write three octal digits, such as "027": from 000 to 777

error: `umask`: 0o1777 is no file mode creation mask
 --> d.toml:2:9
  |
2 | umask = 0o1777
  |         ^^^^^^
  |
  = help: write three octal digits, such as "027": from 000 to 777

error: `umask` must be an octal number such as "0027", not a boolean
 --> e.toml:2:9
  |
2 | umask = true
  |         ^^^^ this is a boolean

error: `umask`: "+27" is no file mode creation mask
 --> f.toml:2:9
  |
2 | umask = "+27"
  |         ^^^^^
  |
  = help: write three octal digits, such as "027": from 000 to 777

error: `umask` must be an octal number such as "0027", not a decimal one
 --> g.toml:2:9
  |
2 | umask = -1
  |         ^^
  |
  = help: write three octal digits, such as "027": from 000 to 777

error: invalid TOML: unexpected leading zero, expected nothing
 --> h.toml:2:9
  |
2 | umask = 027
  |         ^
  |
  = help: an octal number is written as 0o27, or in quotes: "027"

8 errors
"#,
    ),
    (
        "priorities",
        &[
            ("a.toml", "command = \"/bin/a\"\nnice = 20\noom-score-adj = -1001\nno-new-privileges = 1\n"),
            ("b.toml", "command = \"/bin/b\"\nnice = \"low\"\noom-score-adj = 0.5\n"),
        ],
        r#"
error: `nice` must be between -20 and 19
 --> a.toml:2:8
  |
2 | nice = 20
  |        ^^

error: `oom-score-adj` must be between -1000 and 1000
 --> a.toml:3:17
  |
3 | oom-score-adj = -1001
  |                 ^^^^^

error: `no-new-privileges` must be true or false, not an integer
 --> a.toml:4:21
  |
4 | no-new-privileges = 1
  |                     ^ this is an integer

error: `nice` must be a number from -20 (first) to 19 (last), not a string
 --> b.toml:2:8
  |
2 | nice = "low"
  |        ^^^^^ this is a string

error: `oom-score-adj` must be a number from -1000 (never) to 1000 (first), not a float
 --> b.toml:3:17
  |
3 | oom-score-adj = 0.5
  |                 ^^^ this is a float

5 errors
"#,
    ),
    (
        "capabilities",
        &[
            ("a.toml", "command = \"/bin/a\"\ncapabilities = [\"NET_BIND\", \"cap_net_admn\", \"x\", \"KILL\"]\n"),
            (
                "b.toml",
                "command = \"/bin/b\"\ncapabilities = { bounding = [\"KILL\"], ambient = [\"kill\", \"CHOWN\"] }\n",
            ),
            ("c.toml", "command = \"/bin/c\"\ncapabilities = { effective = [\"KILL\"], ambient = 3 }\n"),
            ("d.toml", "command = \"/bin/d\"\ncapabilities = 1024\n"),
        ],
        r#"
error: `capabilities`: there is no capability `NET_BIND`
 --> a.toml:2:17
  |
2 | capabilities = ["NET_BIND", "cap_net_admn", "x", "KILL"]
  |                 ^^^^^^^^^^
  |
  = help: did you mean "NET_BIND_SERVICE"?

error: `capabilities`: there is no capability `cap_net_admn`
 --> a.toml:2:29
  |
2 | capabilities = ["NET_BIND", "cap_net_admn", "x", "KILL"]
  |                             ^^^^^^^^^^^^^^
  |
  = help: did you mean "NET_ADMIN"?

error: `capabilities`: there is no capability `x`
 --> a.toml:2:45
  |
2 | capabilities = ["NET_BIND", "cap_net_admn", "x", "KILL"]
  |                                             ^^^
  |
  = help: capabilities(7) lists them; "NET_BIND_SERVICE" is one

error: `ambient` holds CHOWN, which `bounding` does not
 --> b.toml:2:49
  |
2 | capabilities = { bounding = ["KILL"], ambient = ["kill", "CHOWN"] }
  |                                                 ^^^^^^^^^^^^^^^^^
  |
 ::: b.toml:2:29
  |
2 | capabilities = { bounding = ["KILL"], ambient = ["kill", "CHOWN"] }
  |                             -------- what the service can have at all
  |
  = help: add them to `bounding`, or leave `bounding` out

error: unknown key `effective`
 --> c.toml:2:18
  |
2 | capabilities = { effective = ["KILL"], ambient = 3 }
  |                  ^^^^^^^^^

error: `ambient` must be a list of capabilities, "all" or "none", not an integer
 --> c.toml:2:50
  |
2 | capabilities = { effective = ["KILL"], ambient = 3 }
  |                                                  ^ this is an integer

error: `capabilities` must be a list of capabilities, or { bounding = [...], ambient = [...] }, not an integer
 --> d.toml:2:16
  |
2 | capabilities = 1024
  |                ^^^^ this is an integer

7 errors
"#,
    ),
    (
        "limits",
        &[
            (
                "a.toml",
                r#"command = "/bin/a"
nofile = 10
[limits]
nofiles = 1024
nofile = "2048:1024"
core = "10 parsecs"
cpu = 1.5
nproc = -1
as = "1:2:3"
fsize = "unlimitd"
locks = "64KiB"
rttime = "-1s"
stack = ":8MiB"
"#,
            ),
            ("b.toml", "command = \"/bin/b\"\nlimits = \"many\"\n[resource-limit]\nnproc = 3\n"),
        ],
        r#"
error: unknown key `nofile`
 --> a.toml:2:1
  |
2 | nofile = 10
  | ^^^^^^
  |
  = help: `nofile` belongs in the table [limits]

error: unknown key `nofiles`
 --> a.toml:4:1
  |
4 | nofiles = 1024
  | ^^^^^^^
  |
  = help: did you mean `nofile`?

error: `nofile`: the soft limit is above the hard one
 --> a.toml:5:10
  |
5 | nofile = "2048:1024"
  |          ^^^^^^^^^^^
  |
  = help: the soft limit is what holds; write it first, and no higher than the hard one

error: `core`: "10 parsecs" is no limit
 --> a.toml:6:8
  |
6 | core = "10 parsecs"
  |        ^^^^^^^^^^^^
  |
  = help: a limit is a size such as "64MiB", "soft:hard" or "unlimited"

error: `cpu` must be a duration such as "90s", "soft:hard" or "unlimited", not a float
 --> a.toml:7:7
  |
7 | cpu = 1.5
  |       ^^^ this is a float

error: `nproc`: -1 is no limit
 --> a.toml:8:9
  |
8 | nproc = -1
  |         ^^
  |
  = help: write "unlimited"

error: `as`: "1:2:3" is no limit
 --> a.toml:9:6
  |
9 | as = "1:2:3"
  |      ^^^^^^^
  |
  = help: a limit is a size such as "64MiB", "soft:hard" or "unlimited"

error: `fsize`: "unlimitd" is no limit
  --> a.toml:10:9
   |
10 | fsize = "unlimitd"
   |         ^^^^^^^^^^
   |
   = help: a limit is a size such as "64MiB", "soft:hard" or "unlimited"

error: `locks`: "64KiB" is no limit
  --> a.toml:11:9
   |
11 | locks = "64KiB"
   |         ^^^^^^^
   |
   = help: a limit is a number, "soft:hard" or "unlimited"

error: `rttime`: "-1s" is no limit
  --> a.toml:12:10
   |
12 | rttime = "-1s"
   |          ^^^^^
   |
   = help: a limit is a duration such as "200ms", "soft:hard" or "unlimited"

error: `stack`: ":8MiB" is no limit
  --> a.toml:13:9
   |
13 | stack = ":8MiB"
   |         ^^^^^^^
   |
   = help: a limit is a size such as "64MiB", "soft:hard" or "unlimited"

error: `limits` must be a table, not a string
 --> b.toml:2:10
  |
2 | limits = "many"
  |          ^^^^^^ this is a string

error: unknown key `nproc`
 --> b.toml:4:1
  |
4 | nproc = 3
  | ^^^^^
  |
  = help: `nproc` belongs in the table [limits]

13 errors
"#,
    ),
];

fn process(text: &str) -> Process {
    *one(&format!("command = \"x\"\n{text}")).process.unwrap()
}

#[test]
fn every_setting_arrives() {
    let text = r#"
        user = "www"
        group = 33
        supplementary-groups = ["audio", 44, "45"]
        umask = "0027"
        nice = -20
        oom-score-adj = 1000
        no-new-privileges = true
        capabilities = { bounding = ["CHOWN", "KILL"], ambient = "chown" }
        [limits]
        nofile = "1024:unlimited"
        core = 0"#;
    let wanted = Process {
        user: Some(IdOrName::Name("www".into())),
        group: Some(IdOrName::Id(33)),
        supplementary_groups: Some(vec![IdOrName::Name("audio".into()), IdOrName::Id(44), IdOrName::Id(45)]),
        umask: Some(0o27),
        nice: Some(-20),
        oom_score_adj: Some(1000),
        no_new_privileges: true,
        capabilities: Some(Capabilities { bounding: CapSet(1 | 1 << 5), ambient: CapSet(1) }),
        limits: vec![("core", Limit { soft: 0, hard: 0 }), ("nofile", Limit { soft: 1024, hard: u64::MAX })],
    };
    assert_eq!(process(text), wanted);
}

#[test]
fn what_asks_for_nothing_is_nothing() {
    for text in ["", "no-new-privileges = false", "[limits]"] {
        assert_eq!(one(&format!("command = \"x\"\n{text}")).process, None, "{text}");
    }
    // These are settings: the service may differ from Horust.
    for text in ["nice = 0", "umask = 0", "oom-score-adj = 0", "supplementary-groups = []", "capabilities = []"] {
        assert_ne!(process(text), Process::default(), "{text}");
    }
}

#[test]
fn spellings_mean_the_same() {
    for (a, b) in [
        ("group = \"33\"", "group = 0x21"),
        ("supplementary-groups = \"audio\"", "supplementary_groups = [\"audio\"]"),
        ("umask = \"27\"", "umask = 0o027"),
        ("umask = \"0o27\"", "umask = 0o27"),
        ("umask = 7", "umask = \"007\""),
        ("capabilities = \"kill\"", "capabilities = [\"CAP_KILL\"]"),
        ("capabilities = [\"kill\", \"chown\"]", "capabilities = [\"cap_Chown\", \"KILL\", \"none\"]"),
        ("capabilities = \"none\"", "capabilities = []"),
        ("capabilities = \"none\"", "capabilities = [\"KILL\", \"-KILL\"]"),
        ("capabilities = \"none\"", "capabilities = [\"KILL\", \"-all\"]"),
        ("capabilities = \"all\"", "capabilities = { bounding = \"all\", ambient = \"all\" }"),
        ("capabilities = { ambient = \"KILL\" }", "[capabilities]\nbounding = \"all\"\nambient = [\"KILL\"]"),
        ("capabilities = { bounding = \"KILL\", ambient = \"all\" }", "capabilities = \"KILL\""),
        ("limits = { nofile = 5 }", "[limits]\nnofile = \"5:5\""),
        ("limits = { nofile = \"unlimited\" }", "[limits]\nnofile = \"infinity : unlimited\""),
        ("limits = { core = \"64KiB\" }", "[limits]\ncore = 65536"),
        ("limits = { cpu = \"1m 29s 1ms\" }", "[limits]\ncpu = 90"),
        ("limits = { rttime = \"1s\" }", "[limits]\nrttime = 1000000"),
    ] {
        assert_eq!(process(a), process(b), "{a} / {b}");
    }
}

#[test]
fn all_but_one_capability_keeps_those_that_have_no_name_yet() {
    let set = process("capabilities = [\"all\", \"-CAP_KILL\"]").capabilities.unwrap();
    assert_eq!(set.bounding, CapSet(!(1 << 5)));
    assert_eq!(set.ambient, set.bounding);
}
