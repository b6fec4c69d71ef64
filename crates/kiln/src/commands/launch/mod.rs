// SPDX-License-Identifier: Apache-2.0 OR MIT
//! `kiln launch`.

mod show;

use kiln_libvirt::Connection;
use kiln_libvirt::connect::{NodeInfo, VirtType};
use kiln_libvirt::domain::Cpu;
use kiln_spec::MachineName;
use kiln_spec::interface::InterfaceSpec;
use serde_json::Value;
use uuid::Uuid;

use super::many;
use crate::args::launch::{Firmware, Launch, VirtType as AskedVirtType};
use crate::context::{Context, unix_secs};
use crate::error::{Class, Problem, report};
use crate::machine::existing::Machine;
use crate::machine::first_boot::{self, Told, no_seed};
use crate::machine::host::Accelerator;
use crate::machine::image::{self, ImageFile};
use crate::machine::keys::{self, Keys};
use crate::machine::meta::{Forward, Owner};
use crate::machine::plan::{Plan, Wanted};
use crate::machine::pool::{self, Place, PoolInUse};
use crate::machine::ready::{self, Ready};
use crate::machine::templates::{self, TemplateName};
use crate::machine::timings::Timings;
use crate::machine::{dns, forward, host, make, nics, pools, step, template, undo};

pub(in crate::commands) use show::show;
pub(crate) use show::{ready_json, show_timings, tell_ready};

/// How many machines at the same time may wait for their turn to be made.
const WAITING: usize = 64;
/// How many boot at the same time for each of the host's processors: they share it. A boot takes a
/// processor for a few seconds with KVM, and for a minute or more without.
const BOOTS: (usize, usize) = (8, 4);
/// The fewest, and the most, that boot at the same time.
const BOOTING: (usize, usize) = (8, 256);

/// Which of an entry's machines are made, and whose they are.
#[derive(Clone, Debug)]
pub(in crate::commands) struct Part {
    /// Their numbers, from 1.
    pub(in crate::commands) numbers: Vec<u32>,
    /// The set that they are of.
    pub(in crate::commands) owner: Option<Owner>,
    /// Whether they are started.
    pub(in crate::commands) start: bool,
    /// Machines that go before: what they have is free.
    pub(in crate::commands) leaving: Vec<String>,
}

/// How a machine that was made is shown: to people, or as the JSON that is returned.
pub(in crate::commands) type Show<'a> =
    &'a dyn Fn(&Common<'_>, &Made) -> anyhow::Result<Option<Value>>;

/// Everything that is the same for all machines of a launch.
pub(in crate::commands) struct Common<'a> {
    ctx: &'a Context,
    args: &'a Launch,
    conn: Connection,
    /// The pool; `None` in a dry run on a host that has none yet.
    pool: Option<PoolInUse>,
    place: Place,
    /// The pool of the consoles' logs, and where that is.
    consoles: (String, Place),
    image: ImageFile,
    keys: Keys,
    told: Told,
    /// The interfaces of each machine.
    interfaces: Vec<Vec<InterfaceSpec>>,
    /// The forwards of each machine.
    forwards: Vec<Vec<Forward>>,
    accelerator: Accelerator,
    cpu: Option<Cpu>,
    /// How many machines are under way at the same time.
    pub(in crate::commands) at_once: usize,
    part: Part,
    timings: Timings,
}

/// Makes machines of an image.
pub(crate) fn run(ctx: &Context, args: &Launch) -> anyhow::Result<u8> {
    let mut timings = Timings::begin();
    // All that can be wrong with the user's own things is found before the host is asked.
    let told = first_boot::of_launch(ctx, args)?;
    if let Some(server) = &args.dns {
        dns::find(ctx, server.as_str())?;
    }
    let image =
        timings.phase("image", || image::find(ctx, &args.image, (&args.trust, args.dry_run)));
    let (image, known) = match image {
        Ok(image) => (Some(image), None),
        Err(error) => (None, Some(template_name(args, error)?)),
    };
    image.as_ref().map(|image| names(args, image)).transpose()?;
    let given = keys::given(&args.ssh_key)?;
    let conn = timings.phase("connect", || host::connect(ctx))?;
    let image = match (image, known) {
        (Some(image), _) => image,
        (None, Some((name, error))) => of_template(ctx, &conn, args, (&name, error))?,
        (None, None) => return Err(Problem::new(Class::Bug, "a launch of nothing").into()),
    };
    go(ctx, args, conn, (image, given, told, timings), (true, &show))
}

