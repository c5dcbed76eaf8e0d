# SPDX-License-Identifier: Apache-2.0
"""The whole method in one machine: assayd in the measured initrd, a root on LUKS2 whose passphrase
the verifier releases on boot values predicted from the image, systemd above it, an nginx with its
TLS key and a worker that goes through four stages."""
import os
import re
import secrets
import time

import debian
from image import tool
from lab import Failure, free_port, run, until
from measured import LIMIT, VERIFIER
from owner import NETWORK, Owner
from reference import measure_in

PACKAGES = ("systemd,systemd-sysv,udev,dbus,nginx-light,iproute2,kmod,ca-certificates," +
            debian.OURS)
NGINX, WORKER = "/usr/sbin/nginx", "/opt/worker/block_worker"
PORT = 8443
BLOCKS = 4
WWW_DATA = 33

# What tells assayd about sockets; the root has no modules to load later.
DIAGNOSIS = ["inet_diag", "tcp_diag", "udp_diag", "raw_diag", "unix_diag", "netlink_diag",
             "af_packet_diag"]

CONFIGURATION = f"""\
verifier: {{address: "{VERIFIER}", ca: /etc/assay/verifier-ca.pem}}
attester: tpm
credential_socket: /run/assay/credential.sock
%(extra)sinitrd:
  modules_file: /etc/assay/modules
  network: {NETWORK}
  timeout: 10m
  root: {{device: /dev/mapper/root, type: ext4, writable: true}}
applications:
  - name: disk
    disk: {{luks: /dev/vda, name: root}}
  - name: web
    unit: web.service
    files: [{NGINX}, /etc/web, /srv/web]
    measure: {{static: true, dynamic: true}}
    time_nodes: [{{at: start}}, {{every: 5s, jitter: 500ms}}, {{on: demand}}]
    stages: 1
    deliver: {{stage_1: systemd}}
  - name: worker
    exec: [{WORKER}, --blocks, "{BLOCKS}", --dir, /opt/worker/data, --socket, /run/assay/app.sock,
           --pause, "%(pause)s"]
    user: nobody
    files: [{WORKER}]
    measure: {{static: true, dynamic: true}}
    time_nodes: [{{on: stage}}, {{on: demand}}]
    stages: {BLOCKS}
    deliver: {{others: socket}}
"""

DISK_POLICY = """static: {manifest: disk.mtree}
stages:
  - {stage: 1, after: static, release: [disk-passphrase]}
"""

WEB_POLICY = f"""static: {{manifest: web.mtree}}
dynamic:
  code: {{files: manifest, modified_text: deny, anonymous: deny}}
  listen: {{allow: ["tcp/10.0.2.15:{PORT}"]}}
  connections: {{allow: ["10.0.2.2:*"]}}
  memory: {{resident: {{max: 512MiB}}}}
  environment: {{deny: [LD_PRELOAD, LD_AUDIT, LD_LIBRARY_PATH]}}
  start_time: {{unchanged: true}}
  static_files: {{unchanged: true}}
stages:
  - {{stage: 1, after: static, release: [tls-key]}}
"""

WORKER_POLICY = """static: {manifest: worker.mtree}
dynamic:
  code: {files: manifest, modified_text: deny, anonymous: deny}
  listen: {allow: []}
  connections: {allow: []}
  environment: {deny: [LD_PRELOAD, LD_AUDIT, LD_LIBRARY_PATH]}
  start_time: {unchanged: true}
stages:
""" + "".join(f"  - {{stage: {i}, after: dynamic, release: [block-{i}-key]}}\n"
              for i in range(1, BLOCKS + 1))

NGINX_CONF = f"""worker_processes 1;
pid /var/lib/web/nginx.pid;
error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off;
  client_body_temp_path /var/lib/web/body;
  proxy_temp_path /var/lib/web/proxy;
  fastcgi_temp_path /var/lib/web/fastcgi;
  uwsgi_temp_path /var/lib/web/uwsgi;
  scgi_temp_path /var/lib/web/scgi;
  server {{
    listen 10.0.2.15:{PORT} ssl;
    ssl_certificate /etc/web/cert.pem;
    ssl_certificate_key /run/credentials/web.service/tls-key;
    root /srv/web;
  }}
}}
"""

