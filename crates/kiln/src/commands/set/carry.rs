// SPDX-License-Identifier: Apache-2.0 OR MIT
//! A set's actions, carried out: side by side what does not need each other.
//!
//! | first | machines that go, and forwards that are taken: others may get their ports and addresses |
//! | then | networks and pools that go |
//! | then | networks and pools that are made |
//! | then | images into pools |
//! | then | machines: made, changed, started |
//!
//! Each has its own journal: of a killed run the next `kiln` undoes what was half done, and the
//! next `kiln up` sees what is left to do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use kiln_host::signal;
use kiln_libvirt::Connection;
use kiln_libvirt::network::element;
use kiln_libvirt::storage::{PoolKind, pool_element};
use kiln_spec::MachineName;
use kiln_spec::network::NetworkSpec;
use kiln_spec::set::{NfsSource, PoolSource, PoolSpec};
use serde_json::Value;
use uuid::Uuid;

use super::Source;
use super::outcome::{Done, Outcome};
use super::pool::{login, monitors};
use crate::args::stop::How;
use crate::commands::launch::{self, Common, Found, Part};
use crate::commands::many::{AT_ONCE, each};
use crate::context::Context;
use crate::error::{Class, Problem};
use crate::machine::existing::Machine;
use crate::machine::image::ImageFile;
use crate::machine::set::{
    self, Action, Object, WantedSecret, What, new_pool_uuid, new_secret_uuid, owned_secret,
};
use crate::machine::timings::Timings;
use crate::machine::{networks, pools, secrets, undo};

/// What the actions are carried out with.
pub(in crate::commands) struct Things<'a> {
    /// The host.
    pub(in crate::commands) conn: &'a Connection,
    /// The set's name.
    pub(in crate::commands) set: &'a str,
    /// What each entry leads to.
    pub(in crate::commands) sources: &'a [Source],
    /// The folder of the set's file.
    pub(in crate::commands) folder: &'a Path,
    /// The image of each entry.
    pub(in crate::commands) images: Vec<Option<ImageFile>>,
    /// How machines are stopped.
    pub(in crate::commands) how: How,
}

/// A set's actions under way.
pub(in crate::commands) struct Carry<'a> {
    ctx: &'a Context,
    things: Things<'a>,
    outcomes: Vec<Outcome>,
    /// What failed: what needs it is not begun.
    failed: BTreeSet<Object>,
    /// The machines that were made, as JSON.
    machines: Vec<Value>,
}

impl<'a> Carry<'a> {
    /// Begins.
    pub(in crate::commands) fn new(ctx: &'a Context, things: Things<'a>) -> Self {
        Self { ctx, things, outcomes: Vec::new(), failed: BTreeSet::new(), machines: Vec::new() }
    }

    /// Carries out all of the actions. Returns what came of each thing, and the machines that were
    /// made, as JSON.
    pub(in crate::commands) fn out(mut self, actions: &[Action]) -> (Vec<Outcome>, Vec<Value>) {
        let actions: Vec<&Action> = actions.iter().collect();
        self.look_ahead(&actions);
        self.clear(&actions);
        self.take(&actions);
        self.secrets(&actions);
        self.foundations(&actions);
        self.make(&actions);
        self.change(&actions);
        (self.outcomes, self.machines)
    }

    fn keep(&mut self, outcomes: Vec<Option<Outcome>>) {
        for outcome in outcomes.into_iter().flatten() {
            if outcome.result.is_err() {
                self.failed.insert(outcome.object.clone());
            }
            self.outcomes.push(outcome);
        }
    }

    /// Machines that are to be made anew: what cannot be made is not taken away first.
    fn look_ahead(&mut self, actions: &[&Action]) {
        let mut anew: BTreeMap<usize, (Vec<Object>, Vec<u32>)> = BTreeMap::new();
        let mut leaving = Vec::new();
        for action in actions {
            if let What::Anew { entry, number, .. } = action.what {
                let (objects, numbers) = anew.entry(entry).or_default();
                objects.push(action.object.clone());
                numbers.push(number);
            }
            if let (Object::Machine(name), What::Anew { .. } | What::Remove) =
                (&action.object, &action.what)
            {
                leaving.push(name.to_string());
            }
        }
        for (entry, (objects, numbers)) in anew {
            let source = &self.things.sources[entry];
            let owner = Some(source.owner.clone());
            let part = Part { numbers, owner, start: true, leaving: leaving.clone() };
            let conn = self.things.conn.clone();
            let begun = self
                .found(entry)
                .and_then(|found| launch::begin(self.ctx, &source.launch, conn, found, part))
                .and_then(|launch| launch.check_places());
            if let Err(error) = begun {
                self.failed.extend(objects.iter().cloned());
                self.outcomes.push(not_begun(&objects, error));
            }
        }
    }

