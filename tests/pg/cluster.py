"""A PostgreSQL of a test's own: a cluster in a new folder, a socket in it and no port, gone at the end."""
import glob, os, pwd, shutil, signal, socket, subprocess, sys, tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import processes  # noqa: E402


def folder_of_programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=lambda p: int(p.split("/")[4]))
    return os.path.dirname(found[-1]) if found else None


class Cluster:
    """with Cluster() as pg: pg.psql("select 1"). tcp: it listens at localhost, too, by TLS with a certificate of its own (pg.authority), to passwords."""

    def __init__(self, tcp=False):
        self.port = processes.free_port() if tcp else None
        self.bin = folder_of_programs()
        self.folder = tempfile.mkdtemp(prefix="orlo-pg-")
        self.user = None
        if os.getuid() == 0:  # PostgreSQL does not run as root
            self.user = next(u for u in ("postgres", "nobody") if self.known(u))
            os.chown(self.folder, pwd.getpwnam(self.user).pw_uid, -1)

    @staticmethod
    def known(user):
        try:
            return bool(pwd.getpwnam(user))
        except KeyError:
            return False

    def run(self, *argv, **more):
        if self.user:
            uid = pwd.getpwnam(self.user)
            more.update(user=uid.pw_uid, group=uid.pw_gid)
        return subprocess.run([os.path.join(self.bin, argv[0]), *argv[1:]], cwd=self.folder, text=True, capture_output=True, **more)

    def __enter__(self):
        data = os.path.join(self.folder, "data")
        made = self.run("initdb", "-D", data, "-U", "postgres", "-A", "trust", "--locale=C.UTF-8", "-E", "UTF8", "-N")
        assert made.returncode == 0, made.stderr
        if self.port:
            self.certify(data)
        self.start()
        return self

    def start(self):
        listens = f"localhost -c port={self.port} -c ssl=on" if self.port else ""
        options = f"-c listen_addresses={listens} -c unix_socket_directories={self.folder} -c fsync=off -c shared_buffers=16MB"
        begin = lambda: self.run("pg_ctl", "-D", os.path.join(self.folder, "data"), "-w", "-t", "300", "-s", "-l", os.path.join(self.folder, "log"), "-o", options, "start", stdin=subprocess.DEVNULL)
        said = [None]
        try:
            processes.until(lambda: (processes.pace(0.3) if said[0] else None, said.__setitem__(0, begin())) and said[0].returncode == 0)  # what was killed takes a while to be gone
        except AssertionError:
            with open(os.path.join(self.folder, "log")) as f:
                raise AssertionError(said[0].stderr + f.read()[-2000:]) from None

    def stop(self):
        self.run("pg_ctl", "-D", os.path.join(self.folder, "data"), "-m", "immediate", "-s", "stop")

    def certify(self, data):
        """A certificate for localhost, and whose it is: itself."""
        self.authority = os.path.join(self.folder, "authority.pem")
        for argv in (["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=localhost",
                      "-addext", "subjectAltName=DNS:localhost", "-keyout", os.path.join(data, "server.key"), "-out", os.path.join(data, "server.crt")],):
            made = subprocess.run(argv, capture_output=True, text=True)
            assert made.returncode == 0, made.stderr
        os.chmod(os.path.join(data, "server.key"), 0o600)
        if self.user:
            for name in ("server.key", "server.crt"):
                os.chown(os.path.join(data, name), pwd.getpwnam(self.user).pw_uid, -1)
        shutil.copy(os.path.join(data, "server.crt"), self.authority)
        os.chmod(self.folder, 0o755)  # the authority is read by whoever connects
        os.chmod(self.authority, 0o644)
        with open(os.path.join(data, "pg_hba.conf"), "w") as f:
            f.write("local all all trust\nhost all all all scram-sha-256\n")

    def processes(self):
        """The server, and what it has started."""
        with open(os.path.join(self.folder, "data", "postmaster.pid")) as f:
            pid = int(f.readline())
        return [pid, *processes.children(pid)]

    def signal(self, number):
        for pid in self.processes():
            processes.kill_if_there(pid, number)

    def __exit__(self, *_):
        try:
            self.signal(signal.SIGCONT)
        except FileNotFoundError:
            pass  # it was stopped
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def installed():
        return folder_of_programs() is not None

    def psql(self, sql, stop=True):
        return self.psql_in("postgres", sql, stop)

    def psql_in(self, database, sql, stop=True):
        r = self.run("psql", "-X", "-q", "-A", "-t", "-h", self.folder, "-p", str(self.port or 5432), "-U", "postgres", "-d", database, "-v", f"ON_ERROR_STOP={int(stop)}", "-f", "-", input=sql)
        assert r.returncode == 0, r.stderr[:2000]
        return r.stdout
