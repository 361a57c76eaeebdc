//! Broken service sets and the pages they must produce. Each case: a name, its files, and the page.

/// A name, files with their texts, and the page.
pub type Case = (&'static str, &'static [(&'static str, &'static str)], &'static str);

/// All cases.
pub const CASES: &[Case] = &[
    (
        "syntax errors of all lines",
        &[("a.toml", "command = \"/bin/a\nattempts = = 3\nname = \"a\"\n[restart\n")],
        r#"
error: invalid TOML: invalid basic string, expected `"`
 --> a.toml:1:18
  |
1 | command = "/bin/a
  |                  ^

error: invalid TOML: extra `=`, expected nothing
 --> a.toml:2:12
  |
2 | attempts = = 3
  |            ^

error: invalid TOML: unclosed table, expected `]`
 --> a.toml:4:9
  |
4 | [restart
  |         ^

3 errors
"#,
    ),
    (
        "errors of all files at once",
        &[
            ("a.toml", "comand = \"/bin/a\"\n"),
            ("b.toml", "command = \"/bin/b\"\n[restart]\nattempts = \"many\"\nbackoff = 10\n"),
            ("c.toml", "command = \"/bin/c\"\nstart-after = \"d\"\n"),
        ],
        r#"
error: there is no `command`, so nothing to run
 --> a.toml:1:1
  |
1 | comand = "/bin/a"
  | ^
  |
  = help: add `command = "..."` above the first [table]

error: unknown key `comand`
 --> a.toml:1:1
  |
1 | comand = "/bin/a"
  | ^^^^^^
  |
  = help: did you mean `command`?

error: `attempts` must be a whole number, 0 or more, not a string
 --> b.toml:3:12
  |
3 | attempts = "many"
  |            ^^^^^^ this is a string

error: `backoff` must be a duration such as "10s", not a bare number
 --> b.toml:4:11
  |
4 | backoff = 10
  |           ^^
  |
  = help: give it a unit: write it as "10s"

error: there is no service `d`
 --> c.toml:2:15
  |
2 | start-after = "d"
  |               ^^^
  |
  = help: did you mean `a`?

5 errors
"#,
    ),
    (
        "an empty file",
        &[("a.toml", "")],
        r#"
error: `a.toml` is empty
 |
 = help: a service needs a `command`

1 error
"#,
    ),
    (
        "only a comment",
        &[("a.toml", "# nothing\n")],
        r#"
error: there is no `command`, so nothing to run
 --> a.toml:1:1
  |
1 | # nothing
  | ^
  |
  = help: add `command = "..."` above the first [table]

1 error
"#,
    ),
    (
        "a wrong type",
        &[(
            "a.toml",
            "command = \"/bin/a\"\nstart-after = [1]\nstdout = 3\nautostart = \"yes\"\nrestart = \"always\"\n[environment]\nkeep-env = \"x\"\n",
        )],
        r#"
error: `start-after` must be a name, a table such as { name = "db", condition = "healthy" }, or a list of these, not an integer
 --> a.toml:2:16
  |
2 | start-after = [1]
  |                ^ this is an integer

error: `stdout` must be "STDOUT", "STDERR", "NULL" or a path, not an integer
 --> a.toml:3:10
  |
3 | stdout = 3
  |          ^ this is an integer

error: `autostart` must be true or false, not a string
 --> a.toml:4:13
  |
4 | autostart = "yes"
  |             ^^^^^ this is a string

error: `restart` must be a table, not a string
 --> a.toml:5:11
  |
5 | restart = "always"
  |           ^^^^^^^^ this is a string

error: `keep-env` must be true or false, not a string
 --> a.toml:7:12
  |
7 | keep-env = "x"
  |            ^^^ this is a string

5 errors
"#,
    ),
    (
        "unknown keys",
        &[(
            "a.toml",
            "command = \"/bin/a\"\nstrat-delay = \"1s\"\nattempts = 3\nzzz = 1\n[restart]\nbakoff = \"1s\"\nstart-delay = \"1s\"\n[environment]\nkep-env = true\n",
        )],
        r#"
error: unknown key `strat-delay`
 --> a.toml:2:1
  |
2 | strat-delay = "1s"
  | ^^^^^^^^^^^
  |
  = help: did you mean `start-delay`?

error: unknown key `attempts`
 --> a.toml:3:1
  |
3 | attempts = 3
  | ^^^^^^^^
  |
  = help: `attempts` belongs in the table [restart]

error: unknown key `zzz`
 --> a.toml:4:1
  |
4 | zzz = 1
  | ^^^

error: unknown key `bakoff`
 --> a.toml:6:1
  |
6 | bakoff = "1s"
  | ^^^^^^
  |
  = help: did you mean `backoff`?

error: unknown key `start-delay`
 --> a.toml:7:1
  |
7 | start-delay = "1s"
  | ^^^^^^^^^^^
  |
  = help: `start-delay` belongs to the service itself: move it above the first [table]

error: unknown key `kep-env`
 --> a.toml:9:1
  |
9 | kep-env = true
  | ^^^^^^^
  |
  = help: did you mean `keep-env`?

6 errors
"#,
    ),
    (
        "an unknown service",
        &[
            (
                "web.toml",
                "command = \"/bin/a\"\nstart-after = [\"databse.toml\", \"zzz\"]\n[termination]\ndie-if-failed = \"web\"\n",
            ),
            ("database.toml", "command = \"/bin/a\"\n"),
        ],
        r#"
error: there is no service `databse`
 --> web.toml:2:16
  |
2 | start-after = ["databse.toml", "zzz"]
  |                ^^^^^^^^^^^^^^
  |
  = help: did you mean `database`?

error: there is no service `zzz`
 --> web.toml:2:32
  |
2 | start-after = ["databse.toml", "zzz"]
  |                                ^^^^^

error: `web` names itself in `die-if-failed`
 --> web.toml:4:17
  |
4 | die-if-failed = "web"
  |                 ^^^^^

3 errors
"#,
    ),
    (
        "a name twice",
        &[("a.toml", "command = \"/bin/a\"\n"), ("b.toml", "command = \"/bin/a\"\nname = \"a\"\n")],
        r#"
error: two services are named `a`: `a.toml` and `b.toml`
 --> b.toml:2:8
  |
2 | name = "a"
  |        ^^^ the second
  |
 ::: a.toml:1:1
  |
1 | command = "/bin/a"
  | ^ the first
  |
  = help: give one a `name` of its own

1 error
"#,
    ),
    (
        "a name that is none",
        &[("a b.toml", "command = \"/bin/a\"\n"), ("c.toml", "command = \"/bin/a\"\nname = \"a/b\"\n")],
        r#"
error: `a b` can't be the name of a service
 --> a b.toml:1:1
  |
1 | command = "/bin/a"
  | ^
  |
  = help: the name comes from the file; give another with `name = "..."`

error: `a/b` can't be the name of a service
 --> c.toml:2:8
  |
2 | name = "a/b"
  |        ^^^^^
  |
  = help: a name is made of letters, digits, `.`, `_`, `@` and `-`

2 errors
"#,
    ),
    (
        "unset variables",
        &[("a.toml", "command = \"/bin/a $NO ${NOR:?give a port} \\t $NO2\" # $COMMENT\nuser = \"$USER\"\n")],
        r#"
error: the variable `NO` is not set
 --> a.toml:1:19
  |
1 | command = "/bin/a $NO ${NOR:?give a port} \t $NO2" # $COMMENT
  |                   ^^^
  |
  = help: set it, give a default with `${NO:-default}`, or write `$$NO` if the service is to see `$NO`

error: the variable `NOR` is not set: give a port
 --> a.toml:1:23
  |
1 | command = "/bin/a $NO ${NOR:?give a port} \t $NO2" # $COMMENT
  |                       ^^^^^^^^^^^^^^^^^^^

error: the variable `NO2` is not set
 --> a.toml:1:46
  |
1 | command = "/bin/a $NO ${NOR:?give a port} \t $NO2" # $COMMENT
  |                                              ^^^^
  |
  = help: set it, give a default with `${NO2:-default}`, or write `$$NO2` if the service is to see `$NO2`

error: the variable `USER` is not set
 --> a.toml:2:9
  |
2 | user = "$USER"
  |         ^^^^^
  |
  = help: set it, give a default with `${USER:-default}`, or write `$$USER` if the service is to see `$USER`

4 errors
"#,
    ),
    (
        "a variable never closed",
        &[("a.toml", "command = \"/bin/a ${HOME\"\n")],
        r#"
error: `${HOME` is never closed
 --> a.toml:1:19
  |
1 | command = "/bin/a ${HOME"
  |                   ^^^^^^
  |
  = help: close it with `}`, or write `$$` for a plain dollar sign

1 error
"#,
    ),
    (
        "a variable outside a string that is no single value",
        &[("a.toml", "command = \"/bin/a\"\n[restart]\nattempts = ${TWO_LINES}\n")],
        r#"
error: `${TWO_LINES}` stands outside a string and expands to `1\nrequired = true`, which is no single value
 --> a.toml:3:12
  |
3 | attempts = ${TWO_LINES}
  |            ^^^^^^^^^^^^
  |
  = help: put quotes around it, or set it to a number, `true`, `false`, a quoted string or an array

1 error
"#,
    ),
    (
        "an unset variable outside a string",
        &[("a.toml", "command = \"/bin/a\"\n[restart]\nattempts = $NO\n")],
        r#"
error: the variable `NO` is not set
 --> a.toml:3:12
  |
3 | attempts = $NO
  |            ^^^
  |
  = help: set it, give a default with `${NO:-default}`, or write `$$NO` if the service is to see `$NO`

1 error
"#,
    ),
    (
        "blank commands",
        &[
            ("a.toml", "command = \"  \"\n"),
            ("b.toml", "command = []\n"),
            ("c.toml", "command = \"$BLANK\"\n"),
            ("d.toml", "command = \"echo 'x\"\n"),
        ],
        r#"
error: Failed spawning the process: Invalid command: "  ": it names no program
 --> a.toml:1:11
  |
1 | command = "  "
  |           ^^^^

error: Failed spawning the process: Invalid command: []: it names no program
 --> b.toml:1:11
  |
1 | command = []
  |           ^^

error: Failed spawning the process: Invalid command: "$BLANK": it names no program
 --> c.toml:1:11
  |
1 | command = "$BLANK"
  |           ^^^^^^^^

error: Failed spawning the process: Invalid command: "echo 'x": a quote is never closed, or it ends in a backslash
 --> d.toml:1:11
  |
1 | command = "echo 'x"
  |           ^^^^^^^^^

4 errors
"#,
    ),
    (
        "a NUL",
        &[("a.toml", "command = \"/bin/a \\u0000\"\n")],
        r#"
error: a string holds a NUL, which no path, argument or variable can hold
 --> a.toml:1:11
  |
1 | command = "/bin/a \u0000"
  |           ^^^^^^^^^^^^^^^

1 error
"#,
    ),
    (
        "signals",
        &[
            ("a.toml", "command = \"/bin/a\"\nsignal-rewrite = \"15:TREM,x\"\n[termination]\nsignal = \"SIGTREM\"\n"),
            ("b.toml", "command = \"/bin/a\"\nsignal-rewrite = { HUP = 99 }\n[termination]\nsignal = 65\n"),
        ],
        r#"
error: `signal-rewrite`: `x` is no pair such as `15:3`
 --> a.toml:2:18
  |
2 | signal-rewrite = "15:TREM,x"
  |                  ^^^^^^^^^^^

error: `signal`: there is no signal `SIGTREM`
 --> a.toml:4:10
  |
4 | signal = "SIGTREM"
  |          ^^^^^^^^^
  |
  = help: did you mean "TERM"?

error: `signal-rewrite`: there is no signal `99`
 --> b.toml:2:26
  |
2 | signal-rewrite = { HUP = 99 }
  |                          ^^
  |
  = help: write a name such as "TERM" or "SIGTERM", or a number from 1 to 64

error: `signal`: there is no signal `65`
 --> b.toml:4:10
  |
4 | signal = 65
  |          ^^
  |
  = help: write a name such as "TERM" or "SIGTERM", or a number from 1 to 64

4 errors
"#,
    ),
    (
        "durations",
        &[(
            "a.toml",
            "command = \"/bin/a\"\nstart-delay = 10\n[restart]\nbackoff = \"-5s\"\nbackoff-max = \"99999999999999999999s\"\nreset-after = \"5 parsecs\"\n[healthiness]\ninterval = 0.5\ntimeout = \"0s\"\n",
        )],
        r#"
error: `start-delay` must be a duration such as "10s", not a bare number
 --> a.toml:2:15
  |
2 | start-delay = 10
  |               ^^
  |
  = help: give it a unit: write it as "10s"

error: `backoff`: a duration can't be negative: "-5s"
 --> a.toml:4:11
  |
4 | backoff = "-5s"
  |           ^^^^^

error: `backoff-max`: "99999999999999999999s" is no duration: number is too large or cannot be represented without a lack of precision (values below 1ns are not supported)
 --> a.toml:5:15
  |
5 | backoff-max = "99999999999999999999s"
  |               ^^^^^^^^^^^^^^^^^^^^^^^

error: `reset-after`: "5 parsecs" is no duration: unknown time unit "parsecs", supported units: ns, us/µs, ms, sec, min, hours, days, weeks, months, years (and few variations)
 --> a.toml:6:15
  |
6 | reset-after = "5 parsecs"
  |               ^^^^^^^^^^^

error: `interval` must be a duration such as "10s", not a bare number
 --> a.toml:8:12
  |
8 | interval = 0.5
  |            ^^^
  |
  = help: give it a unit: write it as "500ms", say

error: with a `timeout` of zero no check can pass
 --> a.toml:9:11
  |
9 | timeout = "0s"
  |           ^^^^

6 errors
"#,
    ),
    (
        "exit codes",
        &[
            ("a.toml", "command = \"/bin/a\"\n[failure]\nsuccessful-exit-code = [0, 256]\n"),
            ("b.toml", "command = \"/bin/a\"\n[failure]\nexit-code = \"10,x\"\n"),
            ("c.toml", "command = \"/bin/a\"\n[failure]\nexit-code = 1\nsuccessful-exit-code = 2\n"),
        ],
        r#"
error: `successful-exit-code`: an exit code is a number between 0 and 255
 --> a.toml:3:28
  |
3 | successful-exit-code = [0, 256]
  |                            ^^^

error: `exit-code`: an exit code is a number between 0 and 255
 --> b.toml:3:13
  |
3 | exit-code = "10,x"
  |             ^^^^^^

error: `exit-code` and `successful-exit-code` exclude each other
 --> c.toml:3:13
  |
3 | exit-code = 1
  |             ^ the only failures
  |
 ::: c.toml:4:24
  |
4 | successful-exit-code = 2
  |                        - the successes
  |
  = help: keep one of them

3 errors
"#,
    ),
    (
        "urls",
        &[
            ("0.toml", "command = \"/bin/a\"\n[healthiness]\nhttp-endpoint = \"https://x/\"\n"),
            ("1.toml", "command = \"/bin/a\"\n[healthiness]\nhttp-endpoint = \"localhost:80/x\"\n"),
            ("2.toml", "command = \"/bin/a\"\n[healthiness]\nhttp-endpoint = \"http://\"\n"),
            ("3.toml", "command = \"/bin/a\"\n[healthiness]\nhttp-endpoint = \"http://x:99999/\"\n"),
            ("4.toml", "command = \"/bin/a\"\n[healthiness]\nhttp-endpoint = \"ftp://x/\"\n"),
            ("5.toml", "command = \"/bin/a\"\n[healthiness]\nhttp-endpoint = \"http://x:0/\"\n"),
        ],
        r#"
error: `http-endpoint`: this build has no TLS; use an http:// address of the service itself
 --> 0.toml:3:17
  |
3 | http-endpoint = "https://x/"
  |                 ^^^^^^^^^^^^

error: `http-endpoint`: "localhost:80/x" does not start with `http://`
 --> 1.toml:3:17
  |
3 | http-endpoint = "localhost:80/x"
  |                 ^^^^^^^^^^^^^^^^
  |
  = help: write it as a URL such as "http://localhost:8080/health"

error: `http-endpoint`: "http://" is no URL: empty host
 --> 2.toml:3:17
  |
3 | http-endpoint = "http://"
  |                 ^^^^^^^^^

error: `http-endpoint`: "http://x:99999/" is no URL: invalid port number
 --> 3.toml:3:17
  |
3 | http-endpoint = "http://x:99999/"
  |                 ^^^^^^^^^^^^^^^^^

error: `http-endpoint`: "ftp://x/" does not start with `http://`
 --> 4.toml:3:17
  |
3 | http-endpoint = "ftp://x/"
  |                 ^^^^^^^^^^
  |
  = help: write it as a URL such as "http://localhost:8080/health"

error: `http-endpoint`: port 0 can't be reached
 --> 5.toml:3:17
  |
3 | http-endpoint = "http://x:0/"
  |                 ^^^^^^^^^^^^^

6 errors
"#,
    ),
    (
        "numbers out of range",
        &[
            (
                "a.toml",
                "command = \"/bin/a\"\n[restart]\nattempts = -1\njitter = 2\n[healthiness]\nfile = \"\"\nsuccess-threshold = 0\n",
            ),
            ("b.toml", "command = \"/bin/a\"\nuser = 4294967296\n[restart]\nattempts = 4294967296\n"),
        ],
        r#"
error: `attempts` must be between 0 and 4294967295
 --> a.toml:3:12
  |
3 | attempts = -1
  |            ^^

error: `jitter` must be between 0 and 1
 --> a.toml:4:10
  |
4 | jitter = 2
  |          ^

error: `file-path`: a path can't be empty
 --> a.toml:6:8
  |
6 | file = ""
  |        ^^

error: `success-threshold` must be 1 or more
 --> a.toml:7:21
  |
7 | success-threshold = 0
  |                     ^

error: `user` must be between 0 and 4294967295
 --> b.toml:2:8
  |
2 | user = 4294967296
  |        ^^^^^^^^^^

error: `attempts` must be between 0 and 4294967295
 --> b.toml:4:12
  |
4 | attempts = 4294967296
  |            ^^^^^^^^^^

6 errors
"#,
    ),
    (
        "unknown words",
        &[(
            "a.toml",
            "command = \"/bin/a\"\nkind = \"forking\"\n[restart]\nstrategy = \"failure\"\n[failure]\nstrategy = \"kill\"\n",
        )],
        r#"
error: `kind`: unknown variant `forking`, expected `daemon` or `oneshot`
 --> a.toml:2:8
  |
2 | kind = "forking"
  |        ^^^^^^^^^

error: `strategy`: unknown variant `failure`, expected one of `never`, `on-failure`, `always`
 --> a.toml:4:12
  |
4 | strategy = "failure"
  |            ^^^^^^^^^

error: `strategy`: unknown variant `kill`, expected one of `ignore`, `kill-all`, `shutdown`, `kill-dependents`
 --> a.toml:6:12
  |
6 | strategy = "kill"
  |            ^^^^^^

3 errors
"#,
    ),
    (
        "one key by two names",
        &[("a.toml", "command = \"/bin/a\"\npath = \"/bin/b\"\n[restart]\ntrials = 3\nattempts = 4\n")],
        r#"
error: `command` is given twice
 --> a.toml:2:1
  |
2 | path = "/bin/b"
  | ^^^^ again here
  |
 ::: a.toml:1:11
  |
1 | command = "/bin/a"
  |           -------- first here

warning: `trials` is an old spelling of `attempts`
 --> a.toml:4:1
  |
4 | trials = 3
  | ^^^^^^ write `attempts`

error: `attempts` is given twice
 --> a.toml:5:12
  |
5 | attempts = 4
  |            ^ again here
  |
 ::: a.toml:4:1
  |
4 | trials = 3
  | ------ first here

2 errors, 1 warning
"#,
    ),
    (
        "environment that contradicts itself",
        &[(
            "a.toml",
            "command = \"/bin/a\"\n[environment]\nkeep-env = true\nclear = true\nPORT = 80\nadditional = { \"a=b\" = \"x\" }\n",
        )],
        r#"
error: `clear` and `keep-env` contradict each other
 --> a.toml:4:9
  |
4 | clear = true
  |         ^^^^
  |
 ::: a.toml:3:12
  |
3 | keep-env = true
  |            ---- `keep-env` is its opposite
  |
  = help: keep one of them

error: the value of the variable `PORT` must be a string
 --> a.toml:5:8
  |
5 | PORT = 80
  |        ^^
  |
  = help: write it as "80"

error: `a=b` can't be the name of a variable
 --> a.toml:6:16
  |
6 | additional = { "a=b" = "x" }
  |                ^^^^^

3 errors
"#,
    ),
    (
        "a service that starts after itself",
        &[("a.toml", "command = \"/bin/a\"\nstart-after = \"a.toml\"\n")],
        r#"
error: `a` names itself in `start-after`
 --> a.toml:2:15
  |
2 | start-after = "a.toml"
  |               ^^^^^^^^

1 error
"#,
    ),
    (
        "a start cycle, with the whole path",
        &[
            ("a.toml", "command = \"/bin/a\"\nstart-after = \"b\"\n"),
            ("b.toml", "command = \"/bin/a\"\n\nstart-after = [\"c.toml\"]\n"),
            ("c.toml", "command = \"/bin/a\"\nstart-after = [\"free\", \"a\"]\n"),
            ("free.toml", "command = \"/bin/a\"\n"),
            ("tail.toml", "command = \"/bin/a\"\nstart-after=\"a\"\n"),
        ],
        r#"
error: a cycle: these services wait for each other to start: `a` -> `b` -> `c` -> `a`
 --> a.toml:2:15
  |
2 | start-after = "b"
  |               ^^^ `a` starts after `b`
  |
 ::: b.toml:3:16
  |
3 | start-after = ["c.toml"]
  |                ^^^^^^^^ `b` starts after `c`
  |
 ::: c.toml:2:24
  |
2 | start-after = ["free", "a"]
  |                        ^^^ `c` starts after `a`

1 error
"#,
    ),
    (
        "two cycles",
        &[
            ("a.toml", "command = \"/bin/a\"\nstart-after = \"b\"\n"),
            ("b.toml", "command = \"/bin/a\"\nstart-after = \"a\"\n"),
            ("c.toml", "command = \"/bin/a\"\nstart-after = \"d\"\n"),
            ("d.toml", "command = \"/bin/a\"\nstart-after = \"c\"\n"),
        ],
        r#"
error: a cycle: these services wait for each other to start: `a` -> `b` -> `a`
 --> a.toml:2:15
  |
2 | start-after = "b"
  |               ^^^ `a` starts after `b`
  |
 ::: b.toml:2:15
  |
2 | start-after = "a"
  |               ^^^ `b` starts after `a`

error: a cycle: these services wait for each other to start: `c` -> `d` -> `c`
 --> c.toml:2:15
  |
2 | start-after = "d"
  |               ^^^ `c` starts after `d`
  |
 ::: d.toml:2:15
  |
2 | start-after = "c"
  |               ^^^ `d` starts after `c`

2 errors
"#,
    ),
    (
        "a stop cycle",
        &[
            ("db.toml", "command = \"/bin/a\"\n"),
            ("web.toml", "command = \"/bin/a\"\nstart-after = \"db\"\nshutdown-after = \"db\"\n"),
        ],
        r#"
error: a cycle: these services wait for each other to stop: `db` -> `web` -> `db`
 --> web.toml:2:15
  |
2 | start-after = "db"
  |               ^^^^ `db` stops after `web`, because it starts before it
  |
 ::: web.toml:3:18
  |
3 | shutdown-after = "db"
  |                  ---- `web` stops after `db`

1 error
"#,
    ),
    (
        "a stop cycle of its own",
        &[
            ("a.toml", "command = \"/bin/a\"\nshutdown-after = \"b\"\n"),
            ("b.toml", "command = \"/bin/a\"\nshutdown-after = \"a\"\n"),
        ],
        r#"
error: a cycle: these services wait for each other to stop: `a` -> `b` -> `a`
 --> a.toml:2:18
  |
2 | shutdown-after = "b"
  |                  ^^^ `a` stops after `b`
  |
 ::: b.toml:2:18
  |
2 | shutdown-after = "a"
  |                  ^^^ `b` stops after `a`

1 error
"#,
    ),
    (
        "what waits for a service started by hand",
        &[
            ("a.toml", "command = \"/bin/a\"\nautostart = false\n"),
            ("b.toml", "command = \"/bin/a\"\nstart-after = \"a\"\n"),
        ],
        r#"
warning: `a` is not started with Horust
 --> b.toml:2:15
  |
2 | start-after = "a"
  |               ^^^ `b` waits until it is started by hand

1 warning
"#,
    ),
    (
        "old spellings",
        &[(
            "a.toml",
            "command = \"/bin/a\"\nrestart-strategy = \"always\"\n[healthness]\nfile = \"/run/x\"\n[restart]\ntentatives = 3\nrediness = \"health\"\nhealthy_after = \"3s\"\n[resource]\nmemory = \"1GiB\"\n",
        )],
        r#"
warning: `restart-strategy` is an old spelling of `strategy` in the table [restart]
 --> a.toml:2:1
  |
2 | restart-strategy = "always"
  | ^^^^^^^^^^^^^^^^ write `strategy` below [restart]

warning: `healthness` is an old spelling of `healthiness`
 --> a.toml:3:2
  |
3 | [healthness]
  |  ^^^^^^^^^^ write `healthiness`

warning: `tentatives` is an old spelling of `attempts`
 --> a.toml:6:1
  |
6 | tentatives = 3
  | ^^^^^^^^^^ write `attempts`

warning: `rediness` is an old spelling of `readiness`
 --> a.toml:7:1
  |
7 | rediness = "health"
  | ^^^^^^^^ write `readiness`

warning: `healthy_after` is an old spelling of `reset-after`
 --> a.toml:8:1
  |
8 | healthy_after = "3s"
  | ^^^^^^^^^^^^^ write `reset-after`

warning: `resource` is an old spelling of `resource-limit`
 --> a.toml:9:2
  |
9 | [resource]
  |  ^^^^^^^^ write `resource-limit`

warning: `memory` has no effect yet
  --> a.toml:10:1
   |
10 | memory = "1GiB"
   | ^^^^^^

7 warnings
"#,
    ),
    (
        "what has no effect yet",
        &[
            (
                "a.toml",
                "command = \"/bin/a\"\nstdout-rotate-size = \"50 KB\"\nstderr_rotate_size = 100\nstdout_should_append_timestamp_to_filename = true\n[resource-limit]\ncpu = 1\n",
            ),
            ("_defaults.toml", "x = 1\n"),
        ],
        r#"
warning: `_defaults.toml` is not supported yet: it has no effect

warning: `stdout-rotate-size` has no effect yet
 --> a.toml:2:1
  |
2 | stdout-rotate-size = "50 KB"
  | ^^^^^^^^^^^^^^^^^^

warning: `stderr_rotate_size` has no effect yet
 --> a.toml:3:1
  |
3 | stderr_rotate_size = 100
  | ^^^^^^^^^^^^^^^^^^

warning: `stdout_should_append_timestamp_to_filename` has no effect yet
 --> a.toml:4:1
  |
4 | stdout_should_append_timestamp_to_filename = true
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^

warning: `cpu` has no effect yet
 --> a.toml:6:1
  |
6 | cpu = 1
  | ^^^

5 warnings
"#,
    ),
    (
        "sizes",
        &[(
            "a.toml",
            "command = \"/bin/a\"\nstdout-rotate-size = \"50 parrots\"\nstderr-rotate-size = \"99999999999GiB\"\n",
        )],
        r#"
warning: `stdout-rotate-size` has no effect yet
 --> a.toml:2:1
  |
2 | stdout-rotate-size = "50 parrots"
  | ^^^^^^^^^^^^^^^^^^

error: `stdout-rotate-size`: "50 parrots" is no size; write "500KB" or "10 MiB", say
 --> a.toml:2:22
  |
2 | stdout-rotate-size = "50 parrots"
  |                      ^^^^^^^^^^^^

warning: `stderr-rotate-size` has no effect yet
 --> a.toml:3:1
  |
3 | stderr-rotate-size = "99999999999GiB"
  | ^^^^^^^^^^^^^^^^^^

error: `stderr-rotate-size`: "99999999999GiB" is no size; write "500KB" or "10 MiB", say
 --> a.toml:3:22
  |
3 | stderr-rotate-size = "99999999999GiB"
  |                      ^^^^^^^^^^^^^^^^

2 errors, 2 warnings
"#,
    ),
    (
        "probable mistakes",
        &[(
            "a.toml",
            "command = \"/bin/a\"\nstdout = \"stdout\"\n[healthiness]\nmax-failed = 3\n[restart]\nreadiness = \"health\"\n",
        )],
        r#"
warning: `stdout`: this is a file of that name in Horust's directory
 --> a.toml:2:10
  |
2 | stdout = "stdout"
  |          ^^^^^^^^
  |
  = help: did you mean "STDOUT"?

warning: [healthiness] holds no check, so nothing is watched
 --> a.toml:3:1
  |
3 | [healthiness]
  | ^^^^^^^^^^^^^
  |
  = help: add `http-endpoint`, `tcp`, `unix-socket`, `file-path` or `command`

warning: there is no health check to be ready by
 --> a.toml:6:13
  |
6 | readiness = "health"
  |             ^^^^^^^^
  |
  = help: add one below [healthiness]; until then the service is ready once it was started

3 warnings
"#,
    ),
    (
        "a service table with a main key beside it",
        &[("a.toml", "name = \"x\"\n[service]\ncommand = \"/bin/a\"\nname = \"y\"\nbogus = 1\n")],
        r#"
error: `name` is given twice
 --> a.toml:4:1
  |
4 | name = "y"
  | ^^^^ again here
  |
 ::: a.toml:1:8
  |
1 | name = "x"
  |        --- first here

error: unknown key `bogus`
 --> a.toml:5:1
  |
5 | bogus = 1
  | ^^^^^

2 errors
"#,
    ),
    (
        "no service table",
        &[("a.toml", "[service]\nname = \"y\"\n"), ("b.toml", "service = \"x\"\ncommand = \"/bin/b\"\n")],
        r#"
error: there is no `command`, so nothing to run
 --> a.toml:1:1
  |
1 | [service]
  | ^
  |
  = help: add `command = "..."` above the first [table]

error: unknown key `service`
 --> b.toml:1:1
  |
1 | service = "x"
  | ^^^^^^^

2 errors
"#,
    ),
    (
        "characters that take several bytes",
        &[("a.toml", "command = \"/bin/a\" \nname = \"größe\" # ß\nuser = \"ü${NO}\"\n")],
        r#"
error: `größe` can't be the name of a service
 --> a.toml:2:8
  |
2 | name = "größe" # ß
  |        ^^^^^^^
  |
  = help: a name is made of letters, digits, `.`, `_`, `@` and `-`

error: the variable `NO` is not set
 --> a.toml:3:10
  |
3 | user = "ü${NO}"
  |          ^^^^^
  |
  = help: set it, give a default with `${NO:-default}`, or write `$$NO` if the service is to see `$NO`

2 errors
"#,
    ),
    (
        "checks that never rest",
        &[("a.toml", "command = \"x\"\n[healthiness]\nfile-path = \"/up\"\ninterval = \"0s\"\n")],
        "\
error: with an `interval` of zero the checks would never rest
 --> a.toml:4:12
  |
4 | interval = \"0s\"
  |            ^^^^

1 error
",
    ),
];