WEB_UNIT = f"""[Service]
User=www-data
LoadCredential=tls-key:/run/assay/credential.sock
ExecStart={NGINX} -e stderr -c /etc/web/nginx.conf -g "daemon off;"
TimeoutStartSec=infinity
[Install]
WantedBy=multi-user.target
"""

# Says on the console that everything was started.
REPORT = """[Unit]
Description=Says on the console that the machine is up
After=multi-user.target
[Service]
Type=oneshot
StandardOutput=tty
TTYPath=/dev/ttyS0
ExecStart=/bin/sh -c 'echo "### multi-user at $(cut -d" " -f1 /proc/uptime)"'
[Install]
WantedBy=multi-user.target
"""


def check(condition, what):
    if not condition:
        raise Failure(what)


class Machine(Owner):
    """The machine's image, its encrypted root, and the policies for what is on it."""

    work = None  # where roots are kept

    def prepare(self, pause_ms=0, extra="", orders=None, uki=False, change=None,
                units=True):
        """orders: what root in the guest does, a shell script; change: what somebody does to the
        disk's files after the owner took reference values, a function of the tree."""
        self.tls = self.make_certificate()
        data = self.make_data()
        tree = debian.Tree(self.path("root"), self.work, PACKAGES)
        self.fill(tree, data, units)
        if orders:
            self.give_orders(tree, orders)
        measure_in(tree.root, self.program("assay"), self.path("web.mtree"), NGINX, "/etc/web",
                   "/srv/web", "/etc/systemd/system/web.service")
        measure_in(tree.root, self.program("assay"), self.path("worker.mtree"), WORKER)
        if change:
            change(tree)
        self.passphrase = self.secret("disk-passphrase", secrets.token_hex(32))
        plain = tree.disk(self.path("plain.img"))
        self.disk = debian.encrypt(self.program("luks_fill"), plain, self.path("luks.img"),
                                   self.passphrase)
        os.unlink(plain)
        self.tree = tree
        config = CONFIGURATION % {"extra": extra, "pause": pause_ms}
        image = self.image("image", config,
                           programs=[(tool("cryptsetup"), "/usr/sbin/cryptsetup")],
                           modules=["dm_crypt", "xts", "aesni_intel", *DIAGNOSIS],
                           uki=self.path("image.efi") if uki else None)
        measure_in(image.tree, self.program("assay"), self.path("disk.mtree"),
                   "/usr/sbin/cryptsetup")
        self.pcrs = self.predict(image)
        self.policy("disk", DISK_POLICY)
        self.policy("web", WEB_POLICY)
        self.policy("worker", WORKER_POLICY)
        self.https = free_port()
        self.start_verifier()
        return image

    def make_certificate(self):
        key, certificate = self.path("secrets", "tls-key"), self.path("web-cert.pem")
        run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
            "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", certificate)
        os.chmod(key, 0o600)
        return certificate

    def make_data(self):
        data = self.write("data", "".join(f"record {i}: the quick brown fox\n"
                                          for i in range(20000)))
        run(self.program("assay"), "data", "split", "--blocks", BLOCKS, data, self.path("blocks"))
        for i in range(1, BLOCKS + 1):
            os.rename(self.path("blocks", "secrets", f"block-{i}-key"),
                      self.path("secrets", f"block-{i}-key"))
        return self.path("blocks")

    def fill(self, tree, data, units):
        tree.quiet()
        tree.write("/etc/web/nginx.conf", NGINX_CONF)
        tree.add(self.tls, "/etc/web/cert.pem", 0o644)
        tree.write("/srv/web/index.html", "<p>served by a measured nginx</p>\n")
        os.makedirs(tree.path("/var/lib/web"))
        os.chown(tree.path("/var/lib/web"), WWW_DATA, WWW_DATA)
        tree.write("/etc/systemd/system/web.service", WEB_UNIT)
        if units:
            tree.link("/etc/systemd/system/web.service",
                      "/etc/systemd/system/multi-user.target.wants/web.service")
        tree.program(self.program("block_worker"), WORKER)
        tree.program(self.program("attack_attacker"), "/opt/attacker")
        for i in range(1, BLOCKS + 1):
            tree.add(os.path.join(data, f"block-{i}.assay"),
                     f"/opt/worker/data/block-{i}.assay", 0o644)
        tree.write("/etc/systemd/system/report.service", REPORT)
        tree.link("/etc/systemd/system/report.service",
                  "/etc/systemd/system/multi-user.target.wants/report.service")

    def give_orders(self, tree, orders):
        """A root process of the guest that is not assayd's: the attacker, a shell script."""
        tree.write("/opt/orders", "#!/bin/sh\nexec >/dev/ttyS0 2>&1\n" + orders, 0o755)
        tree.write("/etc/systemd/system/orders.service",
                   "[Service]\nExecStart=/opt/orders\n[Install]\nWantedBy=multi-user.target\n")
        tree.link("/etc/systemd/system/orders.service",
                  "/etc/systemd/system/multi-user.target.wants/orders.service")

    def machine(self, image, keep_changes=False, **more):
        drive = ["cache=unsafe"] if keep_changes else ["snapshot=on", "cache=unsafe"]
        return self.guest(image, disks=[(self.disk, drive, [])], forward=[(self.https, PORT)],
                          **more)

    def page(self):
        done = run("curl", "--silent", "--max-time", "5", "--cacert", self.tls,
                   f"https://127.0.0.1:{self.https}/", check=False)
        return done.stdout if done.returncode == 0 else None