/// Makes the machines of a launch whose words have been looked up, and starts them if they are to be.
///
/// # Errors
///
/// A name that is taken (class object); as [`prepare`] and [`make`].
pub(in crate::commands) fn go(
    ctx: &Context,
    args: &Launch,
    conn: Connection,
    found: Found,
    (start, show): (bool, Show<'_>),
) -> anyhow::Result<u8> {
    let names = names(args, &found.0)?;
    if !args.dry_run {
        undo::can_begin(ctx)?;
    }
    let numbers = (1..=args.count.unwrap_or(1)).collect();
    let part = Part { numbers, owner: None, start, leaving: Vec::new() };
    let mut common = prepare(ctx, args, conn, found, part)?;
    step::refuse_taken(&common.conn, &names)?;
    common.find_keys()?;
    common.warn();
    if args.dry_run {
        return dry_run(&common, &names);
    }
    common.check_names_of(&names)?;
    upload_template(&mut common)?;
    let made = many::make_all(&ctx.ui, &names, common.at_once, |number, name| {
        make(&common, (number, name))
    });
    many::show(&ctx.ui, made, |made| show(&common, &made))
}

/// Finds an image or, if the pool is there, a template.
///
/// # Errors
///
/// As [`image::find`] and [`templates::find`].
pub(in crate::commands) fn find_image(
    ctx: &Context,
    conn: &Connection,
    args: &Launch,
) -> anyhow::Result<ImageFile> {
    match image::find(ctx, &args.image, (&args.trust, args.dry_run)) {
        Ok(image) => Ok(image),
        Err(error) => {
            let (name, error) = template_name(args, error)?;
            of_template(ctx, conn, args, (&name, error))
        }
    }
}

/// Takes what is no image for the name of a template, if it is a word that can be one.
fn template_name(
    args: &Launch,
    error: anyhow::Error,
) -> anyhow::Result<(TemplateName, anyhow::Error)> {
    let name = args.image.parse::<TemplateName>();
    match name {
        Ok(name) if report(&error).class == Class::Object => Ok((name, error)),
        _ => Err(error),
    }
}

/// Finds the template that was named instead of an image; without one, `error` says what there is.
fn of_template(
    ctx: &Context,
    conn: &Connection,
    args: &Launch,
    (name, error): (&TemplateName, anyhow::Error),
) -> anyhow::Result<ImageFile> {
    if args.pool != pool::DEFAULT {
        // It was named: that it is not there comes before what is not in it.
        drop(pools::find(conn, &args.pool)?);
    }
    if !pool::is_active(conn, &args.pool)? {
        return Err(error);
    }
    match templates::find(ctx, conn, &conn.pool(&args.pool)?, name) {
        Ok(template) => Ok(templates::as_image(&template)),
        Err(missing) if name.version.is_some() => Err(missing),
        Err(_) => Err(match error.downcast::<Problem>() {
            Ok(image) => {
                let hint = format!("nor is there a template of that name in pool `{}`", args.pool);
                image.hint(hint).into()
            }
            Err(error) => error,
        }),
    }
}

fn names(args: &Launch, image: &ImageFile) -> anyhow::Result<Vec<MachineName>> {
    let base: MachineName = match &args.name {
        Some(name) => name.clone(),
        None => image.name.replace(['.', '_', ':'], "-").parse().map_err(|error| {
            let what = format!("image `{}` gives no host name", image.name);
            Problem::new(Class::Usage, what)
                .hint("name the machine")
                .because(anyhow::Error::new(error))
        })?,
    };
    match args.count {
        None => Ok(vec![base]),
        Some(count) => Ok((1..=count).map(|n| base.counted(n)).collect::<Result<_, _>>()?),
    }
}

/// What the command line's words lead to.
pub(in crate::commands) type Found = (ImageFile, Keys, Told, Timings);
/// The interfaces and the forwards of each machine.
type OfEach = (Vec<Vec<InterfaceSpec>>, Vec<Vec<Forward>>);

/// Checks all that can be checked before the first of the machines is made.
///
/// # Errors
///
/// What cannot be launched so, or not on this host.
pub(in crate::commands) fn prepare<'a>(
    ctx: &'a Context,
    args: &'a Launch,
    conn: Connection,
    found: Found,
    part: Part,
) -> anyhow::Result<Common<'a>> {
    let mut common = begin(ctx, args, conn, found, part)?;
    (common.interfaces, common.forwards) = common.interfaces()?;
    common.check_seed()?;
    // Only now is something changed: the pool may have to be made or started.
    if !args.dry_run || pool::is_active(&common.conn, &args.pool)? {
        common.pool = Some(pool::find(ctx, &common.conn, &args.pool)?);
        if common.consoles.0 != args.pool && !args.dry_run {
            pool::find(ctx, &common.conn, &common.consoles.0)?;
        }
    }
    Ok(common)
}

