//! What a service's process is when its program begins: each setting, read back from inside of it.

use crate::support::*;
use nix::sys::signal::Signal;
use nix::unistd::Group;

/// What nearly every setting shows in.
const SHOW: &str = "cat /proc/self/status /proc/self/limits; echo score $(cat /proc/self/oom_score_adj); \
                    echo nice $(nice); echo umask $(umask); echo user $(id -u)";

/// An ordinary user.
const USER: &[&str] = &["setpriv", "--reuid", "1000", "--regid", "1000", "--clear-groups"];
const CAP_KILL: u64 = 1 << 5;
const CAP_NET_BIND_SERVICE: u64 = 1 << 10;
const CAP_SYS_ADMIN: u64 = 1 << 21;
const CAP_SYS_RESOURCE: u64 = 1 << 24;

fn capabilities(status: &str, set: &str) -> u64 {
    u64::from_str_radix(status_field(status, set), 16).unwrap()
}

/// Whether root has this capability here: a container may have taken it away.
fn have(capability: u64) -> bool {
    capabilities(&std::fs::read_to_string("/proc/self/status").unwrap(), "CapEff") & capability != 0
}

/// A line of /proc/self/limits: soft and hard.
fn limit(limits: &str, name: &str) -> (String, String) {
    let line = limits.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{name} in {limits}"));
    let mut words = line.split_whitespace().map(str::to_owned);
    (words.next().unwrap(), words.next().unwrap())
}

/// Runs one service with these settings to its end; its output, or why it could not be started.
fn outcome(wrapper: &[&str], script: &str, settings: &str) -> Result<String, String> {
    let flag = "--unsuccessful-exit-finished-failed";
    let ordinary = wrapper.contains(&"--reuid");
    let horust = if ordinary { horust().copied() } else { horust() };
    let done = horust.wrapper(wrapper).arg(flag).bash("one", script, settings).run();
    if done.status.code() == Some(0) {
        assert_eq!(done.stderr, "", "{settings}");
        return Ok(done.stdout);
    }
    done.assert_code(101);
    assert_eq!(done.stdout, "", "{settings}: it must not run");
    Err(done.stderr)
}

#[track_caller]
fn runs(wrapper: &[&str], script: &str, settings: &str) -> String {
    outcome(wrapper, script, settings).unwrap_or_else(|why| panic!("{settings}: {why}"))
}

#[track_caller]
fn refused(wrapper: &[&str], settings: &str, why: &str) {
    let said = outcome(wrapper, "true", settings).expect_err(settings);
    let wanted = format!("one: failed for good: Failed spawning the process: {why}");
    assert!(said.contains(&wanted), "{settings}: {said} instead of {wanted}");
}

#[test]
fn every_setting_holds_inside_of_the_service() {
    if needs_root() {
        return;
    }
    let done = runs(
        &[],
        SHOW,
        r#"
        user = "nobody"
        group = "adm"
        supplementary-groups = ["daemon", 54321]
        umask = "0027"
        nice = 17
        oom-score-adj = 321
        no-new-privileges = true
        capabilities = ["CAP_NET_BIND_SERVICE", "kill"]"#,
    );
    let gid = |name: &str| Group::from_name(name).unwrap().unwrap().gid.to_string();
    assert!(done.ends_with("score 321\nnice 17\numask 0027\nuser 65534\n"), "{done}");
    assert_eq!(status_field(&done, "Gid"), [gid("adm").as_str(); 4].join("\t"));
    let mut groups: Vec<_> = status_field(&done, "Groups").split(' ').collect();
    groups.sort_unstable();
    let mut wanted = [gid("adm"), gid("daemon"), "54321".into()];
    wanted.sort_unstable();
    assert_eq!(groups, wanted);
    assert_eq!(status_field(&done, "NoNewPrivs"), "1");
    for set in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert_eq!(capabilities(&done, set), CAP_NET_BIND_SERVICE | CAP_KILL, "{set}");
    }
}

/// Each service is a session, and sessions are what autogroups weigh: without this, nice values would mean nothing
/// between services (sched(7)).
#[test]
fn a_nice_value_holds_for_the_autogroup_too() {
    // Others may change it only every tenth of a second.
    if needs_root() || !have(CAP_SYS_ADMIN) || !std::path::Path::new("/proc/self/autogroup").exists() {
        return;
    }
    let group = runs(&[], "cat /proc/self/autogroup", "nice = 17");
    assert!(group.trim().ends_with(" nice 17"), "{group}");
}