def console_steps(guest, application, steps):
    for step in steps:
        guest.says(rf"{step}\W.*{application}:")


def whole(owner, image):
    """One boot to the end of the method; when systemd was done, in seconds."""
    with owner.machine(image) as guest:
        guest.says(r"is the root now|disk: refused by|nothing was handed over")
        check("is the root now" in guest.console, "the root was not opened\n" + guest.tail())
        page = until("nginx serving HTTPS", lambda: owner.page() or guest.process.poll(),
                     owner.limit or LIMIT)
        check(page and "measured nginx" in str(page), f"the page: {page}\n{guest.tail()}")
        guest.says(r"all stages done")
        up = guest.says(r"### multi-user at ([0-9.]+)").group(1)
        until("dynamic measurements of nginx", lambda: owner.accepted("web", "dynamic") >= 2,
              owner.limit or LIMIT)
        for name in ("disk", "web", "worker"):
            check(owner.reasons(name) == [], f"{name}: {owner.reasons(name)}")
        console_steps(guest, "disk", ("A1", "A2", "A3", "A4", "A5", "A7", "A8"))
        console_steps(guest, "web", ("A1", "A2", "A3", "A4", "A5", "A7", "A8"))
        console_steps(guest, "worker", ("B1", "B2", "B3", "B4", "B5", "B6", "B8", "B10", "B11"))
        for step in ("A4", "A5", "A6", "A7", "B7", "B8", "B9", "B10"):
            owner.verifier.wait_for(rf"{step} +(web|worker):", 5)
        expected = ["disk-passphrase", "tls-key"] + [f"block-{i}-key" for i in range(1, BLOCKS + 1)]
        check(sorted(owner.released()) == sorted(expected), f"released: {owner.released()}")
        check(owner.passphrase not in guest.console, "the passphrase is on the console")
    return up


def test_whole_method(owner):
    """Initrd, quote, predicted PCRs, LUKS, switch_root, systemd, nginx under a unit, four stages."""
    return f"systemd is done {whole(owner, owner.prepare())} s after the kernel's start"


def test_unified_kernel_image(owner):
    """Embodiment 3: kernel, command line and the initrd with assayd are one file."""
    image = owner.prepare(uki=True)
    check(set(owner.pcrs) == {4, 9, 11}, f"predicted were {owner.pcrs}")
    return f"systemd is done {whole(owner, image)} s after the kernel's start"


def test_file_changed_on_the_disk(owner):
    """The root opens, for the boot is as expected; nginx does not get its key."""
    image = owner.prepare(change=lambda tree: tree.write("/srv/web/index.html", "<p>other</p>\n"))
    with owner.machine(image) as guest:
        guest.says(r"web: refused by the verifier")
        until("the record", lambda: owner.reasons("web"), 60)
        rules = owner.reasons("web")
        check([r for r, seen in rules if r == "static.manifest"], str(rules))
        check("index.html" in str(rules), f"the file is not named: {rules}")
        check("tls-key" not in owner.released(), f"released: {owner.released()}")
        check("disk-passphrase" in owner.released(), f"released: {owner.released()}")
        check(owner.page() is None, "nginx serves")