/// Puts together what a launch needs, and checks all that does not depend on what else the host
/// has: its ports and addresses.
///
/// # Errors
///
/// As [`prepare`].
pub(in crate::commands) fn begin<'a>(
    ctx: &'a Context,
    args: &'a Launch,
    conn: Connection,
    (image, keys, told, timings): Found,
    part: Part,
) -> anyhow::Result<Common<'a>> {
    let asked = args.virt_type.map(|virt_type| match virt_type {
        AskedVirtType::Kvm => VirtType::Kvm,
        AskedVirtType::Qemu => VirtType::Qemu,
    });
    let accelerator = host::accelerator(&conn, asked)?;
    let cpu = args.cpu.as_deref().map(|name| host::cpu(&conn, accelerator.virt_type, name));
    let cpu = cpu.transpose()?;
    let place = pool::place_to_be(ctx, &conn, &args.pool)?;
    let consoles = pool::of_consoles(ctx, &conn, (&args.pool, &place))?;
    let node = conn.node_info()?;
    let at_once = at_once(args.no_wait, accelerator.virt_type, node.cpus);
    let common = Common {
        ctx,
        args,
        conn,
        pool: None,
        place,
        consoles,
        image,
        keys,
        told,
        interfaces: Vec::new(),
        forwards: Vec::new(),
        accelerator,
        cpu,
        at_once,
        part,
        timings,
    };
    common.wanted().check()?;
    common.check_firmware()?;
    common.check_host(&node)?;
    Ok(common)
}

/// Returns how many machines may be under way at the same time: made, which has its own pace, and
/// waited for while they boot.
fn at_once(no_wait: bool, virt_type: VirtType, cpus: u32) -> usize {
    let each = match virt_type {
        VirtType::Kvm => BOOTS.0,
        VirtType::Qemu | VirtType::Test => BOOTS.1,
    };
    let cpus = usize::try_from(cpus).unwrap_or(usize::MAX);
    if no_wait { WAITING } else { cpus.saturating_mul(each).clamp(BOOTING.0, BOOTING.1) }
}