    /// Machines that go, and forwards that are taken.
    fn clear(&mut self, actions: &[&Action]) {
        let (ctx, things) = (self.ctx, &self.things);
        let is_first = |action: &&&Action| {
            let goes =
                matches!(action.what, What::Remove | What::Anew { .. } | What::TakeForwards(_));
            let able = !self.failed.contains(&action.object);
            goes && able && matches!(action.object, Object::Machine(_))
        };
        let first: Vec<&&Action> = actions.iter().filter(is_first).collect();
        let done = each(&first, AT_ONCE, |action| {
            let name = action.object.name();
            let result = go_on().and_then(|()| match &action.what {
                What::TakeForwards(_) => {
                    let of = (things.conn, things.set);
                    set::alter(ctx, of, (name, &action.what), things.how)
                }
                _ => remove_machine(ctx, (things.conn, things.set), name),
            });
            let done = match action.what {
                What::Remove => Done::Removed,
                // What comes later tells of it.
                _ if result.is_ok() => return None,
                _ => Done::Changed,
            };
            Some(Outcome { object: action.object.clone(), result: result.map(|()| done) })
        });
        self.keep(done);
    }

    /// Secrets, which pools name.
    fn secrets(&mut self, actions: &[&Action]) {
        let (ctx, of) = (self.ctx, (self.things.conn, self.things.set));
        let done = actions.iter().filter_map(|action| {
            let result = match &action.what {
                What::MakeSecret(secret) => go_on().and_then(|()| {
                    let uuid = new_secret_uuid(of.1, &secret.name);
                    let key = (Some(secret.entry.user.as_str()), &secret.entry.key);
                    secrets::make(ctx, of.0, (&secret.name, uuid), key).map(|()| Done::Made)
                }),
                What::GiveKey(secret) => {
                    go_on().and_then(|()| give_key(of, secret)).map(|()| Done::Changed)
                }
                _ => return None,
            };
            Some(Some(Outcome { object: action.object.clone(), result }))
        });
        let done = done.collect();
        self.keep(done);
    }

    /// Networks and pools.
    fn foundations(&mut self, actions: &[&Action]) {
        let (ctx, things) = (self.ctx, &self.things);
        let is_one = |action: &&&Action| {
            matches!(action.object, Object::Network(_) | Object::Pool(_))
                && action.what != What::Remove
        };
        let all: Vec<&&Action> = actions.iter().filter(is_one).collect();
        let done = each(&all, AT_ONCE, |action| {
            let result = go_on().and_then(|()| match &action.what {
                What::MakeNetwork(spec) => make_network(ctx, things, spec).map(|()| Done::Made),
                What::MakePool(spec) => make_pool(ctx, things, spec).map(|()| Done::Made),
                _ => activate(things.conn, &action.object).map(|()| Done::Changed),
            });
            Some(Outcome { object: action.object.clone(), result })
        });
        self.keep(done);
    }

    /// Machines that are made: all that one entry's have in common first.
    fn make(&mut self, actions: &[&Action]) {
        let mut wanted: BTreeMap<usize, Vec<(u32, Object)>> = BTreeMap::new();
        for action in actions {
            if let What::MakeMachine { entry, number, .. } | What::Anew { entry, number, .. } =
                action.what
                && !self.failed.contains(&action.object)
            {
                wanted.entry(entry).or_default().push((number, action.object.clone()));
            }
        }
        let wanted: Vec<(usize, Vec<(u32, Object)>)> = wanted.into_iter().collect();
        let this = &*self;
        let begun = each(&wanted, AT_ONCE, |(entry, machines)| {
            let numbers = machines.iter().map(|(number, _)| *number).collect();
            go_on().and_then(|()| this.launch(*entry, numbers))
        });
        let (mut launches, mut outcomes) = (Vec::new(), Vec::new());
        for ((_, machines), launch) in wanted.into_iter().zip(begun) {
            let objects: Vec<Object> = machines.into_iter().map(|(_, object)| object).collect();
            match launch {
                Ok(launch) => launches.push((launch, objects)),
                // One reason, told once, with all whom it concerns.
                Err(error) => outcomes.push(Some(not_begun(&objects, error))),
            }
        }
        if let Some((launch, _)) = launches.first() {
            launch.warn();
        }
        let mut jobs = Vec::new();
        for (launch, objects) in &launches {
            for (place, object) in objects.iter().enumerate() {
                jobs.push((launch, place, object));
            }
        }
        let at_once = launches.iter().map(|(launch, _)| launch.at_once).max().unwrap_or(1);
        let made = each(&jobs, at_once, |(launch, place, object)| {
            let name: MachineName = object.name().parse()?;
            go_on()?;
            launch::make(launch, (*place, &name))
        });
        for ((launch, _, object), made) in jobs.iter().zip(made) {
            let shown = made.and_then(|made| launch::show(launch, &made));
            let result = shown.map(|json| {
                self.machines.extend(json);
                Done::Made
            });
            outcomes.push(Some(Outcome { object: (*object).clone(), result }));
        }
        self.keep(outcomes);
    }