#[test]
fn every_limit_holds_inside_of_the_service() {
    // Beyond what this process may set itself only where it has the right to.
    let (nice, rtprio) = if have(CAP_SYS_RESOURCE) { ("30", "50") } else { ("0", "0") };
    let settings = format!(
        r#"[limits]
        nofile = "500:1000"
        nproc = "5000"
        core = 0
        cpu = "1m 29s 500ms"
        data = "1GiB"
        fsize = "500MB:unlimited"
        memlock = 4096
        as = "4GiB"
        rss = "3GiB:4GiB"
        stack = "4MiB:8MiB"
        locks = 77
        sigpending = "88:99"
        msgqueue = "100KiB"
        nice = {nice}
        rtprio = {rtprio}
        rttime = "200ms:2000000""#
    );
    let limits = runs(&[], "cat /proc/self/limits", &settings);
    for (name, soft, hard) in [
        ("Max open files", "500", "1000"),
        ("Max processes", "5000", "5000"),
        ("Max core file size", "0", "0"),
        ("Max cpu time", "90", "90"),
        ("Max data size", "1073741824", "1073741824"),
        ("Max file size", "500000000", "unlimited"),
        ("Max locked memory", "4096", "4096"),
        ("Max address space", "4294967296", "4294967296"),
        ("Max resident set", "3221225472", "4294967296"),
        ("Max stack size", "4194304", "8388608"),
        ("Max file locks", "77", "77"),
        ("Max pending signals", "88", "99"),
        ("Max msgqueue size", "102400", "102400"),
        ("Max nice priority", nice, nice),
        ("Max realtime priority", rtprio, rtprio),
        ("Max realtime timeout", "200000", "2000000"),
    ] {
        assert_eq!(limit(&limits, name), (soft.into(), hard.into()), "{name} in {limits}");
    }
}

/// No privileges: what only takes something away works all the same.
#[test]
fn an_ordinary_user_can_give_less_and_not_more() {
    if needs_root() {
        return;
    }
    let settings = "umask = 0o77\nnice = 13\noom-score-adj = 999\nno-new-privileges = true\n\
                    user = 1000\ngroup = 1000\nlimits = { nofile = 99 }";
    let done = runs(USER, SHOW, settings);
    assert!(done.ends_with("score 999\nnice 13\numask 0077\nuser 1000\n"), "{done}");
    assert_eq!(status_field(&done, "NoNewPrivs"), "1");
    assert_eq!(limit(&done, "Max open files"), ("99".into(), "99".into()));
    // Nothing to take away, and nothing to add.
    runs(USER, "true", "supplementary-groups = []");
    runs(USER, "true", "capabilities = { ambient = [] }");
    let denied = "Operation not permitted (needs CAP_SETGID)";
    refused(USER, "group = 54321", &format!("cannot change to group 54321: {denied}"));
    refused(USER, "supplementary-groups = 4", &format!("cannot set the supplementary groups: {denied}"));
    refused(USER, "nice = -5", "cannot set nice to -5: Permission denied (needs CAP_SYS_NICE)");
    let why = "cannot set oom-score-adj to -1000: Permission denied (needs CAP_SYS_RESOURCE)";
    refused(USER, "oom-score-adj = -1000", why);
    let why = "cannot take capabilities out of the bounding set: Operation not permitted (needs CAP_SETPCAP)";
    refused(USER, "capabilities = \"none\"", why);
    refused(USER, "capabilities = \"net_raw\"", "cannot give capabilities that Horust itself does not have: NET_RAW");
}

#[test]
fn a_limit_above_the_hard_one_is_refused_with_both_named() {
    if needs_root() {
        return;
    }
    let wrapper = ["prlimit", "--nofile=100:200", "setpriv", "--bounding-set=-sys_resource"];
    let why = "cannot set the limit nofile to 100:201: the hard limit is 200 (raising it needs CAP_SYS_RESOURCE)";
    refused(&wrapper, "limits = { nofile = \"100:201\" }", why);
    let why = "cannot set the limit nofile to unlimited: the hard limit is 200 (raising it needs CAP_SYS_RESOURCE)";
    refused(&wrapper, "limits = { nofile = \"unlimited\" }", why);
    let most = std::fs::read_to_string("/proc/sys/fs/nr_open").unwrap();
    let more = most.trim().parse::<u64>().unwrap() + 1;
    let why = format!(
        "cannot set the limit nofile to {more}: no process may have more than {} files (fs.nr_open)",
        most.trim()
    );
    refused(&[], &format!("limits = {{ nofile = {more} }}"), &why);
    if have(CAP_SYS_RESOURCE) {
        let limits = runs(&wrapper[..2], "cat /proc/self/limits", "limits = { nofile = \"unlimited\" }");
        assert_eq!(limit(&limits, "Max open files"), (most.trim().into(), most.trim().into()));
    }
}

