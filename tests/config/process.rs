//! What a process becomes: values that load. (Pages for those that don't are cases like all others.)

use super::support::one;
use horust::model::{CapSet, Capabilities, IdOrName, Limit, Process};

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
        resources: None,
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
