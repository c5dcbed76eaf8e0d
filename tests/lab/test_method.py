# SPDX-License-Identifier: Apache-2.0
"""The whole method in one machine: assayd in the measured initrd, a root on LUKS2 whose passphrase
the verifier releases on boot values predicted from the image, systemd above it, an nginx with its
TLS key and a worker that goes through four stages."""
import os
import re
import secrets
import subprocess
import time

import debian
from image import tool
from lab import Failure, free_port, run, until
from measured import VERIFIER
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
%(extra)sinitrd:
  modules_file: /etc/assay/modules
  network: {NETWORK}
  timeout: 10m
  root: {{device: /dev/mapper/root, type: ext4, writable: true}}
applications:
  - name: disk
    disk: {{luks: /dev/vda, name: root}}
  - name: web
    exec: [{NGINX}, -e, stderr, -c, /etc/web/nginx.conf, -g, "daemon off;"]
    user: www-data
    files: [/etc/web, /srv/web]
    measure: {{static: true, dynamic: true}}
    time_nodes: [{{at: start}}, {{every: 5s, jitter: 500ms}}, {{on: demand}}]
    stages: 1
    deliver: {{stage_1: credential}}
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
    ssl_certificate_key /run/assay/credentials/web/tls-key;
    root /srv/web;
  }}
}}
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

    def prepare(self, pause_ms=0, extra="", orders=None, uki=False):
        self.tls = self.make_certificate()
        data = self.make_data()
        tree = debian.Tree(self.path("root"), self.work, PACKAGES)
        self.fill(tree, data)
        if orders:
            self.give_orders(tree, orders)
        measure_in(tree.root, self.program("assay"), self.path("web.mtree"), NGINX, "/etc/web",
                   "/srv/web")
        measure_in(tree.root, self.program("assay"), self.path("worker.mtree"), WORKER)
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

    def fill(self, tree, data):
        tree.quiet()
        tree.write("/etc/web/nginx.conf", NGINX_CONF)
        tree.add(self.tls, "/etc/web/cert.pem", 0o644)
        tree.write("/srv/web/index.html", "<p>served by a measured nginx</p>\n")
        os.makedirs(tree.path("/var/lib/web"))
        os.chown(tree.path("/var/lib/web"), WWW_DATA, WWW_DATA)
        tree.program(self.program("block_worker"), WORKER)
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


def test_whole_method(owner):
    """Initrd, quote, predicted PCRs, LUKS, switch_root, systemd, nginx, four stages."""
    image = owner.prepare()
    with owner.machine(image) as guest:
        guest.says(r"is the root now|disk: refused by|nothing was handed over")
        check("is the root now" in guest.console, "the root was not opened\n" + guest.tail())
        page = until("nginx serving HTTPS", lambda: owner.page() or guest.process.poll(), 600)
        check(page and "measured nginx" in str(page), f"the page: {page}\n{guest.tail()}")
        guest.says(r"all stages done")
        up = guest.says(r"### multi-user at ([0-9.]+)").group(1)
        until("dynamic measurements of nginx", lambda: owner.accepted("web", "dynamic") >= 2, 300)
        for name in ("disk", "web", "worker"):
            check(owner.reasons(name) == [], f"{name}: {owner.reasons(name)}")
        console_steps(guest, "disk", ("A1", "A2", "A3", "A4", "A5", "A7"))
        console_steps(guest, "web", ("A1", "A2", "A3", "A4", "A5", "A7", "A8"))
        console_steps(guest, "worker", ("B1", "B2", "B3", "B4", "B5", "B6", "B8", "B10", "B11"))
        for step in ("A4", "A5", "A6", "A7", "B7", "B8", "B9", "B10"):
            owner.verifier.wait_for(rf"{step} +(web|worker):", 5)
        expected = ["disk-passphrase", "tls-key"] + [f"block-{i}-key" for i in range(1, BLOCKS + 1)]
        check(sorted(owner.released()) == sorted(expected), f"released: {owner.released()}")
        check(owner.passphrase not in guest.console, "the passphrase is on the console")
    return f"multi-user {up} s after the kernel's start"


TESTS = [value for name, value in list(globals().items()) if name.startswith("test_")]