#[test]
fn without_a_user_groups_are_those_that_are_listed() {
    if needs_root() {
        return;
    }
    let wrapper = ["setpriv", "--groups", "4,5"];
    let groups = |settings: &str| {
        let status = runs(&wrapper, "cat /proc/self/status", settings);
        (
            status_field(&status, "Gid").split('\t').next().unwrap().to_owned(),
            status_field(&status, "Groups").to_owned(),
        )
    };
    assert_eq!(groups("group = 54321"), ("54321".into(), "4 5".into()));
    assert_eq!(groups("supplementary-groups = [7, \"8\"]"), ("0".into(), "7 8".into()));
    assert_eq!(groups("supplementary-groups = []"), ("0".into(), String::new()));
    refused(&[], "group = \"no such group\"", "there is no group \"no such group\"");
    // A user who is that user already has them.
    let wrapper = ["setpriv", "--reuid", "1000", "--regid", "1000", "--groups", "4,5"];
    let status = runs(&wrapper, "cat /proc/self/status", "user = 1000\nsupplementary-groups = [4]");
    assert_eq!(status_field(&status, "Groups"), "4 5");
    let why = "cannot set the supplementary groups: Operation not permitted (needs CAP_SETGID)";
    refused(&wrapper, "user = 1000\nsupplementary-groups = [6]", why);
    refused(&wrapper, "supplementary-groups = [4]", why);
}

/// What the key is for: a port below 1024 without root.
#[test]
fn an_ordinary_user_with_the_capability_binds_port_80() {
    if needs_root() {
        return;
    }
    let bind = "exec perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 0) or die; \
                bind(S, sockaddr_in(80, INADDR_ANY)) or die \"bind: $!\"; listen(S, 1) or die; print \"bound\\n\"'";
    let wrapper = ["unshare", "--net"];
    let flag = "--unsuccessful-exit-finished-failed";
    let start = |settings: &str| horust().wrapper(&wrapper).arg(flag).bash("web", bind, settings).run();
    for settings in ["capabilities = [\"NET_BIND_SERVICE\"]", "capabilities = { ambient = \"cap_net_bind_service\" }"] {
        let done = start(&format!("user = \"nobody\"\n{settings}"));
        done.assert_code(0);
        assert_eq!(done.stdout, "bound\n");
    }
    let done = start("user = \"nobody\"");
    done.assert_code(101);
    assert!(done.stderr.contains("bind: Permission denied"), "{}", done.stderr);
}

#[test]
fn capabilities_limit_root_too() {
    if needs_root() {
        return;
    }
    let sets = |settings: &str| {
        let status = runs(&[], "cat /proc/self/status", settings);
        ["CapBnd", "CapEff", "CapAmb"].map(|set| capabilities(&status, set))
    };
    let [bounding, effective, _] = sets("umask = 0o22");
    let only = CAP_NET_BIND_SERVICE;
    assert_eq!(sets("capabilities = [\"NET_BIND_SERVICE\"]"), [only; 3]);
    assert_eq!(sets("capabilities = \"none\""), [0; 3]);
    let most = "capabilities = { bounding = [\"all\", \"-KILL\"] }";
    assert_eq!(sets(most), [bounding & !CAP_KILL, effective & !CAP_KILL, 0]);
    // An exec that gives no rights doesn't give those back either.
    assert_eq!(sets(&format!("{most}\nno-new-privileges = true")), [bounding & !CAP_KILL, effective & !CAP_KILL, 0]);
    assert_eq!(sets("capabilities = \"all\""), [bounding, effective, effective]);
    let wrapper = ["setpriv", "--bounding-set=-kill,-sys_nice"];
    let why = "cannot give capabilities that Horust itself does not have: KILL, SYS_NICE";
    refused(&wrapper, "capabilities = [\"KILL\", \"CHOWN\", \"SYS_NICE\"]", why);
    runs(&wrapper, "true", "capabilities = { bounding = [\"KILL\", \"CHOWN\"], ambient = \"CHOWN\" }");
}

#[test]
fn a_set_user_id_program_gives_nothing_with_no_new_privileges() {
    if needs_root() {
        return;
    }
    // A copy of `id` that would run as root.
    let prepare = "cp $(command -v id) @DIR@/id && chmod 4755 @DIR@/id";
    let who = |setting: &str| {
        let settings = format!("user = \"nobody\"\nstart-after = \"prepare\"\n{setting}");
        let done = horust().bash("prepare", prepare, "kind = \"oneshot\"").bash("who", "@DIR@/id -u", &settings).run();
        done.assert_code(0);
        done.stdout
    };
    assert_eq!(who(""), "0\n", "set-user-ID programs have no effect here at all: is /tmp mounted nosuid?");
    assert_eq!(who("no-new-privileges = true"), "65534\n");
}

