# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_kiln_global_optspecs
    string join \n c/connect= json q/quiet v/verbose no-color h/help V/version
end

function __fish_kiln_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_kiln_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_kiln_using_subcommand
    set -l cmd (__fish_kiln_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c kiln -n "__fish_kiln_needs_command" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_needs_command" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_needs_command" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_needs_command" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_needs_command" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_needs_command" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_needs_command" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "launch" -d 'Make a machine from an image, start it and wait until one can log in'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "up" -d 'Make what a file wants: networks, pools and machines'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "plan" -d 'Show what `kiln up` would do, and do nothing'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "down" -d 'Remove all that a file\'s name owns: its machines with their disks, its networks and pools'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "clone" -d 'Make another machine of one that is off, or of a template, with an identity of its own'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "flatten" -d 'Let machines in a Ceph pool stand alone: what their disks lie over is copied into them'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "list" -d 'List the machines of the host'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "ls" -d 'List the machines of the host'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "info" -d 'Show what there is to know about a machine'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "start" -d 'Start machines'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "stop" -d 'Stop machines: ask the agent or by ACPI, and switch off after a time-out'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "restart" -d 'Stop machines and start them again'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "rm" -d 'Remove machines with their volumes, reservations and keys; a running one is switched off'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "wait" -d 'Wait until a machine is ready, or has stopped'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "logs" -d 'Show what a machine wrote to its console'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "console" -d 'Attach to a machine\'s serial console; Ctrl-] leaves'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "ssh" -d 'Log in to a machine, or run a command there, by OpenSSH'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "exec" -d 'Run a program in a machine through the guest agent'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "cp" -d 'Copy files to or from a machine'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "ssh-config" -d 'Print how OpenSSH reaches machines, for an ssh_config file'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "inventory" -d 'Tell Ansible of the machines: a dynamic inventory'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "build" -d 'Build an image from a recipe, into the store'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "cache" -d 'See and clear up the layers that builds keep'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "bundle" -d 'Make archives of whole machines, and machines of them'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "image" -d 'Look into images and change them, without booting; list and remove those of the store'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "catalog" -d 'Where images come from by name: list catalogs, look into them, make one'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "network" -d 'Make and see the host\'s networks'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "forward" -d 'Lead ports of the host to machines'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "dns" -d 'Put machines\' names into a DNS server, by signed updates (RFC 2136)'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "pool" -d 'Make and see the host\'s pools of volumes'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "secret" -d 'Make and see the host\'s secrets: the keys of Ceph users'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "seed" -d 'Make, show and serve seeds: what machines are told at their first boot'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "template" -d 'Make and see the templates of a pool, which linked clones hang on'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "element" -d 'Elements: pieces of an image that recipes name'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "doctor" -d 'Check what Kiln needs on this machine and on the host, and say what mends it'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "schema" -d 'Print the JSON Schema of a kind of file, for editors'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "completions" -d 'Print completions for a shell'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "man" -d 'Write the manual pages into a folder'
complete -c kiln -n "__fish_kiln_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand launch" -s n -l count -d 'Make this many machines: NAME-1, NAME-2 and so on' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l cpus -d 'Virtual processors' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l cpu -d 'The processor that the guest sees: `host`, `max`, or a model that libvirt knows' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l memory -d 'Memory' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l disk -d 'Size of the root disk; not smaller than the image' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l network -d 'An interface on a network of the host: NAME, with more after commas (repeatable)' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l ip -d 'Reserve an IPv4 address for the first interface: `auto`, or the address itself' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l forward -d 'Lead a port of the host to a port of the machine: `2201:22`, `5353:53/udp` (repeatable)' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l dns -d 'Put the machine\'s name into a DNS server: one of `kiln dns server list`' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l tag -d 'A word that the machine is found by: a group of `kiln inventory` (repeatable)' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l pool -d 'The pool for the machine\'s volumes' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l firmware -d 'Firmware' -r -f -a "bios\t'SeaBIOS'
uefi\t'UEFI, chosen by libvirt from what the host has'"
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l user -d 'Who logs in; without it the image\'s own default user' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l ssh-key -d 'A public key that may log in (repeatable)' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l user-data -d 'Cloud-init user-data, merged with what Kiln itself needs' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l vendor-data -d 'Cloud-init vendor-data: of the same kinds, and outweighed by the user-data' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l datasource -d 'Who reads them in the guest' -r -f -a "nocloud\t'cloud-init: a drive labelled `cidata`'
configdrive\t'cloud-init or cloudbase-init, as on OpenStack: a drive labelled `config-2`'"
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l seed-url -d 'Have the guest fetch its seed from `kiln seed serve` at this address, instead of a drive' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l network-config -d 'How the guest is told of its interfaces: a file for cloud-init, or the format, `v1` or `v2`' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l virt-type -d 'How the processor is run; without it `kvm` if it works' -r -f -a "kvm\t'The processor itself'
qemu\t'QEMU\'s translation (TCG): slow, works everywhere'"
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l ready -d 'What is to be proven besides, before it is ready: `agent`, `cloud-init`, `ssh`, `tcp:PORT`' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l timeout -d 'How long to wait until the machine is ready: `90s`, `10m`, `1h`' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l key -d 'A file with the public keys that may have signed the bundle' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l fingerprint -d 'The fingerprint of the key that must have signed the bundle: of `--key`, or of your GnuPG keyring' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l full -d 'Copy the template wholly: nothing lies below the disk, which takes as much as the template'
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l autostart -d 'Start it with the host, too'
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l start-network -d 'Start the host\'s network if it is not active'
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l no-wait -d 'Return as soon as the machine runs'
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l rm-on-failure -d 'Remove the machine if it does not get ready; otherwise it is kept to be looked at'
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l timings -d 'Show how long each phase took'
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l dry-run -d 'Print what would be done, the XML included, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l unsigned -d 'Take a bundle without a signature, and say nothing about it'
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand launch" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand launch" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand launch" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand launch" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand launch" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand up" -s f -l file -d 'The file, too: as other tools take it' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand up" -l timeout -d 'How long to wait until a machine is ready' -r
complete -c kiln -n "__fish_kiln_using_subcommand up" -l stop-timeout -d 'How long a guest may take to shut down, for a restart, before it is switched off' -r
complete -c kiln -n "__fish_kiln_using_subcommand up" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand up" -l restart -d 'Restart machines that run, where they get their changes only so'
complete -c kiln -n "__fish_kiln_using_subcommand up" -l rebuild -d 'Remove machines and make them anew, where they cannot be changed: their disks are lost'
complete -c kiln -n "__fish_kiln_using_subcommand up" -l prune -d 'Remove what the set owns and its file does not name any more, with its disks'
complete -c kiln -n "__fish_kiln_using_subcommand up" -l no-wait -d 'Return as soon as the machines run'
complete -c kiln -n "__fish_kiln_using_subcommand up" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand up" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand up" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand up" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand up" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand up" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand plan" -s f -l file -d 'The file, too: as other tools take it' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand plan" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand plan" -l restart -d 'Restart machines that run, where they get their changes only so'
complete -c kiln -n "__fish_kiln_using_subcommand plan" -l rebuild -d 'Remove machines and make them anew, where they cannot be changed: their disks are lost'
complete -c kiln -n "__fish_kiln_using_subcommand plan" -l prune -d 'Remove what the set owns and its file does not name any more, with its disks'
complete -c kiln -n "__fish_kiln_using_subcommand plan" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand plan" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand plan" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand plan" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand plan" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand plan" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand down" -s f -l file -d 'The file, too: as other tools take it' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand down" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand down" -l dry-run -d 'Print what would be removed, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand down" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand down" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand down" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand down" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand down" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand down" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand clone" -s n -l count -d 'Make this many clones: NAME-1, NAME-2 and so on' -r
complete -c kiln -n "__fish_kiln_using_subcommand clone" -l pool -d 'The pool for the clone\'s volumes; without it each lies beside its source. A template is looked for in it, or in `default`' -r
complete -c kiln -n "__fish_kiln_using_subcommand clone" -l ip -d 'Reserve an IPv4 address for the first interface: `auto`, or the address itself' -r
complete -c kiln -n "__fish_kiln_using_subcommand clone" -l user -d 'Who logs in to a clone of a machine that Kiln did not make, if its guest has cloud-init: `kiln` without it; or to one of a template, without it the image\'s own user' -r
complete -c kiln -n "__fish_kiln_using_subcommand clone" -l ssh-key -d 'A public key that may log in to such a clone (repeatable); without it those `ssh` would use' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand clone" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand clone" -l linked -d 'Let the disk hang on the template that the source\'s hangs on, and copy only what differs'
complete -c kiln -n "__fish_kiln_using_subcommand clone" -l as-is -d 'Leave the guest as it is: it has the source\'s machine-id and keys until something renews them'
complete -c kiln -n "__fish_kiln_using_subcommand clone" -l start -d 'Start the clone'
complete -c kiln -n "__fish_kiln_using_subcommand clone" -l dry-run -d 'Print what would be done, the XML included, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand clone" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand clone" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand clone" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand clone" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand clone" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand clone" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand flatten" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand flatten" -l dry-run -d 'Print what would be done, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand flatten" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand flatten" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand flatten" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand flatten" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand flatten" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand flatten" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand list" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand list" -s a -l all -d 'Domains that Kiln did not make, too'
complete -c kiln -n "__fish_kiln_using_subcommand list" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand list" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand list" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand list" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand list" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand ls" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand ls" -s a -l all -d 'Domains that Kiln did not make, too'
complete -c kiln -n "__fish_kiln_using_subcommand ls" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand ls" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand ls" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand ls" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand ls" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand ls" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand info" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand info" -l xml -d 'Print the domain\'s XML instead'
complete -c kiln -n "__fish_kiln_using_subcommand info" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand info" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand info" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand info" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand info" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand info" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand start" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand start" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand start" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand start" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand start" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand start" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand start" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand stop" -l timeout -d 'How long the guest may take before it is switched off: `90s`, `10m`, `1h`' -r
complete -c kiln -n "__fish_kiln_using_subcommand stop" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand stop" -l hard -d 'Switch off at once, as if the plug was pulled'
complete -c kiln -n "__fish_kiln_using_subcommand stop" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand stop" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand stop" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand stop" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand stop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand stop" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand restart" -l timeout -d 'How long the guest may take before it is switched off: `90s`, `10m`, `1h`' -r
complete -c kiln -n "__fish_kiln_using_subcommand restart" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand restart" -l hard -d 'Switch off at once, as if the plug was pulled'
complete -c kiln -n "__fish_kiln_using_subcommand restart" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand restart" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand restart" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand restart" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand restart" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand restart" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand rm" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand rm" -l foreign -d 'Remove a domain that Kiln did not make: its definition only, its disks stay'
complete -c kiln -n "__fish_kiln_using_subcommand rm" -l dry-run -d 'Print what would be removed, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand rm" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand rm" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand rm" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand rm" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand rm" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand wait" -l for -d 'What to wait for' -r -f -a "ready\t'The agent answers, cloud-init is done, one can log in'
agent\t'The guest agent answers'
stopped\t'The machine is off'"
complete -c kiln -n "__fish_kiln_using_subcommand wait" -l ready -d 'What is to be proven besides: `agent`, `cloud-init`, `ssh`, `tcp:PORT`' -r
complete -c kiln -n "__fish_kiln_using_subcommand wait" -l timeout -d 'How long to wait: `90s`, `10m`, `1h`' -r
complete -c kiln -n "__fish_kiln_using_subcommand wait" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand wait" -l timings -d 'Show how long each phase took'
complete -c kiln -n "__fish_kiln_using_subcommand wait" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand wait" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand wait" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand wait" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand wait" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand wait" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand logs" -s n -l lines -d 'The last N lines only' -r
complete -c kiln -n "__fish_kiln_using_subcommand logs" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand logs" -s f -l follow -d 'Go on as it writes more, until it stops'
complete -c kiln -n "__fish_kiln_using_subcommand logs" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand logs" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand logs" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand logs" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand logs" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand logs" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand console" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand console" -l force -d 'Take the console over from somebody else'
complete -c kiln -n "__fish_kiln_using_subcommand console" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand console" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand console" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand console" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand console" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand console" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand ssh" -s l -l login -d 'Log in as this user instead' -r
complete -c kiln -n "__fish_kiln_using_subcommand ssh" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand ssh" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand ssh" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand ssh" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand ssh" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand ssh" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand ssh" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand exec" -l timeout -d 'End with an error if the program runs longer (`90s`, `10m`, `1h`); it goes on in the guest' -r
complete -c kiln -n "__fish_kiln_using_subcommand exec" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand exec" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand exec" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand exec" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand exec" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand exec" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand exec" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand cp" -l via -d 'How to get there; without it scp, or the agent where nobody can log in' -r -f -a "scp\t'OpenSSH\'s scp, as the machine\'s user'
agent\t'The guest agent, as root, without a network; one file'"
complete -c kiln -n "__fish_kiln_using_subcommand cp" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand cp" -s r -l recursive -d 'Folders, too, with all that is in them'
complete -c kiln -n "__fish_kiln_using_subcommand cp" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand cp" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand cp" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand cp" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand cp" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand cp" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand ssh-config" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand ssh-config" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand ssh-config" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand ssh-config" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand ssh-config" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand ssh-config" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand ssh-config" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand inventory" -l host -d 'The variables of one machine' -r
complete -c kiln -n "__fish_kiln_using_subcommand inventory" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand inventory" -l list -d 'All machines and groups; what is done without an option, too'
complete -c kiln -n "__fish_kiln_using_subcommand inventory" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand inventory" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand inventory" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand inventory" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand inventory" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand inventory" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand build" -s p -l parameter -d 'Give a parameter of the recipe a value' -r
complete -c kiln -n "__fish_kiln_using_subcommand build" -s o -l output -d 'The folder for the recipe\'s `outputs`; the current one if nobody says' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand build" -l from -d 'Carry out this step again, and those after it; `--dry-run` lists them' -r
complete -c kiln -n "__fish_kiln_using_subcommand build" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand build" -l rebuild -d 'Carry out all steps again, even if the store has the image'
complete -c kiln -n "__fish_kiln_using_subcommand build" -l lock -d 'Build from what the mirrors have today, and write the versions and digests of all packages and archives to `RECIPE.lock`, which later builds keep to'
complete -c kiln -n "__fish_kiln_using_subcommand build" -l shell -d 'Open a shell on the tree of the step that failed, as that step left it'
complete -c kiln -n "__fish_kiln_using_subcommand build" -l dry-run -d 'Print what would be built, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand build" -l timings -d 'Show how long each stage took'
complete -c kiln -n "__fish_kiln_using_subcommand build" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand build" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand build" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand build" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand build" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand build" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and not __fish_seen_subcommand_from list gc help" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand cache; and not __fish_seen_subcommand_from list gc help" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and not __fish_seen_subcommand_from list gc help" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and not __fish_seen_subcommand_from list gc help" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and not __fish_seen_subcommand_from list gc help" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and not __fish_seen_subcommand_from list gc help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and not __fish_seen_subcommand_from list gc help" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and not __fish_seen_subcommand_from list gc help" -f -a "list" -d 'List the layers of builds, the one used last first'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and not __fish_seen_subcommand_from list gc help" -f -a "gc" -d 'Remove layers until the rest takes no more than a size'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and not __fish_seen_subcommand_from list gc help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from list" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from list" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from list" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from gc" -l keep -d 'What the layers may take together' -r
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from gc" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from gc" -l downloads -d 'Also remove what builds downloaded and keep for one another, unless one uses it now'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from gc" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from gc" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from gc" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from gc" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from gc" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from gc" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the layers of builds, the one used last first'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "gc" -d 'Remove layers until the rest takes no more than a size'
complete -c kiln -n "__fish_kiln_using_subcommand cache; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and not __fish_seen_subcommand_from create assemble push pull info list rm help" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and not __fish_seen_subcommand_from create assemble push pull info list rm help" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and not __fish_seen_subcommand_from create assemble push pull info list rm help" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and not __fish_seen_subcommand_from create assemble push pull info list rm help" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and not __fish_seen_subcommand_from create assemble push pull info list rm help" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and not __fish_seen_subcommand_from create assemble push pull info list rm help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and not __fish_seen_subcommand_from create assemble push pull info list rm help" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and not __fish_seen_subcommand_from create assemble push pull info list rm help" -f -a "create" -d 'Make a bundle of a machine, the host, a folder or an image'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and not __fish_seen_subcommand_from create assemble push pull info list rm help" -f -a "assemble" -d 'Make a bootable disk of a bundle'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and not __fish_seen_subcommand_from create assemble push pull info list rm help" -f -a "push" -d 'Put a bundle onto a web server that takes files by PUT'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and not __fish_seen_subcommand_from create assemble push pull info list rm help" -f -a "pull" -d 'Fetch a bundle from a web server'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and not __fish_seen_subcommand_from create assemble push pull info list rm help" -f -a "info" -d 'Show what is known of a bundle'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and not __fish_seen_subcommand_from create assemble push pull info list rm help" -f -a "list" -d 'List the bundles that are kept under a name'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and not __fish_seen_subcommand_from create assemble push pull info list rm help" -f -a "rm" -d 'Remove a bundle that is kept under a name'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and not __fish_seen_subcommand_from create assemble push pull info list rm help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from create" -s o -l output -d 'The file to make; without it the bundle is kept under its name' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from create" -l name -d 'The bundle\'s name; without it that of the source' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from create" -l exclude -d 'Leave out a path, and all below it; `*` stands for anything within a name (repeatable)' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from create" -l level -d 'How hard zstd tries, from 1 (fast) to 19 (small)' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from create" -l sign -d 'Sign the manifest with a key of your GnuPG keyring' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from create" -s i -l identity -d 'The private key for SSH (USER@HOST only; `machine:` knows its own)' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from create" -l ssh-option -d 'An option of ssh_config(5), `ProxyJump=gate` (repeatable; USER@HOST only)' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from create" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from create" -l no-default-excludes -d 'Take along caches, logs, temporary files and other things that are left out usually'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from create" -l keep-identity -d 'Take along SSH host keys and what else makes the machine that one, to move a machine'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from create" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from create" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from create" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from create" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -s o -l output -d 'The disk to make; without it the disk goes into the store' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -l name -d 'The image\'s name in the store; without it the bundle\'s' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -l format -d 'The disk\'s format; without it the output\'s ending tells it' -r -f -a "raw\t'The bytes of the disk'
qcow2\t'QEMU\'s own'"
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -l size -d 'The disk\'s size; without it one that fits, with room to work' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -l swap -d 'Make a swap partition' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -l table -d 'The kind of partition table' -r -f -a "gpt\t'GUID partition table'
mbr\t'The old kind (DOS)'"
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -l firmware -d 'The firmware that it must boot with (repeatable); without it all that the tree can' -r -f -a "bios\t'A BIOS'
uefi\t'UEFI'"
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -l hostname -d 'The host\'s name; without it the tree\'s own' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -l cmdline -d 'The kernel\'s command line, without `root=`; without it a screen and a serial console' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -l key -d 'A file with the public keys that may have signed the bundle' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -l fingerprint -d 'The fingerprint of the key that must have signed the bundle: of `--key`, or of your GnuPG keyring' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -l keep-identity -d 'Leave SSH host keys, machine-id and what else makes a machine that one in the tree'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -l sync -d 'Wait until all of the output is on the disk, as is done in the store'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -l unsigned -d 'Take a bundle without a signature, and say nothing about it'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from assemble" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from push" -l sign -d 'Sign the manifest with a key of your GnuPG keyring; a signature that is there is put, too' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from push" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from push" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from push" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from push" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from push" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from push" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from push" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from pull" -l name -d 'The name to keep it under; without it its own' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from pull" -l key -d 'A file with the public keys that may have signed the bundle' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from pull" -l fingerprint -d 'The fingerprint of the key that must have signed the bundle: of `--key`, or of your GnuPG keyring' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from pull" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from pull" -l unsigned -d 'Take a bundle without a signature, and say nothing about it'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from pull" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from pull" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from pull" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from pull" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from pull" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from pull" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from info" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from info" -l verify -d 'Read all of it, and compare it with its manifest'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from info" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from info" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from info" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from info" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from info" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from info" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from list" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from list" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from list" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from rm" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from rm" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from rm" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from rm" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from rm" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from rm" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make a bundle of a machine, the host, a folder or an image'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "assemble" -d 'Make a bootable disk of a bundle'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "push" -d 'Put a bundle onto a web server that takes files by PUT'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "pull" -d 'Fetch a bundle from a web server'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "info" -d 'Show what is known of a bundle'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the bundles that are kept under a name'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove a bundle that is kept under a name'
complete -c kiln -n "__fish_kiln_using_subcommand bundle; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "list" -d 'List the images of the store'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "pull" -d 'Fetch an image from a catalog into the store'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "info" -d 'Show an image\'s manifest'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "rm" -d 'Remove images from the store; templates made of them stay in their pools'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "ls" -d 'List a folder of an image'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "cat" -d 'Print files of an image'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "df" -d 'Show how full the file systems of an image are'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "check" -d 'Check an image: its format, partition table and file systems; mend it with `--repair`'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "inspect" -d 'Show what is on an image: partitions, systems, kernels, packages, users'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "edit" -d 'Edit a file of an image, with an editor or an expression'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "copy-in" -d 'Copy files and folders from here into an image'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "copy-out" -d 'Copy files and folders of an image to a folder here'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "tar-in" -d 'Unpack a tar archive into an image'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "tar-out" -d 'Write a folder of an image as a tar archive'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "diff" -d 'Compare the files of two images'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "seal" -d 'Take a machine\'s identity, secrets and traces out of an image, so that it can be a template'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "convert" -d 'Copy an image in another format'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "resize" -d 'Make an image\'s disk larger or smaller, with its last partition and the file system in it'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "customize" -d 'Change the system in an image: files, users, keys, packages, units; all or nothing'
complete -c kiln -n "__fish_kiln_using_subcommand image; and not __fish_seen_subcommand_from list pull info rm ls cat df check inspect edit copy-in copy-out tar-in tar-out diff seal convert resize customize help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from list" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from list" -l updates -d 'Ask the catalogs whether they have a newer one of what was pulled'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from list" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from list" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from pull" -l as -d 'What to call it in the store; else the catalog\'s name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from pull" -l arch -d 'For this processor; else this host\'s' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from pull" -l connections -d 'How many connections to use at most' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from pull" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from pull" -l force -d 'Fetch it even if the store has it'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from pull" -l dry-run -d 'Show what would be fetched and how it is proven, and fetch no image'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from pull" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from pull" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from pull" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from pull" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from pull" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from pull" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from info" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from info" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from info" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from info" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from info" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from info" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from info" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from rm" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from rm" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from rm" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from rm" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from rm" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from rm" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from ls" -l format -d 'Its format, for a raw disk that begins like something else; else it is found out' -r -f -a "raw\t'The bytes of the disk'
qcow2\t'QEMU\'s own'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from ls" -l root -d 'Which system, if there are several, by its number; or which file system, by its name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from ls" -l key-file -d 'A file whose first line is the passphrase of the guest\'s encrypted disks; can be given several times' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from ls" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from ls" -l follow-backing -d 'Read the backing files that the image names; only for images that you trust'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from ls" -l appliance -d 'Hold the guest in a libguestfs appliance, also where Kiln could do without'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from ls" -l trust -d 'Let this host\'s kernel mount what Kiln cannot read itself, instead of an appliance: only for images that you trust, and only as root'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from ls" -s l -l long -d 'Kind, permissions, owner, size and time, too'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from ls" -s R -l recursive -d 'Everything below the folder, too'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from ls" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from ls" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from ls" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from ls" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from ls" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from cat" -l format -d 'Its format, for a raw disk that begins like something else; else it is found out' -r -f -a "raw\t'The bytes of the disk'
qcow2\t'QEMU\'s own'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from cat" -l root -d 'Which system, if there are several, by its number; or which file system, by its name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from cat" -l key-file -d 'A file whose first line is the passphrase of the guest\'s encrypted disks; can be given several times' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from cat" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from cat" -l follow-backing -d 'Read the backing files that the image names; only for images that you trust'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from cat" -l appliance -d 'Hold the guest in a libguestfs appliance, also where Kiln could do without'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from cat" -l trust -d 'Let this host\'s kernel mount what Kiln cannot read itself, instead of an appliance: only for images that you trust, and only as root'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from cat" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from cat" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from cat" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from cat" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from cat" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from cat" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from df" -l format -d 'Its format, for a raw disk that begins like something else; else it is found out' -r -f -a "raw\t'The bytes of the disk'
qcow2\t'QEMU\'s own'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from df" -l root -d 'Which system, if there are several, by its number; or which file system, by its name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from df" -l key-file -d 'A file whose first line is the passphrase of the guest\'s encrypted disks; can be given several times' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from df" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from df" -l follow-backing -d 'Read the backing files that the image names; only for images that you trust'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from df" -l appliance -d 'Hold the guest in a libguestfs appliance, also where Kiln could do without'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from df" -l trust -d 'Let this host\'s kernel mount what Kiln cannot read itself, instead of an appliance: only for images that you trust, and only as root'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from df" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from df" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from df" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from df" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from df" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from df" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from check" -l format -d 'Its format, for a raw disk that begins like something else; else it is found out' -r -f -a "raw\t'The bytes of the disk'
qcow2\t'QEMU\'s own'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from check" -l root -d 'Which system, if there are several, by its number; or which file system, by its name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from check" -l key-file -d 'A file whose first line is the passphrase of the guest\'s encrypted disks; can be given several times' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from check" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from check" -l follow-backing -d 'Read the backing files that the image names; only for images that you trust'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from check" -l appliance -d 'Hold the guest in a libguestfs appliance, also where Kiln could do without'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from check" -l trust -d 'Let this host\'s kernel mount what Kiln cannot read itself, instead of an appliance: only for images that you trust, and only as root'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from check" -l repair -d 'Mend all that is wrong, or nothing if some of it cannot be mended'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from check" -l dry-run -d 'Show what would be mended, and keep nothing of it'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from check" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from check" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from check" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from inspect" -l format -d 'Its format, for a raw disk that begins like something else; else it is found out' -r -f -a "raw\t'The bytes of the disk'
qcow2\t'QEMU\'s own'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from inspect" -l root -d 'Which system, if there are several, by its number; or which file system, by its name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from inspect" -l key-file -d 'A file whose first line is the passphrase of the guest\'s encrypted disks; can be given several times' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from inspect" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from inspect" -l follow-backing -d 'Read the backing files that the image names; only for images that you trust'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from inspect" -l appliance -d 'Hold the guest in a libguestfs appliance, also where Kiln could do without'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from inspect" -l trust -d 'Let this host\'s kernel mount what Kiln cannot read itself, instead of an appliance: only for images that you trust, and only as root'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from inspect" -l packages -d 'List every package, too'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from inspect" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from inspect" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from inspect" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from inspect" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from inspect" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from inspect" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from edit" -s o -l output -d 'Leave the image as it is and make a changed copy: a file, or a new name of the store' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from edit" -l format -d 'Its format, for a raw disk that begins like something else; else it is found out' -r -f -a "raw\t'The bytes of the disk'
qcow2\t'QEMU\'s own'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from edit" -l root -d 'Which system, if there are several, by its number; or which file system, by its name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from edit" -l key-file -d 'A file whose first line is the passphrase of the guest\'s encrypted disks; can be given several times' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from edit" -s e -l expression -d 'Apply an expression to each line: `s/old/new/`; several are done in order' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from edit" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from edit" -l dry-run -d 'Do it all, show what would change, and keep nothing of it'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from edit" -l follow-backing -d 'Read the backing files that the image names; only for images that you trust'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from edit" -l appliance -d 'Hold the guest in a libguestfs appliance, also where Kiln could do without'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from edit" -l trust -d 'Let this host\'s kernel mount what Kiln cannot read itself, instead of an appliance: only for images that you trust, and only as root'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from edit" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from edit" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from edit" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from edit" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from edit" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from edit" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-in" -s o -l output -d 'Leave the image as it is and make a changed copy: a file, or a new name of the store' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-in" -l format -d 'Its format, for a raw disk that begins like something else; else it is found out' -r -f -a "raw\t'The bytes of the disk'
qcow2\t'QEMU\'s own'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-in" -l root -d 'Which system, if there are several, by its number; or which file system, by its name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-in" -l key-file -d 'A file whose first line is the passphrase of the guest\'s encrypted disks; can be given several times' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-in" -s C -l to -d 'The folder in the guest; it must be there' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-in" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-in" -l dry-run -d 'Do it all, show what would change, and keep nothing of it'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-in" -l follow-backing -d 'Read the backing files that the image names; only for images that you trust'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-in" -l appliance -d 'Hold the guest in a libguestfs appliance, also where Kiln could do without'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-in" -l trust -d 'Let this host\'s kernel mount what Kiln cannot read itself, instead of an appliance: only for images that you trust, and only as root'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-in" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-in" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-in" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-in" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-in" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-in" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-out" -l format -d 'Its format, for a raw disk that begins like something else; else it is found out' -r -f -a "raw\t'The bytes of the disk'
qcow2\t'QEMU\'s own'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-out" -l root -d 'Which system, if there are several, by its number; or which file system, by its name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-out" -l key-file -d 'A file whose first line is the passphrase of the guest\'s encrypted disks; can be given several times' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-out" -s C -l to -d 'The folder here; it must be there' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-out" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-out" -l follow-backing -d 'Read the backing files that the image names; only for images that you trust'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-out" -l appliance -d 'Hold the guest in a libguestfs appliance, also where Kiln could do without'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-out" -l trust -d 'Let this host\'s kernel mount what Kiln cannot read itself, instead of an appliance: only for images that you trust, and only as root'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-out" -l all-links -d 'Make links, too, that lead out of what is copied'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-out" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-out" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-out" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-out" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-out" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from copy-out" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-in" -s o -l output -d 'Leave the image as it is and make a changed copy: a file, or a new name of the store' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-in" -l format -d 'Its format, for a raw disk that begins like something else; else it is found out' -r -f -a "raw\t'The bytes of the disk'
qcow2\t'QEMU\'s own'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-in" -l root -d 'Which system, if there are several, by its number; or which file system, by its name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-in" -l key-file -d 'A file whose first line is the passphrase of the guest\'s encrypted disks; can be given several times' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-in" -s C -l to -d 'The folder in the guest; it must be there' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-in" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-in" -l dry-run -d 'Do it all, show what would change, and keep nothing of it'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-in" -l follow-backing -d 'Read the backing files that the image names; only for images that you trust'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-in" -l appliance -d 'Hold the guest in a libguestfs appliance, also where Kiln could do without'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-in" -l trust -d 'Let this host\'s kernel mount what Kiln cannot read itself, instead of an appliance: only for images that you trust, and only as root'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-in" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-in" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-in" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-in" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-in" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-in" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-out" -l format -d 'Its format, for a raw disk that begins like something else; else it is found out' -r -f -a "raw\t'The bytes of the disk'
qcow2\t'QEMU\'s own'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-out" -l root -d 'Which system, if there are several, by its number; or which file system, by its name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-out" -l key-file -d 'A file whose first line is the passphrase of the guest\'s encrypted disks; can be given several times' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-out" -s o -l output -d 'The archive; standard output if it is left out' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-out" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-out" -l follow-backing -d 'Read the backing files that the image names; only for images that you trust'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-out" -l appliance -d 'Hold the guest in a libguestfs appliance, also where Kiln could do without'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-out" -l trust -d 'Let this host\'s kernel mount what Kiln cannot read itself, instead of an appliance: only for images that you trust, and only as root'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-out" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-out" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-out" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-out" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-out" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from tar-out" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from diff" -l format -d 'Its format, for a raw disk that begins like something else; else it is found out' -r -f -a "raw\t'The bytes of the disk'
qcow2\t'QEMU\'s own'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from diff" -l root -d 'Which system, if there are several, by its number; or which file system, by its name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from diff" -l key-file -d 'A file whose first line is the passphrase of the guest\'s encrypted disks; can be given several times' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from diff" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from diff" -l times -d 'Compare the times of change, too'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from diff" -l follow-backing -d 'Read the backing files that the image names; only for images that you trust'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from diff" -l appliance -d 'Hold the guest in a libguestfs appliance, also where Kiln could do without'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from diff" -l trust -d 'Let this host\'s kernel mount what Kiln cannot read itself, instead of an appliance: only for images that you trust, and only as root'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from diff" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from diff" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from diff" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from diff" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from diff" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from diff" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -s o -l output -d 'Leave the image as it is and make a changed copy: a file, or a new name of the store' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l format -d 'Its format, for a raw disk that begins like something else; else it is found out' -r -f -a "raw\t'The bytes of the disk'
qcow2\t'QEMU\'s own'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l root -d 'Which system, if there are several, by its number; or which file system, by its name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l key-file -d 'A file whose first line is the passphrase of the guest\'s encrypted disks; can be given several times' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l operations -l operation -d 'Which operations: names, `-` before those that are not to run, `defaults`, `all`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l enable -d 'Run exactly these operations' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l list-operations -d 'List the operations; `=long` says all about them, `=markdown` for a document' -r -f -a "short\t'A line each'
long\t'All that there is to say'
markdown\t'The same, as Markdown'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l remove-user-accounts -d 'With `user-account`: remove only these accounts' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l keep-user-accounts -d 'With `user-account`: keep these accounts' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l script -d 'Refused: a program of the host would need the guest mounted; see `--run` of `customize`' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l add-user -d 'Add a user' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l append-line -d 'Append a line to a file of the guest' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l chmod -d 'Change the permissions of a file' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l chown -d 'Change the owner of a file or directory' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l commands-from-file -d 'Read operations from a file' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l copy -d 'Copy files or directories inside the guest' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l copy-in -d 'Copy files or directories of the host into the guest' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l delete -d 'Delete a file or directory' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l disable-unit -d 'Do not start a unit of systemd at boot' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l edit -d 'Edit a file with an expression' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l enable-unit -d 'Start a unit of systemd at boot' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l firstboot -d 'Run a script at the first boot' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l firstboot-command -d 'Run a command at the first boot' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l firstboot-install -d 'Install packages at the first boot' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l hostname -d 'Set the host name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l inject-blnsvr -d 'Put the balloon server into a Windows guest (refused)' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l inject-qemu-ga -d 'Put the QEMU guest agent into a Windows guest (refused)' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l inject-virtio-win -d 'Put the virtio drivers into a Windows guest (refused)' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l install -d 'Install packages' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l link -d 'Make symbolic links' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l mask-unit -d 'Keep a unit of systemd from starting at all' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l mkdir -d 'Make a directory' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l move -d 'Move files or directories inside the guest' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l password -d 'Set the password of a user' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l password-crypto -d 'Choose how passwords are hashed' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l root-password -d 'Set the password of root' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l run -d 'Run a script of the host in the guest' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l run-command -d 'Run a command of the guest' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l scrub -d 'Overwrite and delete a file' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l selinux-relabel-exclude -d 'Do not label files below a directory for SELinux' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l ssh-inject -d 'Let an SSH key log in' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l sudoers -d 'Add a line to the rules of sudo' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l tar-in -d 'Unpack a tar archive into the guest' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l timezone -d 'Set the time zone' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l touch -d 'Make an empty file, or renew the time of one' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l truncate -d 'Empty a file' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l truncate-recursive -d 'Empty all files below a directory' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l uninstall -d 'Remove packages' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l unmask-unit -d 'Take the mask off a unit of systemd' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l upload -d 'Copy a file of the host to a name in the guest' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l write -d 'Write a file' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l dry-run -d 'Do it all, show what would change, and keep nothing of it'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l follow-backing -d 'Read the backing files that the image names; only for images that you trust'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l appliance -d 'Hold the guest in a libguestfs appliance, also where Kiln could do without'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l trust -d 'Let this host\'s kernel mount what Kiln cannot read itself, instead of an appliance: only for images that you trust, and only as root'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l network -d 'Let all programs of the guest use the network, not only its package manager'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l no-network -d 'Let no program of the guest use the network'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l no-logfile -d 'Leave no log in the guest (always so)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l no-selinux-relabel -d 'Do not label files for SELinux'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l selinux-relabel -d 'Label new files for SELinux (always so)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l update -d 'Bring all packages up to date'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from seal" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -l format -d 'Its format, for a raw disk that begins like something else; else it is found out' -r -f -a "raw\t'The bytes of the disk'
qcow2\t'QEMU\'s own'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -l root -d 'Which system, if there are several, by its number; or which file system, by its name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -l key-file -d 'A file whose first line is the passphrase of the guest\'s encrypted disks; can be given several times' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -s O -l output-format -d 'The format of the copy; else what the end of TARGET says (.qcow2, .raw, .img, .vmdk, .vhdx, .vhd, .vdi), else qcow2' -r -f -a "qcow2\t'QEMU\'s own'
raw\t'The bytes of the disk'
vmdk\t'VMware\'s, in one sparse file'
vmdk-stream\t'VMware\'s, in one compressed file: what goes into an OVA'
vhdx\t'Microsoft\'s'
vpc\t'Microsoft\'s old one, VHD'
vdi\t'VirtualBox\'s'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -l compress -d 'Compress a qcow2 copy' -r -f -a "zstd\t'Small and fast; QEMU 5.1 or newer'
zlib\t'For every QEMU'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -l follow-backing -d 'Read the backing files that the image names; only for images that you trust'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -l appliance -d 'Hold the guest in a libguestfs appliance, also where Kiln could do without'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -l trust -d 'Let this host\'s kernel mount what Kiln cannot read itself, instead of an appliance: only for images that you trust, and only as root'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -l force -d 'Replace TARGET if it is there'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -l sync -d 'Wait until all of the copy is on the disk, as is done when TARGET is replaced'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -l dry-run -d 'Show what would be made, and make nothing'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from convert" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from resize" -s o -l output -d 'Leave the image as it is and make a changed copy: a file, or a new name of the store' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from resize" -l format -d 'Its format, for a raw disk that begins like something else; else it is found out' -r -f -a "raw\t'The bytes of the disk'
qcow2\t'QEMU\'s own'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from resize" -l root -d 'Which system, if there are several, by its number; or which file system, by its name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from resize" -l key-file -d 'A file whose first line is the passphrase of the guest\'s encrypted disks; can be given several times' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from resize" -l partition -d 'The partition that gets what the disk gains: its number, `auto` for the last one, or `none`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from resize" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from resize" -l dry-run -d 'Do it all, show what would change, and keep nothing of it'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from resize" -l follow-backing -d 'Read the backing files that the image names; only for images that you trust'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from resize" -l appliance -d 'Hold the guest in a libguestfs appliance, also where Kiln could do without'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from resize" -l trust -d 'Let this host\'s kernel mount what Kiln cannot read itself, instead of an appliance: only for images that you trust, and only as root'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from resize" -l shrink -d 'Allow the disk to become smaller'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from resize" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from resize" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from resize" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from resize" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from resize" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from resize" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -s o -l output -d 'Leave the image as it is and make a changed copy: a file, or a new name of the store' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l format -d 'Its format, for a raw disk that begins like something else; else it is found out' -r -f -a "raw\t'The bytes of the disk'
qcow2\t'QEMU\'s own'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l root -d 'Which system, if there are several, by its number; or which file system, by its name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l key-file -d 'A file whose first line is the passphrase of the guest\'s encrypted disks; can be given several times' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l list-operations -d 'List the operations; `=long` says all about them, `=markdown` for a document' -r -f -a "short\t'A line each'
long\t'All that there is to say'
markdown\t'The same, as Markdown'"
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l add-user -d 'Add a user' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l append-line -d 'Append a line to a file of the guest' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l chmod -d 'Change the permissions of a file' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l chown -d 'Change the owner of a file or directory' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l commands-from-file -d 'Read operations from a file' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l copy -d 'Copy files or directories inside the guest' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l copy-in -d 'Copy files or directories of the host into the guest' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l delete -d 'Delete a file or directory' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l disable-unit -d 'Do not start a unit of systemd at boot' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l edit -d 'Edit a file with an expression' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l enable-unit -d 'Start a unit of systemd at boot' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l firstboot -d 'Run a script at the first boot' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l firstboot-command -d 'Run a command at the first boot' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l firstboot-install -d 'Install packages at the first boot' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l hostname -d 'Set the host name' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l inject-blnsvr -d 'Put the balloon server into a Windows guest (refused)' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l inject-qemu-ga -d 'Put the QEMU guest agent into a Windows guest (refused)' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l inject-virtio-win -d 'Put the virtio drivers into a Windows guest (refused)' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l install -d 'Install packages' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l link -d 'Make symbolic links' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l mask-unit -d 'Keep a unit of systemd from starting at all' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l mkdir -d 'Make a directory' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l move -d 'Move files or directories inside the guest' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l password -d 'Set the password of a user' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l password-crypto -d 'Choose how passwords are hashed' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l root-password -d 'Set the password of root' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l run -d 'Run a script of the host in the guest' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l run-command -d 'Run a command of the guest' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l scrub -d 'Overwrite and delete a file' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l selinux-relabel-exclude -d 'Do not label files below a directory for SELinux' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l ssh-inject -d 'Let an SSH key log in' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l sudoers -d 'Add a line to the rules of sudo' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l tar-in -d 'Unpack a tar archive into the guest' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l timezone -d 'Set the time zone' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l touch -d 'Make an empty file, or renew the time of one' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l truncate -d 'Empty a file' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l truncate-recursive -d 'Empty all files below a directory' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l uninstall -d 'Remove packages' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l unmask-unit -d 'Take the mask off a unit of systemd' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l upload -d 'Copy a file of the host to a name in the guest' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l write -d 'Write a file' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l dry-run -d 'Do it all, show what would change, and keep nothing of it'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l follow-backing -d 'Read the backing files that the image names; only for images that you trust'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l appliance -d 'Hold the guest in a libguestfs appliance, also where Kiln could do without'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l trust -d 'Let this host\'s kernel mount what Kiln cannot read itself, instead of an appliance: only for images that you trust, and only as root'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l network -d 'Let all programs of the guest use the network, not only its package manager'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l no-network -d 'Let no program of the guest use the network'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l no-logfile -d 'Leave no log in the guest (always so)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l no-selinux-relabel -d 'Do not label files for SELinux'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l selinux-relabel -d 'Label new files for SELinux (always so)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l update -d 'Bring all packages up to date'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from customize" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the images of the store'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "pull" -d 'Fetch an image from a catalog into the store'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "info" -d 'Show an image\'s manifest'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove images from the store; templates made of them stay in their pools'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "ls" -d 'List a folder of an image'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "cat" -d 'Print files of an image'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "df" -d 'Show how full the file systems of an image are'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check an image: its format, partition table and file systems; mend it with `--repair`'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "inspect" -d 'Show what is on an image: partitions, systems, kernels, packages, users'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "edit" -d 'Edit a file of an image, with an editor or an expression'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "copy-in" -d 'Copy files and folders from here into an image'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "copy-out" -d 'Copy files and folders of an image to a folder here'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "tar-in" -d 'Unpack a tar archive into an image'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "tar-out" -d 'Write a folder of an image as a tar archive'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "diff" -d 'Compare the files of two images'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "seal" -d 'Take a machine\'s identity, secrets and traces out of an image, so that it can be a template'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "convert" -d 'Copy an image in another format'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "resize" -d 'Make an image\'s disk larger or smaller, with its last partition and the file system in it'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "customize" -d 'Change the system in an image: files, users, keys, packages, units; all or nothing'
complete -c kiln -n "__fish_kiln_using_subcommand image; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and not __fish_seen_subcommand_from list search info add rm sign help" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and not __fish_seen_subcommand_from list search info add rm sign help" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and not __fish_seen_subcommand_from list search info add rm sign help" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and not __fish_seen_subcommand_from list search info add rm sign help" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and not __fish_seen_subcommand_from list search info add rm sign help" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and not __fish_seen_subcommand_from list search info add rm sign help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and not __fish_seen_subcommand_from list search info add rm sign help" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and not __fish_seen_subcommand_from list search info add rm sign help" -f -a "list" -d 'List the catalogs, and whom each is believed; nothing is fetched'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and not __fish_seen_subcommand_from list search info add rm sign help" -f -a "search" -d 'List the images that catalogs offer'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and not __fish_seen_subcommand_from list search info add rm sign help" -f -a "info" -d 'Show what a catalog says of an image, with its notes'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and not __fish_seen_subcommand_from list search info add rm sign help" -f -a "add" -d 'Add a catalog: a virt-builder repository or simplestreams'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and not __fish_seen_subcommand_from list search info add rm sign help" -f -a "rm" -d 'Remove catalogs that `kiln catalog add` added; images pulled from them stay'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and not __fish_seen_subcommand_from list search info add rm sign help" -f -a "sign" -d 'Make a virt-builder repository of a folder of images: pack, list and sign them'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and not __fish_seen_subcommand_from list search info add rm sign help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from list" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from list" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from list" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from search" -l catalog -d 'Only this catalog' -r
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from search" -l arch -d 'Only images for this processor, or `all`; else this host\'s' -r
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from search" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from search" -l hidden -d 'Also those that their catalog hides'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from search" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from search" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from search" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from search" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from search" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from search" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from info" -l arch -d 'For this processor; else this host\'s' -r
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from info" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from info" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from info" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from info" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from info" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from info" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from info" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from add" -l key -d 'A file with the public keys that may sign it' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from add" -l fingerprint -d 'The fingerprint of the key that must have signed it: of `--key`, or of your GnuPG keyring' -r
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from add" -l kind -d 'What kind it is of' -r -f -a "native\t''
simplestreams\t''"
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from add" -l proxy -d 'The proxy: `system`, `off`, or an address' -r
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from add" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from add" -l unsigned -d 'Take it without a signature'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from add" -l no-check -d 'Add it without reading it'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from add" -l dry-run -d 'Show what would be added, and add nothing'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from add" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from add" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from add" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from add" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from add" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from rm" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from rm" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from rm" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from rm" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from rm" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from rm" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from sign" -s k -l key -d 'The key of your GnuPG keyring that signs: fingerprint, id or address' -r
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from sign" -l level -d 'How hard xz tries: 0 is fast, 9 small' -r
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from sign" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from sign" -l unsigned -d 'Do not sign: write `index` only'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from sign" -l no-pack -d 'Offer the images as they are, without packing them'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from sign" -l dry-run -d 'Show what would be listed, and write nothing'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from sign" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from sign" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from sign" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from sign" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from sign" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from sign" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the catalogs, and whom each is believed; nothing is fetched'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from help" -f -a "search" -d 'List the images that catalogs offer'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from help" -f -a "info" -d 'Show what a catalog says of an image, with its notes'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from help" -f -a "add" -d 'Add a catalog: a virt-builder repository or simplestreams'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove catalogs that `kiln catalog add` added; images pulled from them stay'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from help" -f -a "sign" -d 'Make a virt-builder repository of a folder of images: pack, list and sign them'
complete -c kiln -n "__fish_kiln_using_subcommand catalog; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand network; and not __fish_seen_subcommand_from create list info start stop rm help" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand network; and not __fish_seen_subcommand_from create list info start stop rm help" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand network; and not __fish_seen_subcommand_from create list info start stop rm help" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand network; and not __fish_seen_subcommand_from create list info start stop rm help" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand network; and not __fish_seen_subcommand_from create list info start stop rm help" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand network; and not __fish_seen_subcommand_from create list info start stop rm help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand network; and not __fish_seen_subcommand_from create list info start stop rm help" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand network; and not __fish_seen_subcommand_from create list info start stop rm help" -f -a "create" -d 'Make a network and start it, now and with the host'
complete -c kiln -n "__fish_kiln_using_subcommand network; and not __fish_seen_subcommand_from create list info start stop rm help" -f -a "list" -d 'List the host\'s networks, whoever made them'
complete -c kiln -n "__fish_kiln_using_subcommand network; and not __fish_seen_subcommand_from create list info start stop rm help" -f -a "info" -d 'Show a network: its addresses, who has which, and which machines are on it'
complete -c kiln -n "__fish_kiln_using_subcommand network; and not __fish_seen_subcommand_from create list info start stop rm help" -f -a "start" -d 'Start networks'
complete -c kiln -n "__fish_kiln_using_subcommand network; and not __fish_seen_subcommand_from create list info start stop rm help" -f -a "stop" -d 'Stop networks that no running machine is on'
complete -c kiln -n "__fish_kiln_using_subcommand network; and not __fish_seen_subcommand_from create list info start stop rm help" -f -a "rm" -d 'Remove networks that no machine is on'
complete -c kiln -n "__fish_kiln_using_subcommand network; and not __fish_seen_subcommand_from create list info start stop rm help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -l mode -d 'How machines on it reach the outside' -r -f -a "nat\t'Behind the host\'s address'
routed\t'Routed by the host; others must know the way back'
isolated\t'Not at all: they reach each other and the host'
open\t'Routed, with no firewall rules of libvirt\'s'"
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -l bridge -d 'A bridge that the host has already: what it is connected to gives out addresses' -r
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -l macvtap -d 'An interface of the host that machines share; they do not reach the host itself' -r
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -l subnet -d 'Its IPv4 addresses, of which the host takes the first; `none` for none' -r
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -l subnet6 -d 'Its IPv6 addresses: a prefix of 64 bits, which machines make their own of' -r
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -l dhcp -d 'What DHCP gives out; without it all of `--subnet` but the host\'s own' -r
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -l domain -d 'The domain of its machines\' names; names in it that nobody has are not asked for outside' -r
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -l dns-host -d 'Another name that its DNS server answers (repeatable)' -r
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -l no-dhcp -d 'Give out no addresses'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -l no-autostart -d 'Do not start it with the host'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -l dry-run -d 'Print what would be made, the XML included, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from create" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from list" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from list" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from list" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from info" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from info" -l xml -d 'Print libvirt\'s XML of it'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from info" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from info" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from info" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from info" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from info" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from info" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from start" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from start" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from start" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from start" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from start" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from start" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from start" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from stop" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from stop" -l force -d 'Cut running machines off from it'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from stop" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from stop" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from stop" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from stop" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from stop" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from stop" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from rm" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from rm" -l foreign -d 'Remove one that Kiln did not make'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from rm" -l dry-run -d 'Print what would be removed, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from rm" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from rm" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from rm" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from rm" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from rm" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make a network and start it, now and with the host'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the host\'s networks, whoever made them'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "info" -d 'Show a network: its addresses, who has which, and which machines are on it'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "start" -d 'Start networks'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "stop" -d 'Stop networks that no running machine is on'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove networks that no machine is on'
complete -c kiln -n "__fish_kiln_using_subcommand network; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and not __fish_seen_subcommand_from add list rm restore help" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand forward; and not __fish_seen_subcommand_from add list rm restore help" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and not __fish_seen_subcommand_from add list rm restore help" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and not __fish_seen_subcommand_from add list rm restore help" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and not __fish_seen_subcommand_from add list rm restore help" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and not __fish_seen_subcommand_from add list rm restore help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and not __fish_seen_subcommand_from add list rm restore help" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and not __fish_seen_subcommand_from add list rm restore help" -f -a "add" -d 'Lead ports of the host to ports of a machine'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and not __fish_seen_subcommand_from add list rm restore help" -f -a "list" -d 'List forwards, and whether they are in place'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and not __fish_seen_subcommand_from add list rm restore help" -f -a "rm" -d 'Take forwards away'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and not __fish_seen_subcommand_from add list rm restore help" -f -a "restore" -d 'Make the rules of all forwards anew, after something has flushed the packet filter'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and not __fish_seen_subcommand_from add list rm restore help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from add" -l listen -d 'The address of the host that they are on; without it all of them' -r
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from add" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from add" -l dry-run -d 'Print what would be done, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from add" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from add" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from add" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from add" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from add" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from add" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from list" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from list" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from list" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from rm" -l listen -d 'Only those on this address of the host' -r
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from rm" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from rm" -l all -d 'All of the machine\'s'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from rm" -l dry-run -d 'Print what would be done, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from rm" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from rm" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from rm" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from rm" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from rm" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from restore" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from restore" -l dry-run -d 'Print what the packet filter would be told, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from restore" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from restore" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from restore" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from restore" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from restore" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from restore" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from help" -f -a "add" -d 'Lead ports of the host to ports of a machine'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from help" -f -a "list" -d 'List forwards, and whether they are in place'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Take forwards away'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from help" -f -a "restore" -d 'Make the rules of all forwards anew, after something has flushed the packet filter'
complete -c kiln -n "__fish_kiln_using_subcommand forward; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and not __fish_seen_subcommand_from list update rm server help" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand dns; and not __fish_seen_subcommand_from list update rm server help" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and not __fish_seen_subcommand_from list update rm server help" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and not __fish_seen_subcommand_from list update rm server help" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and not __fish_seen_subcommand_from list update rm server help" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and not __fish_seen_subcommand_from list update rm server help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and not __fish_seen_subcommand_from list update rm server help" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and not __fish_seen_subcommand_from list update rm server help" -f -a "list" -d 'List what machines have in DNS, and what removed ones have left there'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and not __fish_seen_subcommand_from list update rm server help" -f -a "update" -d 'Put machines\' names into a DNS server, or the addresses that they have now behind them'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and not __fish_seen_subcommand_from list update rm server help" -f -a "rm" -d 'Take machines\' names back from their DNS server'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and not __fish_seen_subcommand_from list update rm server help" -f -a "server" -d 'The DNS servers that this client knows, with their keys'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and not __fish_seen_subcommand_from list update rm server help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from list" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from list" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from list" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from update" -l server -d 'The DNS server; without it the one that the machine has' -r
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from update" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from update" -l all -d 'All machines of the host that have a DNS server which is known here'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from update" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from update" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from update" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from update" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from update" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from update" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from rm" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from rm" -l forget -d 'Ask no server, and only forget what is there: it is gone for good, or somebody else\'s now'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from rm" -l dry-run -d 'Print what would be taken back, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from rm" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from rm" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from rm" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from rm" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from rm" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from server" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from server" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from server" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from server" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from server" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from server" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from server" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from server" -f -a "add" -d 'Make a DNS server known that takes updates (RFC 2136) signed with a key (TSIG)'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from server" -f -a "list" -d 'List the DNS servers that this client knows'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from server" -f -a "rm" -d 'Forget DNS servers and their keys, unless machines of the host have names there'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from server" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from help" -f -a "list" -d 'List what machines have in DNS, and what removed ones have left there'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from help" -f -a "update" -d 'Put machines\' names into a DNS server, or the addresses that they have now behind them'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Take machines\' names back from their DNS server'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from help" -f -a "server" -d 'The DNS servers that this client knows, with their keys'
complete -c kiln -n "__fish_kiln_using_subcommand dns; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and not __fish_seen_subcommand_from create list info rm help" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand pool; and not __fish_seen_subcommand_from create list info rm help" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and not __fish_seen_subcommand_from create list info rm help" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and not __fish_seen_subcommand_from create list info rm help" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and not __fish_seen_subcommand_from create list info rm help" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and not __fish_seen_subcommand_from create list info rm help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and not __fish_seen_subcommand_from create list info rm help" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and not __fish_seen_subcommand_from create list info rm help" -f -a "create" -d 'Make a pool and take it into use, now and with the host'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and not __fish_seen_subcommand_from create list info rm help" -f -a "list" -d 'List the host\'s pools, with what they hold and what is free'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and not __fish_seen_subcommand_from create list info rm help" -f -a "info" -d 'Show a pool: its room, its volumes, and what hangs on each'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and not __fish_seen_subcommand_from create list info rm help" -f -a "rm" -d 'Take pools out of use that no machine has volumes in; the volumes themselves stay'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and not __fish_seen_subcommand_from create list info rm help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -l dir -d 'A folder of the host; made if it is not there' -r
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -l lvm -d 'A volume group of LVM, which is there' -r
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -l nfs -d 'A folder of an NFS server: HOST:FOLDER' -r
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -l mount -d 'Where the host mounts it' -r
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -l rbd -d 'A pool of a Ceph cluster' -r
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -l monitor -d 'A monitor of the cluster: HOST or HOST:PORT; name all of them' -r
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -l user -d 'The Ceph user, without `client.`; the one whose key the secret or the keyring has' -r
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -l secret -d 'The secret with the user\'s key, by its name or its UUID' -r
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -l keyring -d 'A keyring with the user\'s key, of which a secret for this pool is made' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -l no-autostart -d 'Do not take it into use with the host'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -l dry-run -d 'Print what would be made, the XML included, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from create" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from list" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from list" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from list" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from info" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from info" -l xml -d 'Print libvirt\'s XML of it'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from info" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from info" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from info" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from info" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from info" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from info" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from rm" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from rm" -l dry-run -d 'Print what would be removed, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from rm" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from rm" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from rm" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from rm" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from rm" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make a pool and take it into use, now and with the host'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the host\'s pools, with what they hold and what is free'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from help" -f -a "info" -d 'Show a pool: its room, its volumes, and what hangs on each'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Take pools out of use that no machine has volumes in; the volumes themselves stay'
complete -c kiln -n "__fish_kiln_using_subcommand pool; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and not __fish_seen_subcommand_from create list info rm help" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand secret; and not __fish_seen_subcommand_from create list info rm help" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and not __fish_seen_subcommand_from create list info rm help" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and not __fish_seen_subcommand_from create list info rm help" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and not __fish_seen_subcommand_from create list info rm help" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and not __fish_seen_subcommand_from create list info rm help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and not __fish_seen_subcommand_from create list info rm help" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and not __fish_seen_subcommand_from create list info rm help" -f -a "create" -d 'Have the host keep the key of a Ceph user'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and not __fish_seen_subcommand_from create list info rm help" -f -a "list" -d 'List the host\'s secrets, without their values'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and not __fish_seen_subcommand_from create list info rm help" -f -a "info" -d 'Show a secret and what uses it, without its value'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and not __fish_seen_subcommand_from create list info rm help" -f -a "rm" -d 'Remove secrets that no pool and no machine uses'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and not __fish_seen_subcommand_from create list info rm help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from create" -l keyring -d 'A keyring of Ceph\'s' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from create" -l user -d 'Whose key it is, without `client.`, if the keyring has several' -r
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from create" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from create" -l stdin -d 'Read standard input: a keyring, as `ceph auth get` prints it, or the key alone'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from create" -l dry-run -d 'Print what would be made, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from create" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from create" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from create" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from create" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from list" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from list" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from list" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from info" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from info" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from info" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from info" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from info" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from info" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from info" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from rm" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from rm" -l dry-run -d 'Print what would be removed, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from rm" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from rm" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from rm" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from rm" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from rm" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from help" -f -a "create" -d 'Have the host keep the key of a Ceph user'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the host\'s secrets, without their values'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from help" -f -a "info" -d 'Show a secret and what uses it, without its value'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove secrets that no pool and no machine uses'
complete -c kiln -n "__fish_kiln_using_subcommand secret; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and not __fish_seen_subcommand_from build show serve help" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand seed; and not __fish_seen_subcommand_from build show serve help" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and not __fish_seen_subcommand_from build show serve help" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and not __fish_seen_subcommand_from build show serve help" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and not __fish_seen_subcommand_from build show serve help" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and not __fish_seen_subcommand_from build show serve help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and not __fish_seen_subcommand_from build show serve help" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and not __fish_seen_subcommand_from build show serve help" -f -a "build" -d 'Make a seed for a machine of any tool\'s: an ISO image, or a folder'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and not __fish_seen_subcommand_from build show serve help" -f -a "show" -d 'Show what a seed holds, without the secrets in it'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and not __fish_seen_subcommand_from build show serve help" -f -a "serve" -d 'Hand seeds to guests that fetch them by HTTP'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and not __fish_seen_subcommand_from build show serve help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from build" -l hostname -d 'The machine\'s host name' -r
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from build" -l fqdn -d 'The host name with its domain' -r
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from build" -l instance-id -d 'What tells cloud-init whether a boot is the first; without it a new one' -r
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from build" -l user -d 'Who logs in, with sudo that asks for no password; without it the image\'s own default user' -r
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from build" -l ssh-key -d 'A public key that may log in (repeatable)' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from build" -l user-data -d 'Cloud-init user-data, merged with what Kiln itself needs' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from build" -l vendor-data -d 'Cloud-init vendor-data: of the same kinds, and outweighed by the user-data' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from build" -l datasource -d 'Who reads them in the guest' -r -f -a "nocloud\t'cloud-init: a drive labelled `cidata`'
configdrive\t'cloud-init or cloudbase-init, as on OpenStack: a drive labelled `config-2`'"
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from build" -l network-config -d 'How the guest is told of its interfaces: cloud-init\'s version 1 or 2, or OpenStack\'s `network_data.json` with `--datasource configdrive`' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from build" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from build" -l folder -d 'Make a folder of the files, no ISO image'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from build" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from build" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from build" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from build" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from build" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from build" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from show" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from show" -l secrets -d 'Show secrets, too'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from show" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from show" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from show" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from serve" -l listen -d 'The address to listen on, with a port or without' -r
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from serve" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from serve" -l any-address -d 'Hand a machine\'s seed to whoever asks: where its address cannot be known'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from serve" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from serve" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from serve" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from serve" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from serve" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from serve" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from help" -f -a "build" -d 'Make a seed for a machine of any tool\'s: an ISO image, or a folder'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from help" -f -a "show" -d 'Show what a seed holds, without the secrets in it'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from help" -f -a "serve" -d 'Hand seeds to guests that fetch them by HTTP'
complete -c kiln -n "__fish_kiln_using_subcommand seed; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand template; and not __fish_seen_subcommand_from create list info rm help" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand template; and not __fish_seen_subcommand_from create list info rm help" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand template; and not __fish_seen_subcommand_from create list info rm help" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand template; and not __fish_seen_subcommand_from create list info rm help" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand template; and not __fish_seen_subcommand_from create list info rm help" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand template; and not __fish_seen_subcommand_from create list info rm help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand template; and not __fish_seen_subcommand_from create list info rm help" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand template; and not __fish_seen_subcommand_from create list info rm help" -f -a "create" -d 'Make a template of a machine that is off, or of an image: sealed, and then written to no more'
complete -c kiln -n "__fish_kiln_using_subcommand template; and not __fish_seen_subcommand_from create list info rm help" -f -a "list" -d 'List the templates of a pool, and what hangs on each'
complete -c kiln -n "__fish_kiln_using_subcommand template; and not __fish_seen_subcommand_from create list info rm help" -f -a "info" -d 'Show a template: what it was made of, and what hangs on it'
complete -c kiln -n "__fish_kiln_using_subcommand template; and not __fish_seen_subcommand_from create list info rm help" -f -a "rm" -d 'Remove templates that nothing hangs on'
complete -c kiln -n "__fish_kiln_using_subcommand template; and not __fish_seen_subcommand_from create list info rm help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from create" -l pool -d 'The pool; without it that of the machine\'s disk, or `default`' -r
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from create" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from create" -l convert -d 'Remove the machine when its template is whole'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from create" -l as-is -d 'Do not seal: what is in it stays, and every clone has it'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from create" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from create" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from create" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from create" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from create" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from create" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from list" -l pool -d 'The pool' -r
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from list" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from list" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from list" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from info" -l pool -d 'Its pool' -r
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from info" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from info" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from info" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from info" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from info" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from info" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from info" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from rm" -l pool -d 'Their pool' -r
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from rm" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from rm" -l dry-run -d 'Print what would be removed, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from rm" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from rm" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from rm" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from rm" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from rm" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from rm" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from help" -f -a "create" -d 'Make a template of a machine that is off, or of an image: sealed, and then written to no more'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from help" -f -a "list" -d 'List the templates of a pool, and what hangs on each'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from help" -f -a "info" -d 'Show a template: what it was made of, and what hangs on it'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from help" -f -a "rm" -d 'Remove templates that nothing hangs on'
complete -c kiln -n "__fish_kiln_using_subcommand template; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand element; and not __fish_seen_subcommand_from list info help" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand element; and not __fish_seen_subcommand_from list info help" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand element; and not __fish_seen_subcommand_from list info help" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand element; and not __fish_seen_subcommand_from list info help" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand element; and not __fish_seen_subcommand_from list info help" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand element; and not __fish_seen_subcommand_from list info help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand element; and not __fish_seen_subcommand_from list info help" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand element; and not __fish_seen_subcommand_from list info help" -f -a "list" -d 'List elements'
complete -c kiln -n "__fish_kiln_using_subcommand element; and not __fish_seen_subcommand_from list info help" -f -a "info" -d 'Show what an element does, and its parameters'
complete -c kiln -n "__fish_kiln_using_subcommand element; and not __fish_seen_subcommand_from list info help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from list" -l dib -d 'List diskimage-builder\'s elements in this folder; of two with one name, that of the folder named earlier' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from list" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from list" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from list" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from list" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from list" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from list" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from list" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from info" -l dib -d 'Look for an element of diskimage-builder in this folder' -r -F
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from info" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from info" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from info" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from info" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from info" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from info" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from info" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from help" -f -a "list" -d 'List elements'
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from help" -f -a "info" -d 'Show what an element does, and its parameters'
complete -c kiln -n "__fish_kiln_using_subcommand element; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand doctor" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand doctor" -l fix -d 'Mend what Kiln can mend itself; root\'s'
complete -c kiln -n "__fish_kiln_using_subcommand doctor" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand doctor" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand doctor" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand doctor" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand doctor" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand doctor" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand schema" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand schema" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand schema" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand schema" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand schema" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand schema" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand schema" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand completions" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand completions" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand completions" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand completions" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand completions" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand completions" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand completions" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand man" -s c -l connect -d 'The host: a libvirt URI such as `qemu:///system` or `qemu+ssh://user@host/system`' -r
complete -c kiln -n "__fish_kiln_using_subcommand man" -l json -d 'Print the result as one JSON object'
complete -c kiln -n "__fish_kiln_using_subcommand man" -s q -l quiet -d 'Print errors and warnings only'
complete -c kiln -n "__fish_kiln_using_subcommand man" -s v -l verbose -d 'Tell each decision'
complete -c kiln -n "__fish_kiln_using_subcommand man" -l no-color -d 'Never use colour (also: NO_COLOR in the environment)'
complete -c kiln -n "__fish_kiln_using_subcommand man" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c kiln -n "__fish_kiln_using_subcommand man" -s V -l version -d 'Print version'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "launch" -d 'Make a machine from an image, start it and wait until one can log in'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "up" -d 'Make what a file wants: networks, pools and machines'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "plan" -d 'Show what `kiln up` would do, and do nothing'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "down" -d 'Remove all that a file\'s name owns: its machines with their disks, its networks and pools'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "clone" -d 'Make another machine of one that is off, or of a template, with an identity of its own'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "flatten" -d 'Let machines in a Ceph pool stand alone: what their disks lie over is copied into them'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "list" -d 'List the machines of the host'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "info" -d 'Show what there is to know about a machine'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "start" -d 'Start machines'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "stop" -d 'Stop machines: ask the agent or by ACPI, and switch off after a time-out'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "restart" -d 'Stop machines and start them again'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "rm" -d 'Remove machines with their volumes, reservations and keys; a running one is switched off'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "wait" -d 'Wait until a machine is ready, or has stopped'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "logs" -d 'Show what a machine wrote to its console'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "console" -d 'Attach to a machine\'s serial console; Ctrl-] leaves'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "ssh" -d 'Log in to a machine, or run a command there, by OpenSSH'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "exec" -d 'Run a program in a machine through the guest agent'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "cp" -d 'Copy files to or from a machine'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "ssh-config" -d 'Print how OpenSSH reaches machines, for an ssh_config file'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "inventory" -d 'Tell Ansible of the machines: a dynamic inventory'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "build" -d 'Build an image from a recipe, into the store'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "cache" -d 'See and clear up the layers that builds keep'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "bundle" -d 'Make archives of whole machines, and machines of them'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "image" -d 'Look into images and change them, without booting; list and remove those of the store'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "catalog" -d 'Where images come from by name: list catalogs, look into them, make one'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "network" -d 'Make and see the host\'s networks'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "forward" -d 'Lead ports of the host to machines'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "dns" -d 'Put machines\' names into a DNS server, by signed updates (RFC 2136)'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "pool" -d 'Make and see the host\'s pools of volumes'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "secret" -d 'Make and see the host\'s secrets: the keys of Ceph users'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "seed" -d 'Make, show and serve seeds: what machines are told at their first boot'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "template" -d 'Make and see the templates of a pool, which linked clones hang on'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "element" -d 'Elements: pieces of an image that recipes name'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "doctor" -d 'Check what Kiln needs on this machine and on the host, and say what mends it'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "schema" -d 'Print the JSON Schema of a kind of file, for editors'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "completions" -d 'Print completions for a shell'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "man" -d 'Write the manual pages into a folder'
complete -c kiln -n "__fish_kiln_using_subcommand help; and not __fish_seen_subcommand_from launch up plan down clone flatten list info start stop restart rm wait logs console ssh exec cp ssh-config inventory build cache bundle image catalog network forward dns pool secret seed template element doctor schema completions man help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from cache" -f -a "list" -d 'List the layers of builds, the one used last first'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from cache" -f -a "gc" -d 'Remove layers until the rest takes no more than a size'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "create" -d 'Make a bundle of a machine, the host, a folder or an image'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "assemble" -d 'Make a bootable disk of a bundle'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "push" -d 'Put a bundle onto a web server that takes files by PUT'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "pull" -d 'Fetch a bundle from a web server'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "info" -d 'Show what is known of a bundle'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "list" -d 'List the bundles that are kept under a name'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from bundle" -f -a "rm" -d 'Remove a bundle that is kept under a name'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "list" -d 'List the images of the store'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "pull" -d 'Fetch an image from a catalog into the store'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "info" -d 'Show an image\'s manifest'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "rm" -d 'Remove images from the store; templates made of them stay in their pools'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "ls" -d 'List a folder of an image'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "cat" -d 'Print files of an image'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "df" -d 'Show how full the file systems of an image are'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "check" -d 'Check an image: its format, partition table and file systems; mend it with `--repair`'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "inspect" -d 'Show what is on an image: partitions, systems, kernels, packages, users'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "edit" -d 'Edit a file of an image, with an editor or an expression'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "copy-in" -d 'Copy files and folders from here into an image'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "copy-out" -d 'Copy files and folders of an image to a folder here'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "tar-in" -d 'Unpack a tar archive into an image'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "tar-out" -d 'Write a folder of an image as a tar archive'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "diff" -d 'Compare the files of two images'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "seal" -d 'Take a machine\'s identity, secrets and traces out of an image, so that it can be a template'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "convert" -d 'Copy an image in another format'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "resize" -d 'Make an image\'s disk larger or smaller, with its last partition and the file system in it'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from image" -f -a "customize" -d 'Change the system in an image: files, users, keys, packages, units; all or nothing'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from catalog" -f -a "list" -d 'List the catalogs, and whom each is believed; nothing is fetched'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from catalog" -f -a "search" -d 'List the images that catalogs offer'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from catalog" -f -a "info" -d 'Show what a catalog says of an image, with its notes'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from catalog" -f -a "add" -d 'Add a catalog: a virt-builder repository or simplestreams'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from catalog" -f -a "rm" -d 'Remove catalogs that `kiln catalog add` added; images pulled from them stay'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from catalog" -f -a "sign" -d 'Make a virt-builder repository of a folder of images: pack, list and sign them'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "create" -d 'Make a network and start it, now and with the host'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "list" -d 'List the host\'s networks, whoever made them'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "info" -d 'Show a network: its addresses, who has which, and which machines are on it'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "start" -d 'Start networks'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "stop" -d 'Stop networks that no running machine is on'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from network" -f -a "rm" -d 'Remove networks that no machine is on'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from forward" -f -a "add" -d 'Lead ports of the host to ports of a machine'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from forward" -f -a "list" -d 'List forwards, and whether they are in place'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from forward" -f -a "rm" -d 'Take forwards away'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from forward" -f -a "restore" -d 'Make the rules of all forwards anew, after something has flushed the packet filter'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from dns" -f -a "list" -d 'List what machines have in DNS, and what removed ones have left there'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from dns" -f -a "update" -d 'Put machines\' names into a DNS server, or the addresses that they have now behind them'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from dns" -f -a "rm" -d 'Take machines\' names back from their DNS server'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from dns" -f -a "server" -d 'The DNS servers that this client knows, with their keys'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from pool" -f -a "create" -d 'Make a pool and take it into use, now and with the host'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from pool" -f -a "list" -d 'List the host\'s pools, with what they hold and what is free'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from pool" -f -a "info" -d 'Show a pool: its room, its volumes, and what hangs on each'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from pool" -f -a "rm" -d 'Take pools out of use that no machine has volumes in; the volumes themselves stay'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from secret" -f -a "create" -d 'Have the host keep the key of a Ceph user'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from secret" -f -a "list" -d 'List the host\'s secrets, without their values'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from secret" -f -a "info" -d 'Show a secret and what uses it, without its value'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from secret" -f -a "rm" -d 'Remove secrets that no pool and no machine uses'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from seed" -f -a "build" -d 'Make a seed for a machine of any tool\'s: an ISO image, or a folder'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from seed" -f -a "show" -d 'Show what a seed holds, without the secrets in it'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from seed" -f -a "serve" -d 'Hand seeds to guests that fetch them by HTTP'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from template" -f -a "create" -d 'Make a template of a machine that is off, or of an image: sealed, and then written to no more'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from template" -f -a "list" -d 'List the templates of a pool, and what hangs on each'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from template" -f -a "info" -d 'Show a template: what it was made of, and what hangs on it'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from template" -f -a "rm" -d 'Remove templates that nothing hangs on'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from element" -f -a "list" -d 'List elements'
complete -c kiln -n "__fish_kiln_using_subcommand help; and __fish_seen_subcommand_from element" -f -a "info" -d 'Show what an element does, and its parameters'