def address_of(program, symbol):
    for line in run("nm", program).stdout.splitlines():
        if line.split()[-1] == symbol:
            return int(line.split()[0], 16)
    raise Failure(f"{program} has no {symbol}")


PATCH = """
for _ in $(seq 1 600); do
	for p in /proc/[0-9]*; do
		[ "$(readlink $p/exe)" = %(program)s ] && break 2
	done
	sleep 0.5
done
base=$(awk '/%(name)s/ { split($1, a, "-"); print a[1]; exit }' $p/maps)
printf '\\061\\300\\303' | dd of=$p/mem bs=1 seek=$((0x$base + %(at)d)) conv=notrunc 2>/dev/null &&
	echo "### patched ${p#/proc/}"
"""


def test_code_patched_in_the_running_guest(owner):
    """Root in the guest overwrites a function of the running worker: no further stage."""
    at = address_of(owner.program("block_worker"), "process_chunk")
    orders = PATCH % {"program": WORKER, "name": "block_worker", "at": at}
    image = owner.prepare(pause_ms=30000, orders=orders)
    with owner.machine(image) as guest:
        guest.says(r"^### patched \d+")
        guest.says(r"worker: refused by the verifier")
        until("the record", lambda: owner.reasons("worker"), 60)
        rules = [rule for rule, _ in owner.reasons("worker")]
        check("dynamic.code.modified_text" in rules, str(owner.reasons("worker")))
        check(f"block-{BLOCKS}-key" not in owner.released(), f"released: {owner.released()}")


PROTECT = "protect: [self, files, chip]\nprotect_required: true\n"
# Over both processes of assayd.
AGAINST_ASSAYD = """
try() { # what, command: says how it went
	what=$1
	shift
	if "$@" 2>/tmp/said; then echo "### $what: done"; else echo "### $what: $(grep -m1 . /tmp/said)"; fi
}
n=0
for p in /proc/[0-9]*; do
	pid=${p#/proc/}
	case $(cat $p/comm) in assayd*) ;; *) continue ;; esac
	n=$((n + 1))
	try "kill $n" kill -KILL $pid
	try "stop $n" kill -STOP $pid
	try "memory $n" dd if=$p/mem of=/dev/null bs=1 count=0
	try "environment $n" cat $p/environ
	try "alive $n" test -d $p
done
detach() {
	said=$(/opt/attacker detach attack "$1" </dev/null 2>&1)
	echo "$said" >&2
	[ "$said" = done ]
}
for p in /proc/[0-9]*; do
	case $(cat $p/comm) in assayd) try "detach" detach ${p#/proc/} ;; esac
done
try "chip" sh -c 'exec 3</dev/tpmrm0'
try "measured file" sh -c 'echo x >>/srv/web/index.html'
try "another file" sh -c 'echo x >>/srv/other'
echo "### $n processes tried"
"""


def test_root_attacks_assayd(owner):
    """With `protect` on, root in the guest neither ends, stops nor reads assayd, detaches nothing of
    its eBPF, and the method goes on."""
    image = owner.prepare(extra=PROTECT, orders="sleep 20\n" + AGAINST_ASSAYD)
    with owner.machine(image) as guest:
        guest.says(r"^### (\d+) processes tried")
        said = dict(re.findall(r"^### ([a-z]+(?: [a-z0-9]+)?): (.*)$", guest.console, re.M))
        for n in (1, 2):
            for what in ("kill", "stop", "environment"):
                check("not permitted" in said.get(f"{what} {n}", "") or
                      "denied" in said.get(f"{what} {n}", ""), f"{what} {n}: {said}")
            check(said.get(f"alive {n}") == "done", str(said))
        for what in ("chip", "measured file"):
            check("ermi" in said.get(what, ""), f"{what}: {said}")
        check(said.get("another file") == "done", str(said))
        check("ermi" in said.get("detach", ""), f"eBPF: {said}")
        guest.says(r"all stages done")
        until("dynamic measurements of nginx", lambda: owner.accepted("web", "dynamic") >= 2,
              owner.limit or LIMIT)