/// The stage costs a second exec, so what needs none must not get it. Here it can't be had at all.
#[test]
fn what_needs_no_exec_stage_goes_without() {
    let horust = horust().copied();
    let copy = horust.dir().join("horust").display().to_string();
    let done = horust
        .bash("break", &format!("chmod 0 {copy}"), "kind = \"oneshot\"")
        .bash("plain", "echo plain runs", "start-after = \"break\"\nno-new-privileges = false\n[limits]\n")
        .bash("limited", "echo limited runs", "start-after = \"plain\"\numask = \"077\"\n[limits]\nnofile = 99")
        .bash("staged", "echo staged runs", "start-after = \"limited\"\nnice = 1")
        .run();
    let mut lines: Vec<&str> = done.stdout.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["limited runs", "plain runs"]);
    assert!(done.stderr.contains("staged: failed for good: Failed spawning the process: cannot start the exec stage"));
}

/// The check would else see what the service does not.
#[test]
fn health_commands_have_the_settings_of_their_service() {
    if needs_root() {
        return;
    }
    let check = "command = [\"bash\", \"-c\", \"echo checked by $$(id -u):$$(id -g) $$(umask) $$(nice) \
                 $$(ulimit -n) $$(cat /proc/self/oom_score_adj) > @DIR@/open/seen.new; mv @DIR@/open/seen.new @DIR@/open/seen\"]";
    let settings = format!(
        "start-after = \"prepare\"\nuser = \"nobody\"\ngroup = 54321\numask = \"0027\"\nnice = 14\noom-score-adj = 77\n\
         [limits]\nnofile = 123\n[healthiness]\n{check}"
    );
    let horust = horust()
        .bash("prepare", "mkdir -m 777 @DIR@/open", "kind = \"oneshot\"")
        .bash("service", "exec sleep 1000", &settings)
        .start();
    horust.wait_until("a check has run", |h| !h.read("open/seen").is_empty());
    assert_eq!(horust.read("open/seen"), "checked by 65534:54321 0027 14 123 77\n");
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

/// A container runtime sets the score of PID 1 and means all processes. Who changes it later, to protect the supervisor,
/// means the supervisor.
#[test]
fn services_get_the_oom_score_that_horust_began_with() {
    let script = "echo started $BASHPID; read -r < @DIR@/fifo";
    let began = "echo 200 > /proc/self/oom_score_adj; exec \"$@\"";
    let horust = horust()
        .wrapper(&["bash", "-c", &format!("mkfifo @DIR@/fifo; {began}"), "bash"])
        .bash("service", script, "[restart]\nstrategy = \"always\"")
        .start();
    let score = |horust: &Horust, start: usize| {
        horust.wait_for_count("started", start);
        let pid = horust.stdout().lines().nth(start - 1).unwrap().replace("started ", "");
        std::fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim().to_owned()
    };
    assert_eq!(score(&horust, 1), "200");
    std::fs::write(format!("/proc/{}/oom_score_adj", horust.pid()), "600").unwrap();
    std::fs::write(horust.dir().join("fifo"), "go on\n").unwrap();
    horust.wait_until("the second run has the score of the first", |h| score(h, 2) == "200");
    horust.stop(Signal::SIGTERM).0.assert_code(0);
}

#[test]
fn without_autostart_a_service_is_not_started_and_holds_nothing_back() {
    let done = horust()
        .bash("waits", "echo must not run", "autostart = false")
        .bash("after", "echo must not run either", "autostart = false\nstart-after = \"runs\"")
        .bash("runs", "echo runs", "")
        .run();
    done.assert_code(0);
    assert_eq!((done.stdout.as_str(), done.stderr.as_str()), ("runs\n", ""));
}

#[test]
fn what_follows_a_oneshot_starts_after_its_success_only() {
    let oneshot = "kind = \"oneshot\"\n[restart]\nstrategy = \"on-failure\"\nattempts = 1";
    let script = "if mkdir @DIR@/once; then echo first try; exit 3; fi; echo second try";
    let done = horust()
        .bash("prepare", script, oneshot)
        .bash("follows", "echo follows", "start-after = \"prepare\"")
        .bash("fails", "exit 3", "kind = \"oneshot\"")
        .bash("never", "echo must not run", "start-after = \"fails\"")
        .run();
    assert_eq!(done.stdout, "first try\nsecond try\nfollows\n");
}
