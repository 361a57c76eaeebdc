//! Who a process becomes: user, group and supplementary groups. Looked up first, while files can still be opened, and
//! taken on later, in the order that permissions dictate: groups → gid → uid.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::os::unix::ffi::OsStrExt;

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, getgrouplist, getgroups, getresuid, setgroups, setresgid, setresuid};

use super::order::Setup;
use super::raw::Change;
use super::status::Failure;
use super::users::{self, GroupRef, UserInfo, UserRef};

/// Who to become. What is none stays as it is.
pub(super) struct Identity {
    /// The user's record.
    pub user: Option<UserInfo>,
    gid: Option<Gid>,
    /// All supplementary groups.
    groups: Option<Vec<Gid>>,
    /// Those of them that the setup itself names.
    listed: Vec<Gid>,
    /// The setup itself names the group.
    own_gid: bool,
}

impl Identity {
    /// Looks up what the setup names.
    pub fn look_up(setup: &Setup) -> Result<Self, Failure> {
        let user = setup.user.as_ref().map(resolve).transpose()?;
        let group = setup.group.as_ref().map(resolve_group).transpose()?;
        let listed = setup.groups.iter().map(resolve_group).collect::<Result<Vec<_>, _>>()?;
        let gid = group.or_else(|| user.as_ref().map(|user| Gid::from_raw(user.gid)));
        let groups = match (&user, gid) {
            (Some(user), Some(gid)) => {
                let mut groups = groups_of(user, gid)?;
                groups.extend(&listed);
                Some(groups)
            }
            _ => setup.only_groups.then(|| listed.clone()),
        };
        Ok(Self { user, gid, groups, listed, own_gid: group.is_some() })
    }

    /// Sets USER and HOME to the user's, as far as the setup wants that.
    pub fn introduce(&self, setup: &Setup, env: &mut Vec<CString>) {
        let Some(user) = &self.user else { return };
        let (name, home) = (user.name.as_bytes(), user.home.as_os_str().as_bytes());
        for (wanted, name, value) in [(setup.set_user, b"USER=", name), (setup.set_home, b"HOME=", home)] {
            // No entry of the user database has a NUL.
            if let Some(variable) = CString::new([name, value].concat()).ok().filter(|_| wanted) {
                env.retain(|existing| !existing.to_bytes().starts_with(name));
                env.push(variable);
            }
        }
    }

    /// What becoming it takes. None if that can't be done.
    pub fn changes(&self) -> Option<Vec<Change>> {
        let groups = self.groups.as_ref().map(|groups| groups.iter().map(|gid| gid.as_raw()).collect());
        let (gid, uid) = (self.gid.map(Gid::as_raw), self.user.as_ref().map(|user| user.uid));
        [gid, uid].into_iter().flatten().try_for_each(certain).ok()?;
        let changes = [groups.map(Change::Groups), gid.map(Change::Gid), uid.map(Change::Uid)];
        Some(changes.into_iter().flatten().collect())
    }

    /// Becomes it.
    pub fn take_on(&self) -> Result<(), Failure> {
        let mut kept = false;
        if let Some(groups) = &self.groups {
            kept = match setgroups(groups) {
                // Without CAP_SETGID: there is nobody less privileged to become, and no other way to run as oneself in
                // an unprivileged container.
                Err(Errno::EPERM) if self.has_already(groups) => true,
                done => {
                    done.map_err(failing("groups", "set the supplementary groups", "CAP_SETGID"))?;
                    false
                }
            };
        }
        if let Some(gid) = self.gid.filter(|_| self.own_gid || !kept) {
            let done = setresgid(gid, gid, gid).and_then(|()| certain(gid.as_raw()));
            done.map_err(failing("gid", &format!("change to group {gid}"), "CAP_SETGID"))?;
        }
        if let Some(user) = &self.user {
            let uid = Uid::from_raw(user.uid);
            // All three, so that there is no way back; from root this also drops every capability (capabilities(7)).
            let done = setresuid(uid, uid, uid).and_then(|()| certain(user.uid));
            done.map_err(failing("uid", &format!("change to user {}", user.name), "CAP_SETUID"))?;
        }
        Ok(())
    }

    /// Whether we are who was asked for. A user who is that user already goes on with the groups that we were given, if
    /// those that were listed are among them.
    fn has_already(&self, groups: &[Gid]) -> bool {
        let own: BTreeSet<u32> = getgroups().unwrap_or_default().into_iter().map(Gid::as_raw).collect();
        match &self.user {
            Some(user) => is_already(user.uid) && self.listed.iter().all(|gid| own.contains(&gid.as_raw())),
            None => groups.iter().map(|gid| gid.as_raw()).collect::<BTreeSet<_>>() == own,
        }
    }
}

fn failing(stage: &'static str, what: &str, needs: &'static str) -> impl FnOnce(Errno) -> Failure {
    let message = format!("cannot {what}");
    move |errno| Failure::of(stage, &message, errno, needs)
}

/// The user's record. A number without an entry gets itself as its group: what user-private groups (the default of every
/// useradd) have, and never root's group, in which images keep writable files. Its home is `/`.
fn resolve(user: &UserRef) -> Result<UserInfo, Failure> {
    let failed = |errno, message| Failure { stage: "user", errno, message };
    match (users::find(user), user) {
        (Ok(Some(found)), _) => Ok(found),
        (Ok(None), UserRef::Id(id)) => Ok(UserInfo {
            name: id.to_string(),
            uid: *id,
            gid: if Uid::current().as_raw() == *id { Gid::current().as_raw() } else { *id },
            home: "/".into(),
            shell: "/bin/sh".into(),
        }),
        (Ok(None), UserRef::Name(name)) => Err(failed(Errno::EINVAL, format!("there is no user {name:?}"))),
        (Err(error), _) => Err(failed(error.errno, error.to_string())),
    }
}

/// A group's number, which need not have an entry.
fn resolve_group(group: &GroupRef) -> Result<Gid, Failure> {
    let failed = |errno, message| Failure { stage: "groups", errno, message };
    match group {
        GroupRef::Id(id) => Ok(Gid::from_raw(*id)),
        GroupRef::Name(name) => match users::find_group(name) {
            Ok(Some(gid)) => Ok(Gid::from_raw(gid)),
            Ok(None) => Err(failed(Errno::EINVAL, format!("there is no group {name:?}"))),
            Err(error) => Err(failed(error.errno, error.to_string())),
        },
    }
}

/// The groups of a user whose primary group is this one. A number without an entry is in no other.
fn groups_of(user: &UserInfo, gid: Gid) -> Result<Vec<Gid>, Failure> {
    match CString::new(user.name.as_str()) {
        Ok(name) if name.as_bytes().iter().any(|byte| !byte.is_ascii_digit()) => {
            getgrouplist(&name, gid).map_err(failing("groups", &format!("look up the groups of {}", user.name), ""))
        }
        _ => Ok(vec![gid]),
    }
}

/// The last number means "no change" to setresuid(2) and setresgid(2), which then succeed.
fn certain(id: u32) -> Result<(), Errno> {
    if id == u32::MAX { Err(Errno::EINVAL) } else { Ok(()) }
}

fn is_already(uid: u32) -> bool {
    let uid = Uid::from_raw(uid);
    getresuid().is_ok_and(|own| own.real == uid && own.effective == uid && own.saved == uid)
}