    /// Prepares the launch of some machines of an entry, up to the template.
    fn launch(&self, entry: usize, numbers: Vec<u32>) -> anyhow::Result<Common<'a>> {
        let (ctx, sources) = (self.ctx, self.things.sources);
        let source = &sources[entry];
        let args = &source.launch;
        let needs = args.network.iter().map(|on| Object::Network(on.network.clone()));
        let mut needs = needs.chain([Object::Pool(args.pool.clone())]);
        if let Some(lacking) = needs.find(|object| self.failed.contains(object)) {
            let what = format!("`{}` needs the {lacking}, which failed", source.owner.entry);
            return Err(Problem::new(Class::Object, what).into());
        }
        let found = self.found(entry)?;
        let owner = Some(source.owner.clone());
        let part = Part { numbers, owner, start: true, leaving: Vec::new() };
        let mut launch = launch::prepare(ctx, args, self.things.conn.clone(), found, part)?;
        launch.find_keys()?;
        launch.check_names()?;
        launch::upload_template(&mut launch)?;
        Ok(launch)
    }

    /// What a launch of an entry is made of.
    fn found(&self, entry: usize) -> anyhow::Result<Found> {
        let source = &self.things.sources[entry];
        let told = source.told.clone();
        let image = self.things.images[entry].clone();
        let image = image.ok_or_else(|| Problem::new(Class::Bug, "a launch of no image"))?;
        Ok((image, source.keys.clone(), told, Timings::begin()))
    }

    /// Machines that are changed: one change after the other, many machines side by side.
    fn change(&mut self, actions: &[&Action]) {
        let (ctx, things) = (self.ctx, &self.things);
        let mut of_each: BTreeMap<&Object, Vec<&What>> = BTreeMap::new();
        for action in actions {
            let machine = matches!(action.object, Object::Machine(_));
            let done =
                matches!(action.what, What::MakeMachine { .. } | What::Anew { .. } | What::Remove);
            if machine && !done && !self.failed.contains(&action.object) {
                of_each.entry(&action.object).or_default().push(&action.what);
            }
        }
        let of_each: Vec<(&Object, Vec<&What>)> = of_each.into_iter().collect();
        let done = each(&of_each, AT_ONCE, |(object, changes)| {
            // Forwards that go are gone by now.
            let left = changes.iter().filter(|what| !matches!(what, What::TakeForwards(_)));
            let mut all = left.map(|what| {
                go_on()?;
                let of = (things.conn, things.set);
                set::alter(ctx, of, (object.name(), what), things.how)
            });
            let result = all.try_for_each(|done| done).map(|()| Done::Changed);
            Some(Outcome { object: (*object).clone(), result })
        });
        self.keep(done);
    }

    /// Networks, pools and secrets that go.
    fn take(&mut self, actions: &[&Action]) {
        let objects: Vec<Object> = actions
            .iter()
            .filter(|action| action.what == What::Remove)
            .map(|action| action.object.clone())
            .filter(|object| !matches!(object, Object::Machine(_)))
            .collect();
        let done = take_foundations(self.ctx, (self.things.conn, self.things.set), &objects);
        self.keep(done.into_iter().map(Some).collect());
    }
}

/// Returns the outcome of machines that were not begun.
fn not_begun(objects: &[Object], error: anyhow::Error) -> Outcome {
    let names: Vec<&str> = objects.iter().map(Object::name).collect();
    Outcome { object: Object::Machine(names.join(", ")), result: Err(error) }
}

/// Stops before the next thing if a signal came.
fn go_on() -> anyhow::Result<()> {
    if signal::interrupted() { Err(Problem::stopped().into()) } else { Ok(()) }
}

fn remove_machine(
    ctx: &Context,
    (conn, set): (&Connection, &str),
    name: &str,
) -> anyhow::Result<()> {
    let domain = match conn.domain(name) {
        Err(error) if error.is_not_found() => return Ok(()),
        other => other?,
    };
    let machine = Machine::of(conn, domain)?;
    let owner = machine.meta.as_ref().and_then(|meta| meta.owner.as_ref());
    // Somebody else's by now.
    if owner.is_none_or(|owner| owner.set != set) {
        return Ok(());
    }
    undo::remove_machine(ctx, &machine)
}