impl Common<'_> {
    fn wanted(&self) -> Wanted<'_> {
        Wanted {
            image: &self.image,
            cpus: self.args.cpus,
            cpu: self.cpu.as_ref(),
            memory: self.args.memory,
            disk: self.args.disk,
            full: self.args.full,
            pool: &self.args.pool,
            place: &self.place,
            consoles: (&self.consoles.0, &self.consoles.1),
            uefi: self.args.firmware == Firmware::Uefi,
            virt_type: self.accelerator.virt_type,
            user: self.args.user.as_deref(),
            keys: &self.keys,
            told: &self.told,
            seed_url: self.args.seed_url.as_ref(),
            tags: &self.args.tag,
            dns: self.args.dns.as_ref(),
            owner: self.part.owner.as_ref(),
            start: self.part.start,
            autostart: self.args.autostart,
            now: unix_secs(),
        }
    }

    /// Finds the keys of the login, if none are given.
    pub(in crate::commands) fn find_keys(&mut self) -> anyhow::Result<()> {
        if self.keys.public.is_empty() {
            self.keys = keys::find(self.ctx, self.args.dry_run)?;
        }
        Ok(())
    }

    /// Checks that the DNS server takes the names of the machines, if it is to have them.
    pub(in crate::commands) fn check_names(&self) -> anyhow::Result<()> {
        let Some(base) = &self.args.name else { return Ok(()) };
        let names = self.part.numbers.iter().map(|number| match self.args.count {
            Some(_) => base.counted(*number),
            None => Ok(base.clone()),
        });
        self.check_names_of(&names.collect::<Result<Vec<_>, _>>()?)
    }

    fn check_names_of(&self, names: &[MachineName]) -> anyhow::Result<()> {
        match &self.args.dns {
            Some(server) => dns::check(self.ctx, server, names),
            None => Ok(()),
        }
    }

    /// Says so if guests are run slowly.
    pub(in crate::commands) fn warn(&self) {
        if let Some(warning) = &self.accelerator.warning {
            self.ctx.ui.warn(warning);
        }
    }

    fn pool(&self) -> Result<&PoolInUse, Problem> {
        self.pool.as_ref().ok_or_else(|| Problem::new(Class::Bug, "a launch without a pool"))
    }

    fn check_firmware(&self) -> anyhow::Result<()> {
        if self.args.firmware != Firmware::Uefi {
            return Ok(());
        }
        let arch = std::env::consts::ARCH;
        let known = self.conn.domain_capabilities(arch, Some("q35"), self.accelerator.virt_type)?;
        if known.has_uefi() {
            return Ok(());
        }
        let problem = Problem::new(Class::Host, "the host has no UEFI firmware for guests");
        Err(problem.hint("install it there: apt install ovmf").into())
    }

    /// Refuses a machine with more memory than the host has; more processors are slow, and said.
    fn check_host(&self, host: &NodeInfo) -> anyhow::Result<()> {
        let wanted = self.args.memory;
        if wanted > host.memory {
            let what = format!(
                "the host has {} of memory, and the machine would have {wanted}",
                host.memory
            );
            return Err(Problem::new(Class::Host, what).hint("ask for less: `--memory`").into());
        }
        let cpus = self.args.cpus;
        if cpus > host.cpus {
            self.ctx
                .ui
                .warn(format!("the host has {} processors, and the guest gets {cpus}", host.cpus));
        }
        Ok(())
    }

    /// Returns the interfaces and the forwards of each machine, checked: the networks are there,
    /// the addresses and ports free.
    fn interfaces(&self) -> anyhow::Result<OfEach> {
        let numbers = self.part.numbers.as_slice();
        let mut wanted = nics::wanted(&self.conn, &self.args.network, self.args.ip)?;
        if self.args.dns.is_some() {
            dns::at_launch(&self.conn, &mut wanted)?;
        }
        let leaving = self.part.leaving.as_slice();
        let place = (wanted.as_mut_slice(), numbers, leaving);
        let forwards = forward::at_launch(self.ctx, &self.conn, &self.args.forward, place)?;
        let all = nics::of_each(&wanted, numbers)?;
        if let Some(url) = &self.args.seed_url {
            first_boot::check_served(&self.told, &all)?;
            // Another host may be reached from its own networks only.
            if self.conn.is_local() && !self.args.dry_run {
                first_boot::warn_of_silence(self.ctx, url);
            }
        }
        nics::found(&self.conn, &wanted, Uuid::nil(), self.may_start())?;
        nics::check(&self.conn, &all, leaving)?;
        Ok((all, forwards))
    }

    /// Checks addresses and ports, if the networks are there: others come with the set.
    ///
    /// # Errors
    ///
    /// What cannot be given to the machines.
    pub(in crate::commands) fn check_places(&self) -> anyhow::Result<()> {
        for interface in nics::wanted(&self.conn, &self.args.network, self.args.ip)? {
            match self.conn.network(&interface.network) {
                Err(error) if error.is_not_found() => return Ok(()),
                other => drop(other?),
            }
        }
        self.interfaces().map(drop)
    }

    fn may_start(&self) -> bool {
        self.args.start_network && !self.args.dry_run
    }

    /// Plans the machine of this place among those that are made, from 0.
    fn plan(&self, name: &MachineName, number: usize) -> anyhow::Result<Plan> {
        let uuid = Uuid::now_v7();
        let specs = &self.interfaces[number];
        let nics = nics::found(&self.conn, specs, uuid, self.may_start())?;
        Ok(self.wanted().plan(name, uuid, (nics, self.forwards[number].clone())))
    }

    /// Checks that a seed can be made of the login and the user-data.
    fn check_seed(&self) -> anyhow::Result<()> {
        let name = "sample".parse()?;
        let plan = self.wanted().plan(&name, Uuid::nil(), (Vec::new(), Vec::new()));
        plan.seed.files().map_err(no_seed)?;
        Ok(())
    }
}

