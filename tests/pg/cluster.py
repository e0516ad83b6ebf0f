"""A PostgreSQL of a test's own: a cluster in a new folder, a socket in it and no port, gone at the end."""
import glob, os, pwd, shutil, subprocess, tempfile


def folder_of_programs():
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin/postgres"), key=lambda p: int(p.split("/")[4]))
    return os.path.dirname(found[-1]) if found else None


class Cluster:
    """with Cluster() as pg: pg.psql("select 1")"""

    def __init__(self):
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
        options = f"-c listen_addresses= -c unix_socket_directories={self.folder} -c fsync=off -c shared_buffers=16MB"
        up = self.run("pg_ctl", "-D", data, "-w", "-s", "-l", os.path.join(self.folder, "log"), "-o", options, "start", stdin=subprocess.DEVNULL)
        assert up.returncode == 0, up.stderr
        return self

    def __exit__(self, *_):
        self.run("pg_ctl", "-D", os.path.join(self.folder, "data"), "-m", "immediate", "-s", "stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    @staticmethod
    def installed():
        return folder_of_programs() is not None

    def psql(self, sql, stop=True):
        return self.psql_in("postgres", sql, stop)

    def psql_in(self, database, sql, stop=True):
        r = self.run("psql", "-X", "-q", "-A", "-t", "-h", self.folder, "-U", "postgres", "-d", database, "-v", f"ON_ERROR_STOP={int(stop)}", "-f", "-", input=sql)
        assert r.returncode == 0, r.stderr[:2000]
        return r.stdout