DISK_ONLY = f"""\
verifier: {{address: "{VERIFIER}", ca: /etc/assay/verifier-ca.pem}}
attester: tpm
initrd:
  modules_file: /etc/assay/modules
  network: {NETWORK}
  timeout: 10m
  root: {{device: /dev/mapper/root, type: ext4, writable: true}}
applications:
  - name: disk
    disk: {{luks: /dev/vda, name: root}}
"""

# The same steps without assayd, the passphrase in the image: what the boot takes anyhow.
WITHOUT = """#!/usr/bin/busybox sh
/usr/bin/busybox mount -t proc proc /proc
/usr/bin/busybox --install -s /usr/bin
export PATH=/usr/sbin:/usr/bin
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
mount -t tmpfs -o mode=755 tmpfs /run
while read -r m; do insmod $m; done </etc/assay/modules
ip link set eth0 up && ip addr add 10.0.2.15/24 dev eth0
while ! [ -b /dev/vda ]; do sleep 0.1; done
cryptsetup open --type luks2 --key-file /etc/passphrase --batch-mode /dev/vda root
mount -t ext4 /dev/mapper/root /newroot
for at in proc sys dev run; do mount --move /$at /newroot/$at; done
exec switch_root /newroot /sbin/init
"""
BOOTS = 2  # of each; the best counts, as others use the machine, too


def test_added_boot_time(owner):
    """Time from the kernel's start until systemd is done, with assayd and without, chip time apart.
    A figure, nothing that is judged: an emulated machine on a loaded one proves nothing."""
    owner.prepare(units=False)
    programs = [(tool("cryptsetup"), "/usr/sbin/cryptsetup"), (tool("busybox"), "/usr/bin/busybox")]
    modules = ["dm_crypt", "xts", "aesni_intel"]
    init, key = owner.write("without", WITHOUT, 0o755), owner.write("key", owner.passphrase)
    images = {"with": owner.image("with", DISK_ONLY, programs=programs, modules=modules),
              "without": owner.image("without", DISK_ONLY, programs=programs, modules=modules,
                                     files=[(key, "/etc/passphrase")], more=["--init", init])}
    owner.verifier.stop()
    owner.pcrs = owner.predict(images["with"])
    owner.policies = []
    owner.policy("disk", DISK_POLICY)
    owner.start_verifier()
    times = {"with": [], "without": []}
    for turn in range(BOOTS + 1):  # in the first one the key of the chip is made and enrolled
        for kind, image in images.items():
            with owner.machine(image) as guest:
                chip = 0
                if kind == "with":
                    guest.says(r"A2\W.*disk:")
                    chip = -time.monotonic()
                    guest.says(r"A4\W.*disk:")
                    chip += time.monotonic()
                up = float(guest.says(r"### multi-user at ([0-9.]+)").group(1))
            if turn:
                times[kind].append((up - chip, up, chip))
    (rest, up, chip), (plain, _, _) = min(times["with"]), min(times["without"])
    return (f"{up:.1f} s with assayd, of these {chip:.1f} s the chip; {plain:.1f} s without: "
            f"{rest / plain:.2f}x without the chip's time")


# What is on the console, or in the verifier's log, when the power goes off.
CUTS = [("console", r"assayd \S+: \d+ applications"), ("console", r"evidence to the verifier"),
        ("verifier", r"disk: stage 1: |stage 1 disk: released"), ("console", r"opened: /dev/vda"),
        ("console", r"is the root now"), ("console", r"web: evidence|A4\W.*web:")]


def test_power_cut(owner):
    """The machine is cut off at each step; the next boot goes the whole way."""
    image = owner.prepare()
    for where, pattern in CUTS:
        since = len(owner.verifier.text())
        with owner.machine(image, keep_changes=True) as guest:
            if where == "console":
                guest.says(pattern)
            else:
                until(f"/{pattern}/", lambda: re.search(pattern, owner.verifier.text()[since:]),
                      owner.limit or LIMIT)
            guest.cut()
    with owner.machine(image, keep_changes=True) as guest:
        guest.says(r"all stages done")
        page = until("nginx serving HTTPS", lambda: owner.page() or guest.process.poll(),
                     owner.limit or LIMIT)
        check(page and "measured nginx" in str(page), f"the page: {page}\n{guest.tail()}")
    return f"{len(CUTS)} cuts"


TESTS = [value for name, value in list(globals().items()) if name.startswith("test_")]