fn dry_run(common: &Common<'_>, names: &[MachineName]) -> anyhow::Result<u8> {
    let template = template::of(&common.image, (&common.args.pool, &common.place));
    let there = match &common.pool {
        Some(pool) => template::is_there(&pool.pool, &template)?,
        None => {
            common.ctx.ui.say(format!("would make or start the pool `{}`", common.args.pool));
            false
        }
    };
    many::would(&common.ctx.ui, names, |number, name| {
        let plan = common.plan(name, number)?;
        Ok((plan.lines(there || number > 0), plan.xml()))
    })
}

/// Makes sure that the image is a template in the pool.
///
/// # Errors
///
/// As [`template::ensure`].
pub(in crate::commands) fn upload_template(common: &mut Common<'_>) -> anyhow::Result<()> {
    let (ctx, mut timings) = (common.ctx, common.timings.clone());
    let image = &common.image;
    let uploaded = timings.phase("template", || {
        let task = ctx.ui.task(&image.name);
        template::ensure(ctx, &common.conn, common.pool()?, image, &task)
    })?;
    if uploaded {
        let pool = &common.args.pool;
        ctx.ui.say(format!("image `{}` is now a template in pool `{pool}`", image.name));
    }
    common.timings = timings;
    Ok(())
}

/// A machine that was made, and what it took.
pub(in crate::commands) struct Made {
    /// The machine.
    pub(in crate::commands) machine: Machine,
    ready: Option<Ready>,
    timings: Timings,
}

/// Makes one machine: of a name, and of this place among those that are made, from 0.
///
/// # Errors
///
/// As [`make::make`] and [`ready::wait`].
pub(in crate::commands) fn make(
    common: &Common<'_>,
    (number, name): (usize, &MachineName),
) -> anyhow::Result<Made> {
    let (ctx, args) = (common.ctx, common.args);
    let mut timings = common.timings.clone();
    let (task, machine) = ctx.pace.turn(|| -> anyhow::Result<_> {
        let (task, place) = (ctx.ui.task(name.as_str()), (&common.conn, common.pool()?));
        let plan = common.plan(name, number)?;
        let machine = make::make(ctx, place, plan, &common.keys, (&task, &mut timings))?;
        Ok((task, machine))
    })?;
    let wished = args.dns.as_ref();
    let named = wished.and_then(|_| timings.phase("dns", || dns::early(ctx, &machine)));
    if args.no_wait {
        let machine = dns::late(ctx, machine, named)?;
        return Ok(Made { machine, ready: None, timings });
    }
    match ready::wait(ctx, &machine, &task, &mut timings, (args.timeout, &args.ready)) {
        Ok(ready) => {
            let machine = dns::late(ctx, machine, named)?;
            Ok(Made { machine, ready: Some(ready), timings })
        }
        Err(error) if args.rm_on_failure => {
            undo::remove_machine(ctx, &machine)?;
            ctx.ui.say(format!("`{name}` was removed again"));
            let error = error.downcast::<Problem>();
            Err(error.map_or_else(|other| other, |problem| problem.without_hints().into()))
        }
        Err(error) => {
            if let Some(Err(unnamed)) = named {
                ctx.ui.warn(format!("{unnamed:#}"));
            }
            Err(error)
        }
    }
}