/// Removes machines side by side, then networks and pools, and then secrets.
pub(in crate::commands) fn take_all(
    ctx: &Context,
    (conn, set): (&Connection, &str),
    objects: &[Object],
) -> Vec<Outcome> {
    let (machines, rest): (Vec<_>, Vec<_>) =
        objects.iter().cloned().partition(|object| matches!(object, Object::Machine(_)));
    let mut done = each(&machines, AT_ONCE, |object| {
        let result = go_on().and_then(|()| remove_machine(ctx, (conn, set), object.name()));
        Outcome { object: object.clone(), result: result.map(|()| Done::Removed) }
    });
    done.extend(take_foundations(ctx, (conn, set), &rest));
    done
}

fn take_foundations(
    ctx: &Context,
    (conn, set): (&Connection, &str),
    objects: &[Object],
) -> Vec<Outcome> {
    let take = |object: &Object| {
        let result = go_on().and_then(|()| match object {
            Object::Secret(name) => set::remove_secret(ctx, conn, (set, name)),
            Object::Network(name) => set::remove_network(ctx, conn, (set, name)),
            Object::Pool(name) => set::remove_pool(ctx, conn, (set, name)),
            Object::Machine(_) | Object::Image(_) => Ok(()),
        });
        Outcome { object: object.clone(), result: result.map(|()| Done::Removed) }
    };
    // Pools use secrets.
    let (secrets, rest): (Vec<&Object>, Vec<&Object>) =
        objects.iter().partition(|object| matches!(object, Object::Secret(_)));
    let mut done = each(&rest, AT_ONCE, |object| take(object));
    done.extend(secrets.into_iter().map(take));
    done
}

/// Gives a secret another key, unless it is another's by now.
fn give_key((conn, set): (&Connection, &str), wanted: &WantedSecret) -> anyhow::Result<()> {
    let secret = conn.ceph_secret(&wanted.name)?;
    if !owned_secret(secret.uuid(), set, &wanted.name) {
        let what = format!("the secret `{}` is another's by now", wanted.name);
        return Err(Problem::new(Class::Object, what).into());
    }
    Ok(secret.set_key(&wanted.entry.key)?)
}

fn make_network(ctx: &Context, things: &Things<'_>, spec: &NetworkSpec) -> anyhow::Result<()> {
    let conn = things.conn;
    networks::check_host(conn, spec)?;
    let taken = networks::taken(conn)?;
    let nets = [spec.ipv4.map(Into::into), spec.ipv6.map(Into::into)];
    nets.into_iter().flatten().try_for_each(|net| networks::check_free(net, &taken))?;
    let uuid = Uuid::now_v7();
    let xml = element(spec, uuid, &networks::mark(Some(things.set)));
    networks::make(ctx, conn, (uuid, spec, &xml), true)
}

fn make_pool(ctx: &Context, things: &Things<'_>, spec: &PoolSpec) -> anyhow::Result<()> {
    let (conn, name) = (things.conn, spec.name.as_str());
    pools::refuse_taken(conn, name)?;
    let (kind, key) = match &spec.source {
        PoolSource::Dir(folder) => (PoolKind::Dir { folder: folder.clone() }, None),
        PoolSource::Nfs { from, mount } => {
            let NfsSource { host, export } = from.clone();
            (PoolKind::Nfs { host, export, mount: mount.clone() }, None)
        }
        PoolSource::Lvm(group) => {
            pools::folder_is_free(conn, &format!("/dev/{group}"))?;
            (PoolKind::Lvm { group: group.clone() }, None)
        }
        PoolSource::Rbd(rbd) => {
            let hosts = monitors(rbd)?;
            let place = (rbd.pool.clone(), hosts);
            login(ctx, rbd, things.folder)?.found(conn, name, place)?
        }
    };
    let made = match kind.folder() {
        Some(folder) => {
            pools::folder_is_free(conn, folder)?;
            pools::is_made(conn, folder)
        }
        None => false,
    };
    let uuid = new_pool_uuid(things.set, name, made);
    let xml = pool_element(name, Some(uuid), &kind);
    pools::make(ctx, conn, (uuid, &xml), key.as_ref(), true)
}

/// Starts a network or pool that is off.
fn activate(conn: &Connection, object: &Object) -> anyhow::Result<()> {
    let started = match object {
        Object::Network(name) => conn.network(name)?.start(),
        Object::Pool(name) => conn.pool(name)?.start(),
        Object::Machine(_) | Object::Image(_) | Object::Secret(_) => Ok(()),
    };
    match started {
        // Somebody else was faster.
        Err(error) if error.is_operation_invalid() => Ok(()),
        other => Ok(other?),
    }
}
